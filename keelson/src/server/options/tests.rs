//! Which combinations of flags are taken, and that a refusal names the flag.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Flags,
}

const THREE: &str = "a=https://127.0.0.2:2380,b=https://127.0.0.3:2380,c=https://127.0.0.4:2380";

fn parse(text: &str) -> Result<ServerOptions, OptionsError> {
    let words = ["keelson-server"].into_iter().chain(text.split_whitespace());
    ServerOptions::from_flags(Line::try_parse_from(words).unwrap().flags)
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_server_alone_needs_no_flags_and_stays_on_this_machine() {
    let options = parse("").unwrap();
    assert_eq!((options.name.as_str(), options.data_dir.to_str()), ("default", Some("default.keelson")));
    assert_eq!((options.listen, options.shared_listen), ("127.0.0.1:6443".parse().unwrap(), None));
    assert_eq!(options.advertise_address, options.listen.ip());
    let alone = vec![("default".to_owned(), "https://127.0.0.1:2380".parse().unwrap())];
    assert_eq!(options.initial_cluster, alone);
    assert_eq!(options.history_retention, Duration::from_secs(300));
    assert_eq!(options.node_ports.0, 30_000..=32_767);
    assert_eq!(options.files.serving_certificate.to_str(), Some("pki/servers/default/serving.crt"));
    assert_eq!(options.files.service_account_key.to_str(), Some("pki/service-account.key"));
    assert_eq!(options.files.kubelet_client_key.to_str(), Some("pki/servers/default/kubelet-client.key"));
    assert_eq!(options.files.node_authority.to_str(), Some("pki/cluster-node-ca.crt"));
}

#[test]
fn one_of_three_with_a_shared_address() {
    let options = parse(&format!(
        "--name b --listen 127.0.0.3:6443 --shared-listen 127.0.0.1:6443 --peer-listen 127.0.0.3:2380 \
         --initial-cluster {THREE} --pki-dir /etc/pki"
    ))
    .unwrap();
    assert_eq!(options.initial_cluster.len(), 3);
    assert_eq!(options.peer_url.to_string(), "https://127.0.0.3:2380");
    assert_eq!(options.advertise_address.to_string(), "127.0.0.3");
    assert_eq!(options.files.peer.key.to_str(), Some("/etc/pki/servers/b/peer.key"));
}

#[test]
fn single_files_have_more_say_than_the_folder() {
    let options = parse("--pki-dir /p --serving-cert-file /s.crt --client-ca-file /c.crt").unwrap();
    assert_eq!(options.files.serving_certificate.to_str(), Some("/s.crt"));
    assert_eq!(options.files.client_authority.to_str(), Some("/c.crt"));
    assert_eq!(options.files.serving_key.to_str(), Some("/p/servers/default/serving.key"));
}

#[test]
fn a_wildcard_needs_an_address_that_can_be_used() {
    assert!(refused("--listen 0.0.0.0:6443").contains("give --advertise-address"));
    assert!(refused("--advertise-address ::").starts_with("--advertise-address is ::"));
    let options = parse("--listen [::]:6443 --advertise-address 10.0.0.1").unwrap();
    assert_eq!(options.advertise_address.to_string(), "10.0.0.1");
    assert!(refused("--peer-listen 0.0.0.0:2380").contains("give --peer-url"));
    assert!(refused("--peer-url https://0.0.0.0:2380").starts_with("--peer-url is https://0.0.0.0:2380"));
}

#[test]
fn a_shared_address_is_on_this_machine_and_nobodys_own() {
    assert!(refused("--shared-listen 127.0.0.1:6443").contains("takes for this server alone"));
    assert!(refused("--shared-listen 10.0.0.1:6443").contains("only a loopback address"));
    let everywhere = "--listen 0.0.0.0:6443 --advertise-address 10.0.0.1 --shared-listen 127.0.0.1:6443";
    assert!(refused(everywhere).contains("takes for this server alone"));
    assert!(parse("--shared-listen 127.0.0.1:7443").is_ok());
}

#[test]
fn stores_never_speak_plain_text() {
    assert!(refused("--peer-url http://127.0.0.1:2380").starts_with("--peer-url has http://"));
    let mixed = "--initial-cluster default=https://127.0.0.1:2380,b=http://127.0.0.2:2380";
    assert!(refused(mixed).starts_with("--initial-cluster has http://127.0.0.2:2380"));
}

#[test]
fn the_first_servers_must_include_this_one_at_its_url() {
    assert!(refused(&format!("--initial-cluster {THREE}")).contains("does not name this member, default"));
    let elsewhere = refused(&format!("--name a --peer-listen 127.0.0.9:2380 --initial-cluster {THREE}"));
    assert!(elsewhere.contains("which is not in --peer-url"), "{elsewhere}");
}

#[test]
fn names_become_paths_and_must_be_safe() {
    for name in ["a/b", "..", ".a", "/"] {
        assert!(refused(&format!("--name {name}")).starts_with("--name"), "{name}");
    }
}

#[test]
fn pods_and_services_have_networks_apart() {
    for (pods, services) in
        [("10.0.0.0/8", "10.96.0.0/16"), ("10.96.128.0/17", "10.96.0.0/16"), ("10.96.0.0/16", "10.96.0.0/16")]
    {
        let text = refused(&format!("--cluster-cidr {pods} --service-cidr {services}"));
        assert!(text.contains(pods) && text.contains(services) && text.contains("overlap"), "{text}");
    }
    assert!(parse("--cluster-cidr 10.97.0.0/16 --service-cidr 10.96.0.0/16").is_ok());
    assert!(parse("--cluster-cidr fd00::/48 --node-cidr-mask-size 64 --service-cidr 10.96.0.0/16").is_ok());
}

#[test]
fn port_ranges_are_read_strictly() {
    assert_eq!("1-65535".parse(), Ok(NodePorts(1..=65_535)));
    for text in ["", "30000", "0-5", "5-4", "1-65536", "a-b"] {
        assert!(text.parse::<NodePorts>().is_err(), "{text}");
    }
}

#[test]
fn a_backup_has_a_folder_and_may_end() {
    assert_eq!(parse("").unwrap().backup, None);
    let backup = parse("--backup-dir /b --backup-retention 48h").unwrap().backup.unwrap();
    assert_eq!((backup.folder.to_str(), backup.keep), (Some("/b"), Some(Duration::from_secs(48 * 3600))));
    assert!(refused("--backup-retention 48h").contains("--backup-dir"));
}
