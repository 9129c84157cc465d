//! Wrong answers.

use keelson_checkers::history::{
    Call, Change, Commit, CommitLog, Consistency, End, Freshness, History, Key, KeyVersion, LeaseId, MicroOp,
    MicroResult, Nanos, Operation, Returned, Revision, Value,
};

use crate::model::Random;

/// The operations for which this says something, in an order that the dice say.
pub(crate) fn shuffled<T>(
    history: &History,
    random: &mut Random,
    pick: impl Fn(usize, &Operation) -> Option<T>,
) -> std::vec::IntoIter<T> {
    let mut found: Vec<T> = history
        .operations
        .iter()
        .enumerate()
        .filter_map(|(number, operation)| pick(number, operation))
        .collect();
    for place in (1..found.len()).rev() {
        found.swap(place, random.place(place + 1));
    }
    found.into_iter()
}

pub(crate) fn returned(history: &mut History, number: usize) -> &mut Returned {
    match &mut history.operations[number].end {
        End::Ok { returned, .. } => returned,
        other => panic!("{other:?}"),
    }
}

fn log(history: &History) -> &CommitLog {
    history.log.as_ref().expect("the model has one")
}

/// Every version of a key.
fn versions<'a>(
    history: &'a History,
    key: &'a Key,
) -> impl DoubleEndedIterator<Item = Option<&'a KeyVersion>> {
    let changes = log(history).commits.iter().flat_map(|commit| &commit.changes);
    changes.filter(move |change| change.key == *key).map(|change| change.became.as_ref())
}

/// When the operation that made this revision was acknowledged.
fn acknowledged(history: &History, revision: Revision) -> Option<Nanos> {
    history.operations.iter().find_map(|operation| {
        let (at, returned) = operation.answer()?;
        let wrote = returned.freshness(&operation.call) == Freshness::Committed;
        (wrote && returned.revision() == revision).then_some(at)
    })
}

/// A linearizable read, the key, and when it began.
fn linearizable(number: usize, operation: &Operation) -> Option<(usize, Key, Nanos)> {
    match (&operation.call, operation.answer()?) {
        (
            Call::Read { key, revision: None, consistency: Consistency::Linearizable },
            (_, Returned::Read { found: Some(_), .. }),
        ) => Some((number, key.clone(), operation.invoked)),
        _ => None,
    }
}

/// A version of a key that somebody had replaced, and been told so, before this moment.
fn replaced_before(history: &History, key: &Key, moment: Nanos) -> Option<KeyVersion> {
    let versions: Vec<_> = versions(history, key).collect();
    versions.windows(2).rev().find_map(|pair| match pair {
        [Some(old), Some(new)] => {
            let at = acknowledged(history, new.mod_revision)?;
            (at < moment).then(|| (*old).clone())
        }
        _ => None,
    })
}

pub(crate) fn stale_read(history: &mut History, random: &mut Random) -> Option<()> {
    let found = shuffled(history, random, linearizable)
        .find_map(|(number, key, invoked)| Some((number, replaced_before(history, &key, invoked)?)));
    let (number, old) = found?;
    if let Returned::Read { found, .. } = returned(history, number) {
        *found = Some(old);
    }
    Some(())
}

pub(crate) fn old_revision(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, before) = shuffled(history, random, linearizable).find_map(|(number, _, invoked)| {
        let ended = history.operations.iter().filter_map(Operation::answer).filter(|(at, _)| *at < invoked);
        let newest = ended.map(|(_, returned)| returned.revision()).max()?;
        (newest.0 > 1).then_some((number, newest))
    })?;
    if let Returned::Read { revision, .. } = returned(history, number) {
        *revision = Revision(before.0 - 1);
    }
    Some(())
}

pub(crate) fn phantom_read(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, ..) = shuffled(history, random, linearizable).next()?;
    if let Returned::Read { found: Some(found), .. } = returned(history, number) {
        found.value = Value::Number(1 << 50);
    }
    Some(())
}

pub(crate) fn torn_snapshot(history: &mut History, random: &mut Random) -> Option<()> {
    let number =
        shuffled(history, random, |number, operation| match (&operation.call, operation.answer()?) {
            (
                Call::Read { consistency: Consistency::Serializable, .. },
                (_, Returned::Read { found: Some(_), .. }),
            ) => Some(number),
            _ => None,
        })
        .next()?;
    if let Returned::Read { found, .. } = returned(history, number) {
        *found = None;
    }
    Some(())
}

