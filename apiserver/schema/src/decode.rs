//! From a document to a value of a type.
//!
//! In: bytes or an untyped value, and a type. Out: the canonical value, pruned of unknown fields, with every
//! [`Violation`] of strictness noted; or the first fault that makes the document no value of the type.
//!
//! What is canonical: fields with the type's names only; scalars checked, and rewritten where upstream rewrites
//! them (quantities, times, durations, base64); empty values left out or written out as Go's `omitempty` says. Of
//! repeated fields the last one counts.
//!
//! Deliberately absent: defaults (`default`), and any check beyond the type (enumerations, formats, required fields).

pub(crate) mod error;
mod scalar;
mod walk;

use std::borrow::Cow;

use serde_json::Value;

pub(crate) use walk::{omitted, zero};

use crate::model::{Schema, TypeId};
use crate::protobuf::Envelope;
use crate::tree::{Node, json, yaml};
use error::DecodeError;

/// The longest document that is read, in bytes: upstream's limit for request bodies.
pub const MAX_DOCUMENT_BYTES: usize = 3 * 1024 * 1024;

/// How many objects of known types one may consist of. Empty ones take three bytes each of a document, and hundreds once
/// they have defaults and are found to be wrong.
pub const MAX_OBJECTS: u32 = 100_000;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// What a client wants to happen with unknown and repeated fields: the query parameter `fieldValidation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop them.
    Ignore,
    /// Drop them and warn.
    #[default]
    Warn,
    /// Refuse the document.
    Strict,
}

impl std::str::FromStr for FieldValidation {
    type Err = UnknownFieldValidation;

    /// The empty string is the default.
    fn from_str(text: &str) -> Result<FieldValidation, UnknownFieldValidation> {
        match text {
            "" => Ok(FieldValidation::default()),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Warn" => Ok(FieldValidation::Warn),
            "Strict" => Ok(FieldValidation::Strict),
            _ => Err(UnknownFieldValidation { value: text.to_owned() }),
        }
    }
}

/// `fieldValidation` has a value that does not exist: the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fieldValidation: Unsupported value: {}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"", crate::go_text::quote(.value))]
pub struct UnknownFieldValidation {
    /// What was given.
    pub value: String,
}

/// One thing that strict validation refuses. Its text is upstream's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Violation {
    /// A field that the type does not have.
    #[error("unknown field {}", crate::go_text::quote(.path))]
    UnknownField {
        /// As in `spec.containers[0].foo`.
        path: String,
    },
    /// A field that is given more than once.
    #[error("duplicate field {}", crate::go_text::quote(.path))]
    DuplicateField {
        /// As in `spec.replicas`.
        path: String,
    },
    /// Repeated keys in YAML.
    #[error("error converting YAML to JSON: yaml: unmarshal errors:{}", .lines.iter().map(|line| format!("\n  {line}")).collect::<String>())]
    RepeatedKeys {
        /// Lines such as `line 11: key "foo" already set in map`.
        lines: Vec<String>,
    },
}

/// The two fields by which an object says what it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TypeMeta {
    /// `group/version`, or only a version in the core group; empty if absent.
    pub api_version: String,
    /// Empty if absent.
    pub kind: String,
}

/// A document that is well formed, of no type yet.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    content: Content<'a>,
    repeated_keys: Vec<String>,
}

