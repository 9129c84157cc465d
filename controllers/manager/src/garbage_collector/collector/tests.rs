//! The collector against a naive API: whatever happens in whatever order, nothing that has an owner is deleted, and
//! in the end everything whose owners are gone is gone too.

mod model;

use proptest::prelude::*;
use tokio::runtime::Builder;

use self::model::{Act, MISSPELT, Model, World};
use super::*;

/// A history, and what happens between two requests of the collector.
fn histories() -> impl Strategy<Value = Vec<Act>> {
    let owners = prop::collection::vec((0..MISSPELT + 3, any::<bool>()), 0..3);
    let propagation =
        prop_oneof![Just(Propagation::Background), Just(Propagation::Foreground), Just(Propagation::Orphan)];
    let act = prop_oneof![
        4 => (0..3usize, 0..3usize, owners.clone()).prop_map(|(kind, space, owners)| Act::Create {
            kind,
            space,
            owners
        }),
        3 => (0..12usize, propagation).prop_map(|(object, propagation)| Act::Delete { object, propagation }),
        1 => (0..12usize, owners).prop_map(|(object, owners)| Act::SetOwners { object, owners }),
        6 => (0..3usize).prop_map(|kind| Act::Show { kind }),
        6 => Just(Act::Attempt),
    ];
    prop::collection::vec(act, 1..60)
}

fn run(history: &[Act]) -> World {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let model = Arc::new(Model::default());
        let (recorder, _events) = EventRecorder::detached();
        let collector = Collector::new(Arc::clone(&model), recorder);
        collector.set_complete(true);
        model.play(&collector, history).await;
        model.settle(&collector).await;
        model.world()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nobody_with_an_owner_is_deleted_and_nobody_without_one_remains(history in histories()) {
        let world = run(&history);
        prop_assert_eq!(&world.wronged, &Vec::<String>::new());
        prop_assert_eq!(world.dangling(), Vec::<String>::new());
        prop_assert_eq!(world.stuck(), Vec::<String>::new());
    }
}

/// Creates objects of one namespace, each with its owners.
fn create(owners: &[&[usize]]) -> Vec<Act> {
    let create = |owners: &&[usize]| Act::Create {
        kind: 0,
        space: 1,
        owners: owners.iter().map(|&n| (n, true)).collect(),
    };
    owners.iter().map(create).chain([Act::Show { kind: 0 }]).collect()
}

fn names(world: &World) -> Vec<String> {
    world.objects.values().map(|it| it.at.name.clone()).collect()
}

#[test]
fn a_tree_goes_with_its_root_in_the_background_and_in_the_foreground() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let mut history = create(&[&[], &[0], &[1], &[1], &[]]);
        history.push(Act::Delete { object: 0, propagation });
        assert_eq!(names(&run(&history)), ["o4"], "{propagation:?}");
    }
}

#[test]
fn dependents_that_were_let_go_stay_with_their_own_dependents() {
    let mut history = create(&[&[], &[0], &[1]]);
    history.push(Act::Delete { object: 0, propagation: Propagation::Orphan });
    let world = run(&history);
    assert_eq!(names(&world), ["o1", "o2"]);
    assert_eq!(world.objects.values().next().map(|it| it.owners.len()), Some(0));
}

#[test]
fn dependents_that_show_up_after_they_were_let_go_stay_too() {
    // The dependent exists, but its informer is slow.
    let mut history = create(&[&[]]);
    history.push(Act::Create { kind: 1, space: 1, owners: vec![(0, true)] });
    history.push(Act::Delete { object: 0, propagation: Propagation::Orphan });
    history.extend([Act::Show { kind: 0 }, Act::Attempt, Act::Show { kind: 0 }, Act::Show { kind: 1 }]);
    assert_eq!(names(&run(&history)), ["o1"]);
}

#[test]
fn a_circle_goes_as_a_whole() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let mut history = create(&[&[], &[0], &[1]]);
        history.push(Act::SetOwners { object: 0, owners: vec![(2, true)] });
        history.push(Act::Delete { object: 1, propagation });
        assert_eq!(names(&run(&history)), [""; 0], "{propagation:?}");
    }
}

#[test]
fn a_dependent_with_another_owner_keeps_that_one_only() {
    for propagation in [Propagation::Background, Propagation::Foreground] {
        let mut history = create(&[&[], &[], &[0, 1]]);
        history.push(Act::Delete { object: 0, propagation });
        let world = run(&history);
        assert_eq!(names(&world), ["o1", "o2"], "{propagation:?}");
        assert_eq!(world.objects.values().last().map(|it| it.owners.len()), Some(1));
    }
}
