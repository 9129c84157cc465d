//! Pod templates compared and hashed by what they mean: pure.
//!
//! In: templates as the API stores them, with their defaults. Out: a canonical text that is the same for templates
//! that make the same pods, and a short hash of it that can be part of a name. Nothing and empty are the same, so are
//! quantities of the same amount, and the label that tells one ReplicaSet's pods from another's does not count.

use std::fmt::Write;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use serde_json::Value;

use super::amount;

/// The label with a ReplicaSet's template hash.
pub(super) const HASH_LABEL: &str = "pod-template-hash";

/// The characters of hashes: no vowels and nothing that looks like one, so that no words come out.
const SAFE: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Maps whose keys and values are the user's words. Empty ones mean nothing.
const TEXT_MAPS: [&str; 6] =
    ["annotations", "labels", "matchLabels", "nodeSelector", "options", "volumeAttributes"];

/// Maps from resources to quantities.
const QUANTITY_MAPS: [&str; 3] = ["limits", "overhead", "requests"];

/// Single quantities.
const QUANTITIES: [&str; 2] = ["divisor", "sizeLimit"];

/// A template's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Canonical(String);

impl Canonical {
    /// Of this template.
    pub(super) fn of(template: &PodTemplateSpec) -> Self {
        let mut template = template.clone();
        // A template need not have metadata, and a set's template always has.
        let labels = &mut template.metadata.get_or_insert_default().labels;
        labels.as_mut().and_then(|labels| labels.remove(HASH_LABEL));
        let value = serde_json::to_value(&template).unwrap_or_default();
        let mut text = String::new();
        write_value(&value, &mut text);
        Self(text)
    }

    /// A hash for names. Where two templates have the same, another count of `collisions` gives another.
    pub(super) fn hash(&self, collisions: i32) -> String {
        let bytes = self.0.bytes().chain(collisions.to_le_bytes());
        let hash =
            bytes.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        hash.to_string().bytes().map(|digit| char::from(SAFE[usize::from(digit) % SAFE.len()])).collect()
    }
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> =
                fields.iter().filter(|(name, value)| !means_nothing(name, value)).collect();
            fields.sort_by_key(|(name, _)| *name);
            text.push('{');
            for (name, value) in fields {
                write_scalar(&Value::String(name.clone()), text);
                write_field(name, value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            items.iter().for_each(|item| write_value(item, text));
            text.push(']');
        }
        scalar => write_scalar(scalar, text),
    }
}

fn write_field(name: &str, value: &Value, text: &mut String) {
    match value {
        // `serde_json` keeps maps of text in the order of their keys, as they came.
        Value::Object(_) if TEXT_MAPS.contains(&name) => write_scalar(value, text),
        Value::Object(quantities) if QUANTITY_MAPS.contains(&name) => {
            quantities.iter().for_each(|(resource, quantity)| {
                write_scalar(&Value::String(resource.clone()), text);
                write_quantity(quantity, text);
            });
        }
        quantity if QUANTITIES.contains(&name) => write_quantity(quantity, text),
        other => write_value(other, text),
    }
}

fn write_quantity(quantity: &Value, text: &mut String) {
    match quantity.as_str().and_then(amount::parse) {
        Some(amount) => {
            // Writing to a string cannot fail.
            let _ = write!(text, "#{amount}");
        }
        None => write_scalar(quantity, text),
    }
    text.push(' ');
}

fn write_scalar(value: &Value, text: &mut String) {
    let _ = write!(text, "{value} ");
}

fn means_nothing(name: &str, value: &Value) -> bool {
    let is_map = TEXT_MAPS.contains(&name) || QUANTITY_MAPS.contains(&name);
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => is_map && fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests;
