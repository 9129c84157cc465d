//! Choices without a store.

use futures_util::future::join_all;

use super::*;
use crate::{storage::WriteFailure, testing::with_store};

fn allocator() -> Allocator {
    Allocator::new("10.96.0.0/16".parse().unwrap(), 30_000..=30_003)
}

static NOTHING: BTreeSet<String> = BTreeSet::new();

fn nothing() -> Known<'static> {
    Known { held: &[], lost: &NOTHING }
}

fn service(spec: &Value) -> Object {
    Object(json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}))
}

#[test]
fn the_ends_of_a_range_are_left_out() {
    let range: Cidr = "10.96.0.0/30".parse().unwrap();
    let ips: Vec<u128> = usable(range).collect();
    assert_eq!(ips, [1, 2]);
    assert_eq!(usable("fd00::/126".parse().unwrap()).count(), 3);
    assert_eq!(usable("10.0.0.1/32".parse().unwrap()).count(), 0);
}

#[test]
fn an_address_of_ones_own_must_lie_in_a_range_unless_it_is_held() {
    let object = service(&json!({}));
    let ranges = ["10.96.0.0/16".parse().unwrap()];
    let check =
        |ip: &str, known: Known<'_>| check_address(&object, ip, &ranges, known).map_err(|e| e.message);
    assert_eq!(check("10.96.0.10", nothing()), Ok(()));
    assert_eq!(
        check("192.0.2.1", nothing()).unwrap_err(),
        "Service \"web\" is invalid: spec.clusterIPs: Invalid value: [\"192.0.2.1\"]: failed to allocate IP 192.0.2.1: \
         the provided IP (192.0.2.1) is not in the valid range. The range of valid IPs is 10.96.0.0/16"
    );
    let held =
        [Claim { key: address_key("192.0.2.1"), taken: FieldError::forbidden("spec", ""), object: None }];
    assert_eq!(check("192.0.2.1", Known { held: &held, lost: &NOTHING }), Ok(()));
}

#[test]
fn only_types_with_node_ports_wish_for_them() {
    let ports = json!([{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP", "nodePort": 30001}]);
    let numbers = |kind: &str| -> Vec<i64> {
        let object = service(&json!({"type": kind, "ports": ports}));
        port_wishes(&object).iter().map(|wish| wish.number).collect()
    };
    assert_eq!(numbers("ClusterIP"), [30_001]);
    assert_eq!(numbers("NodePort"), [0, 30_001]);
}

#[test]
fn ports_are_free_until_none_is() {
    let mut taken = BTreeSet::new();
    for _ in 0..4 {
        let port = allocator().free_port(&taken).unwrap();
        assert!((30_000..=30_003).contains(&port) && taken.insert(port));
    }
    assert_eq!(allocator().free_port(&taken).unwrap_err().code, 500);
}

#[test]
fn a_port_outside_of_the_range_is_refused() {
    let object = service(&json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}));
    let wish = &port_wishes(&object)[0];
    assert_eq!(
        allocator().check_port(&object, wish, nothing()).unwrap_err().message,
        "Service \"web\" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. \
         The range of valid ports is 30000-30003"
    );
}

#[test]
fn claims_that_are_objects_are_born_when_they_are_written() {
    let resource = resources::find("", "v1", "services").unwrap();
    let object =
        service(&json!({"type": "ClusterIP", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"]}));
    let now = time::macros::datetime!(2026-01-02 03:04:05.678 UTC);
    let claims = claims(resource, &object, now);
    for address in claims.iter().filter_map(|claim| claim.object.as_ref()) {
        assert_eq!(address.text(&["metadata", "creationTimestamp"]), "2026-01-02T03:04:05Z");
        assert_eq!(address.uid().len(), 36);
    }
}

/// Writes a Service as a writer does: chooses again what turned out to be somebody else's.
async fn create(objects: &ObjectStore, allocator: &Allocator, name: &str) -> Result<Object, ApiError> {
    let resource = resources::find("", "v1", "services").unwrap();
    let spec =
        json!({"type": "NodePort", "ipFamilies": ["IPv4"], "ports": [{"port": 80, "protocol": "TCP"}]});
    let mut lost = BTreeSet::new();
    loop {
        let mut object = service(&spec);
        object.set(&["kind"], "Service");
        object.set(&["apiVersion"], "v1");
        object.set(&["metadata", "name"], name);
        let known = Known { held: &[], lost: &lost };
        let chosen = allocator.fill(objects, resource, &mut object, known).await?;
        let claims = claims(resource, &object, OffsetDateTime::UNIX_EPOCH);
        match objects.create(resource, &object, &claims).await {
            Ok(stored) => return Ok(stored.object),
            Err(WriteFailure::Taken { claim, .. }) if chosen.contains(&claim) => drop(lost.insert(claim.key)),
            Err(failure) => return Err(failure.into()),
        }
    }
}

#[test]
fn writers_at_the_same_moment_get_different_addresses_and_ports() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        // Room for six addresses, so that choices collide.
        let allocator = Allocator::new("10.96.0.0/29".parse().unwrap(), 30_000..=30_015);
        let names = ["a", "b", "c", "d", "e", "f"];
        let made = join_all(names.map(|name| create(&objects, &allocator, name))).await;
        let made: Vec<Object> = made.into_iter().map(Result::unwrap).collect();
        let ips: BTreeSet<&str> = made.iter().map(|object| object.text(&["spec", "clusterIP"])).collect();
        assert_eq!(
            ips.into_iter().collect::<Vec<_>>(),
            ["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4", "10.96.0.5", "10.96.0.6",]
        );
        let ports: BTreeSet<i64> =
            made.iter().filter_map(|object| object.0["spec"]["ports"][0]["nodePort"].as_i64()).collect();
        assert_eq!(ports.len(), names.len());
        let full = create(&objects, &allocator, "g").await.unwrap_err();
        assert!(full.message.ends_with("failed to allocate a serviceIP: range is full"), "{}", full.message);
    });
}
