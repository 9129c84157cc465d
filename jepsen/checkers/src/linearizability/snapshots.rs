//! What was read, against the state at the revision that the answer names.
//!
//! In: every read whose revision was told, and the commit log; without a log, the writes whose revisions were told.
//! Out: reads that are not of their revision. Deliberately absent: whether the revision was new enough
//! ([`crate::monotonic_revisions`]).

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use crate::edn;
use crate::history::{
    Call, Consistency, End, Freshness, History, Key, KeyRange, KeyVersion, LeaseId, MicroOp, MicroResult,
    Returned, Revision, Value,
};
use crate::past::Past;
use crate::promise::{Findings, Violation};
use crate::writers::{Odd, Writers};

const CLASS: &str = "read is not of its revision";

pub(super) fn check(
    history: &History,
    past: Option<&Past<'_>>,
    writers: &Writers<'_>,
    findings: &mut Findings,
) {
    refused_though_held(history, findings);
    of_the_future(history, findings);
    match past {
        Some(past) => against_log(history, past, findings),
        None => Known::of(history).check(history, writers, findings),
    }
}

/// A compare-and-set that was refused, and says itself that its compare held.
fn refused_though_held(history: &History, findings: &mut Findings) {
    for (number, operation) in (0..).zip(&history.operations) {
        if let Call::CompareAndSet { expected, .. } = &operation.call
            && let Some((_, Returned::CompareAndSet { swapped: false, current, .. })) = operation.answer()
            && current.as_ref().map_or(Some(Revision::ZERO), |current| current.mod_revision.told())
                == Some(*expected)
        {
            let text =
                format!("{}: it was refused, though the key was as expected", edn::words(number, operation));
            findings.add(Violation::of_operations("wrong compare", text, [number]));
        }
    }
}

/// A read at a revision that the store says itself that it has not got to.
fn of_the_future(history: &History, findings: &mut Findings) {
    for (number, operation) in (0..).zip(&history.operations) {
        if let Call::Read { revision: Some(asked), .. } | Call::List { revision: Some(asked), .. } =
            &operation.call
            && let Some((_, returned)) = operation.answer()
            && let Some(header) = returned.revision().told().filter(|header| header < asked)
        {
            let text = format!(
                "{}: it is answered for revision {asked}, and the store is at {header}",
                edn::words(number, operation)
            );
            findings.add(Violation::of_operations("read of the future", text, [number]));
        }
    }
}

fn against_log(history: &History, past: &Past<'_>, findings: &mut Findings) {
    for (number, operation) in (0..).zip(&history.operations) {
        let Some((_, returned)) = operation.answer() else { continue };
        let Some(revision) = read_at(&operation.call, returned).filter(|&revision| past.covers(revision))
        else {
            continue;
        };
        findings.checked += u64::from(!matches!(operation.call, Call::Txn(_)));
        if let Err(problem) = compare(&operation.call, returned, past, revision) {
            let text = format!("{}: {problem}", edn::words(number, operation));
            findings.add(Violation::of_operations(CLASS, text, [number]));
        }
    }
}

/// The revision whose state an answer shows; `None`: it shows none, or does not say.
fn read_at(call: &Call, returned: &Returned) -> Option<Revision> {
    let header = returned.revision().told()?;
    match call {
        Call::Read { revision, .. } | Call::List { revision, .. } => Some(revision.unwrap_or(header)),
        Call::CompareAndSet { .. } | Call::LeaseKeyRead { .. } => Some(header),
        Call::Txn(parts) => match returned.freshness(call) {
            Freshness::Committed => Some(Revision(header.0 - 1)),
            // A delete may or may not have made a commit of its own.
            Freshness::Current | Freshness::Local => {
                let deletes = parts.iter().any(|part| matches!(part, MicroOp::Delete { .. }));
                (!deletes).then_some(header)
            }
        },
        _ => None,
    }
}

fn compare(call: &Call, returned: &Returned, past: &Past<'_>, revision: Revision) -> Result<(), String> {
    match (call, returned) {
        (Call::Read { key, .. }, Returned::Read { found, .. }) => {
            same(key, found.as_ref(), past.at(key, revision), revision)
        }
        (Call::CompareAndSet { key, expected, .. }, Returned::CompareAndSet { swapped, current, .. }) => {
            match swapped {
                true => held(*expected, past.at(key, Revision(revision.0 - 1))),
                false => same(key, current.as_ref(), past.at(key, revision), revision),
            }
        }
        (Call::LeaseKeyRead { key }, Returned::LeaseKeyRead { holder, .. }) => {
            let is = past.at(key, revision).map(|version| version.lease);
            if *holder == is {
                Ok(())
            } else {
                Err(format!("at revision {revision} it lives by {}", lease(is)))
            }
        }
        (Call::List { range, .. }, Returned::List { items, .. }) => {
            let mut items = items.iter();
            for (key, is) in past.range(range, revision) {
                match items.next() {
                    Some((listed, version)) if listed == key => same(key, Some(version), Some(is), revision)?,
                    Some((listed, _)) => {
                        return Err(format!("it lists {listed} where revision {revision} has {key}"));
                    }
                    None => return Err(format!("it lacks {key}, which revision {revision} has")),
                }
            }
            items
                .next()
                .map_or(Ok(()), |(key, _)| Err(format!("it lists {key}, which revision {revision} has not")))
        }
        (Call::Txn(parts), Returned::Txn { results, .. }) => txn(parts, results, past, revision),
        _ => Ok(()),
    }
}

