//! Promise: a key's numbers are true.
//!
//! > A key says at which revision it was made, at which it was written last, and how often since it was made: a version
//! > of 1 is a creation, and each write adds one. All who see a key as one revision left it see the same.
//!
//! Source: etcd's API (`KeyValue`: `create_revision`, `mod_revision`, `version`, `lease`).
//!
//! In: the commit log, and every version of a key that an answer or an event shows. Numbers of 0 are not told.
//! Deliberately absent: whether an answer shows the right version ([`crate::linearizability`]).

use std::fmt;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::edn;
use crate::history::{Commit, History, Key, KeyVersion, Operation, Returned, Revision, agree};
use crate::promise::{Findings, Promise, Verdict, Violation};

/// The promise.
pub static PROMISE: Promise = Promise {
    name: "versions",
    words: "A key says truly when it was made, when it was written last, and how often; all see the same.",
    source: "etcd: API (KeyValue)",
    check,
};

fn check(history: &History) -> Verdict {
    let mut findings = Findings::default();
    let mut seen: FxHashMap<(&Key, Revision), &KeyVersion> = FxHashMap::default();
    let mut now: FxHashMap<&Key, Option<&KeyVersion>> = FxHashMap::default();
    for commit in history.log.iter().flat_map(|log| &log.commits) {
        findings.checked += 1;
        of_commit(commit, &mut now, &mut findings);
        for change in &commit.changes {
            seen.extend(change.became.as_ref().map(|became| ((&change.key, commit.revision), became)));
        }
    }
    for (number, operation) in (0..).zip(&history.operations) {
        let Some((_, returned)) = operation.answer() else { continue };
        for (key, version) in shown(operation, returned) {
            findings.checked += 1;
            let header = returned.revision();
            if let Some((class, problem)) = odd(key, version, header, &mut seen) {
                let text = format!("{}: {problem}", edn::words(number, operation));
                findings.add(Violation::of_operations(class, text, [number]));
            }
        }
    }
    for (number, watch) in (0..).zip(&history.watches) {
        for (_, event) in watch.events() {
            findings.checked += 1;
            let Some(version) = &event.became else { continue };
            if let Some((class, problem)) = odd(&event.key, version, event.revision, &mut seen) {
                findings.add(Violation::of_watch(class, format!("watch {number}: {problem}"), number));
            }
        }
    }
    findings.verdict()
}

type Problem = Option<(&'static str, String)>;

fn of_commit<'a>(
    commit: &'a Commit,
    now: &mut FxHashMap<&'a Key, Option<&'a KeyVersion>>,
    findings: &mut Findings,
) {
    let mut keys: FxHashSet<&Key> = FxHashSet::default();
    for change in &commit.changes {
        let key = &change.key;
        if commit.changes.len() > 1 && !keys.insert(key) {
            let text = format!("revision {} changes {key} twice", commit.revision);
            findings.add(Violation::of_operations("key twice in a revision", text, []));
        }
        let before = now.insert(key, change.became.as_ref());
        if let Some(became) = &change.became
            && let Some((class, problem)) = follows(commit.revision, before, became)
        {
            let text = format!("revision {} makes {key} {}: {problem}", commit.revision, Words(became));
            findings.add(Violation::of_operations(class, text, []));
        }
    }
}

/// What is odd about a version that a commit makes of the one before; `before` is `None` where that is not known.
fn follows(revision: Revision, before: Option<Option<&KeyVersion>>, became: &KeyVersion) -> Problem {
    if became.mod_revision.told().is_some_and(|told| told != revision) {
        return Some(("wrong mod revision", format!("it is revision {revision}")));
    }
    let (created, version) = match before {
        None => return itself(became),
        Some(None) => (revision, 1),
        Some(Some(before)) => {
            let next = before.version.checked_add(1).filter(|_| before.version != 0);
            (before.create_revision, next.unwrap_or(0))
        }
    };
    if !agree(became.create_revision.0, created.0) {
        return Some(("wrong creation", format!("it was made at {created}")));
    }
    let is_wrong = !agree(became.version, version);
    is_wrong.then(|| ("wrong version", format!("it is version {version}"))).or_else(|| itself(became))
}

/// Every version of a key that an answer shows.
fn shown<'a>(operation: &'a Operation, returned: &'a Returned) -> Vec<(&'a Key, &'a KeyVersion)> {
    use crate::history::Call;
    match (&operation.call, returned) {
        (Call::Read { key, .. }, Returned::Read { found, .. })
        | (Call::CompareAndSet { key, .. }, Returned::CompareAndSet { current: found, .. }) => {
            found.iter().map(|found| (key, found)).collect()
        }
        (_, Returned::List { items, .. }) => items.iter().map(|(key, version)| (key, version)).collect(),
        _ => Vec::new(),
    }
}

