//! How endpoints lie in slices: by example, and after any sequence of changes.

use std::collections::BTreeSet;

use k8s_openapi::api::discovery::v1::EndpointConditions;
use proptest::prelude::*;

use super::*;

/// Small, so that slices are full soon.
const LIMIT: usize = 4;

fn owner(uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: "v1".into(),
        kind: "Service".into(),
        uid: uid.into(),
        ..OwnerReference::default()
    }
}

fn head() -> Head {
    Head {
        namespace: "shop".into(),
        name: "web".into(),
        owner: owner("web-uid"),
        labels: [("kubernetes.io/service-name".to_owned(), "web".to_owned())].into(),
        annotations: Annotations::Trigger(None),
    }
}

fn group(port: i32) -> Group {
    Group::new(Family::V4, &[EndpointPort { port: Some(port), ..EndpointPort::default() }])
}

fn endpoint(at: usize, is_ready: bool) -> Endpoint {
    Endpoint {
        addresses: vec![format!("10.1.0.{at}")],
        conditions: Some(EndpointConditions { ready: Some(is_ready), ..EndpointConditions::default() }),
        ..Endpoint::default()
    }
}

fn ready(range: std::ops::Range<usize>) -> Vec<Endpoint> {
    range.map(|at| endpoint(at, true)).collect()
}

/// The slices that the API server has.
#[derive(Default)]
struct Served {
    slices: BTreeMap<String, Arc<EndpointSlice>>,
    named: usize,
}

impl Served {
    fn list(&self) -> Vec<Arc<EndpointSlice>> {
        self.slices.values().cloned().collect()
    }

    fn apply(&mut self, changes: Changes) {
        for mut slice in changes.create {
            self.named += 1;
            let name = format!("{}{:03}", slice.metadata.generate_name.take().unwrap(), self.named);
            slice.metadata.name = Some(name.clone());
            assert!(self.slices.insert(name, Arc::new(slice)).is_none());
        }
        for slice in changes.update {
            let name = slice.metadata.name.clone().unwrap();
            let old =
                self.slices.insert(name, Arc::new(slice.clone())).expect("only what is there is updated");
            assert_eq!(old.address_type, slice.address_type, "this cannot change");
            assert_ne!(*old, slice, "an update that changes nothing");
        }
        for slice in changes.delete {
            assert!(self.slices.remove(slice.metadata.name.as_deref().unwrap()).is_some());
        }
    }

    fn settle(&mut self, wanted: &Wanted) -> Changes {
        let changes = pack(&head(), wanted.clone(), &self.list(), LIMIT);
        self.apply(changes.clone());
        changes
    }

    /// How many endpoints each slice has, by name.
    fn sizes(&self) -> Vec<usize> {
        self.slices.values().map(|slice| slice.endpoints.as_ref().unwrap().len()).collect()
    }

    /// What all slices together say.
    fn told(&self) -> Wanted {
        let mut told = Wanted::new();
        for slice in self.slices.values() {
            told.entry(Group::of(slice)).or_default().extend(slice.endpoints.clone().unwrap());
        }
        told
    }
}

fn counts(changes: &Changes) -> (usize, usize, usize) {
    (changes.create.len(), changes.update.len(), changes.delete.len())
}

#[test]
fn new_slices_are_filled_to_the_limit() {
    let mut served = Served::default();
    let changes = served.settle(&[(group(80), ready(0..10))].into());
    assert_eq!(served.sizes(), [4, 4, 2]);
    let slice = &changes.create[0];
    assert_eq!(slice.metadata.generate_name.as_deref(), Some("web-"));
    assert_eq!(slice.metadata.namespace.as_deref(), Some("shop"));
    assert_eq!(slice.metadata.owner_references, Some(vec![owner("web-uid")]));
    assert_eq!(slice.metadata.labels, Some(head().labels));
    assert_eq!((slice.address_type.as_str(), slice.ports.as_ref().unwrap()[0].port), ("IPv4", Some(80)));
}

#[test]
fn a_change_is_written_where_it_is() {
    let mut served = Served::default();
    served.settle(&[(group(80), ready(0..10))].into());
    let mut wanted = ready(0..10);
    wanted[5] = endpoint(5, false);
    let changes = served.settle(&[(group(80), wanted.clone())].into());
    assert_eq!(counts(&changes), (0, 1, 0));
    wanted.remove(5);
    wanted.push(endpoint(20, true));
    let changes = served.settle(&[(group(80), wanted)].into());
    assert_eq!(
        counts(&changes),
        (0, 1, 0),
        "the new one takes the place in the slice that is written anyway"
    );
    assert_eq!(served.sizes(), [4, 4, 2]);
}

