//! Every kind of fate, and what follows from it.

use super::*;

fn owner(uid: &str) -> OwnerReference {
    OwnerReference { uid: uid.into(), block_owner_deletion: Some(true), ..OwnerReference::default() }
}

fn live(owners: &[&str], finalizers: &[&str]) -> Live {
    Live {
        uid: "it".into(),
        resource_version: "1".into(),
        owners: owners.iter().map(|uid| owner(uid)).collect(),
        finalizers: finalizers.iter().map(|it| (*it).to_owned()).collect(),
        standing: Standing::Living,
    }
}

fn decide(fates: &[Fate], dependents: Dependents) -> Vec<Step> {
    let owners: Vec<String> = (0..fates.len()).map(|n| n.to_string()).collect();
    plan(&live(&owners.iter().map(String::as_str).collect::<Vec<_>>(), &[]), fates, dependents)
}

const ALL_DEPENDENTS: [Dependents; 3] = [Dependents::None, Dependents::Some, Dependents::SomeAwaiting];

#[test]
fn whoever_has_an_owner_stays_and_loses_the_others() {
    use Fate::{AwaitingDependents, Dangling, LetGo, Solid};
    for dependents in ALL_DEPENDENTS {
        assert_eq!(decide(&[Solid, Solid], dependents), []);
        let mixed = decide(&[Dangling, Solid, AwaitingDependents, LetGo], dependents);
        assert_eq!(mixed, [Step::SetOwners(vec![owner("1")])]);
    }
}

#[test]
fn whoever_names_an_owner_that_cannot_be_found_is_left_in_peace() {
    assert_eq!(decide(&[Fate::Impossible], Dependents::None), []);
    let steps = decide(&[Fate::AwaitingDependents, Fate::Impossible], Dependents::Some);
    assert_eq!(steps, [Step::SetOwners(vec![owner("1")])], "but whoever waits for it need not");
}

#[test]
fn whoever_was_let_go_stays_without_any_owner() {
    for other in [Fate::Dangling, Fate::AwaitingDependents, Fate::LetGo] {
        assert_eq!(decide(&[Fate::LetGo, other], Dependents::Some), [Step::SetOwners(vec![])]);
    }
}

#[test]
fn whoever_never_had_an_owner_is_not_the_collectors() {
    assert_eq!(decide(&[], Dependents::Some), []);
}

#[test]
fn whoever_has_no_owner_left_is_deleted_as_its_finalizers_wish() {
    let cases = [
        (&[][..], Propagation::Background),
        (&["example.com/other"], Propagation::Background),
        (&["foregroundDeletion"], Propagation::Foreground),
        (&["orphan", "foregroundDeletion"], Propagation::Orphan),
    ];
    for (finalizers, expected) in cases {
        for dependents in ALL_DEPENDENTS {
            let steps = plan(&live(&["a"], finalizers), &[Fate::Dangling], dependents);
            assert_eq!(steps, [Step::Delete(expected)], "{finalizers:?}");
        }
    }
}

#[test]
fn whoever_an_owner_waits_for_is_deleted_with_its_own_dependents_first() {
    let decide = |dependents| decide(&[Fate::Dangling, Fate::AwaitingDependents], dependents);
    assert_eq!(decide(Dependents::None), [Step::Delete(Propagation::Background)]);
    assert_eq!(decide(Dependents::Some), [Step::Delete(Propagation::Foreground)]);
    let free = |uid: &str| OwnerReference { block_owner_deletion: Some(false), ..owner(uid) };
    assert_eq!(
        decide(Dependents::SomeAwaiting),
        [Step::SetOwners(vec![free("0"), free("1")]), Step::Delete(Propagation::Foreground)],
        "a circle is broken"
    );
}

#[test]
fn what_is_taken_away_is_only_what_was_named() {
    let object = live(&["a", "b"], &["orphan", "example.com/other"]);
    assert_eq!(without_owner(&object, &"a".into()), Some(vec![owner("b")]));
    assert_eq!(without_owner(&object, &"c".into()), None);
    assert_eq!(without_finalizer(&object, "orphan"), Some(vec!["example.com/other".to_owned()]));
    assert_eq!(without_finalizer(&object, "foregroundDeletion"), None);
}
