//! The mark by which a container that runs is recognized as the one that the spec asks for.
//!
//! In: a container of the spec. Out: 32 bits of FNV-1a over what may change in a running pod and needs another
//! container then: its name and its image, as upstream.

use k8s_openapi::api::core::v1::Container;
use serde_json::json;

const OFFSET: u32 = 0x811c_9dc5;
const PRIME: u32 = 0x0100_0193;

/// The mark, in hexadecimal.
pub(crate) fn of(container: &Container) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    let text = json!({"name": container.name, "image": image}).to_string();
    format!("{:x}", fnv(text.as_bytes()))
}

/// FNV-1a.
pub(crate) fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(OFFSET, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv(b""), 0x811c_9dc5);
        assert_eq!(fnv(b"a"), 0xe40c_292c);
        assert_eq!(fnv(b"foobar"), 0xbf9c_f968);
    }

    #[test]
    fn only_name_and_image_count() {
        let container = |image: &str, tty| Container {
            name: "a".into(),
            image: Some(image.into()),
            tty: Some(tty),
            ..Container::default()
        };
        assert_eq!(of(&container("x:1", true)), of(&container("x:1", false)));
        assert_ne!(of(&container("x:1", true)), of(&container("x:2", true)));
    }
}
