//! Who lives, judged without a store.

use keelson_store_core::id::Revision;
use time::macros::datetime;

use super::*;

const CLOCK: OffsetDateTime = datetime!(2026-01-01 00:00:00 UTC);

fn lease(server: &str, address: &str, renewed: OffsetDateTime) -> Stored {
    let options = ServerOptions::new(server.to_owned(), "192.0.2.1".parse().unwrap(), 6443, String::new());
    let mut presence = Presence::of(&options);
    presence.address = address.parse().unwrap();
    Stored { object: presence.lease(&options, renewed), revision: Revision::ZERO, json: bytes::Bytes::new() }
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn a_lease_that_is_new_is_judged_by_the_clock() {
    let fresh = lease("one", "192.0.2.1:6443", CLOCK - time::Duration::seconds(14));
    let stale = lease("two", "192.0.2.2:6443", CLOCK - time::Duration::seconds(15));
    let ahead = lease("three", "192.0.2.3:6443", CLOCK + time::Duration::hours(1));
    let alive = Witness::default().alive(&[fresh, stale, ahead], CLOCK, Instant::now());
    assert_eq!(alive, addresses(&["192.0.2.1:6443", "192.0.2.3:6443"]));
}

#[test]
fn from_then_on_it_counts_that_it_changes() {
    let mut witness = Witness::default();
    let start = Instant::now();
    // The other server's clock is an hour behind.
    let behind = CLOCK - time::Duration::hours(1);
    let first = lease("one", "192.0.2.1:6443", behind);
    assert_eq!(witness.alive(std::slice::from_ref(&first), CLOCK, start), []);
    let renewed = lease("one", "192.0.2.1:6443", behind + time::Duration::seconds(5));
    let at = start + Duration::from_secs(5);
    assert_eq!(witness.alive(std::slice::from_ref(&renewed), CLOCK, at), addresses(&["192.0.2.1:6443"]));
    let late = at + Duration::from_secs(14);
    assert_eq!(witness.alive(std::slice::from_ref(&renewed), CLOCK, late).len(), 1);
    assert_eq!(witness.alive(&[renewed], CLOCK, at + DURATION), []);
}

#[test]
fn names_and_leases_are_what_the_api_allows() {
    let name = lease_name("a server with a name that no DNS knows");
    assert_eq!(keelson_api_schema::format::check_dns1123_label(&name), [""; 0]);
    let object = lease("one", "192.0.2.1:6443", CLOCK).object;
    assert_eq!(lease_resource().unwrap().strategy.validate(&object), []);
    assert_eq!(object.text(&["spec", "renewTime"]), "2026-01-01T00:00:00.000000Z");
    assert_eq!(object.text(&["metadata", "labels", "kubernetes.io/hostname"]), "one");
}
