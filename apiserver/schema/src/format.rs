//! The formats of names, labels and keys, with upstream's messages.
//!
//! In: a string. Out: everything that is wrong with it, one message each, in upstream's words; an empty vector means
//! that the string is valid. Which field a message belongs to is the caller's to say.

mod grammar;

use grammar::{
    is_c_identifier, is_dns1035_label, is_dns1123_label, is_dns1123_subdomain,
    is_dns1123_subdomain_with_underscores, is_label_key_name,
};

/// Longest DNS label, in bytes.
pub const DNS_LABEL_MAX: usize = 63;
/// Longest DNS subdomain, in bytes.
pub const DNS_SUBDOMAIN_MAX: usize = 253;
/// Longest label value, and longest name part of a label key, in bytes.
pub const LABEL_MAX: usize = 63;
/// Largest sum of the lengths of an object's annotation keys and values, in bytes.
pub const ANNOTATIONS_MAX_TOTAL: usize = 256 * 1024;

const DNS1123_LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const DNS1123_SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS1123_SUBDOMAIN_UNDERSCORES: &str =
    r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";
const LABEL_KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_KEY_MESSAGE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// A single DNS label after RFC 1123, lower case: names of namespaces, containers, pods' host names.
#[must_use]
pub fn check_dns1123_label(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, DNS_LABEL_MAX, "characters");
    if is_dns1123_label(value) {
        return wrong;
    }
    if is_dns1123_subdomain(value) {
        wrong.push("must not contain dots".into());
    } else {
        let message = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', \
                       and must start and end with an alphanumeric character";
        wrong.push(pattern(message, DNS1123_LABEL, &["my-name", "123-abc"]));
    }
    wrong
}

/// A DNS subdomain after RFC 1123, lower case: the names of most objects.
#[must_use]
pub fn check_dns1123_subdomain(value: &str) -> Vec<String> {
    dns1123_subdomain(value, "characters")
}

/// A DNS subdomain whose labels may have underscores, but at the end: what a resolver searches in.
#[must_use]
pub fn check_dns1123_subdomain_with_underscores(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, DNS_SUBDOMAIN_MAX, "characters");
    if !is_dns1123_subdomain_with_underscores(value) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or \
                       '.', and must start and end with an alphanumeric character";
        wrong.push(pattern(message, DNS1123_SUBDOMAIN_UNDERSCORES, &["example.com"]));
    }
    wrong
}

fn dns1123_subdomain(value: &str, unit: &str) -> Vec<String> {
    let mut wrong = too_long(value, DNS_SUBDOMAIN_MAX, unit);
    if !is_dns1123_subdomain(value) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
                       and must start and end with an alphanumeric character";
        wrong.push(pattern(message, DNS1123_SUBDOMAIN, &["example.com"]));
    }
    wrong
}

