//! NetworkPolicy: which traffic pods may have.
//!
//! Deliberately absent: keeping it, which is the network's.
//!
//! Source: `pkg/apis/networking/{v1/defaults,validation}`, `pkg/registry/networking/networkpolicy`.

use keelson_api_schema::format::{check_port_name, check_port_number};
use serde_json::{Value, json};

use super::{
    address::{check_cidr, range, warn_cidr},
    metadata::label_selector,
    workload::differs,
};
use crate::{
    columns::{self, AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::Strategy,
};

/// The columns of NetworkPolicies.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Pod-Selector", "string", |object, _| {
        columns::selector(object.get(&["spec", "podSelector"])).into()
    }),
    AGE,
];

/// The two directions: what they are called, their rules, and what those rules call the other end.
const DIRECTIONS: [(&str, &str, &str); 2] = [("Ingress", "ingress", "from"), ("Egress", "egress", "to")];

/// The rules of NetworkPolicies.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        let changed = differs(object, old, &["spec"]);
        object.set(&["metadata", "generation"], old.generation() + i64::from(changed));
    }

    fn default(&self, object: &mut Object) {
        for (_, rules, _) in DIRECTIONS {
            if object.list(&["spec", rules]).is_empty() {
                continue;
            }
            let rules = object.slot(&["spec", rules]).and_then(Value::as_array_mut);
            let ports = rules.into_iter().flatten().filter_map(|rule| rule.get_mut("ports"));
            let ports = ports.filter_map(Value::as_array_mut).flatten();
            for port in ports.filter(|port| port.is_object() && port["protocol"].is_null()) {
                port["protocol"] = "TCP".into();
            }
        }
        if object.get(&["spec"]).is_some() && object.list(&["spec", "policyTypes"]).is_empty() {
            let has_egress = !object.list(&["spec", "egress"]).is_empty();
            let types = if has_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
            object.set(&["spec", "policyTypes"], types);
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        label_selector(&spec.child("podSelector"), &mut errors);
        for (_, rules, ends) in DIRECTIONS {
            for rule in spec.child(rules).items() {
                rule.child("ports").items().for_each(|port| check_port(&port, &mut errors));
                rule.child(ends).items().for_each(|peer| check_peer(&peer, &mut errors));
            }
        }
        let types = spec.child("policyTypes");
        if types.len() > DIRECTIONS.len() {
            errors.push(types.invalid("may not specify more than two policyTypes"));
            return errors;
        }
        types.items().for_each(|kind| kind.one_of(&DIRECTIONS.map(|(name, _, _)| name), &mut errors));
        errors
    }

    fn warnings(&self, object: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        for (_, rules, peers) in DIRECTIONS {
            for rule in Place::at(object, &["spec", rules]).items() {
                for peer in rule.child(peers).items() {
                    let block = peer.child("ipBlock");
                    warn_cidr(&block.child("cidr"), &mut warnings);
                    block.child("except").items().for_each(|part| warn_cidr(&part, &mut warnings));
                }
            }
        }
        warnings
    }
}

fn check_port(port: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (protocol, number, end) = (port.child("protocol"), port.child("port"), port.child("endPort"));
    if protocol.is_set() {
        protocol.one_of(&["SCTP", "TCP", "UDP"], errors);
    }
    match number.value() {
        None if end.is_set() => errors.push(end.invalid("may not be specified when `port` is not specified")),
        None => {}
        Some(Value::String(name)) => {
            if end.is_set() {
                errors.push(end.invalid("may not be specified when `port` is non-numeric"));
            }
            errors.extend(number.each_invalid(check_port_name(name)));
        }
        Some(_) => {
            let first = number.integer().unwrap_or(0);
            errors.extend(number.each_invalid(check_port_number(first)));
            let Some(last) = end.integer() else { return };
            if last < first {
                errors.push(FieldError::invalid(
                    end.path(),
                    first,
                    "must be greater than or equal to `port`",
                ));
            }
            errors.extend(end.each_invalid(check_port_number(last)));
        }
    }
}

fn check_peer(peer: &Place<'_>, errors: &mut Vec<FieldError>) {
    let selectors = [peer.child("podSelector"), peer.child("namespaceSelector")];
    selectors.iter().for_each(|selector| label_selector(selector, errors));
    let block = peer.child("ipBlock");
    let selects = selectors.iter().any(Place::is_set);
    if block.is_set() {
        check_block(&block, errors);
    }
    match (selects, block.is_set()) {
        (false, false) => errors.push(peer.required("must specify a peer")),
        (true, true) => errors.push(peer.forbidden("may not specify both ipBlock and another peer")),
        (true, false) | (false, true) => {}
    }
}

