//! Upstream's conformance suite, as far as it needs no node: what each of its tests asks of a cluster, by its title.
//!
//! In: `conformance/titles.txt`, all titles of 1.37 that need the API server alone (`A0`) or controllers as well (`A1`),
//! shortened. Every title is either in the table of one area, with a scenario that does what upstream's test does, or
//! in [`MISSING`] with the reason. Out: [docs/conformance.md](../../../docs/conformance.md), written anew by
//! `UPDATE_GOLDEN=1`. Each scenario runs twice: its client speaks JSON, and protobuf, as upstream's own does.
//!
//! `KEELSON_CONFORMANCE` chooses the scenarios whose `suite: title` contains it.
//!
//! Deliberately absent: upstream's code. What needs containers that run is in the suite `node`.

mod auth;
mod chunking;
mod client;
mod cluster;
mod controllers;
mod events;
mod garbage_collector;
mod kubectl;
mod life;
mod machinery;
mod network;
mod node;
mod report;
mod resource_quota;
mod scheduling;
mod storage;
mod watch;
mod watchers;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use client::{Api, Wire};
use cluster::Cluster;

use crate::kubectl::is_there;
use crate::servers::Servers;

/// One of upstream's tests.
#[derive(Clone, Copy)]
pub(crate) struct Title {
    pub(crate) suite: &'static str,
    pub(crate) title: &'static str,
    pub(crate) scenario: fn(&Cluster<'_>),
}

impl Title {
    pub(crate) const fn new(suite: &'static str, title: &'static str, scenario: fn(&Cluster<'_>)) -> Self {
        Self { suite, title, scenario }
    }
}

/// What one file covers.
pub(crate) struct Area {
    /// The file's name.
    pub(crate) file: &'static str,
    pub(crate) titles: &'static [Title],
}

const AREAS: &[Area] = &[
    Area { file: "auth", titles: auth::TITLES },
    Area { file: "chunking", titles: chunking::TITLES },
    Area { file: "controllers", titles: controllers::TITLES },
    Area { file: "events", titles: events::TITLES },
    Area { file: "garbage_collector", titles: garbage_collector::TITLES },
    Area { file: "kubectl", titles: kubectl::TITLES },
    Area { file: "machinery", titles: machinery::TITLES },
    Area { file: "network", titles: network::TITLES },
    Area { file: "node", titles: node::TITLES },
    Area { file: "resource_quota", titles: resource_quota::TITLES },
    Area { file: "scheduling", titles: scheduling::TITLES },
    Area { file: "storage", titles: storage::TITLES },
    Area { file: "watchers", titles: watchers::TITLES },
];

/// Titles without a scenario: a suite, one of its titles or the empty text for all, and why.
const MISSING: &[(&str, &str, &str)] = &[
    ("AggregatedDiscovery", "aggregated discovery client interface, CRD", NO_CUSTOM_RESOURCES),
    ("AggregatedDiscovery", "raw endpoint, CRD", NO_CUSTOM_RESOURCES),
    ("CustomResourceDefinition Watch", "", NO_CUSTOM_RESOURCES),
    ("CustomResourceDefinition resources", "", NO_CUSTOM_RESOURCES),
    ("CustomResourcePublishOpenAPI", "", NO_CUSTOM_RESOURCES),
    ("FieldValidation", "create/apply CR with unknown fields, CRD without schema", NO_CUSTOM_RESOURCES),
    ("FieldValidation", "create/apply valid CR, CRD with schema", NO_CUSTOM_RESOURCES),
    ("FieldValidation", "reject CR with extra properties, CRD with schema", NO_CUSTOM_RESOURCES),
    ("FieldValidation", "detect duplicates in a CR when preserving unknown fields", NO_CUSTOM_RESOURCES),
    ("FieldValidation", "unknown metadata fields in root and embedded object of a CR", NO_CUSTOM_RESOURCES),
    ("MutatingAdmissionPolicy", "mutate a Deployment", NO_POLICIES),
    ("MutatingAdmissionPolicy", "mutate a Deployment with annotations", NO_POLICIES),
    ("ValidatingAdmissionPolicy", "allow expressions to refer variables", NO_POLICIES),
    ("ValidatingAdmissionPolicy", "validate against a Deployment", NO_POLICIES),
    ("Conformance Tests", "at least two untainted (schedulable, Ready) nodes", NO_NODES),
    ("CronJob", "not schedule jobs when suspended", NO_CONTROLLER),
    ("CronJob", "not schedule new jobs when ForbidConcurrent", NO_CONTROLLER),
    ("CronJob", "replace jobs when ReplaceConcurrent", NO_CONTROLLER),
    ("CronJob", "schedule multiple jobs concurrently", NO_CONTROLLER),
];

const NO_NODES: &str = "it is about nodes that run: see the suite `node`, which has one";
const NO_CUSTOM_RESOURCES: &str = "custom resources are not served yet";
const NO_POLICIES: &str = "admission policies are kept, and not evaluated yet";
const NO_CONTROLLER: &str = "its controller does not exist yet";

/// Short, for the title that waits until a version is compacted.
const HISTORY: &str = "--history-retention=20s";

/// How many scenarios run at once.
const AT_ONCE: usize = 4;

#[test]
fn every_title_is_covered_or_missing_for_a_reason() {
    report::check(AREAS, MISSING);
}

#[test]
fn what_upstreams_conformance_suite_asks_without_a_node_is_so() {
    if !is_there("conformance") {
        return;
    }
    let wanted = std::env::var("KEELSON_CONFORMANCE").unwrap_or_default();
    let is_wanted = |title: &Title| format!("{}: {}", title.suite, title.title).contains(&wanted);
    let titles: Vec<Title> =
        AREAS.iter().flat_map(|area| area.titles).filter(|title| is_wanted(title)).copied().collect();
    let servers = Servers::start_with(&[HISTORY]);
    let failures: Vec<String> =
        [Wire::Json, Wire::Protobuf].iter().flat_map(|wire| run(&servers, *wire, &titles)).collect();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

/// Runs them all. Answers those that failed, and why.
fn run(servers: &Servers, wire: Wire, titles: &[Title]) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let one_after_the_other = || {
        let api = Api::admin(servers, wire);
        while let Some(title) = titles.get(next.fetch_add(1, Ordering::Relaxed)) {
            let cluster = Cluster { api: api.clone(), servers };
            let name = format!("{wire:?}: {}: {}", title.suite, title.title);
            match catch_unwind(AssertUnwindSafe(|| (title.scenario)(&cluster))) {
                Ok(()) => println!("ok {name}"),
                Err(panic) => failures.lock().unwrap().push(format!("{name}: {}", said(&*panic))),
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(one_after_the_other);
        }
    });
    failures.into_inner().unwrap()
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text")
}
