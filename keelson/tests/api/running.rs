//! Starting, stopping and looking at servers.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kubectl::{self, Kubectl, config_map};
use crate::network::Network;
use crate::process::{self, Process};
use crate::servers::{NAMES, Servers};
use crate::wait;

#[test]
fn a_server_that_is_asked_to_stop_hands_over_and_exits_in_peace() {
    if !kubectl::is_there("running") {
        return;
    }
    let mut servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let leader = servers.leader();
    let began = Instant::now();
    let status = servers.take(leader).stop();
    println!("running: the leader stopped within {:?}", began.elapsed());
    assert_eq!(status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(20));
    admin.create(&[], &config_map("after"));
    let endpoints = admin.ok("get endpointslices -l kubernetes.io/service-name=kubernetes -o wide");
    assert!(!endpoints.contains(&format!("127.0.0.{}", leader + 2)), "it is still an endpoint: {endpoints}");
    servers.start_missing();

    let report = servers.status(&["-o", "json"]);
    let json: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(json["problems"], serde_json::json!([]));
    let roles: Vec<&str> =
        json["servers"].as_array().unwrap().iter().map(|row| row["role"].as_str().unwrap()).collect();
    assert_eq!(roles.iter().filter(|role| **role == "leader").count(), 1, "{roles:?}");
    assert_eq!(roles.iter().filter(|role| **role == "follower").count(), 2, "{roles:?}");
}

#[test]
fn a_server_that_has_lost_its_disk_is_removed_and_joins_anew() {
    if !kubectl::is_there("running") {
        return;
    }
    let mut servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let lost = servers.leader();
    let said =
        |output: std::process::Output| String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let refused = servers.ask(&["remove-server", NAMES[lost]]);
    assert!(!refused.status.success());
    assert!(said(refused).contains("runs: stop it first"), "a server that runs is not lost");
    servers.kill(lost);
    admin.create(&[], &config_map("before"));
    let removed = servers.ask(&["remove-server", NAMES[lost]]);
    assert!(removed.status.success(), "{removed:?}");
    assert!(said(servers.ask(&["remove-server", NAMES[lost]])).contains("no server is called"));
    fs::remove_dir_all(servers.file(&format!("data-{}", NAMES[lost]))).unwrap();
    let arguments = [servers.arguments(lost), vec!["--initial-cluster-state=existing".to_owned()]].concat();
    let _anew = Process::spawn(servers.network(), &arguments, servers.file("anew.log"));
    wait::until("it is one of three voters again", || {
        let report = servers.status(&["-o", "json"]);
        let json: Value = serde_json::from_slice(&report.stdout).map_err(|error| error.to_string())?;
        let mut roles: Vec<_> =
            json["servers"].as_array().into_iter().flatten().map(|server| &server["role"]).collect();
        roles.sort_by_key(|role| role.to_string());
        if roles == ["follower", "follower", "leader"] { Ok(()) } else { Err(json.to_string()) }
    });
    // It counts, and has what was written without it.
    servers.kill((lost + 1) % 3);
    wait::until("two of three suffice", || {
        let found = admin.run(&["get", "configmap", "before"]);
        if found.succeeded { Ok(()) } else { Err(found.err) }
    });
}

#[test]
fn what_is_wrong_with_a_start_is_said_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent");
    let refused = process::run(&Network::default(), &["server", "--pki-dir", absent.to_str().unwrap()]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success());
    assert!(text.contains("servers/default/serving.crt") && text.contains("keelson pki init"), "{text}");

    let refused = process::run(&Network::default(), &["server", "--listen", "0.0.0.0:6443"]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("give --advertise-address"), "{text}");

    let nobody = folder.path().join("nobody.kubeconfig");
    let refused = process::run(&Network::default(), &["status", "--kubeconfig", nobody.to_str().unwrap()]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && text.contains("cannot use the kubeconfig file"), "{text}");
}
