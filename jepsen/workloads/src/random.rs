//! Randomness from a seed, and from nothing else.
//!
//! In: a seed. Out: the same numbers, always and everywhere. A generator of our own (SplitMix64), because those
//! of the `rand` crate may change their output with a release, and a seed that found a bug must find it again.
//! Deliberately absent: quality beyond that of a workload's dice.

use std::time::Duration;

/// A generator. Cloning it repeats its future.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The generator number `index` of a seed. Each has a future of its own, so what one client draws does not
    /// change what another one does.
    pub(crate) fn derived(seed: u64, index: u64) -> Self {
        let mut parent = Self::new(seed);
        let salt = parent.next();
        Self::new(scramble(salt ^ scramble(index.wrapping_add(1))))
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.state)
    }

    /// A number below `bound`, which is at least 1. (The bias is below `bound` / 2^64.)
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// A time from `low` to `high`, in milliseconds.
    pub(crate) fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).expect("no run lasts for ever");
        Duration::from_millis(self.between(millis(low), millis(high)))
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of them, by weight. At least one weight is above 0.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let total: u64 = choices.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        unreachable!("a number below the sum of the weights falls on one of them")
    }
}

/// SplitMix64's finalizer: each bit of the input moves half of the output's.
const fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_in_every_release() {
        let mut random = Random::new(0);
        assert_eq!(random.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(random.next(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn derived_generators_differ_from_each_other_and_between_seeds() {
        let first = |seed, index| Random::derived(seed, index).next();
        let all: std::collections::BTreeSet<u64> =
            (0..32).flat_map(|seed| (0..32).map(move |index| first(seed, index))).collect();
        assert_eq!(all.len(), 32 * 32);
    }

    #[test]
    fn weights_of_nothing_are_never_drawn_and_others_are() {
        let mut random = Random::new(7);
        let drawn: Vec<char> = (0..100).map(|_| random.weighted(&[(1, 'a'), (0, 'b'), (3, 'c')])).collect();
        assert!(drawn.contains(&'a') && drawn.contains(&'c') && !drawn.contains(&'b'));
    }
}
