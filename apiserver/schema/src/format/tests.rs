//! Each format with a valid value and its literal messages.

use super::*;

const SUBDOMAIN_MESSAGE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_MESSAGE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

#[test]
fn labels() {
    assert!(check_dns1123_label("0-a").is_empty());
    assert_eq!(check_dns1123_label("A"), [LABEL_MESSAGE]);
    assert_eq!(check_dns1123_label(""), [LABEL_MESSAGE]);
    assert_eq!(check_dns1123_label("-a"), [LABEL_MESSAGE]);
    assert_eq!(check_dns1123_label("a.b"), ["must not contain dots"]);
    assert_eq!(check_dns1123_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
}

#[test]
fn subdomains() {
    assert!(check_dns1123_subdomain("a.0-b.c").is_empty());
    for bad in ["", "A", "a..b", ".a", "a.", "a_b", "a.-b", "ä"] {
        assert_eq!(check_dns1123_subdomain(bad), [SUBDOMAIN_MESSAGE], "{bad}");
    }
    assert_eq!(check_dns1123_subdomain(&"a".repeat(254)), ["must be no more than 253 characters"]);
    assert!(check_wildcard_dns1123_subdomain("*.a.b").is_empty());
    assert!(!check_wildcard_dns1123_subdomain("*").is_empty());
    assert!(!check_wildcard_dns1123_subdomain("*.*.a").is_empty());
}

#[test]
fn service_names() {
    assert!(check_dns1035_label("a-1").is_empty());
    let message = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
    assert_eq!(check_dns1035_label("1a"), [message]);
}

#[test]
fn qualified_names() {
    for good in ["a", "A.b_c-D", "example.com/Name", "0/1"] {
        assert!(check_qualified_name(good).is_empty(), "{good}");
    }
    assert_eq!(check_qualified_name(""), ["name part must be non-empty", NAME_PART]);
    assert_eq!(check_qualified_name("/a"), ["prefix part must be non-empty"]);
    assert_eq!(check_qualified_name("a b"), [NAME_PART]);
    assert_eq!(check_qualified_name("A/b"), [format!("prefix part {SUBDOMAIN_MESSAGE}")]);
    assert_eq!(check_qualified_name(&"a".repeat(64)), ["name part must be no more than 63 bytes"]);
    assert_eq!(
        check_qualified_name(&format!("{}/b", "a".repeat(254))),
        ["prefix part must be no more than 253 bytes"]
    );
    let slashes = check_qualified_name("a/b/c");
    assert!(slashes[0].starts_with("a valid label key must consist of"), "{slashes:?}");
    assert!(
        slashes[0].ends_with("with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")
    );
}

#[test]
fn label_values() {
    for good in ["", "a", "A_b.c-1"] {
        assert!(check_label_value(good).is_empty(), "{good}");
    }
    let message = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    assert_eq!(check_label_value("a/b"), [message]);
    assert_eq!(check_label_value(&"a".repeat(64)), ["must be no more than 63 bytes"]);
}

#[test]
fn keys_and_variables() {
    assert!(check_config_map_key("a.B_c-1").is_empty());
    assert_eq!(check_config_map_key(".."), ["must not be '..'"]);
    assert_eq!(check_config_map_key("..a"), ["must not start with '..'"]);
    assert!(check_config_map_key("a/b")[0].contains("'key.name',  or 'KEY_NAME',  or 'key-name', regex"));
    assert!(check_env_var_name("a b").is_empty());
    assert_eq!(check_env_var_name("").len(), 1);
    assert_eq!(check_env_var_name("a=b").len(), 1);
    assert!(check_c_identifier("_a1").is_empty());
    assert_eq!(check_c_identifier("1a").len(), 1);
}

#[test]
fn ports_percents_headers_segments() {
    assert!(check_port_name("http-1").is_empty());
    assert_eq!(
        check_port_name("--"),
        [
            "must contain at least one letter (a-z)",
            "must not contain consecutive hyphens",
            "must not begin or end with a hyphen"
        ]
    );
    assert_eq!(check_port_number(0), ["must be between 1 and 65535, inclusive"]);
    assert!(check_percent("50%").is_empty());
    assert_eq!(check_percent("%").len(), 1);
    assert!(check_http_header_name("X-A").is_empty());
    assert_eq!(check_http_header_name("").len(), 1);
    assert_eq!(check_path_segment_name(".."), ["may not be '..'"]);
    assert_eq!(check_path_segment_name("a/%"), ["may not contain '/'", "may not contain '%'"]);
}
