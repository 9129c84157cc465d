//! The graph, change by change, and against one that is counted anew.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn at(kind: &str, namespace: &str, name: &str) -> Coordinates {
    Coordinates {
        api_version: "v1".into(),
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
        uid: name.into(),
    }
}

fn owner(at: &Coordinates) -> Owner {
    Owner {
        api_version: at.api_version.clone(),
        kind: at.kind.clone(),
        name: at.name.clone(),
        uid: at.uid.clone(),
        blocks: true,
    }
}

fn seen(at: &Coordinates, owners: &[Owner]) -> Seen {
    Seen { at: at.clone(), owners: owners.to_vec(), standing: Standing::Living }
}

fn standing(at: &Coordinates, standing: Standing) -> Seen {
    Seen { standing, ..seen(at, &[]) }
}

fn delete(at: &Coordinates) -> Todo {
    Todo::Delete(at.uid.clone())
}

fn verify(at: &Coordinates) -> Todo {
    Todo::Verify(at.uid.clone())
}

#[test]
fn an_owner_that_nobody_has_seen_is_looked_for_and_its_dependents_tried_when_it_is_absent() {
    let mut graph = Graph::new();
    let (set, pod) = (at("ReplicaSet", "shop", "set"), at("Pod", "shop", "pod"));
    assert_eq!(graph.observe(&seen(&pod, &[owner(&set)])), [verify(&set)]);
    assert_eq!(graph.find(&set.uid), Some((&set, Sight::Assumed)));
    assert!(!graph.is_absent(&set));
    assert_eq!(graph.absent(&set), [delete(&pod)]);
    assert!(graph.is_absent(&set));
    assert_eq!(graph.find(&set.uid), None);
}

#[test]
fn an_owner_that_appears_where_it_was_assumed_troubles_nobody() {
    let mut graph = Graph::new();
    let (set, pod) = (at("ReplicaSet", "shop", "set"), at("Pod", "shop", "pod"));
    graph.observe(&seen(&pod, &[owner(&set)]));
    assert_eq!(graph.observe(&seen(&set, &[])), []);
    assert_eq!(graph.observe(&seen(&set, &[])), [], "nothing new");
    assert_eq!(graph.gone(&set.uid), [delete(&pod)]);
}

#[test]
fn an_owner_of_the_cluster_may_own_in_every_namespace() {
    let mut graph = Graph::new();
    let node = at("Node", "", "node");
    let (pod, lease) = (at("Pod", "shop", "pod"), at("Lease", "kube-node-lease", "lease"));
    graph.observe(&seen(&node, &[]));
    assert_eq!(graph.observe(&seen(&pod, &[owner(&node)])), []);
    assert_eq!(graph.observe(&seen(&lease, &[owner(&node)])), []);
    assert_eq!(graph.absent(&node), [delete(&lease), delete(&pod)]);
    assert!(graph.is_absent(&owner(&node).seen_from("shop")), "wherever it is asked for");
}

#[test]
fn an_owner_seen_in_another_namespace_is_reported_whichever_comes_first() {
    let (set, pod) = (at("ReplicaSet", "other", "set"), at("Pod", "shop", "pod"));
    let misplaced = Misplaced { dependent: pod.clone(), owner: owner(&set).seen_from("shop") };
    let report = Todo::Report(Box::new(misplaced));
    let mut graph = Graph::new();
    graph.observe(&seen(&set, &[]));
    assert_eq!(graph.observe(&seen(&pod, &[owner(&set)])), [report.clone(), delete(&pod)]);
    let mut graph = Graph::new();
    graph.observe(&seen(&pod, &[owner(&set)]));
    assert_eq!(graph.observe(&seen(&set, &[])), [report, delete(&pod)]);
}

