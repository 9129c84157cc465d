//! `kubectl get --watch`.

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
