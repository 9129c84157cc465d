//! Wrong commits, and commits that nobody asked for.

use keelson_checkers::history::{Call, Change, End, History, Operation, Returned, Value};

use super::answers::shuffled;
use crate::model::Random;

/// Changes of the log that made something, in an order that the dice say.
fn made(
    history: &mut History,
    random: &mut Random,
    pick: impl Fn(&Change) -> bool,
) -> Option<(usize, usize)> {
    let commits = &history.log.as_ref()?.commits;
    let places = commits.iter().enumerate().flat_map(|(commit, made)| {
        let changes = made.changes.iter().enumerate().filter(|(_, change)| pick(change));
        changes.map(move |(change, _)| (commit, change)).collect::<Vec<_>>()
    });
    let places: Vec<_> = places.collect();
    (!places.is_empty()).then(|| places[random.place(places.len())])
}

/// A delete that was done is recorded as refused. Where another one may explain it, nothing is wrong.
pub(crate) fn refused_delete(history: &mut History, random: &mut Random) -> Option<()> {
    let deleted = |number: usize, operation: &Operation| match (&operation.call, operation.answer()?) {
        (Call::Delete { key }, (at, Returned::Delete { deleted: true, .. })) => {
            Some((number, key.clone(), at))
        }
        _ => None,
    };
    let may_delete = |operation: &Operation| {
        matches!(operation.end, End::Unknown { .. })
            && matches!(operation.call, Call::Delete { .. } | Call::Txn(_))
    };
    let maybe: Vec<Call> = history
        .operations
        .iter()
        .filter(|operation| may_delete(operation))
        .map(|operation| operation.call.clone())
        .collect();
    let may_be_of = |key: &_| {
        maybe.iter().any(|call| match call {
            Call::Delete { key: other } => other == key,
            Call::Txn(parts) => parts.iter().any(|part| part.key() == key),
            _ => false,
        })
    };
    let revision =
        |number: usize| history.operations[number].answer().map(|(_, returned)| returned.revision());
    let shares = |number: usize| {
        let same = |operation: &Operation| {
            matches!(operation.call, Call::Txn(_))
                && operation.answer().map(|(_, returned)| returned.revision()) == revision(number)
        };
        history.operations.iter().any(same)
    };
    let (number, _, at) =
        shuffled(history, random, deleted).find(|(number, key, _)| !may_be_of(key) && !shares(*number))?;
    history.operations[number].end = End::Failed { at, why: "corrupted".to_owned() };
    Some(())
}

pub(crate) fn foreign_value(history: &mut History, random: &mut Random) -> Option<()> {
    let (commit, change) = made(history, random, |change| change.became.is_some())?;
    let change = &mut history.log.as_mut()?.commits[commit].changes[change];
    change.key = "a key that no call names".into();
    change.became.as_mut()?.value = Value::Number(1 << 50);
    Some(())
}

pub(crate) fn wrong_version(history: &mut History, random: &mut Random) -> Option<()> {
    let (commit, change) = made(history, random, |change| change.became.is_some())?;
    history.log.as_mut()?.commits[commit].changes[change].became.as_mut()?.version += 1;
    Some(())
}

/// The counter stays what it was.
pub(crate) fn lost_addition(history: &mut History, random: &mut Random) -> Option<()> {
    let added = |_: usize, operation: &Operation| match (&operation.call, operation.answer()?) {
        (Call::CounterAdd(delta), (_, returned)) if *delta != 0 => Some(returned.revision()),
        _ => None,
    };
    let revision = shuffled(history, random, added).find(|revision| revision.0 > 2)?;
    let commits = &mut history.log.as_mut()?.commits;
    let place = commits.iter().position(|commit| commit.revision == revision)?;
    let before = commits[place - 1].changes[0].became.as_ref()?.value.clone();
    commits[place].changes[0].became.as_mut()?.value = before;
    Some(())
}
