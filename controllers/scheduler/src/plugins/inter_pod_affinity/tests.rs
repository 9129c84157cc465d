//! Near and apart, by what the cache keeps and by a look at every pod.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use proptest::prelude::*;

use super::*;
use crate::cache::NodeInfo;
use crate::diagnosis::Reasons;
use crate::framework::WhatIf;
use crate::observe::{Observation, Version};
use crate::testing::{Cluster, MakeNode, MakePod, pod_term, selector};

const WEB: &[(&str, &str)] = &[("app", "web")];
const DB: &[(&str, &str)] = &[("app", "db")];
const HOST: &str = "kubernetes.io/hostname";

fn node(name: &str, zone: &str) -> MakeNode {
    let node = MakeNode::named(name).label(HOST, name);
    if zone.is_empty() { node } else { node.label("zone", zone) }
}

/// Three nodes in two zones.
fn cluster() -> Cluster {
    Cluster::new([node("a1", "a"), node("a2", "a"), node("b1", "b")])
}

/// The nodes that the pod may go to.
fn allowed(cluster: &mut Cluster, pod: &MakePod) -> Vec<String> {
    let pod = pod.clone().info();
    InterPodAffinity.prepare(&pod, &mut cluster.core.cache);
    cluster.core.cache.refresh();
    let cache = &cluster.core.cache;
    let pass = |node: &&NodeInfo| match InterPodAffinity.pre_filter(&pod, cache) {
        PreFiltered::Filter(filter) => {
            filter.filter(node, &WhatIf::default(), &mut Reasons::default()).is_ok()
        }
        PreFiltered::Skip => true,
        PreFiltered::FilterOf(..) | PreFiltered::Reject(_) => panic!("it never does that"),
    };
    let nodes = cache.order().iter().map(|slot| cache.node(*slot));
    let mut names: Vec<_> = nodes.filter(pass).map(|node| node.name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_pod_is_near_those_it_must_be_near_and_the_first_of_its_kind_goes_anywhere() {
    let mut cluster = cluster();
    let near_db = MakePod::named("p").labels(WEB).near(pod_term("zone", DB));
    assert_eq!(allowed(&mut cluster, &near_db), [""; 0]);
    let near_itself = MakePod::named("p").labels(WEB).near(pod_term("zone", WEB));
    assert_eq!(allowed(&mut cluster, &near_itself), ["a1", "a2", "b1"]);
    cluster.pod(MakePod::named("db").labels(DB).node("a1"));
    cluster.pod(MakePod::named("web").labels(WEB).node("b1"));
    assert_eq!(allowed(&mut cluster, &near_db), ["a1", "a2"]);
    assert_eq!(allowed(&mut cluster, &near_itself), ["b1"], "it is not the first any more");
    let both = near_db.near(pod_term("zone", WEB));
    assert_eq!(allowed(&mut cluster, &both), [""; 0], "one pod has to be meant by all terms");
}

#[test]
fn a_pod_is_apart_from_those_it_must_be_apart_from_and_they_from_it() {
    let mut cluster = cluster();
    cluster.pod(MakePod::named("db").labels(DB).node("a1"));
    let apart = |key| MakePod::named("p").labels(WEB).apart(pod_term(key, DB));
    assert_eq!(allowed(&mut cluster, &apart(HOST)), ["a2", "b1"]);
    assert_eq!(allowed(&mut cluster, &apart("zone")), ["b1"]);
    cluster.pod(MakePod::named("loner").apart(pod_term("zone", WEB)).node("b1"));
    let web = MakePod::named("p").labels(WEB);
    assert_eq!(allowed(&mut cluster, &web), ["a1", "a2"]);
    assert_eq!(allowed(&mut cluster, &apart("zone")), [""; 0]);
    assert_eq!(allowed(&mut cluster, &MakePod::named("q")), ["a1", "a2", "b1"], "it is not meant");
    cluster.remove_pod("loner");
    assert_eq!(allowed(&mut cluster, &web), ["a1", "a2", "b1"]);
}

#[test]
fn namespaces_are_the_own_one_those_named_or_those_selected() {
    let mut cluster = cluster();
    cluster.pod(MakePod::named("db").namespace("other").labels(DB).node("a1"));
    let with = |change: &dyn Fn(&mut k8s_openapi::api::core::v1::PodAffinityTerm)| {
        let mut term = pod_term(HOST, DB);
        change(&mut term);
        MakePod::named("p").apart(term)
    };
    let own = with(&|_| {});
    let named = with(&|term| term.namespaces = Some(vec!["other".into()]));
    let all = with(&|term| term.namespace_selector = Some(LabelSelector::default()));
    let selected = with(&|term| term.namespace_selector = Some(selector(&[("team", "x")])));
    assert_eq!(allowed(&mut cluster, &own).len(), 3);
    assert_eq!(allowed(&mut cluster, &named), ["a2", "b1"]);
    assert_eq!(allowed(&mut cluster, &all), ["a2", "b1"]);
    assert_eq!(allowed(&mut cluster, &selected).len(), 3);
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some("other".into());
    namespace.metadata.labels = Some([("team".to_owned(), "x".to_owned())].into());
    let version = Version { old: None, new: Some(Arc::new(namespace)) };
    cluster.core.observe(Observation::Namespace(version), cluster.now);
    assert_eq!(allowed(&mut cluster, &selected), ["a2", "b1"]);
}

#[test]
fn messages_are_upstreams() {
    let mut cluster = cluster();
    cluster.pod(MakePod::named("db").labels(DB).node("a1"));
    cluster.pod(MakePod::named("loner").apart(pod_term(HOST, WEB)).node("a2"));
    let near_db = pod_term("zone", DB);
    cluster.pod(MakePod::named("p").labels(WEB).near(near_db).apart(pod_term(HOST, DB)));
    let message = cluster.turn();
    let expected = "p: 0/3 nodes are available: 1 node(s) didn't match pod affinity rules, \
        1 node(s) didn't match pod anti-affinity rules, \
        1 node(s) didn't satisfy existing pods anti-affinity rules. ";
    assert!(message.starts_with(expected), "{message}");
}

#[test]
fn a_victim_that_leaves_forbids_nothing_any_more() {
    let mut cluster = Cluster::new([node("a1", "a")]);
    cluster.pod(MakePod::named("loner").apart(pod_term(HOST, WEB)).node("a1"));
    cluster.pod(MakePod::named("urgent").labels(WEB).apart(pod_term(HOST, DB)).priority(9));
    let Some(crate::cycle::Attempt::Failed(failure)) = cluster.attempt() else { panic!("it fits nowhere") };
    let crate::framework::Nomination::For(preemption) = failure.nomination else {
        panic!("{}", failure.message)
    };
    assert_eq!(preemption.victims[0].key.name, "loner");
}

#[test]
fn what_a_pod_waits_for_is_a_neighbour_or_that_one_goes() {
    let mut cluster = cluster();
    cluster.pod(MakePod::named("p").near(pod_term("zone", DB)));
    cluster.turn();
    cluster.pass(std::time::Duration::from_secs(1));
    cluster.pod(MakePod::named("web").labels(WEB).node("b1"));
    assert_eq!(cluster.turn(), "nobody's turn");
    cluster.pod(MakePod::named("db").labels(DB).node("b1"));
    assert_eq!(cluster.turn(), "p -> b1");
    let mut cluster = Cluster::new([node("a1", "a")]);
    cluster.pod(MakePod::named("db").labels(DB).node("a1"));
    cluster.pod(MakePod::named("web").labels(WEB).node("a1"));
    cluster.pod(MakePod::named("p").apart(pod_term(HOST, DB)));
    cluster.turn();
    cluster.pass(std::time::Duration::from_secs(1));
    cluster.remove_pod("web");
    assert_eq!(cluster.turn(), "nobody's turn");
    cluster.remove_pod("db");
    assert_eq!(cluster.turn(), "p -> a1");
}

/// Normalized scores of a1, a2 and b1.
fn scores(cluster: &mut Cluster, pod: MakePod) -> Option<Vec<i64>> {
    let pod = pod.info();
    InterPodAffinity.prepare(&pod, &mut cluster.core.cache);
    cluster.core.cache.refresh();
    let cache = &cluster.core.cache;
    let scorer = InterPodAffinity.pre_score(&pod, cache, cache.order())?;
    let nodes = ["a1", "a2", "b1"].iter().filter_map(|name| cache.node_named(name));
    let mut scores: Vec<_> = nodes.map(|node| scorer.score(node)).collect();
    scorer.normalize(&mut scores);
    Some(scores)
}

#[test]
fn liking_goes_both_ways() {
    let mut cluster = cluster();
    cluster.pod(MakePod::named("db").labels(DB).node("a1"));
    assert_eq!(scores(&mut cluster, MakePod::named("p")), None);
    let likes = MakePod::named("p").prefers_near(4, pod_term("zone", DB)).prefers_near(4, pod_term(HOST, DB));
    assert_eq!(scores(&mut cluster, likes), Some(vec![100, 50, 0]));
    let dislikes = MakePod::named("p").prefers_near(-3, pod_term(HOST, DB));
    assert_eq!(scores(&mut cluster, dislikes), Some(vec![0, 100, 100]));
    cluster.pod(MakePod::named("fan").prefers_near(2, pod_term(HOST, WEB)).node("b1"));
    cluster.pod(MakePod::named("needs").near(pod_term(HOST, WEB)).node("a2"));
    assert_eq!(scores(&mut cluster, MakePod::named("p").labels(WEB)), Some(vec![0, 50, 100]));
}

/// Whether a node may take the pod, from the definition: looks at every pod.
fn by_definition(cache: &Cache, pod: &PodInfo, node: &NodeInfo) -> bool {
    let place = |node: &NodeInfo, term: &Term| {
        node.node.metadata.labels.as_ref().and_then(|labels| labels.get(&term.topology_key)).cloned()
    };
    let means = |term: &Term, pod: &PodInfo| term.matcher().matches(pod, &cache.namespaces);
    let all = || {
        let nodes = cache.order().iter().map(|slot| cache.node(*slot));
        nodes.flat_map(|there| there.pods.iter().map(move |other| (there, other)))
    };
    let together = |there: &NodeInfo, term: &Term| {
        place(node, term).is_some_and(|place_here| place(there, term) == Some(place_here))
    };
    let apart = pod
        .terms
        .apart
        .iter()
        .all(|term| all().all(|(there, other)| !means(term, other) || !together(there, term)));
    let welcome = all().all(|(there, other)| {
        other.terms.apart.iter().all(|term| !means(term, pod) || !together(there, term))
    });
    let meant = |other: &PodInfo| pod.terms.near.iter().all(|term| means(term, other));
    let labelled = pod.terms.near.iter().all(|term| place(node, term).is_some());
    let near =
        pod.terms.near.iter().all(|term| all().any(|(there, other)| meant(other) && together(there, term)));
    // A pod on a node that is in no place is nowhere near anything.
    let is_somewhere = |there: &NodeInfo| pod.terms.near.iter().any(|term| place(there, term).is_some());
    let is_first = meant(pod) && all().all(|(there, other)| !meant(other) || !is_somewhere(there));
    apart && welcome && labelled && (near || is_first)
}

fn some_pod(at: usize) -> MakePod {
    let pod = MakePod::named(&format!("on-{at}")).labels(if at.is_multiple_of(2) { WEB } else { DB });
    match at {
        0 => pod.apart(pod_term("zone", DB)),
        1 => pod.apart(pod_term(HOST, WEB)).near(pod_term("zone", WEB)),
        2 => pod.prefers_near(1, pod_term(HOST, WEB)),
        _ => pod,
    }
}

proptest! {
    /// Pods and nodes come and go, and what was asked for early stays true.
    #[test]
    fn what_is_kept_and_a_look_at_every_pod_agree(
        steps in proptest::collection::vec((0..4usize, 0..6usize, 0..3usize), 1..40),
        kind in 0..4usize,
    ) {
        let pod = match kind {
            0 => MakePod::named("p").labels(WEB),
            1 => MakePod::named("p").labels(WEB).apart(pod_term("zone", WEB)),
            2 => MakePod::named("p").labels(WEB).near(pod_term("zone", WEB)),
            _ => MakePod::named("p").labels(DB).near(pod_term(HOST, WEB)).apart(pod_term("zone", DB)),
        };
        let mut cluster = Cluster::new([]);
        for (what, pod_at, node_at) in steps {
            let name = format!("n{node_at}");
            let zone = ["a", "b", ""][(node_at + pod_at) % 3];
            match what {
                0 => cluster.node(node(&name, zone)),
                1 => cluster.pod(some_pod(pod_at).node(&name)),
                2 => cluster.remove_pod(&format!("on-{pod_at}")),
                _ => cluster.remove_node(node(&name, zone)),
            }
            let names = allowed(&mut cluster, &pod);
            let (cache, info) = (&cluster.core.cache, pod.clone().info());
            let nodes = cache.order().iter().map(|slot| cache.node(*slot));
            let nodes = nodes.filter(|node| by_definition(cache, &info, node));
            let mut expected: Vec<_> = nodes.map(|node| node.name.to_string()).collect();
            expected.sort();
            prop_assert_eq!(names, expected);
        }
    }
}
