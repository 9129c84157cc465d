//! What happens to the node while servers run.

use crate::lab::Lab;
use crate::machine;
use crate::servers::NAMES;
use crate::wait;

use super::undisturbed::{Containers, answers, containers, is_undisturbed, newcomers_are_welcome, serve};

#[test]
fn pods_outlive_agent_runtime_and_servers_and_return_after_a_power_cut() {
    if !machine::can_run("failures of the node") {
        return;
    }
    let mut lab = Lab::start("failures-of-the-node");
    serve(&lab);
    let before = containers(&lab);
    assert_eq!(before.len(), 2, "{before:?}");
    the_agent_dies(&mut lab, &before);
    the_runtime_dies(&mut lab, &before);
    the_agents_server_dies(&mut lab, &before);
    all_servers_die(&mut lab, &before);
    everything_dies(&mut lab, &before);
}

fn the_agent_dies(lab: &mut Lab, before: &Containers) {
    lab.take_agent().kill();
    lab.start_agent();
    is_undisturbed(lab, before, "after-the-agent");
}

fn the_runtime_dies(lab: &mut Lab, before: &Containers) {
    lab.kill_containerd();
    answers(lab);
    lab.start_containerd();
    lab.wait_until_well();
    is_undisturbed(lab, before, "after-the-runtime");
}

fn the_agents_server_dies(lab: &mut Lab, before: &Containers) {
    let used = lab.server_of_the_agent();
    lab.servers.kill(used);
    let other = wait::until("the agent uses another server", || {
        let other = lab.server_of_the_agent();
        if other == used { Err(NAMES[used].to_owned()) } else { Ok(other) }
    });
    println!("the agent went over from {} to {}", NAMES[used], NAMES[other]);
    is_undisturbed(lab, before, "after-the-agents-server");
    lab.servers.start_missing();
}

fn all_servers_die(lab: &mut Lab, before: &Containers) {
    (0..NAMES.len()).for_each(|index| lab.servers.kill(index));
    answers(lab);
    lab.servers.launch_missing();
    lab.wait_until_well();
    is_undisturbed(lab, before, "after-the-servers");
}

/// As a power cut does: containers, too. What is on the disk stays.
fn everything_dies(lab: &mut Lab, before: &Containers) {
    let objects = || lab.admin.ok("get deployments,replicasets,services,pods,configmaps,secrets -A -o name");
    let known = objects();
    (0..NAMES.len()).for_each(|index| lab.servers.kill(index));
    lab.take_agent().kill();
    lab.cut_power_of_containerd();
    lab.fetch(&lab.node_network, "http://10.96.100.100/who").expect_err("nobody is there any more");

    lab.start_containerd();
    lab.start_agent();
    lab.servers.launch_missing();
    lab.wait_until_well();
    let is_back = wait::until("the pods run again", || {
        let now = containers(lab);
        let is_back = now.values().all(|(_, restarts)| *restarts == 1);
        if is_back { Ok(now) } else { Err(format!("{now:?}")) }
    });
    assert!(is_back.keys().eq(before.keys()), "they are the same pods: {is_back:?} {before:?}");
    lab.admin.ok("wait --for=condition=Ready pods -l app=web --timeout=60s");
    answers(lab);
    newcomers_are_welcome(lab, "after-the-power-cut");
    assert_eq!(
        lab.admin.ok("get deployments,replicasets,services,pods,configmaps,secrets -A -o name"),
        known
    );
}