/// A DNS label after RFC 1035, which cannot begin with a digit: the names of Services.
#[must_use]
pub fn check_dns1035_label(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, DNS_LABEL_MAX, "characters");
    if !is_dns1035_label(value) {
        let message = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
                       start with an alphabetic character, and end with an alphanumeric character";
        wrong.push(pattern(message, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    wrong
}

/// A subdomain behind `*.`: the hosts of Ingress rules.
#[must_use]
pub fn check_wildcard_dns1123_subdomain(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, DNS_SUBDOMAIN_MAX, "characters");
    if !value.strip_prefix("*.").is_some_and(is_dns1123_subdomain) {
        let message = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, \
                       which must consist of lower case alphanumeric characters, '-' or '.' and end with an \
                       alphanumeric character";
        wrong.push(pattern(message, &format!(r"\*\.{DNS1123_SUBDOMAIN}"), &["*.example.com"]));
    }
    wrong
}

/// A qualified name, `[prefix/]name`: label keys, finalizers, resource names, condition types. Annotation keys are
/// checked in lower case.
#[must_use]
pub fn check_qualified_name(value: &str) -> Vec<String> {
    let examples = &["MyName", "my.name", "123-abc"];
    let mut wrong = Vec::new();
    let mut parts = value.split('/');
    let (first, second, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let name = match (second, more) {
        (None, _) => first,
        (Some(name), None) => {
            if first.is_empty() {
                wrong.push("prefix part must be non-empty".into());
            } else {
                let prefix = dns1123_subdomain(first, "bytes");
                wrong.extend(prefix.into_iter().map(|message| format!("prefix part {message}")));
            }
            name
        }
        (Some(_), Some(_)) => {
            let rule = pattern(LABEL_KEY_MESSAGE, LABEL_KEY, examples);
            return vec![format!(
                "a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".into());
    } else if name.len() > LABEL_MAX {
        wrong.push(format!("name part must be no more than {LABEL_MAX} bytes"));
    }
    if !is_label_key_name(name) {
        wrong.push(format!("name part {}", pattern(LABEL_KEY_MESSAGE, LABEL_KEY, examples)));
    }
    wrong
}

/// A label's value.
#[must_use]
pub fn check_label_value(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, LABEL_MAX, "bytes");
    if !value.is_empty() && !is_label_key_name(value) {
        let message = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
                       and must start and end with an alphanumeric character";
        wrong.push(pattern(message, &format!("({LABEL_KEY})?"), &["MyValue", "my_value", "12345"]));
    }
    wrong
}

/// A key of a ConfigMap or Secret.
#[must_use]
pub fn check_config_map_key(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, DNS_SUBDOMAIN_MAX, "characters");
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    if value.is_empty() || !value.bytes().all(allowed) {
        let message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        wrong.push(pattern(message, "[-._a-zA-Z0-9]+", &["key.name", "KEY_NAME", "key-name"]));
    }
    wrong.extend(leaves_directory(value));
    wrong
}

/// An environment variable's name, as of 1.34 and later: printable ASCII without `=`.
#[must_use]
pub fn check_env_var_name(value: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if value.is_empty() {
        wrong.push("environment variable name must be non-empty".into());
    }
    if !value.chars().all(|c| matches!(c, ' '..='~') && c != '=') {
        let message = "a valid environment variable name must consist only of printable ASCII characters other than '='";
        wrong.push(message.into());
    }
    wrong
}

/// An identifier of the language C.
#[must_use]
pub fn check_c_identifier(value: &str) -> Vec<String> {
    if is_c_identifier(value) {
        return Vec::new();
    }
    let message = "a valid C identifier must start with alphabetic character or '_', \
                   followed by a string of alphanumeric characters or '_'";
    vec![pattern(message, "[A-Za-z_][A-Za-z0-9_]*", &["my_name", "MY_NAME", "MyName"])]
}

/// The name of a port (RFC 6335, lower case).
#[must_use]
pub fn check_port_name(value: &str) -> Vec<String> {
    let mut wrong = too_long(value, 15, "characters");
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if value.is_empty() || !value.bytes().all(allowed) {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".into());
    }
    if !value.bytes().any(|c| c.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".into());
    }
    if value.contains("--") {
        wrong.push("must not contain consecutive hyphens".into());
    }
    if value.starts_with('-') || value.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".into());
    }
    wrong
}

/// A port's number.
#[must_use]
pub fn check_port_number(port: i64) -> Vec<String> {
    check_range(port, 1, 65_535)
}

/// An integer between two bounds, both allowed.
#[must_use]
pub fn check_range(value: i64, least: i64, most: i64) -> Vec<String> {
    if (least..=most).contains(&value) {
        return Vec::new();
    }
    vec![format!("must be between {least} and {most}, inclusive")]
}

/// A percentage, digits and `%`.
#[must_use]
pub fn check_percent(value: &str) -> Vec<String> {
    let digits = value.strip_suffix('%').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()) {
        return Vec::new();
    }
    let message = "a valid percent string must be a numeric string followed by an ending '%'";
    vec![pattern(message, "[0-9]+%", &["1%", "93%"])]
}

/// An HTTP header's name.
#[must_use]
pub fn check_http_header_name(value: &str) -> Vec<String> {
    if !value.is_empty() && value.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') {
        return Vec::new();
    }
    let message = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![pattern(message, "[-A-Za-z0-9]+", &["X-Header-Name"])]
}

/// A name that becomes one segment of a URL path: names of roles and bindings.
#[must_use]
pub fn check_path_segment_name(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    let found = ["/", "%"].iter().filter(|bad| value.contains(**bad));
    found.map(|bad| format!("may not contain '{bad}'")).collect()
}

fn leaves_directory(value: &str) -> Option<String> {
    match value {
        "." => Some("must not be '.'".into()),
        ".." => Some("must not be '..'".into()),
        _ if value.starts_with("..") => Some("must not start with '..'".into()),
        _ => None,
    }
}

fn too_long(value: &str, most: usize, unit: &str) -> Vec<String> {
    let long = value.len() > most;
    long.then(|| format!("must be no more than {most} {unit}")).into_iter().collect()
}

/// Upstream's wording for a string that does not match a regular expression.
fn pattern(message: &str, expression: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{expression}')", examples.join(" or "))
}

#[cfg(test)]
mod tests;
