//! Pods, from their start to their end: what their manifests say comes true in real containers.

mod configuration;
mod containers;
mod evictions;
mod images;
mod machine_wide;
mod probes;
mod resources;
mod security;
mod tokens;
mod volumes;

use crate::lab::Lab;
use crate::machine;
use crate::scenario::{self, Scenario};

const SCENARIOS: &[Scenario] = &[
    ("init containers come first and in order", containers::init_containers_come_first),
    ("sidecars run beside", containers::sidecars_run_beside),
    ("what fails is restarted later and later", containers::restarted_later_and_later),
    ("restart policies", containers::restart_policies),
    ("logs of several containers", containers::logs_of_several),
    ("ends in order", containers::ends_in_order),
    ("time is up", containers::time_is_up),
    ("probes that kill", probes::liveness_and_startup),
    ("environment in all forms", configuration::environment),
    ("what is missing is waited for", configuration::missing_references),
    ("files that follow their objects", volumes::files_follow_their_objects),
    ("volumes of the node", volumes::of_the_node),
    ("tokens", tokens::a_pod_speaks_with_the_servers),
    ("limits", resources::limits),
    ("resized", resources::resized),
    ("too large", resources::too_large_for_the_node),
    ("images that are not there", images::images_that_are_not_there),
    ("evictions wait for budgets", evictions::budgets_are_kept),
    ("users and rights", security::users_and_rights),
    ("ports of the node", machine_wide::host_network_and_ports),
];

#[test]
fn what_manifests_say_comes_true() {
    if !machine::can_run("pods") {
        return;
    }
    let lab = Lab::start("pods");
    scenario::run(&lab, SCENARIOS);
}