/// A write that a linearizable read saw is recorded as refused.
pub(crate) fn refused_but_read(history: &mut History, random: &mut Random) -> Option<()> {
    let seen: Vec<u64> = history
        .operations
        .iter()
        .enumerate()
        .filter_map(|(number, operation)| linearizable(number, operation).and_then(|_| operation.answer()))
        .filter_map(|(_, returned)| match returned {
            Returned::Read { found: Some(KeyVersion { value: Value::Number(value), .. }), .. } => {
                Some(*value)
            }
            _ => None,
        })
        .collect();
    let written = |number: usize, operation: &Operation| match &operation.call {
        Call::Write { value, .. } if seen.contains(value) => operation.answer().map(|(at, _)| (number, at)),
        _ => None,
    };
    let (number, at) = shuffled(history, random, written).next()?;
    history.operations[number].end = End::Failed { at, why: "corrupted".to_owned() };
    Some(())
}

pub(crate) fn lost_write(history: &mut History, random: &mut Random) -> Option<()> {
    let written = |_: usize, operation: &Operation| match operation.answer()? {
        (_, Returned::Write { revision }) => Some(*revision),
        _ => None,
    };
    let revision = shuffled(history, random, written).next()?;
    let commits = &mut history.log.as_mut()?.commits;
    let commit = commits.iter_mut().find(|commit| commit.revision == revision)?;
    commit.changes[0].became = None;
    Some(())
}

pub(crate) fn refused_but_logged(history: &mut History, random: &mut Random) -> Option<()> {
    let refused = |_: usize, operation: &Operation| match (&operation.call, &operation.end) {
        (Call::Write { key, value }, End::Failed { .. }) => Some((key.clone(), *value)),
        _ => None,
    };
    let (key, value) = shuffled(history, random, refused).next()?;
    let log = history.log.as_mut()?;
    let revision = log.last().next();
    let became = Some(KeyVersion {
        value: Value::Number(value),
        create_revision: Revision(0),
        mod_revision: revision,
        version: 0,
        lease: LeaseId(0),
    });
    let changes = vec![Change { key, became }];
    log.commits.push(Commit { revision, changes });
    Some(())
}

pub(crate) fn reused_revision(history: &mut History, random: &mut Random) -> Option<()> {
    let written = |number: usize, operation: &Operation| match operation.answer()? {
        (_, Returned::Write { revision }) => Some((number, *revision)),
        _ => None,
    };
    let mut writes = shuffled(history, random, written);
    let ((number, _), (_, other)) = (writes.next()?, writes.next()?);
    drop(writes);
    if let Returned::Write { revision } = returned(history, number) {
        *revision = other;
    }
    Some(())
}

/// A list that a transaction read without having appended to it before, and had something in it.
fn plain_list(number: usize, operation: &Operation) -> Option<(usize, usize, Vec<u64>)> {
    let (Call::Txn(parts), (_, Returned::Txn { results, .. })) = (&operation.call, operation.answer()?)
    else {
        return None;
    };
    let reads_once = |key: &Key| parts.iter().filter(|part| part.key() == key).count() == 1;
    results.iter().enumerate().find_map(|(place, result)| match result {
        MicroResult::List(list) if !list.is_empty() && reads_once(parts[place].key()) => {
            Some((number, place, list.clone()))
        }
        _ => None,
    })
}

fn list_of(history: &mut History, (number, place): (usize, usize)) -> Option<&mut Vec<u64>> {
    match returned(history, number) {
        Returned::Txn { results, .. } => match &mut results[place] {
            MicroResult::List(list) => Some(list),
            MicroResult::Written | MicroResult::Value(_) => None,
        },
        _ => None,
    }
}

fn appended_by(history: &History, element: u64) -> Option<&Operation> {
    history.operations.iter().find(|operation| match &operation.call {
        Call::Txn(parts) => {
            parts.iter().any(|part| matches!(part, MicroOp::Append { element: own, .. } if *own == element))
        }
        _ => false,
    })
}

/// The last element was acknowledged before the read began, and is not seen.
pub(crate) fn append_not_seen(history: &mut History, random: &mut Random) -> Option<()> {
    let (number, place, _) = shuffled(history, random, plain_list).find(|(number, _, list)| {
        let writer = list.last().and_then(|last| appended_by(history, *last));
        let ended = writer.and_then(Operation::answer).map(|(at, _)| at);
        ended.is_some_and(|ended| ended < history.operations[*number].invoked)
    })?;
    list_of(history, (number, place))?.pop();
    Some(())
}

