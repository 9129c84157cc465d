//! Randomness from a seed, and from nothing else.
//!
//! In: a seed and a purpose. Out: the same numbers, always and everywhere: a seed that found a bug must find it
//! again after an upgrade of any library, so the generator is our own (SplitMix64). Each purpose has a generator
//! of its own, so that a change in how one of them draws leaves the others as they were.

use xxhash_rust::xxh3::xxh3_64;

/// What numbers are drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// Options of the run.
    Swarm,
    /// When which fault strikes.
    Schedule,
    /// Delays of the network.
    Network,
    /// Delays of a replica's disk, and what a crash leaves of it.
    Disk,
    /// A replica's own randomness.
    Replica,
    /// What clients do.
    Workload,
    /// The runtime's `select!`.
    Runtime,
    /// Whom the nemesis hits.
    Nemesis,
}

/// A generator.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The generator for a purpose; `index` tells apart those of several replicas or lives.
    pub(crate) const fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let salt = scramble(seed ^ scramble((purpose as u64) << 32 | index & 0xffff_ffff));
        Self { state: salt }
    }

    /// The generator for something that has a name. Names may come and go: each draws by itself.
    pub(crate) fn named(seed: u64, purpose: Purpose, name: &str) -> Self {
        Self::new(seed, purpose, xxh3_64(name.as_bytes()))
    }

    /// Any number.
    pub(crate) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.state)
    }

    /// A number below `bound`; 0 when that is 0.
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// A number from `low` to `high`, both included.
    pub(crate) const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in so many of a hundred cases.
    pub(crate) const fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of those with a name, of which there is at least one. When a name is added, it is drawn instead of another
    /// one now and then; nothing else changes.
    pub(crate) fn among<T: Copy>(&mut self, choices: &[T], name: impl Fn(T) -> &'static str) -> T {
        let salt = self.next();
        let lot = |choice: &T| scramble(salt ^ xxh3_64(name(*choice).as_bytes()));
        choices.iter().copied().max_by_key(lot).expect("there is something to choose from")
    }

    /// One of them. There must be at least one.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("below a length")]
    }
}

/// SplitMix64's finalizer: each bit of the input moves half of the output's.
const fn scramble(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
