//! What is wrong with a volume of an iSCSI target.
//!
//! In: `iscsi`. Out: what is wrong with it. Pods and PersistentVolumes are told of names in different words.
//!
//! Deliberately absent: the length of a pod's volume with its portal, which whoever knows the volume's name checks.

use super::{Owner, lun, needed};
use crate::{field::FieldError, place::Place};

/// How long a volume's name and its portal may be together, in bytes, when the initiator has a name: it is a file's.
const INTERFACE_MAX: usize = 64;

/// What is wrong when they are longer.
pub(in crate::kinds) const INTERFACE_TOO_LONG: &str = "Total length of <volume name>:<iscsi.targetPortal> must be \
    under 64 characters if iscsi.initiatorName is specified.";

/// `iscsi`.
pub(super) fn validate(source: &Place<'_>, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    needed(source, &["targetPortal"], errors);
    if let Owner::PersistentVolume(volume) = owner
        && interface_is_too_long(source, volume)
    {
        let portal = source.child("targetPortal");
        let path = source.child("targetportal").path().to_owned();
        errors.push(FieldError::invalid(path, portal.text(), INTERFACE_TOO_LONG));
    }
    let (target, initiator) = (source.child("iqn"), source.child("initiatorName"));
    if target.text().is_empty() {
        errors.push(target.required(""));
    } else {
        name(target.text(), target.path(), owner, errors);
    }
    lun(&source.child("lun"), errors);
    authentication(source, owner, errors);
    if initiator.is_set() {
        name(initiator.text(), source.child("initiatorname").path(), owner, errors);
    }
}

/// Whether the name of the interface, which the node makes of the volume's name and the portal, is too long.
pub(in crate::kinds) fn interface_is_too_long(source: &Place<'_>, volume: &str) -> bool {
    let portal = source.child("targetPortal").text();
    source.child("initiatorName").is_set() && volume.len() + 1 + portal.len() > INTERFACE_MAX
}

fn authentication(source: &Place<'_>, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    let secret = source.child("secretRef");
    let asked = source.child("chapAuthDiscovery").flag() || source.child("chapAuthSession").flag();
    if asked && !secret.is_set() {
        errors.push(secret.required(""));
    }
    match owner {
        Owner::PersistentVolume(_) if secret.is_set() => needed(&secret, &["name"], errors),
        Owner::Pod | Owner::PersistentVolume(_) => {}
    }
}

fn name(text: &str, path: &str, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    let is_good = match text.get(..3) {
        Some("iqn") => is_qualified(text),
        Some("eui") => is_number(text, 16),
        Some("naa") => is_number(text, 32),
        _ => {
            let detail = match owner {
                Owner::Pod => "must be valid format starting with iqn, eui, or naa",
                Owner::PersistentVolume(_) => "must be valid format",
            };
            errors.push(FieldError::invalid(path, text, detail));
            return;
        }
    };
    if !is_good {
        errors.push(FieldError::invalid(path, text, "must be valid format"));
    }
}

/// `iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`, which may begin anywhere in the text.
fn is_qualified(text: &str) -> bool {
    text.match_indices("iqn.").any(|(at, start)| is_qualified_from_here(&text[at + start.len()..]))
}

fn is_qualified_from_here(rest: &str) -> bool {
    let is_date = |date: &str| {
        date.len() == 8
            && date.bytes().enumerate().all(|(at, byte)| match at {
                4 => byte == b'-',
                7 => byte == b'.',
                _ => byte.is_ascii_digit(),
            })
    };
    let (Some(date), Some(rest)) = (rest.get(..8), rest.get(8..)) else { return false };
    let Some((domain, own)) = rest.split_once(':') else { return false };
    let in_domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let in_own =
        |c: char| !matches!(c, ',' | ';' | '*' | '&' | '$' | '|' | ' ' | '\t' | '\n' | '\r' | '\u{c}');
    let is_made_of =
        |text: &str, allowed: &dyn Fn(char) -> bool| !text.is_empty() && text.chars().all(allowed);
    is_date(date) && is_made_of(domain, &in_domain) && is_made_of(own, &in_own)
}

/// Three letters, any character, and so many letters or digits.
fn is_number(text: &str, digits: usize) -> bool {
    let mut rest = text.get(3..).unwrap_or_default().chars();
    let is_separated = rest.next().is_some_and(|c| c != '\n');
    let number = rest.as_str();
    is_separated && number.len() == digits && number.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
