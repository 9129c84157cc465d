//! Which endpoints a port of a Service has, and which of them are used. Pure.

use std::collections::BTreeSet;
use std::net::IpAddr;

use k8s_openapi::api::discovery::v1::{Endpoint as SliceEndpoint, EndpointSlice};

use super::family::Family;
use super::{PortName, Protocol};

/// Where traffic ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) ip: IpAddr,
    pub(crate) port: u16,
}

/// An endpoint that may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    endpoint: Endpoint,
    state: State,
    /// On this node.
    pub(crate) local: bool,
}

/// How good an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ready,
    /// On its way out, but still answering: better than nothing.
    Leaving,
}

/// The endpoints of one port, in one family.
pub(super) fn candidates(
    slices: &[&EndpointSlice],
    family: Family,
    name: &PortName,
    node: &str,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for slice in slices {
        for port in ports(slice, name) {
            let found = slice.endpoints.iter().flatten();
            candidates.extend(found.filter_map(|endpoint| candidate(endpoint, port, family, node)));
        }
    }
    candidates
}

fn ports(slice: &EndpointSlice, name: &PortName) -> impl Iterator<Item = u16> {
    let same = |port: &&k8s_openapi::api::discovery::v1::EndpointPort| {
        port.name.as_deref().unwrap_or_default() == name.port
            && Protocol::named(port.protocol.as_deref()) == Some(name.protocol)
    };
    let number = |port: &k8s_openapi::api::discovery::v1::EndpointPort| u16::try_from(port.port?).ok();
    slice.ports.iter().flatten().filter(same).filter_map(number).filter(|port| *port > 0)
}

/// An absent condition counts as its good value, except that who is not known to be leaving is not.
fn candidate(endpoint: &SliceEndpoint, port: u16, family: Family, node: &str) -> Option<Candidate> {
    // The API allows several addresses and gives no meaning to more than the first.
    let ip: IpAddr = endpoint.addresses.first()?.parse().ok()?;
    let conditions = endpoint.conditions.as_ref();
    let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
    let serving = conditions.and_then(|conditions| conditions.serving).unwrap_or(ready);
    let leaving = conditions.and_then(|conditions| conditions.terminating).unwrap_or(false);
    let state = match (ready, serving && leaving) {
        (true, _) => State::Ready,
        (false, true) => State::Leaving,
        (false, false) => return None,
    };
    let local = endpoint.node_name.as_deref() == Some(node);
    (Family::of(ip) == family).then_some(Candidate { endpoint: Endpoint { ip, port }, state, local })
}

/// Those that are ready; if none is, those that leave but still answer.
pub(super) fn usable<'a>(candidates: impl Iterator<Item = &'a Candidate>) -> BTreeSet<Endpoint> {
    let candidates: Vec<&Candidate> = candidates.collect();
    let of = |state| {
        let those = candidates.iter().filter(|candidate| candidate.state == state);
        those.map(|candidate| candidate.endpoint).collect::<BTreeSet<_>>()
    };
    let ready = of(State::Ready);
    if ready.is_empty() { of(State::Leaving) } else { ready }
}