/// Two neighbours are swapped that others have seen in their order.
pub(crate) fn list_reordered(history: &mut History, random: &mut Random) -> Option<()> {
    let lists: Vec<_> = shuffled(history, random, plain_list).collect();
    let (number, place, _) = lists.iter().find(|(number, _, list)| {
        let seen_by_others =
            lists.iter().any(|(other, _, longer)| other != number && longer.starts_with(list));
        list.len() >= 2 && seen_by_others
    })?;
    let list = list_of(history, (*number, *place))?;
    let last = list.len() - 1;
    list.swap(last - 1, last);
    Some(())
}

pub(crate) fn refused_but_appended(history: &mut History, random: &mut Random) -> Option<()> {
    let element = shuffled(history, random, plain_list).find_map(|(_, _, list)| {
        let last = *list.last()?;
        appended_by(history, last)?.answer().map(|_| last)
    })?;
    let operation = appended_by(history, element)?;
    let (at, number) = (operation.end.at()?, history.operations.iter().position(|other| other == operation)?);
    history.operations[number].end = End::Failed { at, why: "corrupted".to_owned() };
    Some(())
}

/// A register is read as it was before a write that was acknowledged before.
pub(crate) fn stale_get(history: &mut History, random: &mut Random) -> Option<()> {
    let gets = |number: usize, operation: &Operation| {
        let (Call::Txn(parts), (_, Returned::Txn { results, .. })) = (&operation.call, operation.answer()?)
        else {
            return None;
        };
        let alone = |key: &Key| parts.iter().filter(|part| part.key() == key).count() == 1;
        let place = results.iter().enumerate().position(|(place, result)| {
            matches!(result, MicroResult::Value(Some(_))) && alone(parts[place].key())
        })?;
        Some((number, place, parts[place].key().clone(), operation.invoked))
    };
    let (number, place, old) =
        shuffled(history, random, gets).find_map(|(number, place, key, invoked)| {
            Some((number, place, replaced_before(history, &key, invoked)?.value))
        })?;
    if let (Returned::Txn { results, .. }, Value::Number(old)) = (returned(history, number), old) {
        results[place] = MicroResult::Value(Some(old));
    }
    Some(())
}

pub(crate) fn lost_element(history: &mut History, random: &mut Random) -> Option<()> {
    let reads = |number: usize, operation: &Operation| match operation.answer()? {
        (_, Returned::SetRead { elements, .. }) => Some((number, elements.clone(), operation.invoked)),
        _ => None,
    };
    let (number, lost) = shuffled(history, random, reads).find_map(|(number, elements, invoked)| {
        let known = |element: &&u64| {
            history.operations.iter().any(|operation| {
                operation.call == Call::SetAdd(**element)
                    && operation.answer().is_some_and(|(at, _)| at < invoked)
            })
        };
        Some((number, *elements.iter().find(known)?))
    })?;
    if let Returned::SetRead { elements, .. } = returned(history, number) {
        elements.retain(|element| *element != lost);
    }
    Some(())
}

pub(crate) fn wrong_total(history: &mut History, random: &mut Random) -> Option<()> {
    let reads = |number: usize, operation: &Operation| {
        matches!(operation.answer()?, (_, Returned::CounterRead { .. })).then_some(number)
    };
    let number = shuffled(history, random, reads).next()?;
    if let Returned::CounterRead { total, .. } = returned(history, number) {
        *total += 1000;
    }
    Some(())
}

/// A write under a token that was good is recorded with the one that the lock had before.
pub(crate) fn old_token(history: &mut History, random: &mut Random) -> Option<()> {
    let mut tokens: Vec<(Key, Revision)> = history
        .operations
        .iter()
        .filter_map(|operation| match (&operation.call, operation.answer()?) {
            (Call::LockAcquire { lock }, (_, Returned::LockAcquire { revision, acquired: true })) => {
                Some((lock.clone(), *revision))
            }
            _ => None,
        })
        .collect();
    tokens.sort();
    let writes = |number: usize, operation: &Operation| match (&operation.call, operation.answer()?) {
        (Call::FencedWrite { lock, token, .. }, (_, Returned::FencedWrite { accepted: true, .. })) => {
            let older = tokens.iter().rev().find(|(other, given)| other == lock && given < token)?;
            // The token that was good must be known, else the older one might still have been.
            tokens.contains(&(lock.clone(), *token)).then_some((number, older.1))
        }
        _ => None,
    };
    let (number, older) = shuffled(history, random, writes).next()?;
    if let Call::FencedWrite { token, .. } = &mut history.operations[number].call {
        *token = older;
    }
    Some(())
}

