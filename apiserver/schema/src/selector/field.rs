//! Field selectors: `metadata.name=a,spec.nodeName!=b`.
//!
//! The grammar: terms with commas between them; a term is a field, `=`, `==` or `!=`, and a value in which commas, equal
//! signs and backslashes are escaped by a backslash. Empty terms are skipped. An empty selector matches everything.

use std::fmt;

/// A field selector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Such as `metadata.name`.
    pub field: String,
    /// Whether the field must differ from the value.
    pub differs: bool,
    /// What the field is compared with; an absent field is the empty string.
    pub value: String,
}

/// Why a text is no field selector: the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldSelectorError {
    /// A term has no operator.
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    Term {
        /// The whole text.
        selector: String,
        /// The term.
        term: String,
    },
    /// A backslash stands before something that is not escaped.
    #[error("invalid field selector: invalid escape sequence: {sequence}")]
    Escape {
        /// The backslash and what follows.
        sequence: String,
    },
    /// A comma or an equal sign has no backslash. Upstream prints the number of the character.
    #[error("invalid field selector: unescaped character in value: {}", u32::from(*.character))]
    Unescaped {
        /// The character.
        character: char,
    },
    /// The kind's objects cannot be selected by this field.
    #[error("field label not supported: {field}")]
    Unsupported {
        /// The field.
        field: String,
    },
}

impl FieldSelector {
    /// Reads a selector.
    ///
    /// # Errors
    /// Any of [`FieldSelectorError`] but `Unsupported`.
    pub fn parse(text: &str) -> Result<FieldSelector, FieldSelectorError> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let unreadable = || FieldSelectorError::Term { selector: text.to_owned(), term: part.to_owned() };
            let (field, differs, value) = split_term(part).ok_or_else(unreadable)?;
            terms.push(Term { field: field.to_owned(), differs, value: unescape(value)? });
        }
        // `a==b` and `a=b` are one term, and stand at one place.
        terms.sort_by_cached_key(Term::to_string);
        Ok(FieldSelector { terms })
    }

    /// The selector for one value of one field.
    #[must_use]
    pub fn equals(field: impl Into<String>, value: impl Into<String>) -> FieldSelector {
        FieldSelector { terms: vec![Term { field: field.into(), differs: false, value: value.into() }] }
    }

    /// Refuses fields that the kind does not offer, and renames those that have an older name.
    ///
    /// # Errors
    /// [`FieldSelectorError::Unsupported`].
    pub fn supported(
        mut self,
        rename: impl Fn(&str) -> Option<&'static str>,
    ) -> Result<FieldSelector, FieldSelectorError> {
        for term in &mut self.terms {
            match rename(&term.field) {
                Some(name) => name.clone_into(&mut term.field),
                None => return Err(FieldSelectorError::Unsupported { field: term.field.clone() }),
            }
        }
        Ok(self)
    }

    /// All conditions; every one must hold.
    #[must_use]
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether an object matches; `field` answers with the value of a field, or `None` if the object has none.
    pub fn matches<'o>(&self, field: impl Fn(&str) -> Option<&'o str>) -> bool {
        self.terms.iter().all(|term| (field(&term.field).unwrap_or_default() == term.value) != term.differs)
    }

    /// The value that a field must have, if there is exactly one.
    #[must_use]
    pub fn required(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.field == field && !term.differs).map(|term| term.value.as_str())
    }
}

/// Canonical text, which parses to the same selector.
impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.differs { "!=" } else { "=" };
        write!(f, "{}{operator}{}", self.field, escape(&self.value))
    }
}

/// A value with a backslash before everything that has a meaning.
#[must_use]
pub fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=")
}

/// The texts between commas that are not escaped.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if c == ',' && !escaped {
            terms.push(&text[start..at]);
            start = at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    terms.push(&text[start..]);
    terms
}

/// Field, whether it must differ, and the value as it is written.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find('=')?;
    let (field, rest) = (&term[..at], &term[at + 1..]);
    match field.strip_suffix('!') {
        Some(field) => Some((field, true, rest)),
        None => Some((field, false, rest.strip_prefix('=').unwrap_or(rest))),
    }
}

fn unescape(value: &str) -> Result<String, FieldSelectorError> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let sequence = std::iter::once('\\').chain(other).collect();
                    return Err(FieldSelectorError::Escape { sequence });
                }
            },
            ',' | '=' => return Err(FieldSelectorError::Unescaped { character: c }),
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        FieldSelector::parse(text).map_or_else(|error| error.to_string(), |selector| selector.to_string())
    }

    #[test]
    fn grammar() {
        let table = [
            ("", ""),
            ("b=1,a!=2", "a!=2,b=1"),
            ("a==1", "a=1"),
            ("a=", "a="),
            (",a=1,,", "a=1"),
            ("a=x\\,y\\=z\\\\", "a=x\\,y\\=z\\\\"),
            ("a", "invalid selector: 'a'; can't understand 'a'"),
            ("a=1,b", "invalid selector: 'a=1,b'; can't understand 'b'"),
            ("a=b=c", "invalid field selector: unescaped character in value: 61"),
            ("a=\\x", "invalid field selector: invalid escape sequence: \\x"),
            ("a=x\\", "invalid field selector: invalid escape sequence: \\"),
        ];
        for (text, expected) in table {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn matching() {
        let matches = |text: &str| {
            FieldSelector::parse(text).unwrap().matches(|field| (field == "spec.nodeName").then_some("n1"))
        };
        assert!(matches(""));
        assert!(matches("spec.nodeName=n1"));
        assert!(!matches("spec.nodeName!=n1"));
        assert!(matches("spec.nodeName!=n2,spec.nodeName=n1"));
        assert!(matches("status.phase="));
        assert!(!matches("spec.nodeName="));
    }

    #[test]
    fn fields_that_a_kind_offers() {
        let rename = |field: &str| match field {
            "spec.host" | "spec.nodeName" => Some("spec.nodeName"),
            _ => None,
        };
        let selector = |text| FieldSelector::parse(text).unwrap().supported(rename);
        assert_eq!(selector("spec.host=a").unwrap().required("spec.nodeName"), Some("a"));
        assert_eq!(selector("foo=a").unwrap_err().to_string(), "field label not supported: foo");
        assert_eq!(FieldSelector::equals("a", "b").to_string(), "a=b");
    }

    #[test]
    fn one_operator_written_twice_is_no_other_place() {
        let selector = FieldSelector::parse("==ä,=a").unwrap();
        assert_eq!(selector.to_string(), "=a,=ä");
        assert_eq!(FieldSelector::parse(&selector.to_string()), Ok(selector));
    }

    proptest! {
        #[test]
        fn text_comes_back(text in "[a=!,\\\\ä]{0,16}") {
            if let Ok(selector) = FieldSelector::parse(&text) {
                let again = FieldSelector::parse(&selector.to_string());
                // A field may end in `!`, which then reads as another operator.
                if selector.terms.iter().all(|term| !term.field.contains('!')) {
                    prop_assert_eq!(again, Ok(selector));
                }
            }
        }
    }
}
