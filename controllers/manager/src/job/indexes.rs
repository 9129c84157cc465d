//! Sets of completion indexes, as a Job's status writes them: `1,3-5,7`. Pure.
//!
//! In: such texts, and single indexes. Out: sets that are as small as their number of gaps, however many indexes they
//! hold.

use std::fmt;

/// A set of indexes: intervals in order, none of which touches the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Indexes(Vec<Interval>);

/// From the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    first: usize,
    last: usize,
}

impl Interval {
    fn len(self) -> usize {
        self.last - self.first + 1
    }

    fn overlap(self, other: Self) -> usize {
        let (first, last) = (self.first.max(other.first), self.last.min(other.last));
        (last + 1).saturating_sub(first)
    }
}

impl Indexes {
    /// Reads a text; what is no index, or not below `end`, is left out.
    pub(super) fn parse(text: &str, end: usize) -> Self {
        let interval = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse().ok()?, last.parse::<usize>().ok()?.min(end.checked_sub(1)?));
            (first <= last).then_some(Interval { first, last })
        };
        Self::of(text.split(',').filter_map(interval).collect())
    }

    /// How many indexes there are.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|interval| interval.len()).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn has(&self, index: usize) -> bool {
        let place = self.0.partition_point(|interval| interval.last < index);
        self.0.get(place).is_some_and(|interval| interval.first <= index)
    }

    /// All that are in the one or the other.
    pub(super) fn with(&self, other: &Self) -> Self {
        Self::of(self.0.iter().chain(&other.0).copied().collect())
    }

    /// How many are in both.
    pub(super) fn common(&self, other: &Self) -> usize {
        let mut common = 0;
        let (mut one, mut two) = (self.0.iter().copied().peekable(), other.0.iter().copied().peekable());
        while let (Some(&left), Some(&right)) = (one.peek(), two.peek()) {
            common += left.overlap(right);
            if left.last < right.last {
                one.next()
            } else {
                two.next()
            };
        }
        common
    }

    /// The first `count` below `end` that are not here.
    pub(super) fn first_missing(&self, count: usize, end: usize) -> Vec<usize> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|interval| interval.last + 1));
        let ends = self.0.iter().map(|interval| interval.first).chain([end]);
        let gaps = starts.zip(ends).flat_map(|(start, stop)| start..stop.min(end));
        gaps.take(count).collect()
    }

    fn of(mut intervals: Vec<Interval>) -> Self {
        intervals.sort_unstable_by_key(|interval| interval.first);
        let mut merged: Vec<Interval> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            match merged.last_mut() {
                Some(before) if interval.first <= before.last + 1 => {
                    before.last = before.last.max(interval.last)
                }
                _ => merged.push(interval),
            }
        }
        Self(merged)
    }
}

impl FromIterator<usize> for Indexes {
    fn from_iter<I: IntoIterator<Item = usize>>(indexes: I) -> Self {
        Self::of(indexes.into_iter().map(|index| Interval { first: index, last: index }).collect())
    }
}

/// Two neighbours are written one by one, as upstream does.
impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, &Interval { first, last }) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            match last - first {
                0 => write!(f, "{comma}{first}")?,
                1 => write!(f, "{comma}{first},{last}")?,
                _ => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const END: usize = 40;

    fn sets() -> impl Strategy<Value = BTreeSet<usize>> {
        prop::collection::btree_set(0..END, 0..20)
    }

    fn indexes(set: &BTreeSet<usize>) -> Indexes {
        set.iter().copied().collect()
    }

    #[test]
    fn texts_are_upstreams() {
        for text in ["", "0", "1,3-5,7", "0,1,3,4", "0-9"] {
            assert_eq!(Indexes::parse(text, END).to_string(), text);
        }
    }

    #[test]
    fn what_makes_no_sense_or_is_out_of_range_is_left_out() {
        assert_eq!(Indexes::parse("x,1-y,3,5-4,-,8-99,41", 10).to_string(), "3,8,9");
        assert_eq!(Indexes::parse("0-3", 0), Indexes::default());
    }

    proptest! {
        #[test]
        fn they_are_sets(one in sets(), two in sets(), count in 0..END, end in 0..END) {
            let (left, right) = (indexes(&one), indexes(&two));
            prop_assert_eq!(Indexes::parse(&left.to_string(), END), left.clone());
            prop_assert_eq!(left.len(), one.len());
            prop_assert_eq!(left.is_empty(), one.is_empty());
            prop_assert!((0..=END).all(|index| left.has(index) == one.contains(&index)));
            prop_assert_eq!(left.with(&right), indexes(&one.union(&two).copied().collect()));
            prop_assert_eq!(left.common(&right), one.intersection(&two).count());
            let missing: Vec<_> = (0..end).filter(|index| !one.contains(index)).take(count).collect();
            prop_assert_eq!(left.first_missing(count, end), missing);
        }

        #[test]
        fn no_text_panics(text in "[0-9,-]{0,20}", end in 0..END) {
            prop_assert!(Indexes::parse(&text, end).len() <= end);
        }
    }
}
