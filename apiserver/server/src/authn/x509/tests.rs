//! Certificates as they become users, and those that become nobody.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use time::{Duration, macros::datetime};

use super::*;

const NOW: OffsetDateTime = datetime!(2026-06-01 00:00:00 UTC);

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = NOW - Duration::days(10);
    params.not_after = NOW + Duration::days(100);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn client(
    signed_by: &CertifiedIssuer<'_, KeyPair>,
    adjust: fn(&mut CertificateParams),
) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "jane");
    params.distinguished_name.push(DnType::OrganizationName, "ops");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.not_before = NOW - Duration::days(1);
    params.not_after = NOW + Duration::days(1);
    adjust(&mut params);
    params.signed_by(&KeyPair::generate().unwrap(), signed_by).unwrap().der().clone()
}

fn believing(authority: &CertifiedIssuer<'_, KeyPair>) -> ClientAuthorities {
    ClientAuthorities::from_pem(&authority.pem()).unwrap()
}

#[test]
fn the_subject_is_the_user() {
    let ca = authority("ca");
    let certified = believing(&ca).judge(&[client(&ca, |_| ())], NOW).unwrap();
    let user = certified.at(NOW).unwrap();
    assert_eq!((user.name.as_str(), user.groups.as_slice()), ("jane", &["ops".to_owned()][..]));
    let [credential] = user.extra["authentication.kubernetes.io/credential-id"].as_slice() else {
        panic!("one credential id")
    };
    assert!(credential.starts_with("X509SHA256=") && credential.len() == 11 + 64, "{credential}");
}

#[test]
fn a_certificate_that_expires_while_the_connection_lives_ends_with_its_time() {
    let ca = authority("ca");
    let certified = believing(&ca).judge(&[client(&ca, |_| ())], NOW).unwrap();
    assert_eq!(certified.at(NOW + Duration::days(2)), Err(Untrusted::NotNow));
    assert_eq!(certified.at(NOW - Duration::days(2)), Err(Untrusted::NotNow));
}

#[test]
fn foreign_expired_early_and_misused_certificates_prove_nothing() {
    let (ca, other) = (authority("ca"), authority("ca"));
    let judged = |certificate| believing(&ca).judge(&[certificate], NOW);
    assert!(matches!(judged(client(&other, |_| ())), Err(Untrusted::Chain(_))));
    let expired = client(&ca, |params| params.not_after = NOW - Duration::hours(1));
    assert!(matches!(judged(expired), Err(Untrusted::Chain(_))));
    let early = client(&ca, |params| params.not_before = NOW + Duration::hours(1));
    assert!(matches!(judged(early), Err(Untrusted::Chain(_))));
    let server = client(&ca, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert!(matches!(judged(server), Err(Untrusted::Chain(_))));
}

#[test]
fn a_certificate_must_name_somebody() {
    let ca = authority("ca");
    let nameless = client(&ca, |params| params.distinguished_name = DistinguishedName::new());
    assert_eq!(believing(&ca).judge(&[nameless], NOW), Err(Untrusted::Nameless));
    assert_eq!(believing(&ca).judge(&[], NOW), Err(Untrusted::Nameless));
}

#[test]
fn bytes_that_are_no_certificate_and_unknown_critical_extensions_are_refused() {
    let ca = authority("ca");
    let garbage = CertificateDer::from(vec![0x30, 0x03, 0x01, 0x02, 0x03]);
    assert!(believing(&ca).judge(&[garbage], NOW).is_err());
    let odd = client(&ca, |params| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 57683, 99], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    });
    assert!(believing(&ca).judge(&[odd], NOW).is_err());
}

#[test]
fn what_is_no_authority_is_refused_at_the_start() {
    assert!(ClientAuthorities::from_pem("").is_err());
    assert!(
        ClientAuthorities::from_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----").is_err()
    );
}
