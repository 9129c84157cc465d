//! In which form a client wants a document.
//!
//! In: its `Accept` header. Out: JSON or protobuf, or neither. What it would rather have comes first, and what it names
//! comes before what only a wildcard covers.
//!
//! Deliberately absent: refusing what has the weight 0; upstream takes that for the last choice, too.
//!
//! Source: `k8s.io/kube-openapi/pkg/handler`, `pkg/handler3`, `github.com/munnerz/goautoneg`.

use std::cmp::Ordering;

/// A form of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Protobuf,
}

impl Form {
    /// The form that an `Accept` header asks for, where protobuf goes by these names.
    pub(super) fn accepted(accept: Option<&str>, protobuf: &[&str]) -> Option<Self> {
        let accept = accept.filter(|accept| !accept.is_empty()).unwrap_or("*/*");
        let mut ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
        ranges.sort_by(Range::compare);
        ranges.iter().find_map(|range| range.form(protobuf))
    }
}

/// A part of the header.
struct Range<'h> {
    main: &'h str,
    sub: &'h str,
    weight: f32,
}

impl<'h> Range<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = match parts.next()? {
            "*" => ("*", "*"),
            name => name.split_once('/')?,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q="));
        let weight = weight.map_or(1.0, |weight| weight.parse().unwrap_or_default());
        Some(Self { main, sub, weight })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let named = |range: &Self| (range.main == "*", range.sub == "*");
        other.weight.total_cmp(&self.weight).then_with(|| named(self).cmp(&named(other)))
    }

    fn form(&self, protobuf: &[&str]) -> Option<Form> {
        let is = |name: &str| {
            let (main, sub) = name.split_once('/').unwrap_or_default();
            ["*", main].contains(&self.main) && ["*", sub].contains(&self.sub)
        };
        if is("application/json") {
            return Some(Form::Json);
        }
        protobuf.iter().any(|name| is(name)).then_some(Form::Protobuf)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::v3::MEDIA_TYPES, Form};

    fn accepted(accept: &str) -> Option<Form> {
        Form::accepted(Some(accept), &MEDIA_TYPES)
    }

    #[test]
    fn both_names_of_protobuf_are_known() {
        for name in MEDIA_TYPES {
            assert_eq!(accepted(name), Some(Form::Protobuf));
            assert_eq!(accepted(&format!("a/b, {name};q=1,*/*")), Some(Form::Protobuf));
        }
        assert_eq!(accepted("application/com.github.proto-openapi.spec.v2@v1.0+protobuf"), None);
    }

    #[test]
    fn json_is_for_whoever_takes_anything() {
        assert_eq!(Form::accepted(None, &MEDIA_TYPES), Some(Form::Json));
        for accept in
            ["", "*", "*/*", "application/*", "*/json", "application/json; charset=utf-8", "a/b, */*"]
        {
            assert_eq!(accepted(accept), Some(Form::Json), "{accept}");
        }
    }

    #[test]
    fn what_is_rather_wanted_comes_first() {
        let [name, _] = MEDIA_TYPES;
        for accept in
            [format!("application/json;q=0.5, {name}"), format!("*/*, {name}"), format!("*/*;q=0.1,{name}")]
        {
            assert_eq!(accepted(&accept), Some(Form::Protobuf), "{accept}");
        }
        for accept in [format!("application/json, {name}"), format!("{name};q=0.9, application/json;v=1")] {
            assert_eq!(accepted(&accept), Some(Form::Json), "{accept}");
        }
    }

    #[test]
    fn nothing_is_made_of_what_is_unknown() {
        for accept in ["text/json", "application/yaml", "application", "json", ","] {
            assert_eq!(accepted(accept), None, "{accept}");
        }
    }
}
