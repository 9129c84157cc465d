//! From words to requirements, with upstream's messages.

use std::collections::BTreeSet;

use super::lexer::{Kind, Word, words};
use super::{LabelSelectorError, Operator, Requirement, quote};
use crate::format::check_qualified_name;

/// Reads a whole selector.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, LabelSelectorError> {
    Parser { words: words(text), at: 0 }.selector().map_err(LabelSelectorError::new)
}

struct Parser<'a> {
    words: Vec<Word<'a>>,
    /// Never past the last word, which is the end.
    at: usize,
}

impl<'a> Parser<'a> {
    /// The next word, where `in` and `notin` are operators.
    fn operator_word(&mut self) -> Word<'a> {
        let word = self.words[self.at];
        self.at = (self.at + 1).min(self.words.len() - 1);
        word
    }

    /// The next word, where `in` and `notin` are names.
    fn next(&mut self) -> Word<'a> {
        let word = self.peek();
        self.operator_word();
        word
    }

    fn peek(&self) -> Word<'a> {
        let word = self.words[self.at];
        match word.kind {
            Kind::In | Kind::NotIn => Word { kind: Kind::Identifier, ..word },
            _ => word,
        }
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            let word = self.peek();
            match word.kind {
                Kind::Identifier | Kind::Not => {
                    let requirement = self.requirement();
                    let requirement =
                        requirement.map_err(|reason| format!("unable to parse requirement: {reason}"))?;
                    requirements.push(requirement);
                    let next = self.next();
                    match next.kind {
                        Kind::End => return Ok(requirements),
                        Kind::Comma if !matches!(self.peek().kind, Kind::Identifier | Kind::Not) => {
                            return Err(format!(
                                "found '{}', expected: identifier after ','",
                                self.peek().text
                            ));
                        }
                        Kind::Comma => {}
                        _ => return Err(format!("found '{}', expected: ',' or 'end of string'", next.text)),
                    }
                }
                Kind::End => return Ok(requirements),
                _ => {
                    return Err(format!(
                        "found '{}', expected: !, identifier, or 'end of string'",
                        word.text
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let mut word = self.next();
        let negated = word.kind == Kind::Not;
        if negated {
            word = self.next();
        }
        if word.kind != Kind::Identifier {
            return Err(format!("found '{}', expected: identifier", word.text));
        }
        let key = word.text.to_owned();
        let faults = check_qualified_name(&key);
        if !faults.is_empty() {
            // Upstream names no field here and prints the missing name so.
            return Err(format!("<nil>: Invalid value: {}: {}", quote(&key), faults.join("; ")));
        }
        let (operator, values) = if negated {
            (Operator::DoesNotExist, Vec::new())
        } else if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            (Operator::Exists, Vec::new())
        } else {
            let operator = self.operator()?;
            let values = match operator {
                Operator::In | Operator::NotIn => self.values()?,
                _ => vec![self.exact_value()?],
            };
            (operator, values)
        };
        Requirement::new(key, operator, values).map_err(|error| error.message)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let word = self.operator_word();
        match word.kind {
            Kind::In => Ok(Operator::In),
            Kind::NotIn => Ok(Operator::NotIn),
            Kind::Equals => Ok(Operator::Equals),
            Kind::DoubleEquals => Ok(Operator::DoubleEquals),
            Kind::NotEquals => Ok(Operator::NotEquals),
            Kind::Greater => Ok(Operator::GreaterThan),
            Kind::Less => Ok(Operator::LessThan),
            Kind::End | Kind::Comma | Kind::Not | Kind::Open | Kind::Close | Kind::Identifier => {
                Err(format!("found '{}', expected: in, notin, =, ==, !=, gt, lt", word.text))
            }
        }
    }

    /// One value; nothing stands for the empty one.
    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.peek().kind, Kind::End | Kind::Comma) {
            return Ok(String::new());
        }
        let word = self.next();
        match word.kind {
            Kind::Identifier => Ok(word.text.to_owned()),
            _ => Err(format!("found '{}', expected: identifier", word.text)),
        }
    }

    /// Values in parentheses, each once and in order.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next();
        if open.kind != Kind::Open {
            return Err(format!("found '{}' expected: '('", open.text));
        }
        let first = self.peek();
        match first.kind {
            Kind::Identifier | Kind::Comma => {
                let values = self.identifiers()?;
                match self.next().kind {
                    Kind::Close => Ok(values.into_iter().collect()),
                    _ => Err(format!("found '{}', expected: ')'", first.text)),
                }
            }
            Kind::Close => {
                self.next();
                Ok(vec![String::new()])
            }
            _ => Err(format!("found '{}', expected: ',', ')' or identifier", first.text)),
        }
    }

    /// Values and commas; between two commas stands an empty value.
    fn identifiers(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            let word = self.next();
            match word.kind {
                Kind::Identifier => {
                    values.insert(word.text.to_owned());
                    let after = self.peek();
                    match after.kind {
                        Kind::Comma => {}
                        Kind::Close => return Ok(values),
                        _ => return Err(format!("found '{}', expected: ',' or ')'", after.text)),
                    }
                }
                Kind::Comma => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.peek().kind {
                        Kind::Close => {
                            values.insert(String::new());
                            return Ok(values);
                        }
                        Kind::Comma => drop(values.insert(String::new())),
                        _ => {}
                    }
                }
                _ => return Err(format!("found '{}', expected: ',', or identifier", word.text)),
            }
        }
    }
}