/// What is known of a document before its type is.
#[derive(Debug, Clone)]
enum Content<'a> {
    /// All of it: JSON and YAML say themselves what they hold.
    Tree(Node<'a>),
    /// Which kind it calls itself: protobuf cannot be read without its type.
    Protobuf(Envelope<'a>),
}

impl<'a> Document<'a> {
    /// Reads a text, or the frame around a protobuf message.
    ///
    /// # Errors
    /// [`DecodeError::TooLarge`], [`DecodeError::Json`], [`DecodeError::Yaml`] or [`DecodeError::Protobuf`].
    pub fn parse(bytes: &'a [u8], encoding: Encoding) -> Result<Document<'a>, DecodeError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DecodeError::TooLarge);
        }
        match encoding {
            Encoding::Json => match json::parse(bytes) {
                Ok(node) => Ok(Document::of(Content::Tree(node))),
                Err(message) => Err(DecodeError::Json { message }),
            },
            Encoding::Yaml => match yaml::parse(bytes) {
                Ok(read) => Ok(Document { content: Content::Tree(read.node), repeated_keys: read.repeated }),
                Err(message) => Err(DecodeError::Yaml { message }),
            },
            Encoding::Protobuf => Envelope::parse(bytes).map(Content::Protobuf).map(Document::of),
        }
    }

    fn of(content: Content<'a>) -> Document<'a> {
        Document { content, repeated_keys: Vec::new() }
    }

    /// What the document says that it is.
    ///
    /// # Errors
    /// [`DecodeError::Json`] if it is no object, or `apiVersion` or `kind` is no string.
    pub fn type_meta(&self) -> Result<TypeMeta, DecodeError> {
        let fields = match &self.content {
            Content::Protobuf(envelope) => return Ok(envelope.type_meta.clone()),
            Content::Tree(Node::Object(fields)) => fields,
            Content::Tree(Node::Null) => return Ok(TypeMeta::default()),
            Content::Tree(other) => return Err(type_meta_mismatch(walk::found(other), "")),
        };
        let mut meta = TypeMeta::default();
        for (key, value) in fields {
            let slot = match key.as_ref() {
                "apiVersion" => &mut meta.api_version,
                "kind" => &mut meta.kind,
                _ => continue,
            };
            match value {
                Node::String(text) => text.as_ref().clone_into(slot),
                Node::Null => {}
                other => return Err(type_meta_mismatch(walk::found(other), key)),
            }
        }
        Ok(meta)
    }

    /// Reads the document as a value of a type. Protobuf has no violations: upstream skips unknown fields there, and
    /// repeated ones have a meaning.
    ///
    /// # Errors
    /// The first place where the document is none.
    pub fn decode(self, schema: &Schema, ty: TypeId) -> Result<Decoded, DecodeError> {
        let Content::Protobuf(envelope) = &self.content else {
            return self.decode_tree(|node| walk::decode(schema, ty, node));
        };
        let (value, _) = walk::decode(schema, ty, envelope.node(schema, ty)?)?;
        Ok(Decoded { value, violations: Vec::new() })
    }

    /// Reads the document as a value of no type, such as a patch: everything is kept, of repeated fields the last.
    ///
    /// # Errors
    /// [`DecodeError::Type`] for a number that no double can hold; [`DecodeError::Protobuf`] for protobuf, which
    /// cannot be read without a type.
    pub fn decode_untyped(self) -> Result<Decoded, DecodeError> {
        self.decode_tree(walk::decode_untyped)
    }

    fn decode_tree(
        self,
        read: impl FnOnce(Node<'a>) -> Result<(Value, Vec<Violation>), DecodeError>,
    ) -> Result<Decoded, DecodeError> {
        let Content::Tree(node) = self.content else {
            return Err(DecodeError::Protobuf { message: "protobuf data of no type".to_owned() });
        };
        let mut violations = Vec::new();
        if !self.repeated_keys.is_empty() {
            violations.push(Violation::RepeatedKeys { lines: self.repeated_keys });
        }
        let (value, found) = read(node)?;
        violations.extend(found);
        Ok(Decoded { value, violations })
    }
}

/// Go names the anonymous struct into which upstream reads the two fields.
fn type_meta_mismatch(found: &str, field: &str) -> DecodeError {
    let target = match field {
        "" => "Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
               Kind string \"json:\\\"kind,omitempty\\\"\" }"
            .to_owned(),
        _ => format!("Go struct field .{field} of type string"),
    };
    DecodeError::Json { message: format!("json: cannot unmarshal {found} into {target}") }
}

/// A value of a type, and what strict validation has against the document that it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Canonical.
    pub value: Value,
    /// In the order of the document, each once, at most 100.
    pub violations: Vec<Violation>,
}

impl Decoded {
    /// Decides about the violations: the value and the warnings for the client.
    ///
    /// # Errors
    /// [`DecodeError::Strict`].
    pub fn enforce(self, validation: FieldValidation) -> Result<(Value, Vec<String>), DecodeError> {
        match validation {
            _ if self.violations.is_empty() => Ok((self.value, Vec::new())),
            FieldValidation::Ignore => Ok((self.value, Vec::new())),
            FieldValidation::Warn => {
                let warnings = self.violations.iter().map(ToString::to_string).collect();
                Ok((self.value, warnings))
            }
            FieldValidation::Strict => Err(DecodeError::Strict { violations: self.violations }),
        }
    }
}

/// Reads a value, for instance the outcome of a patch, as a value of a type.
///
/// # Errors
/// The first place where it is none; [`DecodeError::TooDeep`].
pub fn decode_value(schema: &Schema, ty: TypeId, value: Value) -> Result<Decoded, DecodeError> {
    let node = Node::from_value(value).ok_or(DecodeError::TooDeep)?;
    Document::of(Content::Tree(node)).decode(schema, ty)
}

/// A key of a tree without a copy where there is none to make.
fn owned(text: Cow<'_, str>) -> String {
    text.into_owned()
}

#[cfg(test)]
mod tests;
