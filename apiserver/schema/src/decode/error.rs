//! Why a document is no value of a type. Every case is the client's fault; `TooLarge` and `TooMany` answer
//! 413, the others 400.

use super::Violation;

/// The messages are upstream's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is longer than [`super::MAX_DOCUMENT_BYTES`].
    #[error("Request entity too large: limit is {}", super::MAX_DOCUMENT_BYTES)]
    TooLarge,
    /// It consists of more objects than [`super::MAX_OBJECTS`].
    #[error("Request entity too large: limit is {} objects within one", super::MAX_OBJECTS)]
    TooMany,
    /// The text is no JSON, or no JSON object with a readable `kind`.
    #[error("couldn't get version/kind; json parse error: {message}")]
    Json {
        /// Go's message.
        message: String,
    },
    /// The text is no YAML.
    #[error("error converting YAML to JSON: {message}")]
    Yaml {
        /// Where and why.
        message: String,
    },
    /// The bytes are no protobuf message of the type.
    #[error("{message}")]
    Protobuf {
        /// gogo-protobuf's message, or upstream's.
        message: String,
    },
    /// A value has another type than the field.
    #[error("{message}")]
    Type {
        /// As in `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`.
        message: String,
    },
    /// Lists and objects nest too deep.
    #[error("json: exceeded max depth")]
    TooDeep,
    /// Strict validation was asked for.
    #[error("strict decoding error: {}", .violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Strict {
        /// All of them.
        violations: Vec<Violation>,
    },
}

impl DecodeError {
    /// A number in an untyped place that no double can hold.
    pub(crate) fn number(text: &str) -> DecodeError {
        let message = format!("json: cannot unmarshal number {text} into Go value of type float64");
        DecodeError::Type { message }
    }
}
