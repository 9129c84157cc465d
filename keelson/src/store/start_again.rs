//! A member whose data was found to be damaged starts again by itself: its next start makes anew what is damaged.
//!
//! In: why its store has ended. Out: the same process, with the same arguments, from its beginning, after a pause. Nothing of
//! the former life is left in it that would have to be looked after: no lock, no socket, no thread. A disk that is found to
//! be damaged again and again is for an operator to look at: then the process ends.
//!
//! Deliberately absent: anything else that ends a store. A full disk or a removed member does not get better by itself.

use std::error::Error;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;
use std::{env, io};

use crate::process::StopSignals;

/// How often this process has begun anew. It hands that on to itself.
const COUNT: &str = "KEELSON_STORE_STARTED_AGAIN";

/// Before each new start.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];

/// Begins anew, unless the process is asked to stop meanwhile.
///
/// # Errors
///
/// It has done so as often as it may, or the system does not let it.
pub(super) async fn start_again(why: &str, signals: &mut StopSignals) -> Result<(), Box<dyn Error>> {
    let earlier = earlier(env::var(COUNT).ok().as_deref());
    let pause = pause(earlier).ok_or_else(|| {
        format!(
            "{why}. It has started again {earlier} times, and damage was found each time: look at the disk"
        )
    })?;
    tracing::error!(why, ?pause, "this member starts again by itself");
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = signals.asked() => return Ok(()),
    }
    let refused = exec(earlier + 1);
    Err(format!("{why}. It cannot start again by itself ({refused}): start it").into())
}

/// Returns only where the system refuses.
fn exec(count: usize) -> io::Error {
    match env::current_exe() {
        Ok(program) => {
            Command::new(program).args(env::args_os().skip(1)).env(COUNT, count.to_string()).exec()
        }
        Err(unknown) => unknown,
    }
}

fn earlier(count: Option<&str>) -> usize {
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn pause(earlier: usize) -> Option<Duration> {
    PAUSES.get(earlier).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_then_it_is_over() {
        let pauses: Vec<_> = (0..).map_while(pause).collect();
        assert!(pauses.is_sorted() && pauses.len() == 3, "{pauses:?}");
        assert_eq!(earlier(None), 0);
        assert_eq!(earlier(Some("2")), 2);
        assert_eq!(earlier(Some("many")), 0);
    }
}
