//! Servers that die while others are used.

use std::time::{Duration, Instant};

use crate::direct::{self, Asking};
use crate::kubectl::{self, Kubectl, config_map};
use crate::servers::Servers;

/// How long writes may stand still on a machine that does other things, too. The aim is 2 s.
const STANDSTILL: Duration = Duration::from_secs(15);

#[test]
fn no_acknowledged_write_is_lost_when_the_leader_is_killed_and_writes_go_on() {
    if !kubectl::is_there("failover") {
        return;
    }
    let mut servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let mut acknowledged: Vec<String> = (0..5).map(|number| write(&admin, number).unwrap()).collect();
    let leader = servers.leader();
    servers.kill(leader);
    let killed = Instant::now();
    let mut first = None;
    for number in 5..60 {
        // A write may fail while there is no leader; then nothing is promised about it.
        if let Some(name) = write(&admin, number) {
            first.get_or_insert_with(|| killed.elapsed());
            acknowledged.push(name);
        }
        if acknowledged.len() >= 20 {
            break;
        }
    }
    let standstill = first.expect("writes go on");
    println!(
        "failover: a write was acknowledged {standstill:?} after the leader was killed, kubectl's start included"
    );
    assert!(standstill < STANDSTILL, "{standstill:?}");
    all_are_there(&servers, &admin, &acknowledged, leader);

    servers.start_missing();
    let own = format!("--server={}", servers.url(leader));
    let names = admin.ok(&format!("{own} get configmaps -o name"));
    assert!(
        acknowledged.iter().all(|name| names.contains(name.as_str())),
        "the restarted server lacks some: {names}"
    );
}

/// Creates a config map; its name if that was acknowledged.
fn write(admin: &Kubectl, number: usize) -> Option<String> {
    let name = format!("write-{number:03}");
    let object = config_map(&name).to_string();
    let written = admin.run_with(&["create", "-f", "-", "--request-timeout=10s"], &object);
    written.succeeded.then_some(name)
}

fn all_are_there(servers: &Servers, admin: &Kubectl, acknowledged: &[String], dead: usize) {
    for server in (0..3).filter(|server| *server != dead) {
        let names = admin.ok(&format!("--server={} get configmaps -o name", servers.url(server)));
        for name in acknowledged {
            assert!(names.contains(name.as_str()), "{name} is lost: {names}");
        }
    }
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
    let before: Vec<String> = (0..5).map(|number| write(&admin, number).unwrap()).collect();
    let version = admin.ok("get configmap write-004 -o jsonpath={.metadata.resourceVersion}");
    (0..3).for_each(|server| servers.kill(server));
    servers.start_missing();
    let names = admin.ok("get configmaps -o name");
    assert!(before.iter().all(|name| names.contains(name.as_str())), "{names}");
    admin.create(&[], &config_map("later"));
    let later = admin.ok("get configmap later -o jsonpath={.metadata.resourceVersion}");
    assert!(later.parse::<u64>().unwrap() > version.parse::<u64>().unwrap(), "{later} after {version}");
}
