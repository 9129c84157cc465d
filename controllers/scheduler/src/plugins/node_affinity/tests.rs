//! Selectors and affinity, by the index and by a look at one node.

use proptest::prelude::*;

use super::*;
use crate::testing::{MakeNode, MakePod, name_term, requirement, term};

/// The names of the nodes that the pod may go to, or why none.
fn allowed(pod: MakePod, nodes: &[MakeNode]) -> Result<Vec<String>, Reason> {
    let (mut cache, pod) = (Cache::default(), pod.info());
    for node in nodes {
        cache.set_node(node.clone().node());
    }
    cache.refresh();
    let pass = |filter: &dyn Filter, slot: &NodeSlot| {
        filter.filter(cache.node(*slot), &WhatIf::default(), &mut Reasons::default()).is_ok()
    };
    let slots: Vec<NodeSlot> = match NodeAffinity.pre_filter(&pod, &cache) {
        PreFiltered::Skip => cache.order().to_vec(),
        PreFiltered::Filter(filter) => {
            cache.order().iter().copied().filter(|slot| pass(&*filter, slot)).collect()
        }
        PreFiltered::FilterOf(only, filter) => only.into_iter().filter(|slot| pass(&*filter, slot)).collect(),
        PreFiltered::Reject(reason) => return Err(reason),
    };
    Ok(slots.into_iter().map(|slot| cache.node(slot).name.to_string()).collect())
}

fn cluster() -> [MakeNode; 4] {
    [
        MakeNode::named("a").label("zone", "east").label("cores", "4"),
        MakeNode::named("b").label("zone", "west").label("cores", "8"),
        MakeNode::named("c").label("zone", "west").label("cores", "many"),
        MakeNode::named("d"),
    ]
}

#[test]
fn operators_mean_what_they_say() {
    let cases: [(&str, &[&str], &[&str]); 9] = [
        ("In", &["east", "south"], &["a"]),
        ("NotIn", &["east"], &["b", "c", "d"]),
        ("Exists", &[], &["a", "b", "c"]),
        ("DoesNotExist", &[], &["d"]),
        ("Gt", &["1"], &[]),
        ("Lt", &["9"], &[]),
        ("In", &[], &[]),
        ("NotIn", &[], &["a", "b", "c", "d"]),
        ("Near", &["east"], &[]),
    ];
    for (operator, values, expected) in cases {
        let pod = MakePod::named("p").requires(&[term(&[("zone", operator, values)])]);
        assert_eq!(
            allowed(pod, &cluster()).as_deref(),
            Ok(&*expected.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "{operator} {values:?}"
        );
    }
    let cores = |operator, bound| {
        allowed(MakePod::named("p").requires(&[term(&[("cores", operator, &[bound])])]), &cluster())
    };
    assert_eq!(cores("Gt", "4"), Ok(vec!["b".to_owned()]));
    assert_eq!(cores("Lt", "5"), Ok(vec!["a".to_owned()]));
}

#[test]
fn terms_are_alternatives_requirements_add_up_and_an_empty_term_allows_nothing() {
    let pod = || MakePod::named("p");
    let west = ("zone", "In", &["west"] as &[&str]);
    assert_eq!(allowed(pod(), &cluster()).map(|names| names.len()), Ok(4));
    let either =
        pod().requires(&[term(&[west, ("cores", "Gt", &["4"])]), term(&[("zone", "DoesNotExist", &[])])]);
    assert_eq!(allowed(either, &cluster()), Ok(vec!["b".to_owned(), "d".to_owned()]));
    assert_eq!(allowed(pod().requires(&[term(&[])]), &cluster()), Ok(vec![]));
    assert_eq!(allowed(pod().requires(&[]), &cluster()), Ok(vec![]));
    let both = pod().node_selector(&[("zone", "west")]).requires(&[term(&[("cores", "In", &["8"])])]);
    assert_eq!(allowed(both, &cluster()), Ok(vec!["b".to_owned()]));
    assert_eq!(allowed(pod().node_selector(&[("zone", "north")]), &cluster()), Ok(vec![]));
}

#[test]
fn names_narrow_the_search_and_names_that_exclude_each_other_end_it() {
    let pod = || MakePod::named("p");
    assert_eq!(
        allowed(pod().requires(&[name_term("In", &["b", "gone"])]), &cluster()),
        Ok(vec!["b".to_owned()])
    );
    let not = pod().requires(&[name_term("NotIn", &["b"])]);
    assert_eq!(allowed(not, &cluster()).map(|names| names.len()), Ok(3));
    let mut conflict = name_term("In", &["a"]);
    conflict.match_fields.as_mut().expect("it has some").push(requirement(("metadata.name", "In", &["b"])));
    assert_eq!(allowed(pod().requires(&[conflict.clone()]), &cluster()), Err(Reason::Said(CONFLICT)));
    let way_out = pod().requires(&[conflict, name_term("In", &["d"])]);
    assert_eq!(allowed(way_out, &cluster()), Ok(vec!["d".to_owned()]));
}

#[test]
fn preferences_add_up_by_weight() {
    let (mut cache, pod) = (Cache::default(), {
        let pod = MakePod::named("p").prefers(3, term(&[("zone", "In", &["west"])]));
        pod.prefers(1, term(&[("cores", "Exists", &[])])).prefers(9, term(&[])).info()
    });
    cluster().into_iter().for_each(|node| drop(cache.set_node(node.node())));
    cache.refresh();
    let scorer = NodeAffinity.pre_score(&pod, &cache, cache.order()).expect("it prefers some");
    let mut scores: Vec<_> = cache.order().iter().map(|slot| scorer.score(cache.node(*slot))).collect();
    assert_eq!(scores, [1, 4, 4, 0]);
    scorer.normalize(&mut scores);
    assert_eq!(scores, [25, 100, 100, 0]);
    assert!(NodeAffinity.pre_score(&MakePod::named("q").info(), &cache, cache.order()).is_none());
}

proptest! {
    #[test]
    fn the_index_and_a_look_at_the_node_agree(
        requirements in proptest::collection::vec(
            (
                proptest::sample::select(&["zone", "cores", "x"][..]),
                proptest::sample::select(&["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"][..]),
                proptest::collection::vec(proptest::sample::select(&["east", "west", "4", "8"][..]), 0..3),
            ),
            0..3,
        ),
        names in proptest::collection::vec(proptest::sample::select(&["a", "b", "z"][..]), 0..3),
        name_operator in proptest::sample::select(&["In", "NotIn"][..]),
    ) {
        let by_labels: Vec<_> =
            requirements.iter().map(|(key, operator, values)| (*key, *operator, values.as_slice())).collect();
        let mut terms = vec![term(&by_labels)];
        if !names.is_empty() {
            terms.push(name_term(name_operator, &names));
        }
        let pod = MakePod::named("p").requires(&terms);
        let one_by_one: Vec<_> = cluster()
            .into_iter()
            .map(MakeNode::node)
            .filter(|node| allows(&pod.clone().info(), node))
            .filter_map(|node| node.metadata.name.clone())
            .collect();
        prop_assert_eq!(allowed(pod, &cluster()).unwrap_or_default(), one_by_one);
    }
}