/// What is odd about a version that was seen at a revision, alone or beside what others saw.
fn odd<'a>(
    key: &'a Key,
    version: &'a KeyVersion,
    at: Revision,
    seen: &mut FxHashMap<(&'a Key, Revision), &'a KeyVersion>,
) -> Problem {
    if let Some(at) = at.told().filter(|at| version.mod_revision > *at) {
        let problem = format!("{key} is {}, and that is newer than revision {at}", Words(version));
        return Some(("version of the future", problem));
    }
    if let Some((class, problem)) = itself(version) {
        return Some((class, format!("{key} is {}: {problem}", Words(version))));
    }
    let mod_revision = version.mod_revision.told()?;
    let other = *seen.entry((key, mod_revision)).or_insert(version);
    let problem = || format!("{key} is {}, and elsewhere {}", Words(version), Words(other));
    (!other.may_be(version)).then(|| ("two versions of one revision", problem()))
}

/// What is odd about a version by itself.
fn itself(version: &KeyVersion) -> Problem {
    let (created, modified) = (version.create_revision.told()?, version.mod_revision.told()?);
    if created > modified {
        return Some(("wrong creation", "it was written before it was made".to_owned()));
    }
    let is_first = created == modified;
    // Each write is a revision of its own.
    let most = modified.0 - created.0 + 1;
    let is_wrong = version.version != 0 && ((version.version == 1) != is_first || version.version > most);
    is_wrong.then(|| ("wrong version", "that does not fit its revisions".to_owned()))
}

struct Words<'a>(&'a KeyVersion);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyVersion { value, create_revision, mod_revision, version, lease } = self.0;
        write!(
            f,
            "{value} (made at {create_revision}, written at {mod_revision}, version {version}, lease {})",
            lease.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{CommitLog, LeaseId, Value};
    use crate::testing::{classes, log, of, read, watch, watched};

    fn the_log() -> CommitLog {
        log(&[(2, "a", Some(1)), (3, "a", Some(2)), (4, "a", None), (5, "a", Some(3)), (6, "a", Some(4))])
    }

    /// The log with one version changed.
    fn with(revision: u64, change: impl Fn(&mut KeyVersion)) -> Vec<&'static str> {
        let mut log = the_log();
        let commit = log.commits.iter_mut().find(|commit| commit.revision.0 == revision).expect("a commit");
        change(commit.changes[0].became.as_mut().expect("a put"));
        classes(&PROMISE, &watched(&log, Vec::new()))
    }

    #[test]
    fn a_log_whose_numbers_are_wrong_is_found() {
        assert_eq!(with(3, |_| {}), [""; 0]);
        assert_eq!(with(3, |version| version.mod_revision.0 = 2), ["wrong mod revision"]);
        assert_eq!(with(3, |version| version.create_revision.0 = 3)[0], "wrong creation");
        assert_eq!(with(5, |version| version.create_revision.0 = 2)[0], "wrong creation");
        assert_eq!(with(6, |version| version.version = 3), ["wrong version"]);
        assert_eq!(with(5, |version| version.version = 2)[0], "wrong version");
    }

    #[test]
    fn a_key_that_a_commit_changes_twice_is_found() {
        let log = log(&[(2, "a", Some(1)), (2, "a", None)]);
        assert_eq!(classes(&PROMISE, &watched(&log, Vec::new())), ["key twice in a revision"]);
    }

    fn seen(change: impl Fn(&mut KeyVersion)) -> Vec<&'static str> {
        let mut found = the_log().commits[1].changes[0].became.clone().expect("a put");
        let mut reads = vec![read(0, 0..1, "a", None, 9), read(1, 0..1, "a", None, 9)];
        for read in &mut reads {
            if let crate::history::End::Ok { returned: Returned::Read { found: is, .. }, .. } = &mut read.end
            {
                *is = Some(found.clone());
            }
            change(&mut found);
        }
        classes(&PROMISE, &of(reads))
    }

    #[test]
    fn reads_that_disagree_about_one_revision_are_found() {
        assert_eq!(seen(|_| {}), [""; 0]);
        let differ = ["two versions of one revision"];
        assert_eq!(seen(|version| version.value = Value::Number(9)), differ);
        assert_eq!(seen(|version| version.lease = LeaseId(9)), differ);
        assert_eq!(seen(|version| version.version = 1), ["wrong version"]);
        assert_eq!(seen(|version| version.create_revision.0 = 4), ["wrong creation"]);
        assert_eq!(
            seen(|version| (version.mod_revision.0, version.version) = (10, 0)),
            ["version of the future"]
        );
    }

    #[test]
    fn watches_that_disagree_are_found() {
        let log = the_log();
        let good = || watch("a", 1).sent(1, &log, &[2, 3]);
        let other = good().with(0, |events| {
            events[1].became.as_mut().expect("a put").value = Value::Number(9);
        });
        let history = History { log: None, ..watched(&log, vec![good(), other]) };
        assert_eq!(classes(&PROMISE, &history), ["two versions of one revision"]);
    }
}
