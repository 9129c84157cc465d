//! The last few values of a kind: pure.
//!
//! In: values, one after the other. Out: whether a value was among the last. The oldest is forgotten first.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

/// Remembers as many values as it has room for.
#[derive(Debug)]
pub(super) struct Memory<T> {
    room: usize,
    values: HashSet<T>,
    order: VecDeque<T>,
}

impl<T: Clone + Eq + Hash> Memory<T> {
    pub(super) fn new(room: usize) -> Self {
        Self { room, values: HashSet::new(), order: VecDeque::new() }
    }

    pub(super) fn has(&self, value: &T) -> bool {
        self.values.contains(value)
    }

    pub(super) fn add(&mut self, value: T) {
        if !self.values.insert(value.clone()) {
            return;
        }
        self.order.push_back(value);
        if self.order.len() > self.room
            && let Some(oldest) = self.order.pop_front()
        {
            self.values.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut memory = Memory::new(2);
        for value in [1, 2, 2, 3] {
            memory.add(value);
        }
        assert_eq!([1, 2, 3].map(|value| memory.has(&value)), [false, true, true]);
    }
}
