//! ClusterTrustBundle: certificates that everybody in the cluster may believe, those of a signer or of nobody.
//!
//! Source: `pkg/apis/certificates/validation`, `pkg/registry/certificates/clustertrustbundle`.

use std::collections::BTreeSet;

use keelson_api_schema::format::check_dns1123_subdomain;

use super::{certificates, check_signer};
use crate::{
    columns::NAME, field::FieldError, object::Object, place::Place, resources::Column, strategy::Strategy,
};

/// How long a bundle may be, in bytes.
const BUNDLE_MAX: usize = 1024 * 1024;

const SIGNER: [&str; 2] = ["spec", "signerName"];

/// The columns of ClusterTrustBundles.
pub const COLUMNS: &[Column] =
    &[NAME, Column::new("SignerName", "string", |object, _| object.text(&SIGNER).into())];

/// The rules of ClusterTrustBundles.
pub struct Rules;

impl Strategy for Rules {
    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let (name, signer) = (Place::at(object, &["metadata", "name"]), Place::at(object, &SIGNER));
        if !signer.text().is_empty() {
            check_signer(&signer, &mut errors);
        }
        errors.extend(name.each_invalid(wrong_with_name(name.text(), signer.text())));
        let bundle = Place::at(object, &["spec", "trustBundle"]);
        if let Err(why) = check_bundle(bundle.text()) {
            errors.push(FieldError::invalid(bundle.path(), "<value omitted>", why));
        }
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let (now, before) = (Place::at(object, &SIGNER), old.text(&SIGNER));
        if now.text() != before {
            errors.push(now.invalid("field is immutable"));
        }
        errors
    }

    fn check_name(&self, name: &str) -> Vec<String> {
        // How it begins depends on the signer, which is looked at with the whole object.
        check_dns1123_subdomain(name.rsplit(':').next().unwrap_or_default())
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }
}

/// What is wrong with a name that somebody refers to, which says itself whose the bundle is.
pub(in crate::kinds) fn wrong_with_reference(name: &str) -> Vec<String> {
    let Some((signer, own)) = name.rsplit_once(':') else { return check_dns1123_subdomain(name) };
    let wrong = wrong_with_name(name, &signer.replace(':', "/"));
    if wrong.is_empty() { check_dns1123_subdomain(own) } else { wrong }
}

/// The bundles of a signer have names that begin with it.
fn wrong_with_name(name: &str, signer: &str) -> Vec<String> {
    let prefix = format!("{}:", signer.replace('/', ":"));
    match () {
        () if signer.is_empty() && name.contains(':') => {
            vec!["ClusterTrustBundle without signer name must not have \":\" in its name".to_owned()]
        }
        () if !signer.is_empty() && !name.starts_with(&prefix) => {
            vec![format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}")]
        }
        () => Vec::new(),
    }
}

fn check_bundle(text: &str) -> Result<(), String> {
    if text.len() > BUNDLE_MAX {
        return Err(format!("must be at most {BUNDLE_MAX} bytes"));
    }
    if !text.contains("-----BEGIN ") {
        return Err("at least one trust anchor must be provided".to_owned());
    }
    let found = certificates(text.as_bytes())?;
    let different: BTreeSet<&Vec<u8>> = found.iter().collect();
    if different.len() < found.len() {
        return Err("duplicate trust anchor".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::texts;

    fn bundle(name: &str, signer: &str) -> Object {
        let text = include_str!("testing/authority.pem");
        let spec = json!({"signerName": signer, "trustBundle": text});
        Object(json!({"metadata": {"name": name}, "spec": spec}))
    }

    #[test]
    fn the_name_begins_with_the_signer() {
        assert_eq!(Rules.validate(&bundle("mine", "")), []);
        let good = bundle("example.com:ca:one", "example.com/ca");
        assert_eq!(Rules.validate(&good), []);
        assert_eq!(Rules.check_name(good.name()), [""; 0]);
        assert_eq!(
            texts(&Rules.validate(&bundle("one", "example.com/ca"))),
            [
                "metadata.name: Invalid value: \"one\": ClusterTrustBundle for signerName example.com/ca must be named with prefix example.com:ca:"
            ]
        );
        assert_eq!(Rules.validate(&bundle("a:b", "")).len(), 1);
        assert_eq!(
            texts(&Rules.validate_update(&bundle("mine", ""), &good)),
            ["spec.signerName: Invalid value: \"\": field is immutable"]
        );
    }

    #[test]
    fn a_bundle_is_certificates_and_nothing_twice() {
        let with = |text: &str| {
            let mut object = bundle("mine", "");
            object.set(&["spec", "trustBundle"], text);
            texts(&Rules.validate(&object))
        };
        let text = include_str!("testing/authority.pem");
        let start = "spec.trustBundle: Invalid value: \"<value omitted>\": ";
        assert_eq!(with(""), [format!("{start}at least one trust anchor must be provided")]);
        assert_eq!(with(&format!("{text}{text}")), [format!("{start}duplicate trust anchor")]);
        let other = text.replace("CERTIFICATE", "PRIVATE KEY");
        assert_eq!(
            with(&other),
            [format!("{start}only CERTIFICATE PEM blocks are allowed, found \"PRIVATE KEY\"")]
        );
    }
}