#[test]
fn new_endpoints_go_into_one_slice_with_room_or_into_new_ones() {
    let mut served = Served::default();
    served.settle(&[(group(80), ready(0..10))].into());
    let changes = served.settle(&[(group(80), ready(0..12))].into());
    assert_eq!(counts(&changes), (0, 1, 0));
    let mut sparse: Vec<Endpoint> = ready(0..12);
    sparse.retain(|endpoint| !["10.1.0.0", "10.1.0.4", "10.1.0.8"].contains(&endpoint.addresses[0].as_str()));
    served.settle(&[(group(80), sparse.clone())].into());
    assert_eq!(served.sizes(), [3, 3, 3]);
    sparse.extend(ready(20..22));
    let changes = served.settle(&[(group(80), sparse)].into());
    assert_eq!(counts(&changes), (1, 0, 0), "no slice has room for both");
}

#[test]
fn emptied_slices_go_and_one_empty_slice_stays() {
    let mut served = Served::default();
    served.settle(&[(group(80), ready(0..10))].into());
    let changes = served.settle(&[(group(80), ready(0..4))].into());
    assert_eq!(counts(&changes), (0, 0, 2));
    let nobody: Wanted = [(Group::new(Family::V4, &[]), Vec::new())].into();
    let changes = served.settle(&nobody);
    assert_eq!(counts(&changes), (0, 1, 0), "the last one is reused");
    assert_eq!((served.sizes(), &served.told()), (vec![0], &nobody));
    assert_eq!(served.settle(&nobody), Changes::default());
    let changes = served.settle(&[(group(80), ready(0..1))].into());
    assert_eq!(counts(&changes), (0, 1, 0), "and reused again");
    assert_eq!(counts(&Served::default().settle(&nobody)), (1, 0, 0));
    assert_eq!(counts(&served.settle(&Wanted::new())), (0, 0, 1), "none is wanted at all");
}

#[test]
fn the_type_of_addresses_of_a_slice_never_changes() {
    let mut served = Served::default();
    served.settle(&[(Group::new(Family::V4, &[]), ready(0..1))].into());
    let changes = served.settle(&[(Group::new(Family::V6, &[]), Vec::new())].into());
    assert_eq!(counts(&changes), (1, 0, 1));
}

#[test]
fn slices_of_a_former_owner_are_deleted_and_not_reused() {
    let mut served = Served::default();
    served.settle(&[(group(80), ready(0..1))].into());
    let new = Head { owner: owner("other-uid"), ..head() };
    let changes = pack(&new, [(group(80), ready(0..1))].into(), &served.list(), LIMIT);
    assert_eq!(counts(&changes), (1, 0, 1));
}

#[test]
fn labels_and_annotations_are_put_right() {
    let mut served = Served::default();
    let wanted: Wanted = [(group(80), ready(0..6))].into();
    served.settle(&wanted);
    let mut labelled = head();
    labelled.labels.insert("team".into(), "shop".into());
    let changes = pack(&labelled, wanted.clone(), &served.list(), LIMIT);
    assert_eq!(counts(&changes), (0, 2, 0));
    assert!(changes.update.iter().all(|slice| slice.metadata.labels.as_ref() == Some(&labelled.labels)));

    let at = Timestamp::from_second(60).unwrap();
    let timed = Head { annotations: Annotations::Trigger(Some(at)), ..head() };
    assert_eq!(
        pack(&timed, wanted.clone(), &served.list(), LIMIT),
        Changes::default(),
        "a time is no reason"
    );
    let changes = pack(&timed, [(group(80), ready(0..7))].into(), &served.list(), LIMIT);
    let annotations = changes.update[0].metadata.annotations.as_ref().unwrap();
    assert_eq!(annotations[TRIGGER_TIME_ANNOTATION], "1970-01-01T00:01:00Z");

    let noted: BTreeMap<String, String> = [("note".to_owned(), "x".to_owned())].into();
    let exact = Head { annotations: Annotations::Exactly(noted.clone()), ..head() };
    let changes = pack(&exact, wanted, &served.list(), LIMIT);
    assert_eq!(counts(&changes), (0, 2, 0));
    assert!(changes.update.iter().all(|slice| slice.metadata.annotations.as_ref() == Some(&noted)));
}

