//! `$(VARIABLE)` in commands, arguments, values and subPaths. Pure.
//!
//! In: a text and what variables mean. Out: the text with references replaced. `$$` is one dollar sign and never begins
//! a reference; a reference to what is not known stays as it is.

use std::{borrow::Cow, collections::BTreeSet};

use keelson_proto::cri::v1::KeyValue;

/// A container's command or arguments with its environment put in.
#[must_use]
pub fn expand(texts: &[String], environment: &[KeyValue]) -> Vec<String> {
    texts.iter().map(|text| expand_with(text, |name| value(environment, name))).collect()
}

/// A subPathExpr with a container's environment put in. Every variable has to have a value, or the path would name
/// another folder than the one meant.
pub(crate) fn expand_path(text: &str, environment: &[KeyValue]) -> Result<String, String> {
    let mut missing = BTreeSet::new();
    let expanded = expand_with(text, |name| {
        let value = value(environment, name).filter(|value| !value.is_empty());
        if value.is_none() {
            missing.insert(name.to_owned());
        }
        value
    });
    if missing.is_empty() {
        return Ok(expanded);
    }
    Err(format!("missing value for {}", missing.into_iter().collect::<Vec<_>>().join(", ")))
}

/// `text` with every reference replaced by what `meaning` says.
pub(crate) fn expand_with<'a>(text: &str, mut meaning: impl FnMut(&str) -> Option<Cow<'a, str>>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at..];
        let taken = match reference(rest) {
            Part::Dollar(taken) => {
                expanded.push('$');
                taken
            }
            Part::Reference(name) => {
                let taken = name.len() + "$()".len();
                match meaning(name) {
                    Some(value) => expanded.push_str(&value),
                    None => expanded.push_str(&rest[..taken]),
                }
                taken
            }
        };
        rest = &rest[taken..];
    }
    expanded.push_str(rest);
    expanded
}

/// What a dollar sign begins.
enum Part<'a> {
    /// Nothing: a dollar sign, written in so many bytes.
    Dollar(usize),
    /// A reference to this variable.
    Reference(&'a str),
}

/// `text` begins with a dollar sign.
fn reference(text: &str) -> Part<'_> {
    let behind = &text[1..];
    if behind.starts_with('$') {
        return Part::Dollar(2);
    }
    match behind.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
        Some((name, _)) => Part::Reference(name),
        None => Part::Dollar(1),
    }
}

/// The last one of a name counts, as for the process.
fn value<'a>(environment: &'a [KeyValue], name: &str) -> Option<Cow<'a, str>> {
    environment.iter().rev().find(|variable| variable.key == name).map(|variable| Cow::from(&variable.value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment() -> Vec<KeyValue> {
        let variable = |key: &str, value: &str| KeyValue { key: key.into(), value: value.into() };
        vec![
            variable("A", "a"),
            variable("B", "$(A)"),
            variable("E", ""),
            variable("x.y-z", "odd"),
            variable("", "n"),
        ]
    }

    fn one(text: &str) -> String {
        expand(&[text.to_owned()], &environment()).remove(0)
    }

    #[test]
    fn references_are_replaced_once_and_escapes_are_not() {
        for (text, expanded) in [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "a"),
            ("x$(A)y$(A)", "xaya"),
            ("$(B)", "$(A)"),
            ("$(E)", ""),
            ("$(x.y-z)", "odd"),
            ("$()", "n"),
            ("$(UNKNOWN)-$(A)", "$(UNKNOWN)-a"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$$$$(A)", "$$(A)"),
            ("$A ${A} $", "$A ${A} $"),
            ("$$", "$"),
            ("$(A", "$(A"),
            ("$(A$(A)", "$(A$(A)"),
            ("ü$(A)€$é", "üa€$é"),
            ("$($(A))", "$($(A))"),
        ] {
            assert_eq!(one(text), expanded, "{text}");
        }
    }

    #[test]
    fn a_path_needs_every_variable() {
        assert_eq!(expand_path("x/$(A)/$$(A)", &environment()), Ok("x/a/$(A)".to_owned()));
        assert_eq!(expand_path("$(U)$(E)$(U)", &environment()), Err("missing value for E, U".to_owned()));
    }

    proptest! {
        #[test]
        fn any_text_expands(text in "[$()A-Cé]{0,20}") {
            one(&text);
        }

        #[test]
        fn a_text_without_dollars_stays(text in "[^$]*") {
            prop_assert_eq!(one(&text), text);
        }

        #[test]
        fn what_is_escaped_comes_back(text in any::<String>()) {
            prop_assert_eq!(one(&text.replace('$', "$$")), text);
        }
    }
}