#[test]
fn dependents_that_name_an_unseen_owner_differently_each_get_their_answer() {
    let mut graph = Graph::new();
    let right = at("ReplicaSet", "shop", "set");
    let wrong = Coordinates { name: "misspelt".into(), ..right.clone() };
    let (first, second) = (at("Pod", "shop", "first"), at("Pod", "shop", "second"));
    graph.observe(&seen(&first, &[owner(&wrong)]));
    assert_eq!(graph.observe(&seen(&second, &[owner(&right)])), [delete(&second)], "one of them is wrong");
    assert_eq!(graph.absent(&wrong), [delete(&first), Todo::VerifyLater(right.uid.clone())]);
    assert_eq!(graph.find(&right.uid), Some((&right, Sight::Assumed)));
    // Seen after all: what was said of the other place does not touch it.
    graph.observe(&seen(&right, &[]));
    assert_eq!(graph.absent(&wrong), [delete(&first)]);
    assert_eq!(graph.find(&right.uid), Some((&right, Sight::Observed(Standing::Living))));
}

#[test]
fn an_owner_in_a_namespace_is_not_looked_for_among_the_objects_of_the_cluster() {
    let mut graph = Graph::new();
    let set = at("ReplicaSet", "shop", "set");
    let nowhere = set.without_namespace();
    let (node, pod) = (at("Node", "", "node"), at("Pod", "shop", "pod"));
    graph.observe(&seen(&node, &[owner(&set)]));
    assert_eq!(graph.impossible(&nowhere), [], "nobody else looks for it");
    graph.observe(&seen(&pod, &[owner(&set)]));
    assert_eq!(graph.impossible(&nowhere), [Todo::VerifyLater(set.uid.clone())]);
    assert_eq!(graph.find(&set.uid), Some((&set, Sight::Assumed)));
    assert!(!graph.is_absent(&set));
}

#[test]
fn who_waits_for_dependents_wakes_them_and_is_woken_by_the_last_that_blocks() {
    let mut graph = Graph::new();
    let set = at("ReplicaSet", "shop", "set");
    let (blocking, free) = (at("Pod", "shop", "blocking"), at("Pod", "shop", "free"));
    graph.observe(&seen(&set, &[]));
    graph.observe(&seen(&blocking, &[owner(&set)]));
    graph.observe(&seen(&free, &[Owner { blocks: false, ..owner(&set) }]));
    let todo = graph.observe(&standing(&set, Standing::AwaitingDependents));
    assert_eq!(todo, [delete(&blocking), delete(&free), delete(&set)]);
    let blocks = |awaits_dependents| Blocking { dependent: blocking.uid.clone(), awaits_dependents };
    assert_eq!(graph.blocking(&set.uid), [blocks(false)]);
    let leaving = Seen { standing: Standing::AwaitingDependents, ..seen(&blocking, &[owner(&set)]) };
    graph.observe(&leaving);
    assert_eq!(graph.blocking(&set.uid), [blocks(true)]);
    assert!(graph.has_awaiting_dependent(&set.uid));
    assert_eq!(graph.gone(&free.uid), []);
    assert_eq!(graph.gone(&blocking.uid), [delete(&set)]);
    assert_eq!(graph.blocking(&set.uid), []);
}

#[test]
fn of_those_who_wait_in_a_circle_nobody_keeps_anybody() {
    let mut graph = Graph::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| at("Pod", "shop", name));
    let wait = |at: &Coordinates, owner_at: &Coordinates| Seen {
        standing: Standing::AwaitingDependents,
        ..seen(at, &[owner(owner_at)])
    };
    graph.observe(&wait(&a, &c));
    graph.observe(&wait(&b, &a));
    graph.observe(&seen(&c, &[owner(&b)]));
    assert_eq!(graph.blocking(&b.uid).len(), 1, "c does not wait, so it can go first");
    graph.observe(&wait(&c, &b));
    assert_eq!(graph.blocking(&b.uid), []);
    let bystander = at("Pod", "shop", "bystander");
    graph.observe(&seen(&bystander, &[owner(&b)]));
    assert_eq!(graph.blocking(&b.uid).len(), 1, "somebody outside the circle still counts");
}

