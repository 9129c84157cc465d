//! The same promises for a cluster: servers, components, nodes, the service accounts' key, kubeconfig files.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use x509_parser::prelude::FromDer as _;

use super::*;
use crate::identity::{Cluster, Node, SERVICE_ACCOUNT, kubeconfig_path, public_key_path};
use crate::name::{NodeName, ServerUrl};

fn cluster() -> Cluster {
    Cluster {
        servers: ["a=127.0.0.2", "b=127.0.0.3,b.example"].map(|text| text.parse().unwrap()).into(),
        nodes: vec!["worker-1=10.0.0.7".parse().unwrap()],
        service_ip: "10.96.0.1".parse().unwrap(),
        url: "https://shared.example:6443".parse().unwrap(),
    }
}

fn made(cluster: &Cluster) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), &cluster.inventory(), now()).unwrap();
    dir
}

fn written(steps: &[Step]) -> Vec<(&str, Reason)> {
    let written = steps.iter().filter_map(|step| match step {
        Step::WriteKubeconfig(kubeconfig, reason) => Some((kubeconfig.identity.as_str(), *reason)),
        Step::Protect(_) | Step::MakeAuthority(..) | Step::Publish(..) | Step::Issue(..) => None,
    });
    written.collect()
}

#[test]
fn a_second_run_changes_nothing_and_a_store_beside_it_is_no_obstacle() {
    let dir = made(&cluster());
    let before = contents(dir.path());
    assert_eq!(ensure(dir.path(), &cluster().inventory(), now()).unwrap().done, []);
    assert_eq!(contents(dir.path()), before);
    let both = cluster().inventory().and(three());
    let report = ensure(dir.path(), &both, now()).unwrap();
    assert_eq!(issued(&report.done).len(), 7, "the store's certificates only");
    assert_eq!(ensure(dir.path(), &both, now()).unwrap().done, []);
}

#[test]
fn every_file_with_a_private_key_is_private() {
    let dir = made(&cluster());
    let dir = dir.path();
    for stem in ["clients/admin", "clients/scheduler", "nodes/worker-1"] {
        assert_eq!(mode(&kubeconfig_path(dir, stem)), 0o600, "{stem}");
        assert_eq!(mode(&key_path(dir, stem)), 0o600, "{stem}");
    }
    assert_eq!(mode(&key_path(dir, SERVICE_ACCOUNT)), 0o600);
    assert_eq!(mode(&public_key_path(dir, SERVICE_ACCOUNT)), 0o644);
    let exposed = kubeconfig_path(dir, "clients/admin");
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).unwrap();
    let report = ensure(dir, &cluster().inventory(), now()).unwrap();
    assert_eq!(report.done, [Step::Protect(exposed.clone())]);
    assert_eq!(mode(&exposed), 0o600);
}

#[test]
fn servers_answer_under_all_their_names_and_know_the_clusters_clients_from_others() {
    let dir = made(&cluster());
    ensure(dir.path(), &three(), now()).unwrap();
    let serving = || server(dir.path(), "cluster-client-ca", "servers/b/serving");
    let caller = |stem| client(dir.path(), "cluster-server-ca", stem);
    for name in [
        "127.0.0.3",
        "b.example",
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "10.96.0.1",
        "shared.example",
    ] {
        assert_eq!(handshake(serving(), caller("clients/admin"), name), Ok(()), "{name}");
    }
    assert!(handshake(serving(), caller("clients/admin"), "127.0.0.2").is_err(), "b answered as a");
    assert_eq!(handshake(serving(), caller("nodes/worker-1"), "localhost"), Ok(()));
    for stranger in ["clients/root", "servers/a/peer", "servers/a/serving", "members/a/peer"] {
        assert!(handshake(serving(), caller(stranger), "localhost").is_err(), "{stranger}");
    }
}

