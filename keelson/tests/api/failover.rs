//! Servers that die while others are used.

use std::time::Duration;

use crate::direct::{self, Asking};
use crate::kubectl::{self, Kubectl, config_map};
use crate::servers::Servers;
use crate::writing::Writing;

/// How long writes may stand still on a machine that does other things, too. The aim is 2 s.
const STANDSTILL: Duration = Duration::from_secs(15);

#[test]
fn no_acknowledged_write_is_lost_when_the_leader_is_killed_and_writes_go_on() {
    if !kubectl::is_there("failover") {
        return;
    }
    let mut servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let writing = Writing::start(&admin);
    writing.goes_on(3);
    let leader = servers.leader();
    servers.kill(leader);
    let standstill = writing.goes_on(10);
    println!(
        "failover: a write was acknowledged {standstill:?} after the leader was killed, kubectl's start included"
    );
    assert!(standstill < STANDSTILL, "{standstill:?}");
    servers.start_missing();
    writing.goes_on(3);
    writing.stop().are_everywhere(&servers);
}

#[test]
fn without_a_majority_nothing_is_served_clearly_and_all_resumes() {
    if !kubectl::is_there("no majority") {
        return;
    }
    let mut servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    admin.create(&[], &config_map("before"));
    servers.kill(0);
    servers.kill(1);
    let config_maps = "/api/v1/namespaces/default/configmaps";
    let get = |path: &str| direct::get(&servers, 2, Asking::Admin, path);
    for path in [&format!("{config_maps}/before"), &format!("{config_maps}?resourceVersion=0")] {
        let refused = get(path).unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (504, "Timeout"), "{refused:?}");
        assert!(refused.message.contains("no quorum confirmed the read"), "{refused:?}");
    }
    let refused = direct::post(&servers, 2, config_maps, &config_map("meanwhile")).unwrap_err();
    assert!(matches!(refused.code, 503 | 504) && !refused.message.is_empty(), "{refused:?}");
    assert_eq!(get("/livez").unwrap(), "ok");
    assert!(get("/readyz").unwrap_err().message.contains("[-]etcd failed"));
    let report = servers.status(&[]);
    let table = String::from_utf8(report.stdout.clone()).unwrap();
    assert!(!report.status.success() && table.contains("only 1 of 3 voters answer"), "{report:?}");

    servers.start_missing();
    admin.ok("get configmap before");
    admin.create(&[], &config_map("after"));
}

#[test]
fn everything_acknowledged_is_there_after_all_servers_were_killed_at_once() {
    if !kubectl::is_there("all killed") {
        return;
    }
    let mut servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let writing = Writing::start(&admin);
    writing.goes_on(5);
    (0..3).for_each(|server| servers.kill(server));
    let acknowledged = writing.stop();
    servers.start_missing();
    acknowledged.are_everywhere(&servers);
    let version = admin.ok("get configmap write-004 -o jsonpath={.metadata.resourceVersion}");
    admin.create(&[], &config_map("later"));
    let later = admin.ok("get configmap later -o jsonpath={.metadata.resourceVersion}");
    assert!(later.parse::<u64>().unwrap() > version.parse::<u64>().unwrap(), "{later} after {version}");
}