#[test]
fn an_owner_that_waits_is_woken_when_a_dependent_gives_way() {
    let mut graph = Graph::new();
    let (set, pod) = (at("ReplicaSet", "shop", "set"), at("Pod", "shop", "pod"));
    graph.observe(&standing(&set, Standing::AwaitingDependents));
    graph.observe(&seen(&pod, &[owner(&set)]));
    let given_way = Owner { blocks: false, ..owner(&set) };
    assert_eq!(graph.observe(&seen(&pod, &[given_way])), [delete(&set)]);
    graph.observe(&seen(&pod, &[owner(&set)]));
    assert_eq!(graph.observe(&seen(&pod, &[])), [delete(&set)]);
    assert_eq!(graph.dependents(&set.uid), []);
}

#[test]
fn an_object_that_lets_its_dependents_go_is_tried_once() {
    let mut graph = Graph::new();
    let set = at("ReplicaSet", "shop", "set");
    let orphaning = || standing(&set, Standing::Orphaning);
    assert_eq!(graph.observe(&orphaning()), [Todo::Orphan(set.uid.clone())]);
    assert_eq!(graph.observe(&orphaning()), []);
    assert_eq!(graph.observe(&standing(&set, Standing::Leaving)), []);
}

#[test]
fn a_kind_that_is_not_shown_any_more_leaves_assumptions_where_somebody_depends_on_them() {
    let mut graph = Graph::new();
    let (owning, alone) = (at("Widget", "shop", "owning"), at("Widget", "shop", "alone"));
    let pod = at("Pod", "shop", "pod");
    graph.observe(&seen(&owning, &[]));
    graph.observe(&seen(&alone, &[owner(&owning)]));
    graph.observe(&seen(&pod, &[owner(&owning)]));
    assert_eq!(graph.lose_sight("v1", "Widget"), [Todo::VerifyLater(owning.uid.clone())]);
    assert_eq!(graph.find(&owning.uid), Some((&owning, Sight::Assumed)));
    assert_eq!(graph.find(&alone.uid), None);
    assert_eq!(graph.find(&pod.uid), Some((&pod, Sight::Observed(Standing::Living))));
}

/// What happens to an object: it names these owners, each blocking or not, or is gone.
type Event = Option<Vec<(usize, bool)>>;

/// Objects 0 to 5 with any owners among them, themselves included, or gone.
fn histories() -> impl Strategy<Value = Vec<(usize, Event)>> {
    let owners = prop::collection::vec((0..6usize, any::<bool>()), 0..3);
    prop::collection::vec((0..6usize, prop::option::weighted(0.8, owners)), 0..40)
}

proptest! {
    /// What the graph keeps up to date step by step is what one would count anew after every step.
    #[test]
    fn dependents_are_those_whose_owners_name_the_object(history in histories()) {
        let place = |n: usize| at("Thing", "shop", &n.to_string());
        let mut graph = Graph::new();
        let mut model: BTreeMap<usize, Vec<(usize, bool)>> = BTreeMap::new();
        for (object, owners) in history {
            match owners {
                Some(owners) => {
                    let owner = |&(n, blocks): &(usize, bool)| Owner { blocks, ..owner(&place(n)) };
                    let owned: Vec<_> = owners.iter().map(owner).collect();
                    graph.observe(&seen(&place(object), &owned));
                    model.insert(object, owners);
                }
                None => {
                    graph.gone(&place(object).uid);
                    model.remove(&object);
                }
            }
        }
        // One that comes back after it was gone is another object, with another uid. Here it is the same one, so the
        // graph has a right to have forgotten those who named the old one.
        for n in 0..6 {
            let named: Vec<_> = model.iter().filter(|(_, owners)| owners.iter().any(|it| it.0 == n)).collect();
            let listed = graph.dependents(&place(n).uid);
            prop_assert!(listed.iter().all(|it| named.iter().any(|(m, _)| place(**m) == *it)));
            let blocking = graph.blocking(&place(n).uid).len();
            prop_assert!(blocking <= named.iter().filter(|(_, it)| it.contains(&(n, true))).count());
        }
    }
}