#[test]
fn a_long_name_is_used_without_a_dash() {
    let of = |length: usize| Head { name: "a".repeat(length), ..head() }.prefix().len();
    assert_eq!((of(60), of(252), of(253)), (61, 253, 253));
}

#[test]
fn what_two_slices_say_is_left_in_one() {
    let mut served = Served::default();
    let wanted: Wanted = [(group(80), ready(0..3))].into();
    for _ in 0..2 {
        let changes = pack(&head(), wanted.clone(), &[], LIMIT);
        served.apply(changes);
    }
    assert_eq!(served.sizes(), [3, 3]);
    assert_eq!(counts(&served.settle(&wanted)), (0, 0, 1));
    assert_eq!(served.told(), wanted);
}

/// Pods come, go and change; each change is of a pod: absent, not ready, or ready with one of two ports.
fn changes() -> impl Strategy<Value = Vec<Vec<(usize, u8)>>> {
    let change = (0..30_usize, 0..4_u8);
    prop::collection::vec(prop::collection::vec(change, 1..12), 1..25)
}

fn wanted_of(pods: &BTreeMap<usize, u8>) -> Wanted {
    let mut wanted = Wanted::new();
    for (at, state) in pods {
        let port = if *state == 3 { 8080 } else { 80 };
        wanted.entry(group(port)).or_default().push(endpoint(*at, *state > 1));
    }
    if wanted.is_empty() {
        wanted.insert(Group::new(Family::V4, &[]), Vec::new());
    }
    wanted
}

/// The slices in which something that they say is not wanted any more.
fn outdated(slices: &[Arc<EndpointSlice>], wanted: &Wanted) -> usize {
    let is_wanted = |slice: &EndpointSlice, endpoint: &Endpoint| {
        wanted.get(&Group::of(slice)).is_some_and(|all| all.contains(endpoint))
    };
    let all_wanted = |slice: &EndpointSlice| {
        let endpoints = slice.endpoints.as_deref().unwrap();
        endpoints.iter().all(|endpoint| is_wanted(slice, endpoint))
            && (!endpoints.is_empty() || wanted.get(&Group::of(slice)).is_some_and(Vec::is_empty))
    };
    slices.iter().filter(|slice| !all_wanted(slice)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn slices_say_what_is_wanted_with_few_writes(rounds in changes()) {
        let mut served = Served::default();
        let mut pods: BTreeMap<usize, u8> = BTreeMap::new();
        for round in rounds {
            for (at, state) in round {
                if state == 0 { pods.remove(&at); } else { pods.insert(at, state); }
            }
            let wanted = wanted_of(&pods);
            let before = served.list();
            let told: BTreeSet<_> = before
                .iter()
                .flat_map(|slice| slice.endpoints.iter().flatten().map(|it| (Group::of(slice), Identity::of(it))))
                .collect();
            let new = wanted
                .iter()
                .flat_map(|(group, all)| all.iter().map(|it| (group.clone(), Identity::of(it))))
                .filter(|it| !told.contains(it))
                .count();
            let (create, update, delete) = counts(&served.settle(&wanted));

            // Every endpoint once, in a slice of its group, and no slice too long.
            let sorted = |mut all: Wanted| {
                all.values_mut().for_each(|list| list.sort_by_key(Identity::of));
                all
            };
            prop_assert_eq!(sorted(served.told()), sorted(wanted.clone()));
            prop_assert!(served.sizes().iter().all(|size| *size <= LIMIT));
            // Slices that say nothing wrong are written only to take new endpoints: a full slice's worth each, except
            // for the last of each group.
            let least = outdated(&before, &wanted);
            let groups = wanted.len();
            let room = if new > 0 || before.is_empty() { new.div_ceil(LIMIT) + groups } else { 0 };
            prop_assert!(create + update + delete <= least + room, "{create} {update} {delete} > {least} + {room}");
            prop_assert!(create == 0 || new > 0 || before.is_empty());
            prop_assert_eq!(served.settle(&wanted), Changes::default(), "a second look finds nothing to do");
        }
    }
}
