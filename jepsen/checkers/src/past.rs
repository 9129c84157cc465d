//! The state at every revision, from the commit log.
//!
//! In: a [`CommitLog`]. Out: what a key, or a range of them, was at a revision. Deliberately absent: whether the log
//! is what it should be; [`crate::monotonic_revisions`] asks that.

use std::collections::BTreeMap;

use crate::history::{CommitLog, Key, KeyRange, KeyVersion, Revision};

/// What a key became, and at which revision; `None`: it was deleted.
pub(crate) type Point<'a> = (Revision, Option<&'a KeyVersion>);

pub(crate) struct Past<'a> {
    keys: BTreeMap<&'a Key, Vec<Point<'a>>>,
    base: Revision,
    last: Revision,
}

impl<'a> Past<'a> {
    pub(crate) fn of(log: &'a CommitLog) -> Self {
        let mut keys: BTreeMap<&Key, Vec<Point<'_>>> = BTreeMap::new();
        for commit in &log.commits {
            for change in &commit.changes {
                keys.entry(&change.key).or_default().push((commit.revision, change.became.as_ref()));
            }
        }
        for points in keys.values_mut() {
            points.sort_by_key(|(revision, _)| *revision);
        }
        Self { keys, base: log.base, last: log.last() }
    }

    /// Whether the state at this revision is known.
    pub(crate) fn covers(&self, revision: Revision) -> bool {
        self.base <= revision && revision <= self.last
    }

    /// The newest revision of the log.
    pub(crate) fn last(&self) -> Revision {
        self.last
    }

    /// Every change of a key, in order.
    pub(crate) fn changes(&self, key: &Key) -> &[Point<'a>] {
        self.keys.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether it was this revision that deleted the key.
    pub(crate) fn was_deleted_at(&self, key: &Key, revision: Revision) -> bool {
        let changes = self.changes(key);
        changes.binary_search_by_key(&revision, |(at, _)| *at).is_ok_and(|place| changes[place].1.is_none())
    }

    /// What the key was when this revision was the newest.
    pub(crate) fn at(&self, key: &Key, revision: Revision) -> Option<&'a KeyVersion> {
        newest(self.changes(key), revision)
    }

    /// The revision that made the key what it was when this revision was the newest: the first since it was absent.
    /// `None`: it was absent, or made before the log begins.
    pub(crate) fn made_at(&self, key: &Key, revision: Revision) -> Option<Revision> {
        let changes = self.changes(key);
        let until = &changes[..changes.partition_point(|(at, _)| *at <= revision)];
        let alive = until.iter().rev().take_while(|(_, became)| became.is_some());
        alive.last().map(|(at, _)| *at)
    }

    /// All keys of a range that existed when this revision was the newest.
    pub(crate) fn range<'s>(
        &'s self,
        range: &'s KeyRange,
        revision: Revision,
    ) -> impl Iterator<Item = (&'a Key, &'a KeyVersion)> + 's {
        let from = match range {
            KeyRange::One(key) | KeyRange::Between(key, _) | KeyRange::From(key) => key,
        };
        let from_here = self.keys.range::<Key, _>(from..);
        let inside = from_here.take_while(|(key, _)| range.contains(key));
        inside.filter_map(move |(key, points)| Some((*key, newest(points, revision)?)))
    }
}

fn newest<'a>(points: &[Point<'a>], revision: Revision) -> Option<&'a KeyVersion> {
    let after = points.partition_point(|(at, _)| *at <= revision);
    points[..after].last().and_then(|(_, became)| *became)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::log;

    #[test]
    fn a_key_is_what_its_newest_change_made_of_it() {
        let log = log(&[(2, "a", Some(1)), (3, "b", Some(2)), (4, "a", None), (6, "a", Some(3))]);
        let past = Past::of(&log);
        let mods = |revision| past.at(&"a".into(), Revision(revision)).map(|version| version.mod_revision.0);
        assert_eq!([1, 2, 3, 4, 5, 6].map(mods), [None, Some(2), Some(2), None, None, Some(6)]);
        let all = KeyRange::all();
        let keys = past.range(&all, Revision(3)).map(|(key, _)| key.to_string());
        assert_eq!(keys.collect::<Vec<_>>(), ["a", "b"]);
        let between = KeyRange::Between("b".into(), "c".into());
        assert_eq!(past.range(&between, Revision(6)).count(), 1);
    }
}