#[test]
fn nodes_answer_api_servers_under_their_own_name_and_nobody_else_answers_for_them() {
    let dir = made(&cluster());
    let node = || server(dir.path(), "cluster-client-ca", "nodes/worker-1/serving");
    let caller = || client(dir.path(), "cluster-node-ca", "servers/b/kubelet-client");
    for name in ["worker-1", "10.0.0.7"] {
        assert_eq!(handshake(node(), caller(), name), Ok(()), "{name}");
    }
    assert!(handshake(node(), caller(), "worker-2").is_err(), "one node answered as another");
    for pretender in ["servers/a/serving", "nodes/worker-1"] {
        let pretender = server(dir.path(), "cluster-client-ca", pretender);
        assert!(handshake(pretender, caller(), "worker-1").is_err());
    }
    let api = server(dir.path(), "cluster-client-ca", "nodes/worker-1/serving");
    let kubectl = client(dir.path(), "cluster-server-ca", "clients/admin");
    assert!(handshake(api, kubectl, "worker-1").is_err(), "a node answered as an API server");
}

#[test]
fn the_nodes_authority_is_there_before_the_first_node() {
    let dir = made(&Cluster { nodes: Vec::new(), ..cluster() });
    assert!(certificate_path(dir.path(), "cluster-node-ca").exists());
    assert_eq!("worker-1".parse::<Node>().unwrap().hosts.len(), 0);
}

#[test]
fn subjects_say_who_the_clients_are() {
    let dir = made(&cluster());
    for (stem, name, group) in [
        ("clients/admin", "kubernetes-admin", Some("system:masters")),
        ("clients/controller-manager", "system:kube-controller-manager", None),
        ("clients/scheduler", "system:kube-scheduler", None),
        ("clients/proxy", "system:kube-proxy", None),
        ("nodes/worker-1", "system:node:worker-1", Some("system:nodes")),
        ("nodes/worker-1/serving", "system:node:worker-1", Some("system:nodes")),
        ("servers/a/kubelet-client", "kube-apiserver-kubelet-client", None),
    ] {
        let der = CertificateDer::from_pem_file(certificate_path(dir.path(), stem)).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        let subject = certificate.subject();
        let names: Vec<_> = subject.iter_common_name().map(|name| name.as_str().unwrap()).collect();
        let groups: Vec<_> = subject.iter_organization().map(|name| name.as_str().unwrap()).collect();
        assert_eq!((names, groups), (vec![name], group.into_iter().collect()), "{stem}");
    }
}

#[test]
fn a_kubeconfig_file_embeds_what_a_client_needs() {
    let dir = made(&cluster());
    let text = fs::read_to_string(kubeconfig_path(dir.path(), "nodes/worker-1")).unwrap();
    let embedded = |path| BASE64_STANDARD.encode(fs::read(path).unwrap());
    let expected = [
        "    server: https://shared.example:6443".to_owned(),
        "- name: \"system:node:worker-1\"".to_owned(),
        "    user: \"system:node:worker-1\"".to_owned(),
        format!(
            "    certificate-authority-data: {}",
            embedded(certificate_path(dir.path(), "cluster-server-ca"))
        ),
        format!("    client-certificate-data: {}", embedded(certificate_path(dir.path(), "nodes/worker-1"))),
        format!("    client-key-data: {}", embedded(key_path(dir.path(), "nodes/worker-1"))),
    ];
    for line in expected {
        assert!(text.lines().any(|own| own == line), "{line} is not in {text}");
    }
}

#[test]
fn a_kubeconfig_file_is_kept_while_it_will_do_and_follows_its_certificate_and_url() {
    let dir = made(&cluster());
    let path = kubeconfig_path(dir.path(), "clients/admin");
    // As `kubectl config set-context --current --namespace=shop` leaves it: other order, other quotes.
    let text = fs::read_to_string(&path).unwrap().replace("\"kubernetes-admin\"", "kubernetes-admin");
    let edited = text.replace("    cluster: keelson\n", "    cluster: keelson\n    namespace: shop\n");
    fs::write(&path, &edited).unwrap();
    assert_eq!(ensure(dir.path(), &cluster().inventory(), now()).unwrap().done, []);
    assert_eq!(fs::read_to_string(&path).unwrap(), edited);

    let late = now() + CERTIFICATE_VALIDITY - RENEW_BEFORE_END + Duration::days(1);
    let report = ensure(dir.path(), &cluster().inventory(), late).unwrap();
    assert_eq!(written(&report.done).len(), 5);
    assert!(written(&report.done).contains(&("clients/admin", Reason::Outdated)));
    assert_eq!(ensure(dir.path(), &cluster().inventory(), late).unwrap().done, []);

    let moved = Cluster { url: "https://127.0.0.1:7443".parse().unwrap(), ..cluster() };
    let report = ensure(dir.path(), &moved.inventory(), late).unwrap();
    assert_eq!(written(&report.done).len(), 5);
    assert_eq!(ensure(dir.path(), &moved.inventory(), late).unwrap().done, []);
    fs::remove_file(&path).unwrap();
    let report = ensure(dir.path(), &moved.inventory(), late).unwrap();
    assert_eq!(written(&report.done), [("clients/admin", Reason::Absent)]);
}

