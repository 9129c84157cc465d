//! What `ensure` promises, tried on real folders and, for the certificates, by real TLS handshakes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use time::{Duration, OffsetDateTime};

use crate::identity::{Inventory, Member, certificate_path, key_path, store_inventory};
use crate::name::NameError;
use crate::plan::{AUTHORITY_VALIDITY, CERTIFICATE_VALIDITY, RENEW_BEFORE_END, Reason, Step};
use crate::{PkiError, ensure};

mod cluster;

fn members(texts: &[&str]) -> Inventory {
    store_inventory(&texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Member>>())
}

fn three() -> Inventory {
    members(&["a=127.0.0.1,localhost", "b=127.0.0.2", "c=::1"])
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn made() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    ensure(dir.path(), &three(), now()).unwrap();
    dir
}

/// Path and contents of every file below `dir`, lock file excepted.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
        } else if !path.ends_with(".lock") {
            files.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn issued(steps: &[Step]) -> Vec<(&str, Reason)> {
    let issued = steps.iter().filter_map(|step| match step {
        Step::Issue(identity, _, reason) => Some((identity.stem.as_str(), *reason)),
        Step::Protect(_) | Step::MakeAuthority(..) | Step::Publish(..) | Step::WriteKubeconfig(..) => None,
    });
    issued.collect()
}

#[test]
fn first_run_makes_every_file_and_the_second_changes_none() {
    let dir = tempfile::tempdir().unwrap();
    let first = ensure(dir.path(), &three(), now()).unwrap();
    assert_eq!(first.done.len(), 2 + 7, "two authorities, two certificates per member, one client");
    let before = contents(dir.path());
    assert_eq!(before.len(), 2 * 9);
    let second = ensure(dir.path(), &three(), now()).unwrap();
    assert_eq!(second.done, []);
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn keys_are_private_and_folders_too() {
    let dir = made();
    for stem in ["peer-ca", "client-ca", "members/a/server", "members/b/peer", "clients/root"] {
        assert_eq!(mode(&key_path(dir.path(), stem)), 0o600, "{stem}");
        assert_eq!(mode(&certificate_path(dir.path(), stem)), 0o644, "{stem}");
    }
    assert_eq!(mode(&dir.path().join("members/a")), 0o700);
    assert_eq!(mode(&dir.path().join("clients")), 0o700);
}

#[test]
fn an_exposed_key_is_protected_again() {
    let dir = made();
    let key = key_path(dir.path(), "members/b/server");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let report = ensure(dir.path(), &three(), now()).unwrap();
    assert_eq!(report.done, [Step::Protect(key.clone())]);
    assert_eq!(mode(&key), 0o600);
}

#[test]
fn changed_hosts_reissue_that_member_only_and_keep_its_keys() {
    let dir = made();
    let key = fs::read(key_path(dir.path(), "members/b/server")).unwrap();
    let moved = members(&["a=127.0.0.1,localhost", "b=10.0.0.2", "c=::1"]);
    let report = ensure(dir.path(), &moved, now()).unwrap();
    assert_eq!(
        issued(&report.done),
        [("members/b/server", Reason::OtherNames), ("members/b/peer", Reason::OtherNames)]
    );
    assert_eq!(fs::read(key_path(dir.path(), "members/b/server")).unwrap(), key);
    assert_eq!(ensure(dir.path(), &moved, now()).unwrap().done, []);
}

#[test]
fn certificates_are_renewed_before_they_end() {
    let dir = made();
    let early = now() + CERTIFICATE_VALIDITY - RENEW_BEFORE_END - Duration::days(1);
    assert_eq!(ensure(dir.path(), &three(), early).unwrap().done, []);
    let late = early + Duration::days(2);
    let report = ensure(dir.path(), &three(), late).unwrap();
    assert_eq!(issued(&report.done).len(), 7);
    assert!(issued(&report.done).iter().all(|(_, reason)| *reason == Reason::Validity));
    assert_eq!(ensure(dir.path(), &three(), late).unwrap().done, []);
}

#[test]
fn a_certificate_made_by_a_clock_ahead_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let authorities_age = Duration::days(400);
    ensure(dir.path(), &members(&["a=127.0.0.1"]), now() - authorities_age).unwrap();
    ensure(dir.path(), &members(&["a=127.0.0.1"]), now() + Duration::days(30)).unwrap();
    let report = ensure(dir.path(), &members(&["a=127.0.0.1"]), now()).unwrap();
    assert!(issued(&report.done).contains(&("members/a/server", Reason::Validity)));
}

#[test]
fn an_authority_near_its_end_is_reported_and_caps_its_certificates_without_endless_renewal() {
    let dir = made();
    let late = now() + AUTHORITY_VALIDITY - Duration::days(30);
    let report = ensure(dir.path(), &three(), late).unwrap();
    assert_eq!(report.expiring.len(), 2);
    assert_eq!(issued(&report.done).len(), 7);
    assert_eq!(ensure(dir.path(), &three(), late + Duration::days(1)).unwrap().done, []);
}

#[test]
fn an_expired_authority_is_an_error_and_its_cure_works() {
    let dir = made();
    let late = now() + AUTHORITY_VALIDITY + Duration::days(1);
    let error = ensure(dir.path(), &three(), late).unwrap_err();
    let PkiError::AuthorityExpired { path, .. } = &error else { panic!("{error}") };
    let key = fs::read(key_path(dir.path(), "peer-ca")).unwrap();
    fs::remove_file(path).unwrap();
    fs::remove_file(certificate_path(dir.path(), "client-ca")).unwrap();
    ensure(dir.path(), &three(), late).unwrap();
    assert_eq!(fs::read(key_path(dir.path(), "peer-ca")).unwrap(), key, "the authority's key is kept");
}

#[test]
fn a_lost_authority_key_matters_only_when_something_must_be_signed() {
    let dir = made();
    fs::remove_file(key_path(dir.path(), "peer-ca")).unwrap();
    assert_eq!(ensure(dir.path(), &three(), now()).unwrap().done, []);
    let before = contents(dir.path());
    let error = ensure(dir.path(), &members(&["d=127.0.0.4"]), now()).unwrap_err();
    assert!(
        matches!(&error, PkiError::AuthorityKeyMissing { key, .. } if key.ends_with("peer-ca.key")),
        "{error}"
    );
    assert_eq!(contents(dir.path()), before, "nothing was written");
}

#[test]
fn a_replaced_authority_reissues_what_the_old_one_signed() {
    let dir = made();
    fs::remove_file(key_path(dir.path(), "peer-ca")).unwrap();
    fs::remove_file(certificate_path(dir.path(), "peer-ca")).unwrap();
    let report = ensure(dir.path(), &three(), now()).unwrap();
    let stems = ["members/a/peer", "members/b/peer", "members/c/peer"];
    assert_eq!(issued(&report.done), stems.map(|stem| (stem, Reason::OtherAuthority)));
    assert_eq!(ensure(dir.path(), &three(), now()).unwrap().done, []);
}

#[test]
fn half_a_pair_left_by_a_crash_is_completed() {
    let dir = made();
    fs::remove_file(certificate_path(dir.path(), "peer-ca")).unwrap();
    fs::remove_file(certificate_path(dir.path(), "members/a/peer")).unwrap();
    fs::remove_file(key_path(dir.path(), "members/c/server")).unwrap();
    let report = ensure(dir.path(), &three(), now()).unwrap();
    assert_eq!(report.done.len(), 3);
    assert_eq!(ensure(dir.path(), &three(), now()).unwrap().done, []);
    let other_key = fs::read(key_path(dir.path(), "members/a/server")).unwrap();
    fs::write(key_path(dir.path(), "members/b/server"), other_key).unwrap();
    let report = ensure(dir.path(), &three(), now()).unwrap();
    assert_eq!(issued(&report.done), [("members/b/server", Reason::OtherKey)]);
}

#[test]
fn damaged_files_are_named_and_nothing_is_written() {
    for file in ["client-ca.crt", "client-ca.key", "members/a/server.crt", "members/a/server.key"] {
        let dir = made();
        let path = dir.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        let before = contents(dir.path());
        let error = ensure(dir.path(), &members(&["d=127.0.0.4", "a=127.0.0.1"]), now()).unwrap_err();
        assert!(matches!(&error, PkiError::Damaged { path: named, .. } if *named == path), "{file}: {error}");
        assert!(error.to_string().contains("To cure it"), "{error}");
        assert_eq!(contents(dir.path()), before, "{file}");
    }
}

#[test]
fn an_authority_of_another_key_and_a_leaf_in_its_place_are_refused() {
    let dir = made();
    fs::copy(key_path(dir.path(), "client-ca"), key_path(dir.path(), "peer-ca")).unwrap();
    let error = ensure(dir.path(), &three(), now()).unwrap_err();
    assert!(error.to_string().contains("does not belong"), "{error}");
    let dir = made();
    fs::copy(dir.path().join("members/a/peer.crt"), dir.path().join("peer-ca.crt")).unwrap();
    let error = ensure(dir.path(), &three(), now()).unwrap_err();
    assert!(error.to_string().contains("not the certificate of an authority"), "{error}");
}

#[test]
fn members_are_parsed_and_unsafe_names_refused() {
    let member: Member = "a=127.0.0.1,Store.Example,fd00::1".parse().unwrap();
    let hosts: Vec<String> = member.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["127.0.0.1", "fd00::1", "store.example"]);
    assert!(matches!("a".parse::<Member>(), Err(NameError::Form(_))));
    assert!(matches!("a=".parse::<Member>(), Err(NameError::Host(_))));
    assert!(matches!("a=b c".parse::<Member>(), Err(NameError::Host(_))));
    for name in ["", "..", "../x", "a/b", ".hidden", "-x"] {
        assert!(matches!(format!("{name}=h").parse::<Member>(), Err(NameError::Member(_))), "{name:?}");
    }
}

