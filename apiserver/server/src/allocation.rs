//! Which ClusterIPs and node ports a Service gets that does not name them.
//!
//! In: a prepared Service. Out: the same with every address and port that its type needs. What is chosen is only a
//! guess that it is free: the transaction that writes the Service also makes the claims, and fails where another
//! server was faster; then the writer calls again and says what was lost. So no two Services ever have the same.
//!
//! Addresses and ports that clients name come first from the lower end by custom; what is chosen here comes from the
//! upper end, and from the lower only when that is full.
//!
//! Deliberately absent: claims themselves (the registry's Service strategy), and any state between calls.
//!
//! Source: `pkg/registry/core/service/{ipallocator,portallocator,storage}`.

use std::{collections::BTreeSet, net::IpAddr, ops::RangeInclusive};

use keelson_api_registry::{
    cidr::Cidr,
    field::FieldError,
    kinds::service,
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
    strategy::Claim,
};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::{storage::ObjectStore, uid, write::identity::timestamp};

mod choice;

use choice::{Band, candidates};

/// Under which prefix node ports are claimed.
const NODE_PORTS: &str = "nodeports";

/// Chooses addresses and ports.
#[derive(Clone, Debug)]
pub struct Allocator {
    /// The addresses until the first ServiceCIDR exists.
    range: Cidr,
    ports: RangeInclusive<u16>,
}

/// What the writer of a Service knows before it asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// What the Service had before; it need not be in any range any more.
    pub(crate) held: &'a [Claim],
    /// The keys of claims that turned out to be somebody else's.
    pub(crate) lost: &'a BTreeSet<String>,
}

/// Which claims of an object the server chose, not the client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chosen {
    keys: BTreeSet<String>,
}

impl Chosen {
    /// Whether the server chose this, so that it may choose another.
    pub(crate) fn contains(&self, claim: &Claim) -> bool {
        self.keys.contains(&claim.key)
    }
}

/// What an object claims, with what only the moment of writing can give to claims that are objects themselves.
pub(crate) fn claims(resource: &ResourceInfo, object: &Object, now: OffsetDateTime) -> Vec<Claim> {
    let mut claims = resource.strategy.claims(object);
    for object in claims.iter_mut().filter_map(|claim| claim.object.as_mut()) {
        object.set(&["metadata", "uid"], uid::random());
        object.set(&["metadata", "creationTimestamp"], timestamp(now));
    }
    claims
}

impl Allocator {
    /// Over the addresses and ports that the operator gives to Services.
    pub fn new(range: Cidr, ports: RangeInclusive<u16>) -> Self {
        Self { range, ports }
    }

    /// Gives an object what it needs and does not name; does nothing to what is no Service.
    ///
    /// # Errors
    /// 422 for an address or a port outside of the ranges; 500 when nothing is free; 503 and 504 without a quorum.
    pub(crate) async fn fill(
        &self,
        objects: &ObjectStore,
        resource: &ResourceInfo,
        object: &mut Object,
        known: Known<'_>,
    ) -> Result<Chosen, ApiError> {
        let mut chosen = Chosen::default();
        if resource.group.is_empty() && resource.kind == "Service" {
            self.addresses(objects, object, known, &mut chosen)?;
            self.node_ports(objects, object, known, &mut chosen).await?;
        }
        Ok(chosen)
    }

    fn addresses(
        &self,
        objects: &ObjectStore,
        object: &mut Object,
        known: Known<'_>,
        chosen: &mut Chosen,
    ) -> Result<(), ApiError> {
        if !service::needs_cluster_ip(object) || service::is_headless(object) {
            return Ok(());
        }
        let ranges = self.ranges(objects);
        let mut ips: Vec<String> = object.list(&["spec", "clusterIPs"]).iter().map(text).collect();
        let families: Vec<String> = object.list(&["spec", "ipFamilies"]).iter().map(text).collect();
        for (at, family) in families.iter().enumerate() {
            match ips.get(at).filter(|ip| !ip.is_empty()) {
                Some(ip) => check_address(object, ip, &ranges, known)?,
                None => {
                    let ip = free_address(objects, object, (at, family), &ranges, known.lost)?.to_string();
                    chosen.keys.insert(address_key(&ip));
                    ips.truncate(at);
                    ips.push(ip);
                }
            }
        }
        if let Some(first) = ips.first() {
            object.set(&["spec", "clusterIP"], first.as_str());
            object.set(&["spec", "clusterIPs"], ips);
        }
        Ok(())
    }

