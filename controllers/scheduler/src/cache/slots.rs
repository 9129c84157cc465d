//! Where nodes lie in the cache, and sets of them.

/// A node's place. It keeps it as long as it is known; then another node may get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct NodeSlot(u32);

/// A set of nodes: one bit for each slot. Bits of slots that hold no node mean nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeSet {
    words: Vec<u64>,
}

impl NodeSlot {
    pub(crate) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("there is no memory for so many nodes"))
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeSet {
    /// Of none of `slots` slots.
    pub(crate) fn none(slots: usize) -> Self {
        Self { words: vec![0; slots.div_ceil(64)] }
    }

    /// Of all of `slots` slots.
    pub(crate) fn all(slots: usize) -> Self {
        Self { words: vec![u64::MAX; slots.div_ceil(64)] }
    }

    pub(crate) fn insert(&mut self, slot: NodeSlot) {
        self.words[slot.index() / 64] |= 1 << (slot.index() % 64);
    }

    pub(crate) fn contains(&self, slot: NodeSlot) -> bool {
        self.words[slot.index() / 64] >> (slot.index() % 64) & 1 == 1
    }

    /// Leaves what is in both.
    pub(crate) fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine &= theirs);
    }

    /// Adds what is in the other.
    pub(crate) fn unite(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(mine, theirs)| *mine |= theirs);
    }

    /// Turns members into strangers and the other way round.
    pub(crate) fn invert(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(members: &[usize]) -> NodeSet {
        let mut set = NodeSet::none(130);
        members.iter().for_each(|index| set.insert(NodeSlot::new(*index)));
        set
    }

    fn members(set: &NodeSet) -> Vec<usize> {
        (0..130).filter(|index| set.contains(NodeSlot::new(*index))).collect()
    }

    #[test]
    fn sets_meet_join_and_turn_around() {
        let mut both = set(&[0, 63, 64, 129]);
        both.intersect(&set(&[63, 129, 100]));
        assert_eq!(members(&both), [63, 129]);
        both.unite(&set(&[1]));
        assert_eq!(members(&both), [1, 63, 129]);
        both.invert();
        assert_eq!(members(&both).len(), 127);
        both.invert();
        assert_eq!(members(&both), [1, 63, 129]);
        assert_eq!(members(&NodeSet::all(130)).len(), 130);
    }
}