/// Whether the key was as a compare that succeeded says.
fn held(expected: Revision, was: Option<&KeyVersion>) -> Result<(), String> {
    match was.map_or(Revision::ZERO, |version| version.mod_revision) {
        was if was == expected => Ok(()),
        was => Err(format!("it expected revision {expected}, and the key was of revision {was}")),
    }
}

fn lease(lease: Option<LeaseId>) -> String {
    lease.map_or_else(|| "nothing: it is absent".to_owned(), |LeaseId(id)| format!("lease {id}"))
}

/// Reads of a transaction that come before its own writes of the key.
fn txn(
    parts: &[MicroOp],
    results: &[MicroResult],
    past: &Past<'_>,
    revision: Revision,
) -> Result<(), String> {
    for (number, (part, result)) in parts.iter().zip(results).enumerate() {
        let own = |before: &MicroOp| {
            before.key() == part.key() && !matches!(before, MicroOp::Get { .. } | MicroOp::ReadList { .. })
        };
        if parts[..number].iter().any(own) {
            continue;
        }
        let is = past.at(part.key(), revision).map(|version| &version.value);
        let fits = match (result, is) {
            (MicroResult::Written, _) | (MicroResult::Value(None), None) => true,
            (MicroResult::Value(Some(seen)), Some(Value::Number(is))) => seen == is,
            (MicroResult::List(seen), Some(Value::List(is))) => seen[..] == is[..],
            (MicroResult::List(seen), None) => seen.is_empty(),
            (MicroResult::Value(_) | MicroResult::List(_), _) => false,
        };
        if !fits {
            let is = is.map_or_else(|| "absent".to_owned(), ToString::to_string);
            return Err(format!("at revision {revision} {} is {is}", part.key()));
        }
    }
    Ok(())
}

fn same(
    key: &Key,
    seen: Option<&KeyVersion>,
    is: Option<&KeyVersion>,
    revision: Revision,
) -> Result<(), String> {
    let agrees = match (seen, is) {
        (None, None) => true,
        (Some(seen), Some(is)) => seen.may_be(is),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if agrees {
        Ok(())
    } else {
        Err(format!("{key} is {} there, at revision {revision} it is {}", words(seen), words(is)))
    }
}

fn words(version: Option<&KeyVersion>) -> String {
    let Some(KeyVersion { value, create_revision, mod_revision, version, lease }) = version else {
        return "absent".to_owned();
    };
    let lease = lease.0;
    format!(
        "{value} (created at {create_revision}, written at {mod_revision}, version {version}, lease {lease})"
    )
}

/// Why a version cannot have been there at any time.
fn impossible(
    writers: &Writers<'_>,
    key: &Key,
    found: Option<&KeyVersion>,
) -> Option<(&'static str, String, Option<u32>)> {
    let Some(Value::Number(value)) = found.map(|found| &found.value) else { return None };
    let (odd, problem, other) = writers.odd(key, *value)?;
    let class = match odd {
        Odd::Nobody | Odd::Elsewhere => "phantom read",
        Odd::Refused => "dirty read",
    };
    Some((class, problem, other))
}

/// A change of a key: its revision, what the key became, the operation.
type Change = (Revision, Option<u64>, u32);

/// Without a log: the writes whose revisions were told. There may be others.
struct Known<'a> {
    changes: BTreeMap<&'a Key, Vec<Change>>,
    /// Keys that somebody may have deleted at a revision that was not told.
    maybe_deleted: FxHashSet<&'a Key>,
}