    /// The ranges of all ServiceCIDRs that are there to stay; the operator's before there is any.
    fn ranges(&self, objects: &ObjectStore) -> Vec<Cidr> {
        let resource = resources::find("networking.k8s.io", "v1", "servicecidrs");
        let cached = resource.map(|resource| objects.cached(resource)).unwrap_or_default();
        let staying = cached.iter().map(|cached| cached.object()).filter(|object| !object.is_being_deleted());
        let ranges: Vec<Cidr> = staying
            .flat_map(|object| object.list(&["spec", "cidrs"]).to_vec())
            .filter_map(|cidr| cidr.as_str()?.parse().ok())
            .collect();
        if ranges.is_empty() { vec![self.range] } else { ranges }
    }

    async fn node_ports(
        &self,
        objects: &ObjectStore,
        object: &mut Object,
        known: Known<'_>,
        chosen: &mut Chosen,
    ) -> Result<(), ApiError> {
        let mut wishes = port_wishes(object);
        if wishes.is_empty() {
            return Ok(());
        }
        for wish in wishes.iter().filter(|wish| wish.number != 0) {
            self.check_port(object, wish, known)?;
        }
        if wishes.iter().all(|wish| wish.number != 0) {
            return Ok(());
        }
        let mut taken: BTreeSet<i64> =
            objects.claimed(NODE_PORTS).await?.iter().filter_map(|key| key.parse().ok()).collect();
        let prefix = format!("{NODE_PORTS}/");
        taken.extend(known.lost.iter().filter_map(|key| key.strip_prefix(&prefix)?.parse::<i64>().ok()));
        taken.extend(wishes.iter().map(|wish| wish.number));
        for at in 0..wishes.len() {
            if wishes[at].number != 0 {
                continue;
            }
            // A port number of a Service has one node port, whatever the protocols.
            let twin = wishes[..at].iter().find(|twin| twin.port.is_some() && twin.port == wishes[at].port);
            wishes[at].number = match twin {
                Some(twin) => twin.number,
                None => {
                    let number = self.free_port(&taken)?;
                    taken.insert(number);
                    chosen.keys.insert(port_key(number));
                    number
                }
            };
        }
        grant(object, &wishes);
        Ok(())
    }

    fn check_port(&self, object: &Object, wish: &PortWish, known: Known<'_>) -> Result<(), ApiError> {
        let inside = u16::try_from(wish.number).is_ok_and(|number| self.ports.contains(&number));
        if inside || known.held.iter().any(|claim| claim.key == port_key(wish.number)) {
            return Ok(());
        }
        let detail = format!(
            "provided port is not in the valid range. The range of valid ports is {}-{}",
            self.ports.start(),
            self.ports.end()
        );
        Err(invalid(object, FieldError::invalid(&wish.path, wish.number, detail)))
    }

    fn free_port(&self, taken: &BTreeSet<i64>) -> Result<i64, ApiError> {
        let first = i64::from(*self.ports.start());
        let size = self.ports.len() as u128;
        let free = candidates(0..size, Band::of_ports(size), random())
            .filter_map(|offset| i64::try_from(offset).ok())
            .map(|offset| first + offset)
            .find(|port| !taken.contains(port));
        free.ok_or_else(|| ApiError::internal("failed to allocate a nodePort: range is full"))
    }
}

/// A node port that a Service names or needs.
struct PortWish {
    path: String,
    /// The position in `spec.ports`, or `None` for the health check's.
    at: Option<usize>,
    /// The Service's own port, of which there may be one for each protocol.
    port: Option<i64>,
    /// 0: any.
    number: i64,
}

