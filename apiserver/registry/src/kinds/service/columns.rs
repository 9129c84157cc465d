//! What `kubectl get services` shows.

use serde_json::Value;

use super::service_type;
use crate::{
    columns::{AGE, NAME, NONE, UNKNOWN, labels, or_none},
    object::Object,
    resources::Column,
};

/// The columns of Services.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Type", "string", |object, _| service_type(object).into()),
    Column::new("Cluster-IP", "string", |object, _| {
        let first = object.list(&["spec", "clusterIPs"]).first().and_then(Value::as_str);
        or_none(first.unwrap_or_default()).into()
    }),
    Column::new("External-IP", "string", |object, _| external_ip(object).into()),
    Column::new("Port(s)", "string", |object, _| ports(object).into()),
    AGE,
    Column::wide("Selector", "string", |object, _| labels(object.map(&["spec", "selector"])).into()),
];

fn external_ip(object: &Object) -> String {
    let asked = texts(object.list(&["spec", "externalIPs"]).iter());
    match service_type(object) {
        "ClusterIP" | "NodePort" => or_none(asked.join(",")),
        "LoadBalancer" => {
            let points = object.list(&["status", "loadBalancer", "ingress"]).iter();
            let given = texts(points.map(|point| match &point["ip"] {
                Value::String(ip) if !ip.is_empty() => &point["ip"],
                _ => &point["hostname"],
            }));
            let all = [given, asked].concat();
            if all.is_empty() { "<pending>".to_owned() } else { all.join(",") }
        }
        "ExternalName" => object.text(&["spec", "externalName"]).to_owned(),
        _ => UNKNOWN.to_owned(),
    }
}

fn texts<'v>(values: impl Iterator<Item = &'v Value>) -> Vec<&'v str> {
    values.filter_map(Value::as_str).collect()
}

fn ports(object: &Object) -> String {
    let ports = object.list(&["spec", "ports"]);
    let shown = |port: &Value| {
        let (number, protocol) =
            (port["port"].as_i64().unwrap_or(0), port["protocol"].as_str().unwrap_or(""));
        match port["nodePort"].as_i64() {
            Some(node_port) if node_port > 0 => format!("{number}:{node_port}/{protocol}"),
            _ => format!("{number}/{protocol}"),
        }
    };
    if ports.is_empty() { NONE.to_owned() } else { ports.iter().map(shown).collect::<Vec<_>>().join(",") }
}
