//! Sets of keys as spans that do not meet.
//!
//! In: ranges of keys. Out: whether a key, one of several keys, or all of a range lies in them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::KeyRange;

/// Disjoint spans of keys: start to end, where `None` is no end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans(BTreeMap<Bytes, Option<Bytes>>);

impl Spans {
    pub(crate) fn of(range: &KeyRange) -> Self {
        let mut spans = Self::default();
        let (start, end) = range.span();
        spans.insert(start, end);
        spans
    }

    pub(crate) fn extend(&mut self, other: Self) {
        for (start, end) in other.0 {
            self.insert(start, end);
        }
    }

    /// Adds a span, joined with those that it meets.
    fn insert(&mut self, mut start: Bytes, mut end: Option<Bytes>) {
        if end.as_ref().is_some_and(|end| *end <= start) {
            return;
        }
        while let Some((met, met_end)) = self.last_from(end.as_ref()).map(|(s, e)| (s.clone(), e.clone())) {
            if met_end.as_ref().is_some_and(|met_end| *met_end < start) {
                break;
            }
            self.0.remove(&met);
            start = start.min(met);
            end = match (end, met_end) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (None, _) | (_, None) => None,
            };
        }
        self.0.insert(start, end);
    }

    /// The last span that starts at or before `end`.
    fn last_from(&self, end: Option<&Bytes>) -> Option<(&Bytes, &Option<Bytes>)> {
        match end {
            Some(end) => self.0.range::<Bytes, _>(..=end).next_back(),
            None => self.0.last_key_value(),
        }
    }

    pub(crate) fn contains(&self, key: &Bytes) -> bool {
        self.last_from(Some(key)).is_some_and(|(_, end)| end.as_ref().is_none_or(|end| key < end))
    }

    pub(crate) fn holds_any_of(&self, keys: &BTreeSet<&Bytes>) -> bool {
        self.0.iter().any(|(start, end)| {
            let first = keys.range::<Bytes, _>(start..).next();
            first.is_some_and(|key| end.as_ref().is_none_or(|end| *key < end))
        })
    }

    /// Whether all of a range lies in them. As etcd: one that holds nothing does where it begins and ends inside the same
    /// span.
    pub(crate) fn covers(&self, range: &KeyRange) -> bool {
        let (start, end) = range.span();
        let Some((from, to)) = self.last_from(Some(&start)) else { return false };
        let begins = to.as_ref().is_none_or(|to| start < *to);
        let ends = match (&end, to) {
            (Some(end), Some(to)) => from < end && end <= to,
            (Some(end), None) => from < end,
            (None, to) => to.is_none(),
        };
        begins && ends
    }
}