/// What of node ports a Service names or needs.
fn port_wishes(object: &Object) -> Vec<PortWish> {
    let needed = service::needs_node_ports(object);
    let ports = object.list(&["spec", "ports"]).iter().enumerate();
    let mut wishes: Vec<PortWish> = ports
        .map(|(at, port)| PortWish {
            path: format!("spec.ports[{at}].nodePort"),
            at: Some(at),
            port: port.get("port").and_then(Value::as_i64),
            number: port.get("nodePort").and_then(Value::as_i64).unwrap_or(0),
        })
        .filter(|wish| needed || wish.number != 0)
        .collect();
    let number = object.integer(&["spec", "healthCheckNodePort"]).unwrap_or(0);
    if service::needs_health_check_port(object) || number != 0 {
        wishes.push(PortWish { path: "spec.healthCheckNodePort".to_owned(), at: None, port: None, number });
    }
    wishes
}

fn grant(object: &mut Object, wishes: &[PortWish]) {
    for wish in wishes {
        match wish.at {
            None => object.set(&["spec", "healthCheckNodePort"], wish.number),
            Some(at) => {
                let ports = object.slot(&["spec", "ports"]).and_then(Value::as_array_mut);
                if let Some(port) = ports.and_then(|ports| ports.get_mut(at)) {
                    port["nodePort"] = wish.number.into();
                }
            }
        }
    }
}

fn check_address(object: &Object, ip: &str, ranges: &[Cidr], known: Known<'_>) -> Result<(), ApiError> {
    // What is no address at all is told by validation.
    let Ok(parsed) = ip.parse::<IpAddr>() else { return Ok(()) };
    let held = known.held.iter().any(|claim| claim.key == address_key(ip));
    if held || ranges.iter().any(|range| usable(*range).contains(&range.offset(parsed).unwrap_or(u128::MAX)))
    {
        return Ok(());
    }
    let shown: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    let detail = format!(
        "failed to allocate IP {ip}: the provided IP ({ip}) is not in the valid range. The range of valid IPs is {}",
        shown.join(", ")
    );
    Err(invalid(object, FieldError::invalid("spec.clusterIPs", json!([ip]), detail)))
}

fn free_address(
    objects: &ObjectStore,
    object: &Object,
    (at, family): (usize, &str),
    ranges: &[Cidr],
    lost: &BTreeSet<String>,
) -> Result<IpAddr, ApiError> {
    let of_family: Vec<Cidr> =
        ranges.iter().copied().filter(|range| range.is_ipv6() == (family == "IPv6")).collect();
    if of_family.is_empty() {
        let path = format!("spec.ipFamilies[{at}]");
        return Err(invalid(object, FieldError::invalid(path, family, "not configured on this cluster")));
    }
    let resource = resources::find("networking.k8s.io", "v1", "ipaddresses")
        .ok_or_else(|| ApiError::internal("the table has no IPAddresses"))?;
    let is_free = |ip: &IpAddr| {
        let name = ip.to_string();
        !lost.contains(&address_key(&name)) && objects.cached_object(resource, "", &name).is_none()
    };
    let mut candidates = of_family.into_iter().flat_map(|range| {
        let offsets = candidates(usable(range), Band::of_addresses(range.size()), random());
        offsets.filter_map(move |offset| range.nth(offset))
    });
    candidates
        .find(is_free)
        .ok_or_else(|| ApiError::internal("failed to allocate a serviceIP: range is full"))
}

/// The offsets of a range that a Service may have: not the network itself, and not IPv4's broadcast address.
fn usable(range: Cidr) -> std::ops::Range<u128> {
    let end = if range.is_ipv6() { range.size() } else { range.size() - 1 };
    1..end.max(1)
}

fn address_key(ip: &str) -> String {
    format!("ipaddresses/{ip}")
}

fn port_key(number: i64) -> String {
    format!("{NODE_PORTS}/{number}")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn invalid(object: &Object, error: FieldError) -> ApiError {
    ApiError::invalid("", "Service", object.name(), &[error])
}

/// A random number, so that two servers seldom choose the same.
fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness the choice is poorer, not wrong: claims decide.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests;
