//! Inputs like those that are known, from a seed.
//!
//! In: the seeds of a target, its words, a number. Out: as many inputs as are wanted, the same each time.

/// An endless row of inputs.
#[derive(Clone, Debug)]
pub struct Mutations<'s> {
    seeds: &'s [Vec<u8>],
    words: &'s [&'s str],
    state: u64,
}

impl<'s> Mutations<'s> {
    /// Of these seeds, of which there is at least one, and with these words.
    pub fn new(seeds: &'s [Vec<u8>], words: &'s [&'s str], seed: u64) -> Self {
        assert!(!seeds.is_empty(), "nothing to begin with");
        Self { seeds, words, state: seed | 1 }
    }

    /// A number below `end`; 0 for none.
    fn below(&mut self, end: usize) -> usize {
        // Xorshift: enough to spread, and the same everywhere.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).expect("31 bits fit") % end.max(1)
    }

    /// A part of a text, short more often than long.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        let longest = 1 << self.below(7);
        start..(start + self.below(longest) + 1).min(length)
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        let part = self.part(input.len());
        match self.below(6) {
            0 => drop(input.drain(part)),
            1 => {
                let copy = input[part.clone()].to_vec();
                input.splice(part.start..part.start, copy);
            }
            2 if !input.is_empty() => {
                let bit = 1 << self.below(8);
                input[part.start] ^= bit;
            }
            3 => {
                let other = &self.seeds[self.below(self.seeds.len())];
                let from = self.part(other.len());
                input.splice(part, other[from].iter().copied());
            }
            _ => {
                let word = self.words[self.below(self.words.len())];
                input.splice(part.start..part.start, word.bytes());
            }
        }
    }
}

impl Iterator for Mutations<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut input = self.seeds[self.below(self.seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        Some(input)
    }
}
