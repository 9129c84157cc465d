//! Services: where their traffic goes, and which names they have.

mod addresses;
mod names;
mod readiness;

use crate::lab::Lab;
use crate::machine;
use crate::scenario::{self, Scenario};

const SCENARIOS: &[Scenario] = &[
    ("traffic reaches every endpoint", addresses::traffic_reaches_every_endpoint),
    ("traffic of another protocol", addresses::datagrams),
    ("nobody to ask", addresses::nobody_to_ask),
    ("one client one endpoint", addresses::affinity),
    ("endpoints by hand", addresses::endpoints_by_hand),
    ("endpoints follow readiness", readiness::endpoints_follow_readiness),
    ("names", names::of_services_and_pods),
    ("own name servers", names::of_pods_with_their_own_settings),
];

#[test]
fn traffic_and_names() {
    if !machine::can_run("services") {
        return;
    }
    let lab = Lab::start("services");
    scenario::run(&lab, SCENARIOS);
}