#[test]
fn members_and_clients_shake_hands_and_strangers_do_not() {
    let dir = made();
    let dir = dir.path();
    let server = |ca, stem| server(dir, ca, stem);
    let client = |ca, stem| client(dir, ca, stem);
    let name = "127.0.0.1";
    assert_eq!(
        handshake(server("client-ca", "members/a/server"), client("client-ca", "clients/root"), name),
        Ok(())
    );
    assert_eq!(
        handshake(server("client-ca", "members/a/server"), client("client-ca", "clients/root"), "localhost"),
        Ok(())
    );
    assert_eq!(
        handshake(server("client-ca", "members/c/server"), client("client-ca", "clients/root"), "::1"),
        Ok(())
    );
    assert_eq!(
        handshake(server("peer-ca", "members/a/peer"), client("peer-ca", "members/b/peer"), name),
        Ok(())
    );
    // A client of the store is no peer, a peer is no client, and a server's certificate proves no client.
    for (ca, holder, stranger) in [
        ("peer-ca", "members/a/peer", "clients/root"),
        ("client-ca", "members/a/server", "members/b/peer"),
        ("client-ca", "members/a/server", "members/b/server"),
    ] {
        let outcome = handshake(server(ca, holder), client(ca, stranger), name);
        assert!(outcome.is_err(), "{stranger} was let in by {holder}");
    }
    let wrong_name =
        handshake(server("client-ca", "members/b/server"), client("client-ca", "clients/root"), name);
    assert!(wrong_name.is_err(), "b answered under a's address");
}

