//! Heads of requests, and texts in them.
//!
//! Promises: a selector that was read can be written and read again, and means the same.

use http::{Method, Uri};
use keelson_api_registry::{
    cidr::Cidr,
    pod_streams::{ExecOptions, LogOptions, PortForwardOptions},
    request::RequestInfo,
};
use keelson_api_schema::{
    format,
    quantity::Quantity,
    selector::{FieldSelector, LabelSelector, field},
};

pub(crate) fn selectors(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(selector) = LabelSelector::parse(&text) {
        let written = selector.to_string();
        let again = LabelSelector::parse(&written).expect("what was written can be read");
        assert_eq!(again.to_string(), written);
        for value in [None, Some(""), Some("a")] {
            assert_eq!(selector.matches(|_| value), again.matches(|_| value), "{written}");
        }
    }
    if let Ok(selector) = FieldSelector::parse(&text) {
        let term = |term: &field::Term| {
            let operator = if term.differs { "!=" } else { "=" };
            format!("{}{operator}{}", term.field, field::escape(&term.value))
        };
        let written = |selector: &FieldSelector| {
            // The order of terms is that of their texts, escapes included.
            let mut terms: Vec<String> = selector.terms().iter().map(term).collect();
            terms.sort();
            terms.join(",")
        };
        let again = FieldSelector::parse(&written(&selector)).expect("what was written can be read");
        assert_eq!(written(&again), written(&selector));
    }
}

pub(crate) fn requests(input: &[u8]) {
    let Ok(uri) = Uri::try_from(input) else { return };
    for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
        let Ok(info) = RequestInfo::parse(&method, &uri) else { continue };
        drop(LogOptions::parse(&info).and_then(|options| options.validate("a")));
        drop(ExecOptions::parse(&info));
        drop(PortForwardOptions::parse(&info));
    }
}

pub(crate) fn scalars(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Ok(quantity) = Quantity::parse(&text) {
        let written = quantity.to_string();
        let again = Quantity::parse(&written).expect("what was written can be read");
        assert_eq!(again.to_string(), written);
        let _ = (quantity.value(), quantity.milli_value(), quantity.approximate(), quantity.checked_mul(-3));
    }
    let _ = text.parse::<Cidr>();
    drop(format::check_dns1123_subdomain(&text));
    drop(format::check_label_value(&text));
}