#[test]
fn the_service_accounts_key_signs_what_its_public_half_verifies() {
    let dir = made(&cluster());
    let PrivateKeyDer::Pkcs8(private) =
        PrivateKeyDer::from_pem_file(key_path(dir.path(), SERVICE_ACCOUNT)).unwrap()
    else {
        panic!("not PKCS #8")
    };
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let key = EcdsaKeyPair::from_pkcs8(algorithm, private.secret_pkcs8_der(), &random).unwrap();
    let signature = key.sign(&random, b"token").unwrap();
    let pem = fs::read(public_key_path(dir.path(), SERVICE_ACCOUNT)).unwrap();
    let public = rustls::pki_types::SubjectPublicKeyInfoDer::from_pem_slice(&pem).unwrap();
    let (_, info) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&public).unwrap();
    let verifier = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &info.subject_public_key.data);
    assert!(verifier.verify(b"token", signature.as_ref()).is_ok());
    assert!(verifier.verify(b"other", signature.as_ref()).is_err());
}

#[test]
fn a_lost_service_account_key_is_never_replaced_by_itself() {
    let dir = made(&cluster());
    let dir = dir.path();
    let private = key_path(dir, SERVICE_ACCOUNT);
    let public = public_key_path(dir, SERVICE_ACCOUNT);
    let key = fs::read(&private).unwrap();
    fs::remove_file(&private).unwrap();
    let error = ensure(dir, &cluster().inventory(), now()).unwrap_err();
    assert!(matches!(&error, PkiError::SigningKeyMissing { key } if *key == private), "{error}");
    assert!(!private.exists());
    fs::write(&private, &key).unwrap();
    let text = fs::read_to_string(&public).unwrap();
    fs::remove_file(&public).unwrap();
    ensure(dir, &cluster().inventory(), now()).unwrap();
    assert_eq!(fs::read_to_string(&public).unwrap(), text, "the public half is made from the private one");
    assert_eq!(fs::read(&private).unwrap(), key);
    assert_eq!(mode(&private), 0o600, "what was put back is protected");
    fs::remove_file(&private).unwrap();
    fs::remove_file(&public).unwrap();
    ensure(dir, &cluster().inventory(), now()).unwrap();
    assert_ne!(fs::read_to_string(&public).unwrap(), text, "both gone: a new key");
}

#[test]
fn a_damaged_signing_key_is_named() {
    for file in ["service-account.key", "service-account.pub"] {
        let dir = made(&cluster());
        let path = dir.path().join(file);
        fs::write(&path, "garbage").unwrap();
        let error = ensure(dir.path(), &cluster().inventory(), now()).unwrap_err();
        assert!(matches!(&error, PkiError::Damaged { path: named, .. } if *named == path), "{error}");
    }
}

#[test]
fn urls_and_node_names_are_parsed_strictly() {
    for text in ["https://127.0.0.1:6443", "https://[fd00::1]:6443", "https://api.example:443"] {
        assert_eq!(text.parse::<ServerUrl>().unwrap().to_string(), text);
    }
    for text in [
        "http://127.0.0.1:6443",
        "https://127.0.0.1",
        "https://127.0.0.1:",
        "https://127.0.0.1:+1",
        "https://127.0.0.1:99999",
        "https://fd00::1:6443",
        "https://[127.0.0.1]:6443",
        "https://a:1/path",
        "https://u@a:1",
    ] {
        assert_eq!(text.parse::<ServerUrl>(), Err(NameError::Url(text.to_owned())));
    }
    assert!("worker-1.example".parse::<NodeName>().is_ok());
    let long = "a".repeat(64);
    for text in ["", "Worker", "a_b", "-a", "a-", "a..b", "../a", "a/b", &long] {
        assert_eq!(text.parse::<NodeName>(), Err(NameError::Node(text.to_owned())));
    }
}