fn authority(dir: &Path, stem: &str) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate_path(dir, stem)).unwrap()).unwrap();
    Arc::new(roots)
}

fn pair(dir: &Path, stem: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_file(certificate_path(dir, stem)).unwrap();
    (vec![certificate], PrivateKeyDer::from_pem_file(key_path(dir, stem)).unwrap())
}

fn server(dir: &Path, ca: &str, stem: &str) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(authority(dir, ca), Arc::clone(&provider))
        .build()
        .unwrap();
    let (chain, key) = pair(dir, stem);
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).unwrap()
}

fn client(dir: &Path, ca: &str, stem: &str) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (chain, key) = pair(dir, stem);
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(authority(dir, ca)).with_client_auth_cert(chain, key).unwrap()
}

/// Runs a handshake in memory until both sides are content or one objects.
fn handshake(server: ServerConfig, client: ClientConfig, name: &str) -> Result<(), String> {
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut client =
        ClientConnection::new(Arc::new(client), ServerName::try_from(name.to_owned()).unwrap()).unwrap();
    let mut bytes = Vec::new();
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() || server.wants_write() {
        bytes.clear();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        feed(&mut bytes.as_slice(), |input| server.read_tls(input));
        server.process_new_packets().map_err(|error| error.to_string())?;
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        feed(&mut bytes.as_slice(), |input| client.read_tls(input));
        client.process_new_packets().map_err(|error| error.to_string())?;
    }
    exchange_one_word(&mut server, &mut client)
}

/// TLS 1.3's client is content before the server has judged its certificate: only data that arrives proves it.
fn exchange_one_word(server: &mut ServerConnection, client: &mut ClientConnection) -> Result<(), String> {
    client.writer().write_all(b"hello").unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    feed(&mut bytes.as_slice(), |input| server.read_tls(input));
    server.process_new_packets().map_err(|error| error.to_string())?;
    let mut word = [0; 5];
    server.reader().read_exact(&mut word).map_err(|error| error.to_string())?;
    assert_eq!(&word, b"hello");
    Ok(())
}

fn feed(input: &mut &[u8], mut read: impl FnMut(&mut dyn Read) -> std::io::Result<usize>) {
    while !input.is_empty() {
        read(input).unwrap();
    }
}
