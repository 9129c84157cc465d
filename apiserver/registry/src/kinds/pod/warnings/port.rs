//! Ports of all the containers of a pod that are in each other's way.

use std::collections::BTreeMap;

use crate::place::Place;

/// Warns of ports that are the same, or may be.
pub(super) fn definitions(containers: &[Place<'_>], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<(i64, &str), Vec<Place<'_>>> = BTreeMap::new();
    for port in ports(containers) {
        let (ip, number) = host(&port);
        if !ip.is_empty() && number == 0 {
            warnings.push(format!("{}: hostIP set without hostPort: {}", port.path(), shown(&port)));
        }
        let container = port.child("containerPort").integer().unwrap_or(0);
        let others = known.entry((container, port.child("protocol").text())).or_default();
        for other in others.iter() {
            if let Some(what) = conflict((ip, number), host(other)) {
                warnings.push(format!("{}: {what} port definition with {}", port.path(), other.path()));
            }
        }
        others.push(port);
    }
}

/// Warns of ports that have the same name: who selects by name gets the first.
pub(super) fn names(containers: &[Place<'_>], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    for port in ports(containers) {
        let name = port.child("name").text();
        if name.is_empty() {
            continue;
        }
        let Some(first) = known.get(name) else {
            known.insert(name, port.path().to_owned());
            continue;
        };
        let why = format!("services and probes that select ports by name will use {first}");
        warnings.push(format!("{}: duplicate port name {name:?} with {first}, {why}", port.path()));
    }
}

fn ports<'v>(containers: &[Place<'v>]) -> Vec<Place<'v>> {
    let lists: Vec<Place<'v>> = containers.iter().map(|container| container.child("ports")).collect();
    lists.iter().flat_map(Place::items).collect()
}

/// Which address and port of the node it has; empty and 0 for none.
fn host<'v>(port: &Place<'v>) -> (&'v str, i64) {
    (port.child("hostIP").text(), port.child("hostPort").integer().unwrap_or(0))
}

/// How two ports of the same number conflict on the node.
fn conflict((ip, port): (&str, i64), (other_ip, other_port): (&str, i64)) -> Option<&'static str> {
    if (ip, port) == (other_ip, other_port) {
        Some("duplicate")
    } else if port == 0 || other_port == 0 {
        Some("overlapping")
    } else if port == other_port && ip.is_empty() != other_ip.is_empty() {
        Some("dangerously ambiguous")
    } else {
        None
    }
}

/// As Go prints the structure.
fn shown(port: &Place<'_>) -> String {
    let number = |field: &str| port.child(field).integer().unwrap_or(0);
    let text = |field: &str| port.child(field).text();
    format!(
        "{{Name:{} HostPort:{} ContainerPort:{} Protocol:{} HostIP:{}}}",
        text("name"),
        number("hostPort"),
        number("containerPort"),
        text("protocol"),
        text("hostIP")
    )
}
