//! Label selectors: `app=web,tier in (a,b),!canary`.
//!
//! The grammar (space is allowed between any two words):
//!
//! ```text
//! selector    = [ requirement { "," requirement } ]
//! requirement = "!" key | key | key operator value | key ("in" | "notin") "(" values ")"
//! operator    = "=" | "==" | "!=" | ">" | "<"
//! values      = value { "," value }
//! ```
//!
//! A value may be empty. An empty selector matches everything.

mod lexer;
mod parser;

use std::fmt;

use serde_json::Value;

use crate::format::{check_label_value, check_qualified_name};
use crate::go_text::quote;

/// A label selector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    /// Ordered by key.
    requirements: Vec<Requirement>,
    /// Set for the selector of an absent `LabelSelector`, which matches no object.
    nothing: bool,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

/// How a label is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `key`
    Exists,
    /// `!key`
    DoesNotExist,
    /// `key=value`
    Equals,
    /// `key==value`
    DoubleEquals,
    /// `key!=value`; an object without the label matches.
    NotEquals,
    /// `key in (a,b)`
    In,
    /// `key notin (a,b)`; an object without the label matches.
    NotIn,
    /// `key>1`
    GreaterThan,
    /// `key<1`
    LessThan,
}

/// Why something is no label selector: the client's fault. The message is upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LabelSelectorError {
    message: String,
}

impl LabelSelectorError {
    fn new(message: impl Into<String>) -> LabelSelectorError {
        LabelSelectorError { message: message.into() }
    }
}

impl LabelSelector {
    /// Reads the text of a query parameter.
    ///
    /// # Errors
    /// Upstream's message.
    pub fn parse(text: &str) -> Result<LabelSelector, LabelSelectorError> {
        Ok(LabelSelector::all(parser::parse(text)?))
    }

    /// The selector that matches everything.
    #[must_use]
    pub fn everything() -> LabelSelector {
        LabelSelector::default()
    }

    /// The selector that matches nothing.
    #[must_use]
    pub fn nothing() -> LabelSelector {
        LabelSelector { requirements: Vec::new(), nothing: true }
    }

    /// All of these conditions.
    #[must_use]
    pub fn all(mut requirements: Vec<Requirement>) -> LabelSelector {
        requirements.sort_by(|left, right| left.key.cmp(&right.key));
        LabelSelector { requirements, nothing: false }
    }

    /// Reads a `meta/v1.LabelSelector` of an object; null matches nothing, an empty one everything.
    ///
    /// # Errors
    /// Upstream's message for keys, operators and values that are wrong.
    pub fn from_object(selector: &Value) -> Result<LabelSelector, LabelSelectorError> {
        if selector.is_null() {
            return Ok(LabelSelector::nothing());
        }
        let mut requirements = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement::new(key.clone(), Operator::Equals, vec![value])?);
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let operator = match expression["operator"].as_str().unwrap_or_default() {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => {
                    let other = quote(other);
                    return Err(LabelSelectorError::new(format!(
                        "{other} is not a valid label selector operator"
                    )));
                }
            };
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.map(|value| value.as_str().unwrap_or_default().to_owned());
            requirements.push(Requirement::new(key, operator, values.collect())?);
        }
        Ok(LabelSelector::all(requirements))
    }

    /// The selector of a plain map of labels, as Services and ReplicationControllers have; not checked.
    #[must_use]
    pub fn from_map(labels: &Value) -> LabelSelector {
        let labels = labels.as_object().into_iter().flatten();
        let requirements = labels.map(|(key, value)| Requirement {
            key: key.clone(),
            operator: Operator::Equals,
            values: vec![value.as_str().unwrap_or_default().to_owned()],
        });
        LabelSelector::all(requirements.collect())
    }

    /// The conditions, ordered by key.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether everything matches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty() && !self.nothing
    }

    /// Whether an object with these labels matches; `label` answers with a label's value.
    pub fn matches<'o>(&self, label: impl Fn(&str) -> Option<&'o str>) -> bool {
        !self.nothing
            && self.requirements.iter().all(|requirement| requirement.matches(label(&requirement.key)))
    }

    /// Whether an object with this `metadata.labels` matches.
    #[must_use]
    pub fn matches_labels(&self, labels: &Value) -> bool {
        self.matches(|key| labels.get(key).and_then(Value::as_str))
    }
}

