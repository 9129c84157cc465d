//! What is wrong with a projected volume: files from several sources.
//!
//! In: the volume's source. Out: what is wrong with it, in upstream's words.
//!
//! Deliberately absent: the tokens that need an account, which only pods are asked for; the annotations of certificates.

use std::collections::BTreeSet;

use super::volume::{downward, keys, mode};
use crate::{
    field::FieldError,
    kinds::{
        certificates::{check_signer, cluster_trust_bundle},
        local_path,
        metadata::label_selector,
        volume_source::needed,
    },
    place::Place,
};

/// With which algorithms a pod's key is made.
const KEY_TYPES: &[&str] = &["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];

/// How long a pod's certificate holds at least, and at most: 91 days, and a day for Kubernetes' own signers.
const SECONDS_MIN: i64 = 3600;
const SECONDS_MAX: i64 = 7_862_400;
const SECONDS_MAX_OWN: i64 = 86_400;

/// `projected`.
pub(super) fn sources(volume: &Place<'_>, errors: &mut Vec<FieldError>) {
    mode(&volume.child("defaultMode"), errors);
    let mut files = Files { volume, taken: BTreeSet::new() };
    for source in volume.child("sources").items() {
        let kinds: [(&str, Rule<'_>); 6] = [
            ("secret", object_keys),
            ("configMap", object_keys),
            ("downwardAPI", fields),
            ("serviceAccountToken", token),
            ("clusterTrustBundle", trust_bundle),
            ("podCertificate", certificate),
        ];
        let mut found = 0;
        for (kind, rule) in kinds {
            let projection = source.child(kind);
            if projection.is_set() {
                found += 1;
                rule(&projection, &mut files, errors);
            }
        }
        if found > 1 {
            errors.push(source.forbidden("may not specify more than 1 volume type per source"));
        }
    }
}

/// What is wrong with a source of one kind.
type Rule<'v> = fn(&Place<'v>, &mut Files<'_, 'v>, &mut Vec<FieldError>);

/// The files of the volume, each of which comes from one source.
struct Files<'p, 'v> {
    volume: &'p Place<'v>,
    taken: BTreeSet<&'v str>,
}

impl<'v> Files<'_, 'v> {
    /// Complains, naming `culprit`, if the path is another source's. Upstream does so of the volume as a whole.
    fn take(&mut self, path: &Place<'v>, culprit: &str, errors: &mut Vec<FieldError>) {
        if !self.taken.insert(path.text()) {
            errors.push(FieldError::invalid(self.volume.path(), culprit, "conflicting duplicate paths"));
        }
    }
}

/// Keys of a Secret or a ConfigMap.
fn object_keys<'v>(source: &Place<'v>, files: &mut Files<'_, 'v>, errors: &mut Vec<FieldError>) {
    keys(source, "name", errors);
    for path in source.child("items").items().map(|item| item.child("path")) {
        if !path.text().is_empty() {
            files.take(&path, source.child("name").text(), errors);
        }
    }
}

/// Fields and resources of the pod.
fn fields<'v>(source: &Place<'v>, files: &mut Files<'_, 'v>, errors: &mut Vec<FieldError>) {
    downward(source, errors);
    for path in source.child("items").items().map(|item| item.child("path")) {
        if !path.text().is_empty() {
            files.take(&path, path.text(), errors);
        }
    }
}

fn token<'v>(token: &Place<'v>, files: &mut Files<'_, 'v>, errors: &mut Vec<FieldError>) {
    let seconds = token.child("expirationSeconds");
    match seconds.integer() {
        None => errors.push(seconds.required("")),
        Some(..600) => errors.push(seconds.invalid("may not specify a duration less than 10 minutes")),
        Some(600..=0x1_0000_0000) => {}
        Some(_) => errors.push(seconds.invalid("may not specify a duration larger than 2^32 seconds")),
    }
    // Upstream leaves the source out of this path.
    let path = token.child("path").shown_as(files.volume.child("path").path());
    if path.text().is_empty() {
        errors.push(path.required(""));
    } else {
        local_path::file(&path, errors);
    }
}

/// One bundle by its name, or all of a signer that a selector takes.
fn trust_bundle<'v>(bundle: &Place<'v>, files: &mut Files<'_, 'v>, errors: &mut Vec<FieldError>) {
    let [name, signer, path] = ["name", "signerName", "path"].map(|field| bundle.child(field));
    match (name.is_set(), signer.is_set()) {
        (true, true) => errors.push(bundle.invalid("only one of name and signerName may be used")),
        (true, false) => bundle_name(bundle, &name, errors),
        (false, true) => {
            if signer.text().is_empty() {
                errors.push(signer.required("must be a valid signer name"));
            }
            check_signer(&signer, errors);
            label_selector(&bundle.child("labelSelector"), errors);
        }
        (false, false) => errors.push(bundle.required("either name or signerName must be specified")),
    }
    needed(bundle, &["path"], errors);
    local_path::file(&path, errors);
    files.take(&path, path.text(), errors);
}

fn bundle_name(bundle: &Place<'_>, name: &Place<'_>, errors: &mut Vec<FieldError>) {
    if name.text().is_empty() {
        errors.push(name.required("must be a valid object name"));
    }
    let wrong = cluster_trust_bundle::wrong_with_reference(name.text()).into_iter();
    errors.extend(wrong.map(|why| name.invalid(format!("not a valid clustertrustbundlename: {why}"))));
    let selector = bundle.child("labelSelector");
    if selector.is_set() {
        errors.push(selector.invalid("labelSelector must be unset if name is specified"));
    }
}

/// A key and a certificate that a signer makes for the pod.
fn certificate<'v>(source: &Place<'v>, files: &mut Files<'_, 'v>, errors: &mut Vec<FieldError>) {
    let (signer, kind) = (source.child("signerName"), source.child("keyType"));
    check_signer(&signer, errors);
    if !KEY_TYPES.contains(&kind.text()) {
        errors.push(FieldError::not_supported_in_order(kind.path(), kind.text(), KEY_TYPES));
    }
    lifetime(&source.child("maxExpirationSeconds"), signer.text(), errors);
    let paths = ["credentialBundlePath", "keyPath", "certificateChainPath"].map(|field| source.child(field));
    let mut is_nowhere = true;
    for path in paths.iter().filter(|path| !path.text().is_empty()) {
        is_nowhere = false;
        local_path::file(path, errors);
        files.take(path, path.text(), errors);
    }
    if is_nowhere {
        errors.push(
            source
                .required("specify at least one of credentialBundlePath, keyPath, and certificateChainPath"),
        );
    }
}

fn lifetime(seconds: &Place<'_>, signer: &str, errors: &mut Vec<FieldError>) {
    let most = if signer.starts_with("kubernetes.io/") { SECONDS_MAX_OWN } else { SECONDS_MAX };
    match seconds.integer() {
        Some(wish) if wish < SECONDS_MIN => errors
            .push(seconds.invalid(format!("if provided, maxExpirationSeconds must be >= {SECONDS_MIN}"))),
        Some(wish) if wish > most => {
            errors.push(seconds.invalid(format!("if provided, maxExpirationSeconds must be <= {most}")));
        }
        Some(_) | None => {}
    }
}
