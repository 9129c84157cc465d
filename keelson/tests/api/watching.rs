//! `kubectl get --watch`.

use serde_json::{Value, json};

use crate::direct::{self, Asking};
use crate::following::Following;
use crate::kubectl::{self, Kubectl, config_map};
use crate::servers::Servers;
use crate::wait;

#[test]
fn a_watch_shows_every_change_in_order_whichever_server_took_it() {
    if !kubectl::is_there("watching") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    admin.create(&[], &config_map("first"));
    let arguments =
        ["get", "configmaps", "--watch", "-o", "name", "--field-selector=metadata.name!=kube-root-ca.crt"];
    let watch = Following::start(&admin, &arguments);
    assert_eq!(watch.next(), "configmap/first");
    for round in 0..6 {
        let own = format!("--server={}", servers.url(round % 3));
        admin.create(&[&own], &config_map(&format!("round-{round}")));
        assert_eq!(watch.next(), format!("configmap/round-{round}"));
    }
    admin.ok("delete configmap first");
    assert_eq!(watch.next(), "configmap/first", "the deletion");

    let events = Following::start(
        &admin,
        &["get", "configmaps", "--watch-only", "--output-watch-events", "--no-headers"],
    );
    // The watch begins at a moment nobody tells; changes are made until one is seen.
    let seen = wait::until("a change is seen", || {
        admin.ok("label configmap round-0 --overwrite turn=odd");
        admin.ok("label configmap round-0 --overwrite turn=even");
        events.lines.try_recv().map_err(|error| error.to_string())
    });
    assert!(seen.starts_with("MODIFIED") && seen.contains("round-0"), "{seen}");
}

#[test]
fn a_watch_goes_on_at_its_revision_on_every_server_also_on_one_that_started_since() {
    let mut servers = Servers::start();
    let maps = "/api/v1/namespaces/kube-public/configmaps";
    let list = direct::get(&servers, 0, Asking::Admin, maps).unwrap();
    let list: Value = serde_json::from_str(&list).unwrap();
    let begun = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    for number in 0..9 {
        let map = json!({"metadata": {"name": format!("map-{number}")}, "data": {"n": number.to_string()}});
        direct::post(&servers, number % 3, maps, &map).unwrap();
    }
    let selected = "fieldSelector=metadata.name!%3Dkube-root-ca.crt";
    let since = |servers: &Servers, server: usize, revision: &str| {
        let path = format!("{maps}?watch=1&timeoutSeconds=1&resourceVersion={revision}&{selected}");
        direct::get(servers, server, Asking::Admin, &path).unwrap()
    };
    let whole = since(&servers, 0, &begun);
    assert_eq!(whole.lines().count(), 9, "{whole}");
    // After each event a client may find its server gone, and ask another one.
    for (seen, line) in whole.lines().enumerate() {
        let event: Value = serde_json::from_str(line).unwrap();
        let revision = event["object"]["metadata"]["resourceVersion"].as_str().unwrap();
        let rest: Vec<&str> = whole.lines().skip(seen + 1).collect();
        let there = since(&servers, seen % 3, revision);
        assert_eq!(there.lines().collect::<Vec<_>>(), rest, "after {revision}");
    }
    servers.kill(1);
    servers.start_missing();
    assert_eq!(since(&servers, 1, &begun), whole, "from a server whose cache has seen none of it happen");
}
