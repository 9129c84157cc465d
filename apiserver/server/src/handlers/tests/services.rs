//! Services: what they claim for themselves in the cluster.

use futures_util::future::join_all;

use super::*;

const SERVICES: &str = "/api/v1/namespaces/shop/services";

fn service(name: &str, spec: Value) -> Value {
    let mut service = json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}});
    let Value::Object(fields) = spec else { panic!("a spec is an object") };
    for (field, value) in fields {
        service["spec"][field] = value;
    }
    service
}

fn address(service: &Value) -> String {
    service["spec"]["clusterIP"].as_str().unwrap().to_owned()
}

#[test]
fn a_service_gets_an_address_that_nobody_else_has_until_it_goes() {
    with_cluster(async |cluster| {
        let first = cluster.post(SERVICES, service("one", json!({}))).await;
        let wish = json!({"clusterIP": address(&first)});
        let error = cluster.post_refused(SERVICES, service("two", wish.clone())).await;
        assert_eq!((error.code.as_u16(), error.reason), (422, "Invalid"));
        assert!(error.message.contains("provided IP is already allocated"), "{}", error.message);
        let claim = format!("/apis/networking.k8s.io/v1/ipaddresses/{}", address(&first));
        let error = refused(cluster.delete(&claim, Value::Null).await);
        assert_eq!((error.code.as_u16(), error.reason), (403, "Forbidden"));
        assert!(
            error.message.ends_with("it is the cluster IP of Service shop/one, and goes with that"),
            "{}",
            error.message
        );
        cluster.delete(&format!("{SERVICES}/one"), Value::Null).await.unwrap();
        let second = cluster.post(SERVICES, service("two", wish)).await;
        assert_eq!(address(&second), address(&first));
    });
}

#[test]
fn services_that_are_made_at_once_in_a_narrow_range_never_share_an_address() {
    with_store(async |store| {
        // Eight addresses, of which a Service can have six.
        let cluster = Cluster {
            server: open_with(store, |options| {
                options.service_cluster_ip_range = "10.0.0.0/29".parse().unwrap()
            }),
        };
        cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "shop"}})).await;
        let names: Vec<_> = (0..6).map(|number| format!("s{number}")).collect();
        let made = join_all(names.iter().map(|name| cluster.post(SERVICES, service(name, json!({}))))).await;
        let mut addresses: Vec<_> = made.iter().map(address).collect();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), 6, "{addresses:?}");
    });
}

#[test]
fn a_service_that_becomes_a_node_port_gets_a_port_and_gives_it_back() {
    with_cluster(async |cluster| {
        let one = format!("{SERVICES}/one");
        cluster.post(SERVICES, service("one", json!({}))).await;
        let exposed = cluster.merge(&one, json!({"spec": {"type": "NodePort"}})).await.unwrap();
        let port = exposed.body["spec"]["ports"][0]["nodePort"].as_i64().unwrap();
        assert!((30_000..=32_767).contains(&port), "{port}");

        let wish = json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": port}]});
        let error = cluster.post_refused(SERVICES, service("two", wish.clone())).await;
        assert!(error.message.contains("provided port is already allocated"), "{}", error.message);
        let hidden = cluster.merge(&one, json!({"spec": {"type": "ClusterIP"}})).await.unwrap();
        assert_eq!(hidden.body["spec"]["ports"][0].get("nodePort"), None);
        cluster.post(SERVICES, service("two", wish)).await;
    });
}

#[test]
fn a_dry_run_shows_an_address_and_claims_none() {
    with_cluster(async |cluster| {
        let shown = cluster.post(&format!("{SERVICES}?dryRun=All"), service("one", json!({}))).await;
        let wish = json!({"clusterIP": address(&shown)});
        assert_eq!(address(&cluster.post(SERVICES, service("two", wish)).await), address(&shown));
    });
}
