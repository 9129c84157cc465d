//! What the clients of each workload do, one file each.
//!
//! In: workers that take turns. Out: their calls. Deliberately absent: how calls are done or recorded, and what is
//! checked; actions, runs and the table know that.

use keelson_checkers::history::Key;

use crate::random::Random;

pub(crate) mod append;
pub(crate) mod counter;
pub(crate) mod kubernetes;
pub(crate) mod lease;
pub(crate) mod lock;
mod mixture;
pub(crate) mod register;
pub(crate) mod revisions;
pub(crate) mod set;
pub(crate) mod watch;
pub(crate) mod wr;

/// Keys that are few at any time, so that clients meet, and become others as the run goes on, so that no key's history
/// grows without bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    prefix: &'static str,
    /// How many are in use at a time.
    width: u64,
    /// After so many operations the oldest is given up for a new one.
    renewal: u64,
}

impl Window {
    const fn new(prefix: &'static str, width: u64, renewal: u64) -> Self {
        Self { prefix, width, renewal }
    }

    /// One that is in use after so many operations.
    fn key(self, random: &mut Random, operations: u64) -> Key {
        self.name(operations / self.renewal + random.below(self.width))
    }

    /// Some that are in use, none twice.
    fn keys(self, random: &mut Random, operations: u64, count: usize) -> Vec<Key> {
        let first = operations / self.renewal;
        let mut numbers: Vec<u64> = (first..first + self.width).collect();
        while numbers.len() > count {
            let out = random.below(numbers.len() as u64);
            numbers.swap_remove(usize::try_from(out).expect("below a length"));
        }
        numbers.into_iter().map(|number| self.name(number)).collect()
    }

    /// All that were in use until now.
    fn all(self, operations: u64) -> impl Iterator<Item = Key> {
        (0..operations / self.renewal + self.width).map(move |number| self.name(number))
    }

    /// The first key that it can ever use, and one beyond all of them.
    fn bounds(self) -> (Key, Key) {
        // "0" is the character after "/".
        (Key(format!("{}/", self.prefix).into()), Key(format!("{}0", self.prefix).into()))
    }

    fn name(self, number: u64) -> Key {
        Key(format!("{}/{number:06}", self.prefix).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_moves_on_and_forgets_no_key() {
        let window = Window::new("k", 3, 10);
        let all: Vec<Key> = window.all(25).collect();
        assert_eq!(all.len(), 5);
        let mut random = Random::new(1);
        for operations in 0..=25 {
            assert!(all.contains(&window.key(&mut random, operations)));
            assert_eq!(window.keys(&mut random, operations, 2).len(), 2);
        }
        assert!(!window.keys(&mut random, 25, 3).contains(&"k/000001".into()));
    }
}