impl Requirement {
    /// A condition.
    ///
    /// # Errors
    /// Upstream's message for a key, a value, or a number of values that is wrong.
    pub fn new(
        key: String,
        operator: Operator,
        mut values: Vec<String>,
    ) -> Result<Requirement, LabelSelectorError> {
        let mut wrong = Vec::new();
        let key_faults = check_qualified_name(&key);
        if !key_faults.is_empty() {
            wrong.push(format!("key: Invalid value: {}: {}", quote(&key), key_faults.join("; ")));
        }
        wrong.extend(count_fault(operator, &values));
        for (at, value) in values.iter().enumerate() {
            let numeric = matches!(operator, Operator::GreaterThan | Operator::LessThan);
            if numeric && value.parse::<i64>().is_err() {
                let rule = "for 'Gt', 'Lt' operators, the value must be an integer";
                wrong.push(format!("values[{at}]: Invalid value: {}: {rule}", quote(value)));
            }
        }
        for (at, value) in values.iter().enumerate() {
            let faults = check_label_value(value);
            if !faults.is_empty() {
                let faults = faults.join("; ");
                wrong.push(format!("values[{at}][{key}]: Invalid value: {}: {faults}", quote(value)));
            }
        }
        match wrong.len() {
            0 => {
                values.sort_unstable();
                Ok(Requirement { key, operator, values })
            }
            1 => Err(LabelSelectorError::new(wrong.remove(0))),
            _ => Err(LabelSelectorError::new(format!("[{}]", wrong.join(", ")))),
        }
    }

    /// The label's key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// How the label is compared.
    #[must_use]
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// What it is compared with.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether a label with this value, or the lack of the label, meets the condition.
    #[must_use]
    pub fn matches(&self, value: Option<&str>) -> bool {
        let listed = |value: &str| self.values.binary_search_by(|wanted| wanted.as_str().cmp(value)).is_ok();
        match self.operator {
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::In | Operator::Equals | Operator::DoubleEquals => value.is_some_and(listed),
            Operator::NotIn | Operator::NotEquals => !value.is_some_and(listed),
            Operator::GreaterThan => self.numbers(value).is_some_and(|(value, bound)| value > bound),
            Operator::LessThan => self.numbers(value).is_some_and(|(value, bound)| value < bound),
        }
    }

    fn numbers(&self, value: Option<&str>) -> Option<(i64, i64)> {
        Some((value?.parse().ok()?, self.values.first()?.parse().ok()?))
    }
}

/// What is wrong with the number of values.
fn count_fault(operator: Operator, values: &[String]) -> Option<String> {
    let rule = match (operator, values.len()) {
        (Operator::In | Operator::NotIn, 0) => "for 'in', 'notin' operators, values set can't be empty",
        (Operator::Equals | Operator::DoubleEquals | Operator::NotEquals, 0 | 2..) => {
            "exact-match compatibility requires one single value"
        }
        (Operator::Exists | Operator::DoesNotExist, 1..) => {
            "values set must be empty for exists and does not exist"
        }
        (Operator::GreaterThan | Operator::LessThan, 0 | 2..) => {
            "for 'Gt', 'Lt' operators, exactly one value is required"
        }
        _ => return None,
    };
    Some(format!("values: Invalid value: {}: {rule}", Value::from(values)))
}

/// Canonical text: by key, values in order.
impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        let (key, values) = (&self.key, values.join(","));
        match self.operator {
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

#[cfg(test)]
mod tests;