/// A range of addresses without some of it.
fn check_block(block: &Place<'_>, errors: &mut Vec<FieldError>) {
    let cidr = block.child("cidr");
    if cidr.text().is_empty() {
        errors.push(cidr.required(""));
        return;
    }
    check_cidr(&cidr, errors);
    let Some(whole) = range(cidr.text()) else { return };
    for except in block.child("except").items() {
        check_cidr(&except, errors);
        let Some(part) = range(except.text()) else { continue };
        if !(whole.contains(part.network()) && part.size() < whole.size()) {
            errors.push(except.invalid("must be a strict subset of `cidr`"));
        }
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;
    use crate::field::texts;

    fn policy(spec: &Value) -> Object {
        let mut object = Object(json!({"metadata": {"name": "quiet", "namespace": "shop"}, "spec": spec}));
        Rules.default(&mut object);
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn ports_are_of_tcp_and_types_follow_the_rules_there_are() {
        let both = policy(&json!({"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}));
        assert_eq!(both.0["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
        assert_eq!(both.0["spec"]["egress"][0]["ports"][0]["protocol"], "TCP");
        let one = policy(&json!({"podSelector": {"matchLabels": {"app": "web"}}}));
        assert_eq!(one.0["spec"]["policyTypes"], json!(["Ingress"]));
        assert_eq!(Rules.validate(&one), []);
        assert_eq!((COLUMNS[1].cell)(&one, OffsetDateTime::UNIX_EPOCH), "app=web");
        assert_eq!((COLUMNS[1].cell)(&both, OffsetDateTime::UNIX_EPOCH), "<none>");
    }

    #[test]
    fn what_breaks_a_rule_is_told_in_upstreams_words() {
        let from = |peer: Value| json!({"podSelector": {}, "ingress": [{"from": [peer]}]});
        let port = |port: Value| json!({"podSelector": {}, "ingress": [{"ports": [port]}]});
        let cases = [
            (from(json!({})), "spec.ingress[0].from[0]: Required value: must specify a peer"),
            (
                from(json!({"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}})),
                "spec.ingress[0].from[0]: Forbidden: may not specify both ipBlock and another peer",
            ),
            (
                from(json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8"]}})),
                "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"10.0.0.0/8\": must be a strict subset of `cidr`",
            ),
            (from(json!({"ipBlock": {"cidr": ""}})), "spec.ingress[0].from[0].ipBlock.cidr: Required value"),
            (
                port(json!({"port": 80, "endPort": 79})),
                "spec.ingress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`",
            ),
            (
                port(json!({"port": "http", "endPort": 79})),
                "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is non-numeric",
            ),
            (
                port(json!({"endPort": 79})),
                "spec.ingress[0].ports[0].endPort: Invalid value: 79: may not be specified when `port` is not specified",
            ),
            (
                json!({"podSelector": {}, "policyTypes": ["Sideways"]}),
                "spec.policyTypes[0]: Unsupported value: \"Sideways\": supported values: \"Egress\", \"Ingress\"",
            ),
        ];
        for (spec, text) in cases {
            assert_eq!(texts(&Rules.validate(&policy(&spec))), [text]);
        }
    }

    #[test]
    fn the_generation_counts_specs() {
        let old = policy(&json!({"podSelector": {}}));
        let mut new = policy(&json!({"podSelector": {}, "policyTypes": ["Egress"]}));
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.generation(), 2);
        Rules.prepare_update(&mut new.clone(), &new);
        assert_eq!(new.generation(), 2);
    }

    #[test]
    fn ranges_that_are_written_unusually_are_warned_of() {
        let block = json!({"cidr": "10.0.0.1/8", "except": ["10.1.0.0/16", "FD00::/64"]});
        let rule = |peers: &str| json!([{}, {peers: [{"podSelector": {}}, {"ipBlock": block}]}]);
        let object = policy(&json!({"podSelector": {}, "ingress": rule("from"), "egress": rule("to")}));
        let expected = ["ingress[1].from[1]", "egress[1].to[1]"].map(|peer| {
            let path = format!("spec.{peer}.ipBlock");
            let should = "should be \"10.0.0.0/8\" or \"10.0.0.1/32\"?";
            let form = "should be in RFC 5952 canonical format (\"fd00::/64\")";
            [
                format!("{path}.cidr: CIDR value \"10.0.0.1/8\" is ambiguous in this context ({should})"),
                format!("{path}.except[1]: IPv6 CIDR value \"FD00::/64\" {form}"),
            ]
        });
        assert_eq!(Rules.warnings(&object, Some(&object)), expected.as_flattened());
    }
}
