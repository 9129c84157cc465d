//! What is wrong with a projected volume: files from several sources.

use std::collections::BTreeSet;

use super::volume::{downward, file_path, keys, mode, needed};
use crate::{
    field::FieldError,
    kinds::{certificates::check_signer, metadata::label_selector},
    place::Place,
};

/// What one source may be.
const KINDS: &[&str] =
    &["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];

/// With which algorithms a pod's key is made.
const KEY_TYPES: &[&str] = &["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];

/// How long a pod's certificate holds at least, and at most: 91 days, and a day for Kubernetes' own signers.
const SECONDS_MIN: i64 = 3600;
const SECONDS_MAX: i64 = 7_862_400;
const SECONDS_MAX_OWN: i64 = 86_400;

/// `projected`.
pub(super) fn sources(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    mode(&source.child("defaultMode"), errors);
    for projection in source.child("sources").items() {
        let mut set = KINDS.iter().map(|kind| (*kind, projection.child(kind))).filter(|(_, it)| it.is_set());
        let Some((kind, first)) = set.next() else {
            errors.push(projection.required("must specify at least one volume source"));
            continue;
        };
        match kind {
            "secret" | "configMap" => keys(&first, Some("name"), errors),
            "downwardAPI" => downward(&first, errors),
            "serviceAccountToken" => token(&first, errors),
            "clusterTrustBundle" => trust_bundle(&first, errors),
            _ => certificate(&first, errors),
        }
        errors.extend(
            set.map(|(_, more)| more.forbidden("may not specify more than 1 volume type per source")),
        );
    }
}

fn token(token: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (seconds, path) = (token.child("expirationSeconds"), token.child("path"));
    match seconds.integer().unwrap_or(0) {
        ..600 => errors.push(seconds.invalid("may not specify a duration less than 10 minutes")),
        600..=0x1_0000_0000 => {}
        _ => errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds")),
    }
    if path.text().is_empty() {
        errors.push(path.required(""));
    } else {
        file_path(&path, errors);
    }
}

/// One bundle by its name, or all of a signer that a selector takes.
fn trust_bundle(bundle: &Place<'_>, errors: &mut Vec<FieldError>) {
    needed(bundle, &["path"], errors);
    file_path(&bundle.child("path"), errors);
    let [name, signer, selector] = ["name", "signerName", "labelSelector"].map(|field| bundle.child(field));
    match (name.is_set(), signer.is_set()) {
        (true, true) => errors.push(bundle.invalid("only one of name and signerName may be used")),
        (true, false) => {
            if name.text().is_empty() {
                errors.push(name.required("must be a valid object name"));
            }
            if selector.is_set() {
                errors.push(selector.invalid("labelSelector must be unset if name is specified"));
            }
        }
        (false, true) => {
            check_signer(&signer, errors);
            label_selector(&selector, errors);
        }
        (false, false) => errors.push(bundle.required("either name or signerName must be specified")),
    }
}

/// A key and a certificate that a signer makes for the pod.
fn certificate(certificate: &Place<'_>, errors: &mut Vec<FieldError>) {
    let signer = certificate.child("signerName");
    check_signer(&signer, errors);
    certificate.child("keyType").one_of(KEY_TYPES, errors);
    let seconds = certificate.child("maxExpirationSeconds");
    let is_own = signer.text().starts_with("kubernetes.io/");
    let most = if is_own { SECONDS_MAX_OWN } else { SECONDS_MAX };
    match seconds.integer() {
        Some(wish) if wish < SECONDS_MIN => errors
            .push(seconds.invalid(format!("if provided, maxExpirationSeconds must be >= {SECONDS_MIN}"))),
        Some(wish) if wish > most => {
            errors.push(seconds.invalid(format!("if provided, maxExpirationSeconds must be <= {most}")));
        }
        Some(_) | None => {}
    }
    let paths =
        ["credentialBundlePath", "keyPath", "certificateChainPath"].map(|field| certificate.child(field));
    let mut seen = BTreeSet::new();
    for path in paths.iter().filter(|path| !path.text().is_empty()) {
        file_path(path, errors);
        if !seen.insert(path.text()) {
            errors.push(path.invalid("conflicting duplicate paths"));
        }
    }
    if seen.is_empty() {
        errors.push(
            certificate
                .required("specify at least one of credentialBundlePath, keyPath, and certificateChainPath"),
        );
    }
}
