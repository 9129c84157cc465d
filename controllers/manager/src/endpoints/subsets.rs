//! Packing of addresses into the subsets of Endpoints.
//!
//! In: which address offers which port, and whether it is ready. Out: subsets in their one canonical form: addresses
//! that offer the same ports are listed once with all those ports, everything sorted. Deliberately absent: upstream's
//! order of subsets, which is that of their hashes and tells nobody anything.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset};

/// How many addresses one Endpoints object may list.
pub(super) const CAPACITY: usize = 1000;

/// An address, its port (`None` if the Service has none), and whether it is ready.
pub(super) struct Offer {
    pub(super) address: EndpointAddress,
    pub(super) port: Option<EndpointPort>,
    pub(super) is_ready: bool,
}

/// What tells addresses apart: two pods can have one address, that of their host.
type AddressKey = (String, String);

/// What tells ports apart, in the order in which they are listed.
type PortKey = Option<(i32, String, String, String)>;

/// The subsets that say the same as these offers. An address that is both ready and not for one port is not.
pub(super) fn pack(offers: Vec<Offer>) -> Vec<EndpointSubset> {
    let mut addresses: BTreeMap<AddressKey, EndpointAddress> = BTreeMap::new();
    let mut ports: BTreeMap<PortKey, (Option<EndpointPort>, BTreeMap<AddressKey, bool>)> = BTreeMap::new();
    for Offer { address, port, is_ready } in offers {
        let key = address_key(&address);
        let (_, offering) = ports.entry(port_key(port.as_ref())).or_insert_with(|| (port, BTreeMap::new()));
        offering.entry(key.clone()).and_modify(|ready| *ready &= is_ready).or_insert(is_ready);
        addresses.entry(key).or_insert(address);
    }
    let mut groups: BTreeMap<BTreeMap<AddressKey, bool>, Vec<EndpointPort>> = BTreeMap::new();
    for (port, offering) in ports.into_values() {
        groups.entry(offering).or_default().extend(port);
    }
    let mut subsets: Vec<EndpointSubset> =
        groups.into_iter().map(|(offering, ports)| subset(&offering, ports, &addresses)).collect();
    subsets.sort_by_cached_key(|subset| subset.ports.iter().flatten().map(|port| port_key(Some(port))).min());
    subsets
}

fn subset(
    offering: &BTreeMap<AddressKey, bool>,
    ports: Vec<EndpointPort>,
    addresses: &BTreeMap<AddressKey, EndpointAddress>,
) -> EndpointSubset {
    let of = |wanted: bool| {
        let chosen = offering.iter().filter(|(_, ready)| **ready == wanted);
        chosen.filter_map(|(key, _)| addresses.get(key).cloned()).collect::<Vec<_>>()
    };
    EndpointSubset {
        addresses: Some(of(true)).filter(|all| !all.is_empty()),
        not_ready_addresses: Some(of(false)).filter(|all| !all.is_empty()),
        ports: Some(ports).filter(|all| !all.is_empty()),
    }
}

fn address_key(address: &EndpointAddress) -> AddressKey {
    let uid = address.target_ref.as_ref().and_then(|target| target.uid.clone());
    (address.ip.clone(), uid.unwrap_or_default())
}

fn port_key(port: Option<&EndpointPort>) -> PortKey {
    let port = port?.clone();
    let text = Option::unwrap_or_default;
    Some((port.port, text(port.name), text(port.protocol), text(port.app_protocol)))
}

/// Leaves no more than [`CAPACITY`] addresses, ready ones before others, each subset its share; whether some were cut.
pub(super) fn truncate(subsets: &mut [EndpointSubset]) -> bool {
    let count = |of: fn(&EndpointSubset) -> &Option<Vec<EndpointAddress>>| {
        subsets.iter().map(|subset| of(subset).as_ref().map_or(0, Vec::len)).sum::<usize>()
    };
    let ready = count(|subset| &subset.addresses);
    let not_ready = count(|subset| &subset.not_ready_addresses);
    if ready + not_ready <= CAPACITY {
        return false;
    }
    if ready > CAPACITY {
        subsets.iter_mut().for_each(|subset| subset.not_ready_addresses = None);
        share(subsets.iter_mut().map(|subset| &mut subset.addresses), ready, CAPACITY);
    } else {
        share(subsets.iter_mut().map(|subset| &mut subset.not_ready_addresses), not_ready, CAPACITY - ready);
    }
    true
}

