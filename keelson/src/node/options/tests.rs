//! What is promised of the node options, shown by example.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

const LEAST: &str = "--node-ip 192.0.2.7 --servers https://192.0.2.1:6443,https://192.0.2.2:6443";

fn options(text: &str) -> Result<NodeOptions, String> {
    let words = ["node"].into_iter().chain(text.split_whitespace());
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    NodeOptions::from_flags(line.flags, "Worker-1").map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    options(text).unwrap_err()
}

#[test]
fn the_rest_follows_from_little() {
    let options = options(&format!("{LEAST} --pki-dir /pki")).unwrap();
    assert_eq!(options.name, "worker-1");
    assert_eq!(options.dns.to_string(), "10.96.0.10");
    assert_eq!(options.listen.to_string(), "192.0.2.7:10250");
    assert_eq!(options.files.kubeconfig, PathBuf::from("/pki/nodes/worker-1.kubeconfig"));
    assert_eq!(options.files.serving_key, PathBuf::from("/pki/nodes/worker-1/serving.key"));
    assert_eq!(options.servers.len(), 2);
}

#[test]
fn names_are_what_the_api_takes() {
    for name in ["a", "a-1.example.com"] {
        assert!(options(&format!("{LEAST} --name {name}")).is_ok(), "{name}");
    }
    for name in ["A", "a_b", "-a", "a-", "a..b", "../a", "a/b"] {
        assert!(refused(&format!("{LEAST} --name={name}")).contains("--name"), "{name}");
    }
}

#[test]
fn a_node_has_one_address_of_a_family() {
    let servers = "--servers https://192.0.2.1:6443";
    assert!(options(&format!("{servers} --node-ip 192.0.2.7,2001:db8::7")).is_ok());
    assert!(refused(&format!("{servers} --node-ip 192.0.2.7,192.0.2.8")).contains("one family"));
    assert!(refused(&format!("{servers} --node-ip 0.0.0.0")).contains("every address"));
}

#[test]
fn servers_are_never_asked_in_plain_text() {
    assert!(refused("--node-ip 192.0.2.7 --servers http://192.0.2.1:6443").contains("write https://"));
}

#[test]
fn labels_taints_and_reserves_are_read_strictly() {
    let lists =
        "--node-labels a=b,c= --register-with-taints k=v:NoSchedule,l:NoExecute --system-reserved cpu=100m";
    let read = options(&format!("{LEAST} {lists}")).unwrap();
    assert_eq!(read.labels, BTreeMap::from([("a".into(), "b".into()), ("c".into(), String::new())]));
    assert_eq!(read.taints.len(), 2);
    assert_eq!((read.taints[1].key.as_str(), &read.taints[1].value), ("l", &None));
    assert_eq!(read.reserved["cpu"], Quantity("100m".to_owned()));
    for flag in [
        "--node-labels a",
        "--node-labels =b",
        "--register-with-taints a=b",
        "--register-with-taints :NoExecute",
    ] {
        assert!(refused(&format!("{LEAST} {flag}")).contains("is not of the form"), "{flag}");
    }
    assert!(refused(&format!("{LEAST} --system-reserved gpu=1")).contains("cannot be reserved"));
    assert!(
        refused(&format!("{LEAST} --eviction-hard imagefs.available<1Gi")).contains("is not watched here")
    );
    assert!(refused(&format!("{LEAST} --container-runtime-endpoint /run/x.sock")).contains("unix:///"));
    assert!(refused(&format!("{LEAST} --cgroup-root ../x")).contains("--cgroup-root"));
}
