//! How long to wait before the next try of something that keeps failing.
//!
//! In: how often it failed in a row. Out: a delay. The first tries follow quickly, because most failures are a server
//! that went away while another one answers; the later ones slowly, because by then more haste only adds load.

use std::time::Duration;

/// The first delays, together well under two seconds.
const QUICK: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(80),
    Duration::from_millis(250),
    Duration::from_millis(500),
];

/// The first of the slow delays; each is twice the one before.
const SLOW: Duration = Duration::from_secs(1);

/// No delay is longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// What was tried has worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// What was tried has failed: how long to wait, with up to half as much again so that many clients spread out.
    pub fn next_delay(&mut self) -> Duration {
        let delay = delay(self.failures);
        self.failures = self.failures.saturating_add(1);
        delay.mul_f64(1.0 + rand::random::<f64>() / 2.0)
    }

    /// Whether it has failed so often that it is more than a server that went away.
    pub fn is_persistent(&self) -> bool {
        self.failures as usize > QUICK.len()
    }
}

fn delay(failures: u32) -> Duration {
    match QUICK.get(failures as usize) {
        Some(quick) => *quick,
        None => {
            let doublings = failures.saturating_sub(QUICK.len() as u32).min(5);
            (SLOW * 2u32.pow(doublings)).min(LONGEST)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_tries_are_quick_and_the_last_are_half_a_minute_apart() {
        let delays: Vec<Duration> = (0..12).map(delay).collect();
        assert!(delays[..4].iter().sum::<Duration>().mul_f64(1.5) < Duration::from_secs(2));
        assert_eq!(delays[4..10].iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30]);
        assert_eq!(delay(u32::MAX), LONGEST);
    }

    #[test]
    fn success_starts_from_the_beginning() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next_delay();
        }
        assert!(backoff.is_persistent());
        backoff.reset();
        assert!(!backoff.is_persistent());
        assert!(backoff.next_delay() <= QUICK[0].mul_f64(1.5));
    }
}