impl<'a> Known<'a> {
    fn of(history: &'a History) -> Self {
        let mut known = Self { changes: BTreeMap::new(), maybe_deleted: FxHashSet::default() };
        for (number, operation) in (0..).zip(&history.operations) {
            let revision =
                operation.answer().map(|(_, returned)| returned.revision()).and_then(Revision::told);
            let returned = match &operation.end {
                End::Ok { returned, .. } => Some(returned),
                End::Failed { .. } => continue,
                End::Unknown { .. } => None,
            };
            match (&operation.call, returned) {
                (Call::Write { key, value }, Some(_))
                | (
                    Call::CompareAndSet { key, value, .. },
                    Some(Returned::CompareAndSet { swapped: true, .. }),
                ) => {
                    known.change(key, revision, Some(*value), number);
                }
                (Call::Delete { key }, Some(Returned::Delete { deleted: true, .. })) => {
                    known.change(key, revision, None, number);
                }
                (Call::Delete { key } | Call::LeaseAttach { key, .. }, None) => {
                    known.maybe_deleted.insert(key);
                }
                (Call::LeaseAttach { key, .. }, Some(_)) => {
                    known.maybe_deleted.insert(key);
                }
                (Call::Txn(parts), _) => known.txn(parts, revision, number),
                _ => {}
            }
        }
        for changes in known.changes.values_mut() {
            changes.sort_unstable();
        }
        known
    }

    fn txn(&mut self, parts: &'a [MicroOp], revision: Option<Revision>, number: u32) {
        for (place, part) in parts.iter().enumerate() {
            match part {
                MicroOp::Put { key, value } => {
                    let later = |later: &MicroOp| later.key() == key && !matches!(later, MicroOp::Get { .. });
                    if !parts[place + 1..].iter().any(later) {
                        self.change(key, revision, Some(*value), number);
                    }
                }
                MicroOp::Delete { key } => {
                    self.maybe_deleted.insert(key);
                }
                MicroOp::Get { .. } | MicroOp::Append { .. } | MicroOp::ReadList { .. } => {}
            }
        }
    }

    fn change(&mut self, key: &'a Key, revision: Option<Revision>, became: Option<u64>, number: u32) {
        match (revision, became) {
            (Some(revision), _) => self.changes.entry(key).or_default().push((revision, became, number)),
            (None, None) => {
                self.maybe_deleted.insert(key);
            }
            (None, Some(_)) => {}
        }
    }

    /// Lists and reads of the past: single reads of the present are searched.
    fn check(&self, history: &History, writers: &Writers<'_>, findings: &mut Findings) {
        for (number, operation) in (0..).zip(&history.operations) {
            let Some((_, returned)) = operation.answer() else { continue };
            let seen = match (&operation.call, returned) {
                (Call::Read { revision: None, consistency: Consistency::Linearizable, .. }, _) => continue,
                (Call::Read { key, .. }, Returned::Read { found, .. }) => vec![(key, found.as_ref())],
                (Call::List { range, .. }, Returned::List { items, .. }) => self.listed(range, items),
                _ => continue,
            };
            findings.checked += 1;
            let at = read_at(&operation.call, returned);
            let words = || edn::words(number, operation);
            for (key, found) in seen {
                if let Some((class, problem, other)) = impossible(writers, key, found) {
                    let text = format!("{}: {key} is there, and {problem}", words());
                    findings.add(Violation::of_operations(class, text, [number].into_iter().chain(other)));
                    break;
                }
                if let Some((at, other)) = at.and_then(|at| Some((at, self.contradiction(key, found, at)?))) {
                    let writer = edn::words(other, &history.operations[other as usize]);
                    let text = format!("{}: at revision {at} there was {writer}", words());
                    findings.add(Violation::of_operations(CLASS, text, [number, other]));
                    break;
                }
            }
        }
    }

    /// What a list says of each key that it names or should name.
    fn listed<'s>(
        &'s self,
        range: &KeyRange,
        items: &'s [(Key, KeyVersion)],
    ) -> Vec<(&'s Key, Option<&'s KeyVersion>)> {
        let named: BTreeMap<&Key, &KeyVersion> = items.iter().map(|(key, version)| (key, version)).collect();
        let from = match range {
            KeyRange::One(key) | KeyRange::Between(key, _) | KeyRange::From(key) => key,
        };
        let known = self.changes.range::<Key, _>(from..).map(|(key, _)| *key);
        let known = known.take_while(|key| range.contains(key)).filter(|key| !named.contains_key(key));
        let absent: Vec<_> = known.map(|key| (key, None)).collect();
        named.into_iter().map(|(key, version)| (key, Some(version))).chain(absent).collect()
    }

    /// The change that a read at a revision should have seen, or whose revision it gives to another value.
    fn contradiction(&self, key: &Key, found: Option<&KeyVersion>, at: Revision) -> Option<u32> {
        let changes = self.changes.get(key)?;
        let until = changes.partition_point(|(revision, ..)| *revision <= at);
        let (revision, became, number) = changes[..until].last()?;
        let contradicts = match (found, became) {
            (None, Some(_)) => !self.maybe_deleted.contains(key),
            (None, None) => false,
            (Some(found), became) => match found.mod_revision.told() {
                Some(seen) if seen < *revision => true,
                Some(seen) if seen == *revision => became.map(Value::Number).as_ref() != Some(&found.value),
                Some(_) | None => false,
            },
        };
        contradicts.then_some(*number)
    }
}
