//! What makes an object this one object: name, namespace, uid, and the times of its life.
//!
//! In: an object that a client sent. Out: the same object with what only the server may decide, or why the client's
//! words contradict the path.
//!
//! Source: `k8s.io/apiserver/pkg/registry/rest/{create,meta}.go`, `.../storage/names/generate.go`.

use keelson_api_registry::{object::Object, request::ResourceRequest, status::ApiError};
use ring::rand::{SecureRandom as _, SystemRandom};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// What a generated name may end in: no vowels, so that no words come out, and nothing that is easily misread.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// How many letters are added to `generateName`.
const SUFFIX_LETTERS: usize = 5;

/// How long a generated name may be without them, in bytes.
const MAX_PREFIX_BYTES: usize = 63 - SUFFIX_LETTERS;

/// Takes the namespace from the path, or refuses another one.
///
/// # Errors
/// 400.
pub(crate) fn settle_namespace(object: &mut Object, namespace: &str) -> Result<(), ApiError> {
    if namespace.is_empty() {
        object.remove(&["metadata", "namespace"]);
        return Ok(());
    }
    match object.namespace() {
        same if same == namespace => Ok(()),
        "" => {
            object.set(&["metadata", "namespace"], namespace);
            Ok(())
        }
        _ => Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
    }
}

/// Refuses an object that has another name or namespace than the path.
///
/// # Errors
/// 400.
pub(crate) fn check_name(object: &Object, request: &ResourceRequest) -> Result<(), ApiError> {
    let (name, wanted) = (object.name(), &request.name);
    let why = if name.is_empty() {
        format!("the name of the object ({wanted} based on URL) was undeterminable: name must be provided")
    } else if name != wanted {
        format!("the name of the object ({name}) does not match the name on the URL ({wanted})")
    } else if !request.namespace.is_empty()
        && !object.namespace().is_empty()
        && object.namespace() != request.namespace
    {
        let (namespace, wanted) = (object.namespace(), &request.namespace);
        format!(
            "the namespace of the object ({namespace}) does not match the namespace on the request ({wanted})"
        )
    } else {
        return Ok(());
    };
    Err(ApiError::bad_request(why))
}

/// Makes a new object of what a client sent: nothing of a former life stays.
///
/// # Errors
/// 400 for an object with a resourceVersion.
pub(crate) fn stamp(object: &mut Object, now: OffsetDateTime) -> Result<(), ApiError> {
    if !matches!(object.resource_version(), "" | "0") {
        return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
    }
    for field in ["resourceVersion", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        object.remove(&["metadata", field]);
    }
    object.remove(&["metadata", "selfLink"]);
    object.set(&["metadata", "uid"], crate::uid::random());
    object.set(&["metadata", "creationTimestamp"], timestamp(now));
    Ok(())
}

/// Takes over what an update cannot change.
pub(crate) fn carry_over(object: &mut Object, old: &Object) {
    object.remove(&["metadata", "selfLink"]);
    if object.uid().is_empty() {
        object.set(&["metadata", "uid"], old.uid());
    }
    keep(object, old, "creationTimestamp");
    if old.is_being_deleted() {
        keep(object, old, "deletionTimestamp");
    }
    if object.get(&["metadata", "deletionGracePeriodSeconds"]).is_none() {
        keep(object, old, "deletionGracePeriodSeconds");
    }
}

/// Sets the generation back to what it was: the kind's rules, not the client, say when it grows.
pub(crate) fn keep_generation(object: &mut Object, old: &Object) {
    keep(object, old, "generation");
}

/// A name that begins with `prefix` and that probably nobody has.
pub(crate) fn generate_name(prefix: &str) -> String {
    // Whether the prefix is any good is checked later; cut where a letter ends.
    let end = (0..=prefix.len().min(MAX_PREFIX_BYTES)).rev().find(|end| prefix.is_char_boundary(*end));
    format!("{}{}", &prefix[..end.unwrap_or(0)], random_suffix())
}

/// Five letters that probably nobody has drawn.
pub(crate) fn random_suffix() -> String {
    let mut bytes = [0; SUFFIX_LETTERS];
    // It fails only where the operating system has no randomness, and nothing can be done safely without.
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    // 27 letters do not divide 256; the bias is of no consequence for names that must only differ.
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// A time as objects carry it, to the second.
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    let whole = at.to_offset(time::UtcOffset::UTC).replace_nanosecond(0).unwrap_or(at);
    whole.format(&Rfc3339).expect("the years of this clock have four digits")
}

fn keep(object: &mut Object, old: &Object, field: &str) {
    let path = ["metadata", field];
    match old.get(&path) {
        Some(value) => object.set(&path, value.clone()),
        None => drop(object.remove(&path)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn generated_names_are_the_prefix_and_five_letters_of_upstreams_alphabet() {
        let name = generate_name("web-");
        let (prefix, suffix) = name.split_at(4);
        assert_eq!((prefix, suffix.len()), ("web-", 5));
        assert!(suffix.bytes().all(|letter| ALPHABET.contains(&letter)), "{name}");
        assert_ne!(generate_name("web-"), name);
        assert_eq!(generate_name(&"é".repeat(60)).len(), 63);
    }

    #[test]
    fn a_new_object_has_no_former_life() {
        let mut object = Object(json!({"metadata": {
            "name": "a", "uid": "mine", "generation": 7, "deletionTimestamp": "2020-01-01T00:00:00Z",
            "creationTimestamp": null, "selfLink": "/a",
        }}));
        let now = time::macros::datetime!(2026-11-23 03:04:05.6 UTC);
        stamp(&mut object, now).unwrap();
        assert_ne!(object.uid(), "mine");
        object.remove(&["metadata", "uid"]);
        assert_eq!(object.0, json!({"metadata": {"name": "a", "creationTimestamp": "2026-11-23T03:04:05Z"}}));
        object.set(&["metadata", "resourceVersion"], "12");
        assert_eq!(
            stamp(&mut object, now).unwrap_err().message,
            "resourceVersion should not be set on objects to be created"
        );
    }

    #[test]
    fn an_update_cannot_change_when_an_object_lives() {
        let old = Object(json!({"metadata": {
            "uid": "u", "creationTimestamp": "c", "deletionTimestamp": "d", "deletionGracePeriodSeconds": 30,
        }}));
        let mut object = Object(json!({"metadata": {"creationTimestamp": "later"}}));
        carry_over(&mut object, &old);
        assert_eq!(object, old);
    }
}