/// Cuts lists with `total` entries down to `room` together, each in proportion, rounded up: the last gets what is left.
fn share<'a>(
    lists: impl Iterator<Item = &'a mut Option<Vec<EndpointAddress>>>,
    total: usize,
    mut room: usize,
) {
    let all = room;
    for list in lists {
        let Some(addresses) = list else { continue };
        addresses.truncate((addresses.len() * all).div_ceil(total).min(room));
        room -= addresses.len();
        if addresses.is_empty() {
            *list = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ObjectReference;

    use super::*;

    fn address(ip: &str, uid: &str) -> EndpointAddress {
        let target = ObjectReference { uid: Some(uid.into()), ..ObjectReference::default() };
        EndpointAddress { ip: ip.into(), target_ref: Some(target), ..EndpointAddress::default() }
    }

    fn port(number: i32) -> EndpointPort {
        EndpointPort { name: Some(format!("p{number}")), port: number, ..EndpointPort::default() }
    }

    fn offer(ip: &str, number: i32, is_ready: bool) -> Offer {
        Offer { address: address(ip, ip), port: Some(port(number)), is_ready }
    }

    /// `ready/not ready:ports` of every subset.
    fn told(subsets: &[EndpointSubset]) -> Vec<String> {
        let ips = |list: &Option<Vec<EndpointAddress>>| {
            list.iter().flatten().map(|address| address.ip.as_str()).collect::<Vec<_>>().join(",")
        };
        let ports = |subset: &EndpointSubset| {
            subset.ports.iter().flatten().map(|port| port.port.to_string()).collect::<Vec<_>>().join(",")
        };
        let tell = |subset: &EndpointSubset| {
            format!("{}/{}:{}", ips(&subset.addresses), ips(&subset.not_ready_addresses), ports(subset))
        };
        subsets.iter().map(tell).collect()
    }

    #[test]
    fn addresses_with_the_same_ports_share_a_subset() {
        let subsets = pack(vec![
            offer("10.0.0.2", 80, true),
            offer("10.0.0.2", 443, true),
            offer("10.0.0.1", 443, true),
            offer("10.0.0.1", 80, true),
            offer("10.0.0.3", 80, false),
            offer("10.0.0.3", 443, false),
        ]);
        assert_eq!(told(&subsets), ["10.0.0.1,10.0.0.2/10.0.0.3:80,443"]);
    }

    #[test]
    fn a_named_port_with_different_numbers_makes_different_subsets() {
        let subsets = pack(vec![offer("10.0.0.1", 8080, true), offer("10.0.0.2", 80, true)]);
        assert_eq!(told(&subsets), ["10.0.0.2/:80", "10.0.0.1/:8080"]);
    }

    #[test]
    fn addresses_without_ports_are_kept() {
        let offers =
            ["10.0.0.1", "10.0.0.2"].map(|ip| Offer { address: address(ip, ip), port: None, is_ready: true });
        assert_eq!(told(&pack(offers.into())), ["10.0.0.1,10.0.0.2/:"]);
    }

    #[test]
    fn pods_on_one_host_address_are_two() {
        let on_host = |uid: &str, is_ready: bool| Offer {
            address: address("192.0.2.1", uid),
            port: Some(port(80)),
            is_ready,
        };
        let subsets = pack(vec![on_host("a", true), on_host("b", true), on_host("b", false)]);
        assert_eq!(told(&subsets), ["192.0.2.1/192.0.2.1:80"], "and what is once not ready is not ready");
    }

    #[test]
    fn of_too_many_the_ready_ones_stay_and_every_subset_keeps_its_share() {
        let many = |from: usize, count: usize, number: i32, is_ready: bool| {
            (from..from + count).map(move |at| Offer {
                address: address(&format!("10.0.{}.{}", at / 256, at % 256), &at.to_string()),
                port: Some(port(number)),
                is_ready,
            })
        };
        let sizes = |subsets: &[EndpointSubset]| {
            let len = |list: &Option<Vec<EndpointAddress>>| list.as_ref().map_or(0, Vec::len);
            subsets.iter().map(|it| (len(&it.addresses), len(&it.not_ready_addresses))).collect::<Vec<_>>()
        };
        let mut fits = pack(many(0, 900, 1, true).chain(many(900, 100, 1, false)).collect());
        assert!(!truncate(&mut fits));
        let mut mixed = pack(many(0, 900, 1, true).chain(many(900, 300, 1, false)).collect());
        assert!(truncate(&mut mixed));
        assert_eq!(sizes(&mixed), [(900, 100)]);
        let mut ready = pack(
            many(0, 1500, 1, true).chain(many(1500, 500, 2, true)).chain(many(2000, 9, 2, false)).collect(),
        );
        assert!(truncate(&mut ready));
        assert_eq!(sizes(&ready), [(750, 0), (250, 0)]);
        assert!(!truncate(&mut ready), "what was cut is not cut again");
    }
}
