//! What is promised of the deployment draft, shown by example.

use super::*;
use crate::deployment::samples::set;

fn update(draft: Draft) -> Update {
    match draft.into_step() {
        Some(Step::Update(update)) => update,
        other => panic!("an update, not {other:?}"),
    }
}

#[test]
fn what_does_not_change_is_no_step() {
    let mut draft = Draft::existing(set("v1", 1, 3, 3, 3));
    draft.annotate(REVISION, "1");
    draft.promote(1);
    draft.scale(3, 3, 4);
    draft.set_min_ready_seconds(0);
    assert_eq!(draft.into_step(), None);
}

#[test]
fn changes_add_up_to_one_step() {
    let observed = set("v1", 1, 3, 3, 3);
    let mut draft = Draft::existing(Arc::clone(&observed));
    draft.scale(5, 5, 6);
    draft.scale(4, 5, 6);
    draft.set_min_ready_seconds(10);
    let update = update(draft);
    assert!(Arc::ptr_eq(&update.set, &observed));
    assert_eq!(update.scaling, Some(Scaling { from: 3, to: 4 }));
    assert_eq!(update.min_ready_seconds, Some(10));
    assert_eq!(
        update.annotations,
        [(DESIRED_REPLICAS.into(), "5".into()), (MAX_REPLICAS.into(), "6".into())].into()
    );
}

#[test]
fn a_set_that_becomes_the_latest_again_remembers_what_it_was() {
    let mut draft = Draft::existing(set("v1", 2, 3, 3, 3));
    assert!(draft.promote(5));
    assert!(draft.promote(9));
    assert_eq!(draft.annotation(REVISION), Some("9"));
    assert_eq!(draft.annotation(REVISION_HISTORY), Some("2,5"));
    assert!(!draft.promote(4));
    assert_eq!(draft.annotation(REVISION), Some("9"), "revisions do not go down");
}

#[test]
fn a_revision_that_is_no_number_is_left_alone() {
    let mut odd = set("v1", 1, 3, 3, 3);
    Arc::make_mut(&mut odd).metadata.annotations = Some([(REVISION.into(), "first".into())].into());
    let mut draft = Draft::existing(odd);
    assert!(!draft.promote(5));
    assert_eq!(draft.into_step(), None);
}

#[test]
fn only_what_has_no_pods_and_none_on_their_way_is_deletable() {
    let is_deletable = |change: &dyn Fn(&mut ReplicaSet)| {
        let mut set = set("v1", 1, 3, 0, 0);
        change(Arc::make_mut(&mut set));
        Draft::existing(set).is_deletable()
    };
    assert!(is_deletable(&|_| {}));
    assert!(!is_deletable(&|set| set.spec.replicas = Some(1)));
    assert!(!is_deletable(&|set| set.status.as_mut().unwrap().replicas = 1));
    assert!(!is_deletable(&|set| set.metadata.generation = Some(2)), "the status is older than the set");
    let deleted = set("v2", 1, 3, 0, 0).metadata.creation_timestamp.clone();
    assert!(!is_deletable(&|set| set.metadata.deletion_timestamp.clone_from(&deleted)));
}

#[test]
fn pods_on_their_way_out_are_not_available_for_certain() {
    let mut draft = Draft::existing(set("v1", 1, 5, 5, 4));
    assert_eq!((draft.available(), draft.occupied()), (Some(4), Some(5)));
    draft.scale(3, 5, 6);
    assert_eq!((draft.available(), draft.occupied()), (Some(3), Some(5)));
    draft.scale(9, 9, 10);
    assert_eq!((draft.available(), draft.occupied()), (Some(4), Some(9)));
}

#[test]
fn of_a_set_that_was_just_changed_nothing_is_certain() {
    let mut changed = set("v1", 1, 5, 5, 4);
    Arc::make_mut(&mut changed).metadata.generation = Some(2);
    let draft = Draft::existing(changed);
    assert_eq!((draft.available(), draft.occupied()), (None, None));
}
