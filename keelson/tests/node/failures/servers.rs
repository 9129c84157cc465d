//! What happens to the servers while pods run and clients write.

use serde_json::Value;

use super::undisturbed::{Containers, containers, is_undisturbed, serve};
use crate::kubectl::config_map;
use crate::lab::Lab;
use crate::machine;
use crate::servers::NAMES;
use crate::wait;
use crate::writing::Writing;

#[test]
fn whoever_leads_may_die() {
    if !machine::can_run("failures of servers") {
        return;
    }
    let mut lab = Lab::start("failures-of-servers");
    serve(&lab);
    let before = containers(&lab);
    the_leader_of_the_store_dies(&mut lab, &before);
    who_leads_a_lease_dies(&mut lab, "kube-controller-manager");
    who_leads_a_lease_dies(&mut lab, "kube-scheduler");
    lab.admin.ok("scale deployment web --replicas=2");
    let before = wait::until("two pods are left", || {
        let left = containers(&lab);
        if left.len() == 2 { Ok(left) } else { Err(format!("{left:?}")) }
    });
    two_of_three_die(&mut lab, &before);
}

fn the_leader_of_the_store_dies(lab: &mut Lab, before: &Containers) {
    let writing = Writing::start(&lab.admin);
    writing.goes_on(3);
    let leader = lab.servers.leader();
    lab.servers.kill(leader);
    let standstill = writing.goes_on(10);
    println!("a write was acknowledged {standstill:?} after the leader was killed, kubectl's start included");
    is_undisturbed(lab, before, "after-the-leader");
    lab.servers.start_missing();
    writing.goes_on(3);
    writing.stop().are_everywhere(&lab.servers);
}

/// The server that holds a Lease.
fn holder(lab: &Lab, lease: &str) -> usize {
    wait::until("somebody holds the Lease", || {
        let path = format!("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}");
        let lease = lab.api.get(&path)?;
        let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
        let index = NAMES.iter().position(|name| holder.split('_').next() == Some(name));
        index.ok_or_else(|| lease.to_string())
    })
}

fn who_leads_a_lease_dies(lab: &mut Lab, lease: &str) {
    let leads = holder(lab, lease);
    lab.servers.kill(leads);
    let replicas = lab.admin.ok("get deployment web -o jsonpath={.spec.replicas}");
    let more = replicas.parse::<u32>().unwrap() + 1;
    lab.admin.ok(&format!("scale deployment web --replicas={more}"));
    let count = |deployment: &Value| deployment["status"]["readyReplicas"].as_u64().unwrap_or_default();
    wait::until(&format!("a deployment grows without who led {lease}"), || {
        let deployment = lab.api.get("/apis/apps/v1/namespaces/default/deployments/web")?;
        if count(&deployment) == u64::from(more) { Ok(()) } else { Err(deployment["status"].to_string()) }
    });
    assert_ne!(holder(lab, lease), leads);
    lab.servers.start_missing();
}

fn two_of_three_die(lab: &mut Lab, before: &Containers) {
    lab.servers.kill(0);
    lab.servers.kill(1);
    let refused = wait::until("writes are refused", || {
        let object = config_map("meanwhile").to_string();
        let printed = lab.admin.run_with(&["create", "-f", "-", "--validate=false"], &object);
        if printed.err.starts_with("Error from server (") {
            Ok(printed.err)
        } else {
            Err(format!("{printed:?}"))
        }
    });
    let has_reason = ["(Timeout): ", "(ServiceUnavailable): "].iter().any(|reason| refused.contains(reason));
    assert!(has_reason && refused.contains("quorum"), "{refused}");
    super::undisturbed::answers(lab);
    lab.servers.launch_missing();
    lab.wait_until_well();
    is_undisturbed(lab, before, "after-two");
}
