//! Scenarios that share a lab, because none disturbs another: each has a namespace of its own, and several run at the
//! same time, since most of their time is waiting.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use crate::lab::Lab;
use crate::space::Space;
use crate::wait;

/// A name, of which the namespace's is made, and what happens.
pub(crate) type Scenario = (&'static str, fn(&Space<'_>));

const AT_ONCE: usize = 8;

/// When it is set, only scenarios run in whose names its text is.
const ONLY: &str = "KEELSON_SCENARIO";

/// Runs all to their ends, and fails if one did, with all their names. Nothing may be left of their pods.
pub(crate) fn run(lab: &Lab, scenarios: &[Scenario]) {
    let only = std::env::var(ONLY).unwrap_or_default();
    let chosen: VecDeque<Scenario> =
        scenarios.iter().filter(|(name, _)| name.contains(&only)).copied().collect();
    make_namespaces(lab, &chosen);
    let (waiting, failed) = (Mutex::new(chosen), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(scenario) = next(&waiting) {
                    if !is_well(lab, scenario) {
                        failed.lock().unwrap().push(scenario.0);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these failed: {failed:?}; {ONLY}=TEXT runs some alone");
    lab.nothing_remains();
}

fn next(waiting: &Mutex<VecDeque<Scenario>>) -> Option<Scenario> {
    waiting.lock().unwrap().pop_front()
}

/// In a thread with the scenario's name, which a panic prints.
fn is_well(lab: &Lab, (name, happens): Scenario) -> bool {
    let began = Instant::now();
    let space = Space::named(lab, &namespace(name));
    let is_well = thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn_scoped(scope, || happens(&space)).unwrap().join().is_ok()
    });
    println!("{}: {name}: {:.1?}", if is_well { "ok" } else { "FAILED" }, began.elapsed());
    if is_well {
        space.ok("delete pods --all --grace-period=1 --wait=false");
        lab.admin.ok(&format!("delete namespace {} --wait=false", space.name));
    } else {
        let seen = space.run(&["get", "events,pods,services,endpointslices", "-o", "wide"]);
        println!("--- {name}\n{}{}---", seen.out, seen.err);
    }
    is_well
}

fn namespace(name: &str) -> String {
    name.replace(' ', "-")
}

/// All at once, with what pods in them need.
fn make_namespaces(lab: &Lab, scenarios: &VecDeque<Scenario>) {
    let names: Vec<String> = scenarios.iter().map(|(name, _)| namespace(name)).collect();
    let manifest: String = names
        .iter()
        .map(|name| format!("---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}\n"))
        .collect();
    lab.admin.run_with(&["create", "-f", "-"], &manifest).ok();
    for name in names {
        let account = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
        wait::until("the service account is there", || lab.api.get(&account));
    }
}
