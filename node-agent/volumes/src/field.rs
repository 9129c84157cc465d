//! `fieldRef`: fields of the Pod as text. Pure.
//!
//! In: a path such as `metadata.labels['app']`, the Pod, its addresses, the node. Out: the text, or upstream's words
//! about why there is none. Deliberately absent: the rules for subscripts, which the API has checked.

use std::{collections::BTreeMap, fmt::Write, net::IpAddr};

use k8s_openapi::api::core::v1::{ObjectFieldSelector, Pod};

use crate::node::Node;

/// For an environment variable: also what the node knows.
pub(crate) fn for_environment(
    selector: &ObjectFieldSelector,
    pod: &Pod,
    pod_addresses: &[IpAddr],
    node: &Node,
) -> Result<String, String> {
    let version = selector.api_version.as_deref().unwrap_or("v1");
    if !matches!(version, "v1" | "") {
        return Err(format!("unsupported pod version: {version}"));
    }
    let spec = pod.spec.as_ref();
    match selector.field_path.as_str() {
        "spec.nodeName" => Ok(spec.and_then(|spec| spec.node_name.clone()).unwrap_or_default()),
        "spec.serviceAccountName" => {
            Ok(spec.and_then(|spec| spec.service_account_name.clone()).unwrap_or_default())
        }
        "status.hostIP" => Ok(host_addresses(node)?[0].to_string()),
        "status.hostIPs" => Ok(listed(host_addresses(node)?)),
        "status.podIP" => {
            let sorted = node.sorted(pod_addresses.to_vec());
            Ok(sorted.first().map(ToString::to_string).unwrap_or_default())
        }
        "status.podIPs" => Ok(listed(&node.sorted(pod_addresses.to_vec()))),
        path => of_metadata(path, pod),
    }
}

/// For a file: what the Pod's metadata says.
pub(crate) fn of_metadata(path: &str, pod: &Pod) -> Result<String, String> {
    let metadata = &pod.metadata;
    if let Some((map, key)) = subscript(path) {
        let map = match map {
            "metadata.annotations" => metadata.annotations.as_ref(),
            "metadata.labels" => metadata.labels.as_ref(),
            _ => return Err(format!("fieldPath {path:?} does not support subscript")),
        };
        return Ok(map.and_then(|map| map.get(key)).cloned().unwrap_or_default());
    }
    match path {
        "metadata.annotations" => Ok(lines(metadata.annotations.as_ref())),
        "metadata.labels" => Ok(lines(metadata.labels.as_ref())),
        "metadata.name" => Ok(metadata.name.clone().unwrap_or_default()),
        "metadata.namespace" => Ok(metadata.namespace.clone().unwrap_or_default()),
        "metadata.uid" => Ok(metadata.uid.clone().unwrap_or_default()),
        _ => Err(format!("unsupported fieldPath: {path}")),
    }
}

/// `metadata.labels['app']` as `metadata.labels` and `app`.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

fn host_addresses(node: &Node) -> Result<&[IpAddr], String> {
    if node.addresses.is_empty() {
        return Err("the node has no address yet".to_owned());
    }
    Ok(&node.addresses)
}

fn listed(addresses: &[IpAddr]) -> String {
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(",")
}

/// One `key="value"` a line, in the order of the lines, the value quoted as Go quotes.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let mut lines: Vec<String> =
        map.into_iter().flatten().map(|(key, value)| format!("{key}={}", quoted(value))).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\x07' => quoted.push_str("\\a"),
            '\x08' => quoted.push_str("\\b"),
            '\x0c' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\x0b' => quoted.push_str("\\v"),
            c if is_printable(c) => quoted.push(c),
            c => escape(&mut quoted, c),
        }
    }
    quoted.push('"');
    quoted
}

fn escape(quoted: &mut String, c: char) {
    let code = u32::from(c);
    // Writing to a String cannot fail.
    let _ = match code {
        0..=0x7f => write!(quoted, "\\x{code:02x}"),
        0x80..=0xffff => write!(quoted, "\\u{code:04x}"),
        0x1_0000.. => write!(quoted, "\\U{code:08x}"),
    };
}

/// Whether Go prints a character as it is. The standard library knows the same tables, but shows them only in how it
/// escapes: behind another character, so that combining marks count as printable.
fn is_printable(c: char) -> bool {
    !c.is_control() && !['x', c].iter().collect::<String>().escape_debug().to_string().contains("\\u{")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "n", "namespace": "ns", "uid": "u", "labels": {"b": "2", "a": "1"},
                "annotations": {"k/x": "say \"hi\"\n"}},
            "spec": {"nodeName": "node", "serviceAccountName": "sa", "containers": []},
        }))
        .unwrap()
    }

    fn node() -> Node {
        Node { addresses: vec!["192.0.2.1".parse().unwrap(), "fd00::1".parse().unwrap()], ..Node::default() }
    }

    fn read(path: &str) -> Result<String, String> {
        let selector = ObjectFieldSelector { field_path: path.into(), ..ObjectFieldSelector::default() };
        let addresses = ["fd00::9".parse().unwrap(), "10.1.0.9".parse().unwrap()];
        for_environment(&selector, &pod(), &addresses, &node())
    }

    #[test]
    fn every_field_is_read() {
        for (path, text) in [
            ("metadata.name", "n"),
            ("metadata.namespace", "ns"),
            ("metadata.uid", "u"),
            ("metadata.labels", "a=\"1\"\nb=\"2\""),
            ("metadata.labels['a']", "1"),
            ("metadata.labels['absent']", ""),
            ("metadata.annotations['k/x']", "say \"hi\"\n"),
            ("metadata.annotations", "k/x=\"say \\\"hi\\\"\\n\""),
            ("spec.nodeName", "node"),
            ("spec.serviceAccountName", "sa"),
            ("status.hostIP", "192.0.2.1"),
            ("status.hostIPs", "192.0.2.1,fd00::1"),
            ("status.podIP", "10.1.0.9"),
            ("status.podIPs", "10.1.0.9,fd00::9"),
        ] {
            assert_eq!(read(path).as_deref(), Ok(text), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_to_be_read_is_refused() {
        for (path, text) in [
            ("spec.containers", "unsupported fieldPath: spec.containers"),
            ("metadata.name['x']", "fieldPath \"metadata.name['x']\" does not support subscript"),
        ] {
            assert_eq!(read(path), Err(text.to_owned()), "{path}");
        }
        assert_eq!(
            of_metadata("status.podIP", &pod()),
            Err("unsupported fieldPath: status.podIP".to_owned())
        );
        let selector =
            ObjectFieldSelector { field_path: "status.hostIP".into(), api_version: Some("v1".into()) };
        assert!(for_environment(&selector, &pod(), &[], &Node::default()).is_err());
    }

    #[test]
    fn values_are_quoted_as_go_quotes_them() {
        for (text, quote) in [
            ("", r#""""#),
            ("a'b", r#""a'b""#),
            ("\\\t\x01\x7f", r#""\\\t\x01\x7f""#),
            ("ü e\u{301} \u{1f600}", "\"ü e\u{301} \u{1f600}\""),
            ("\u{a0}\u{200b}\u{e000}", r#""\u00a0\u200b\ue000""#),
            ("\u{e0001}\u{85}", r#""\U000e0001\u0085""#),
        ] {
            assert_eq!(quoted(text), quote);
        }
    }
}
