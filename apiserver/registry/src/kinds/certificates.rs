//! The kinds of `certificates.k8s.io`, and what they have in common: signers' names, PEM, requests in PKCS#10.
//!
//! Deliberately absent: signing, and who may approve, sign and attest, which is admission's.
//!
//! Source: `pkg/apis/certificates/{helpers,validation}`, `pkg/apis/core/validation` (signers).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use keelson_api_schema::format::check_dns1123_subdomain;
use x509_parser::{
    certification_request::X509CertificationRequest,
    error::X509Error,
    pem::Pem,
    prelude::{FromDer, X509Certificate},
};

use crate::{field::FieldError, place::Place};

pub mod cluster_trust_bundle;
pub mod pod_certificate_request;
pub mod signing_request;

/// The longest signer's name, in bytes.
const SIGNER_MAX: usize = 571;

/// A signer: whose it is, and which of theirs.
pub(super) fn check_signer(signer: &Place<'_>, errors: &mut Vec<FieldError>) {
    let text = signer.text();
    if text.is_empty() {
        errors.push(signer.required(""));
        return;
    }
    let Some((domain, path)) = text.split_once('/').filter(|(_, path)| !path.contains('/')) else {
        errors.push(
            signer.invalid("must be a fully qualified domain and path of the form 'example.com/signer-name'"),
        );
        return;
    };
    let wrong = check_dns1123_subdomain(domain).into_iter();
    errors.extend(wrong.map(|detail| {
        FieldError::invalid(signer.path(), domain, format!("validating label {domain:?}: {detail}"))
    }));
    if domain.split('.').count() < 2 {
        errors.push(FieldError::invalid(
            signer.path(),
            domain,
            "should be a domain with at least two segments separated by dots",
        ));
    }
    for label in path.split('.') {
        let wrong = check_dns1123_subdomain(label).into_iter();
        errors.extend(wrong.map(|detail| {
            FieldError::invalid(signer.path(), path, format!("validating label {label:?}: {detail}"))
        }));
    }
    if text.len() > SIGNER_MAX {
        errors.push(FieldError::too_long(signer.path(), SIGNER_MAX));
    }
}

/// What a field of bytes holds.
fn bytes(place: &Place<'_>) -> Vec<u8> {
    // The schema has decoded it once: whatever is there is base64.
    STANDARD.decode(place.text()).unwrap_or_default()
}

/// The certificate requests in a text, of which there is exactly one.
fn check_request_pem(text: &[u8]) -> Result<(), String> {
    const WRONG: &str = "PEM block type must be CERTIFICATE REQUEST";
    let pem = first_block(text).ok_or(WRONG)?;
    if pem.label != "CERTIFICATE REQUEST" {
        return Err(WRONG.to_owned());
    }
    check_request(&pem.contents)
}

/// A request that whoever has its key has signed.
fn check_request(der: &[u8]) -> Result<(), String> {
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|error| format!("x509: {error}"))?;
    if !rest.is_empty() {
        return Err("asn1: syntax error: trailing data".to_owned());
    }
    match request.verify_signature() {
        // Signatures that are not known here are left to the signer.
        Ok(()) | Err(X509Error::SignatureUnsupportedAlgorithm) => Ok(()),
        Err(error) => Err(format!("x509: {error}")),
    }
}

fn first_block(text: &[u8]) -> Option<Pem> {
    Pem::iter_from_buffer(text).next().and_then(Result::ok)
}

/// The certificates in a text that has nothing else in it.
fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut found = Vec::new();
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|error| format!("malformed PEM: {error}"))?;
        if block.label != "CERTIFICATE" {
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        X509Certificate::from_der(&block.contents).map_err(|error| format!("x509: {error}"))?;
        found.push(block.contents);
    }
    if found.is_empty() {
        return Err("must contain at least one CERTIFICATE PEM block".to_owned());
    }
    Ok(found)
}
