//! Names of images, as far as the agent has to understand them. Pure.
//!
//! In: what a container names. Out: the same with a tag, the registry that it lies in, whether it is a name at all.
//! Deliberately absent: resolving short names, which is the runtime's business.

/// The registry of names that name none.
const DEFAULT_REGISTRY: &str = "docker.io";

/// The tag of names that have none.
const DEFAULT_TAG: &str = "latest";

/// What is not a name of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadReference {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name must be lowercase")]
    Uppercase,
}

/// A name in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts<'a> {
    /// Registry and repository.
    name: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// The name with the tag `latest`, if it has neither tag nor digest.
pub(crate) fn with_tag(image: &str) -> Result<String, BadReference> {
    let parts = parse(image)?;
    if parts.tag.is_none() && parts.digest.is_none() {
        return Ok(format!("{image}:{DEFAULT_TAG}"));
    }
    Ok(image.to_owned())
}

/// Registry and repository of an image: where credentials for it are looked up.
pub(crate) fn place(image: &str) -> String {
    let name = parse(image).map_or(image, |parts| parts.name);
    match name.split_once('/') {
        Some((registry, _)) if is_registry(registry) => name.to_owned(),
        Some(_) => format!("{DEFAULT_REGISTRY}/{name}"),
        None => format!("{DEFAULT_REGISTRY}/library/{name}"),
    }
}

fn parse(image: &str) -> Result<Parts<'_>, BadReference> {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    // A colon before the last slash belongs to the registry's port.
    let after_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[after_slash..].find(':') {
        Some(at) => (&rest[..after_slash + at], Some(&rest[after_slash + at + 1..])),
        None => (rest, None),
    };
    if !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
        return Err(BadReference::Format);
    }
    check_name(name)?;
    Ok(Parts { name, tag, digest })
}

fn check_name(name: &str) -> Result<(), BadReference> {
    let (registry, repository) = match name.split_once('/') {
        Some((registry, rest)) if is_registry(registry) => (registry, rest),
        Some(_) | None => ("", name),
    };
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    let is_host = registry.chars().all(|it| is_plain(it) || ":[]".contains(it));
    let is_component = |part: &str| {
        let ends = |it: Option<char>| it.is_some_and(|it| it.is_ascii_alphanumeric());
        part.chars().all(is_plain) && ends(part.chars().next()) && ends(part.chars().last())
    };
    if !is_host || !repository.split('/').all(is_component) {
        return Err(BadReference::Format);
    }
    if repository.chars().any(|it| it.is_ascii_uppercase()) {
        return Err(BadReference::Uppercase);
    }
    Ok(())
}

/// Whether the first part of a name is a registry: it looks like a host.
fn is_registry(part: &str) -> bool {
    part == "localhost" || part.contains(['.', ':']) || part.chars().any(|it| it.is_ascii_uppercase())
}

fn is_tag(tag: &str) -> bool {
    let mut chars = tag.chars();
    let starts = chars.next().is_some_and(|it| it.is_ascii_alphanumeric() || it == '_');
    starts && tag.len() <= 128 && chars.all(|it| it.is_ascii_alphanumeric() || "._-".contains(it))
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty() && hex.len() >= 32 && hex.chars().all(|it| it.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_without_tag_means_latest() {
        let digest = format!("busybox@sha256:{}", "0".repeat(64));
        for (image, expected) in [
            ("busybox", "busybox:latest"),
            ("busybox:1.36", "busybox:1.36"),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b:v1"),
            (digest.as_str(), digest.as_str()),
        ] {
            assert_eq!(with_tag(image).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for image in ["", ":", "a b", "a//b", "a:", "a:b:c/", "-a", "a@sha256:0", "/a", "a/"] {
            assert_eq!(with_tag(image), Err(BadReference::Format), "{image:?}");
        }
        assert_eq!(with_tag("example.com/Busybox"), Err(BadReference::Uppercase));
    }

    #[test]
    fn the_place_names_the_registry() {
        assert_eq!(place("busybox:1.36"), "docker.io/library/busybox");
        assert_eq!(place("a/b"), "docker.io/a/b");
        assert_eq!(place("quay.io/a/b:v1"), "quay.io/a/b");
        assert_eq!(place("localhost:5000/b"), "localhost:5000/b");
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in "\\PC*") {
            let _ = with_tag(&text);
            let _ = place(&text);
        }
    }
}
