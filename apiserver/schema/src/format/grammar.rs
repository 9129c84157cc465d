//! The grammars behind the messages, without a regular-expression engine. All of them are linear in the input.

/// `[a-z0-9]([-a-z0-9]*[a-z0-9])?`
pub(super) fn is_dns1123_label(value: &str) -> bool {
    framed(value, is_lower_alphanumeric, |c| is_lower_alphanumeric(c) || c == b'-')
}

/// Labels with dots between them.
pub(super) fn is_dns1123_subdomain(value: &str) -> bool {
    value.split('.').all(is_dns1123_label)
}

/// Labels with dots between them, `_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?` each.
pub(super) fn is_dns1123_subdomain_with_underscores(value: &str) -> bool {
    let is_label = |label: &str| {
        let label = label.strip_prefix('_').unwrap_or(label);
        framed(label, is_lower_alphanumeric, |c| is_lower_alphanumeric(c) || matches!(c, b'-' | b'_'))
    };
    value.split('.').all(is_label)
}

/// `[a-z]([-a-z0-9]*[a-z0-9])?`
pub(super) fn is_dns1035_label(value: &str) -> bool {
    value.bytes().next().is_some_and(|c| c.is_ascii_lowercase()) && is_dns1123_label(value)
}

/// `([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]`
pub(super) fn is_label_key_name(value: &str) -> bool {
    framed(
        value,
        |c| c.is_ascii_alphanumeric(),
        |c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.'),
    )
}

/// `[A-Za-z_][A-Za-z0-9_]*`
pub(super) fn is_c_identifier(value: &str) -> bool {
    let starts = value.bytes().next().is_some_and(|c| c.is_ascii_alphabetic() || c == b'_');
    starts && value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_')
}

/// Not empty, `edge` at both ends, `inside` all over.
fn framed(value: &str, edge: impl Fn(u8) -> bool, inside: impl Fn(u8) -> bool) -> bool {
    match (value.as_bytes().first(), value.as_bytes().last()) {
        (Some(first), Some(last)) => edge(*first) && edge(*last) && value.bytes().all(inside),
        _ => false,
    }
}

fn is_lower_alphanumeric(c: u8) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}