/// A read of the past or of some replica's state.
fn old_read(number: usize, operation: &Operation) -> Option<usize> {
    match (&operation.call, operation.answer()?) {
        (
            Call::Read { consistency: Consistency::Serializable, .. },
            (_, Returned::Read { found: Some(_), .. }),
        ) => Some(number),
        _ => None,
    }
}

pub(crate) fn phantom_snapshot(history: &mut History, random: &mut Random) -> Option<()> {
    let number = shuffled(history, random, old_read).next()?;
    if let Returned::Read { found: Some(found), .. } = returned(history, number) {
        found.value = Value::Number(1 << 50);
    }
    Some(())
}

pub(crate) fn other_lease(history: &mut History, random: &mut Random) -> Option<()> {
    let number = shuffled(history, random, old_read).next()?;
    if let Returned::Read { found: Some(found), .. } = returned(history, number) {
        found.lease = LeaseId(9);
    }
    Some(())
}

pub(crate) fn beyond_the_log(history: &mut History, random: &mut Random) -> Option<()> {
    let number = shuffled(history, random, old_read).next()?;
    let last = log(history).last();
    if let Returned::Read { revision, .. } = returned(history, number) {
        *revision = Revision(last.0 + 1000);
    }
    Some(())
}

pub(crate) fn stale_list(history: &mut History, random: &mut Random) -> Option<()> {
    let listed = |number: usize, operation: &Operation| match operation.answer()? {
        (_, Returned::List { items, .. }) => (!items.is_empty()).then_some((number, items.len())),
        _ => None,
    };
    let (number, count) = shuffled(history, random, listed).next()?;
    if let Returned::List { items, .. } = returned(history, number) {
        items.remove(random.place(count));
    }
    Some(())
}

pub(crate) fn element_twice(history: &mut History, random: &mut Random) -> Option<()> {
    let reads = |number: usize, operation: &Operation| match operation.answer()? {
        (_, Returned::SetRead { elements, .. }) => Some((number, *elements.first()?)),
        _ => None,
    };
    let (number, element) = shuffled(history, random, reads).next()?;
    if let Returned::SetRead { elements, .. } = returned(history, number) {
        elements.push(element);
    }
    Some(())
}

/// The revision that made a key what it was at a revision, if it was there.
fn made_at(history: &History, key: &Key, revision: Revision) -> Option<Revision> {
    let until = log(history).commits.iter().take_while(|commit| commit.revision <= revision);
    let changes = until.flat_map(|commit| &commit.changes).filter(|change| change.key == *key);
    changes.last()?.became.as_ref().map(|version| version.create_revision)
}

/// A write that was refused, because its token was not the holder's, is recorded as accepted.
pub(crate) fn write_without_lock(history: &mut History, random: &mut Random) -> Option<()> {
    let refused = |number: usize, operation: &Operation| match (&operation.call, operation.answer()?) {
        (Call::FencedWrite { lock, token, .. }, (_, Returned::FencedWrite { revision, accepted: false })) => {
            let before = Revision(revision.0 - 1);
            (made_at(history, lock, before) != Some(*token)).then_some(number)
        }
        _ => None,
    };
    let number = shuffled(history, random, refused).next()?;
    if let Returned::FencedWrite { accepted, .. } = returned(history, number) {
        *accepted = true;
    }
    Some(())
}

/// An acquisition of a lock that another one holds is recorded as done.
pub(crate) fn two_holders(history: &mut History, random: &mut Random) -> Option<()> {
    let refused = |number: usize, operation: &Operation| match (&operation.call, operation.answer()?) {
        (Call::LockAcquire { lock }, (_, Returned::LockAcquire { revision, acquired: false })) => {
            made_at(history, lock, Revision(revision.0 - 1)).map(|_| number)
        }
        _ => None,
    };
    let number = shuffled(history, random, refused).next()?;
    if let Returned::LockAcquire { acquired, .. } = returned(history, number) {
        *acquired = true;
    }
    Some(())
}
