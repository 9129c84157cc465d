//! Kubernetes' binary encoding, read as the tree that the same object makes in JSON.
//!
//! In: the bytes of an `application/vnd.kubernetes.protobuf` body, and the type that they hold. Out: a [`Node`], which
//! the walk of `decode` then turns into the canonical value, so that one place alone knows what is canonical.
//!
//! Field numbers come from the type table. What goes on the wire follows from a field's shape, not from the wire
//! type of upstream's struct tag, which is wrong for some fifty fields (integers and doubles tagged as bytes). Fields
//! of unknown number are skipped, as upstream skips them; of repeated single fields the last one counts, and repeated
//! single messages merge.
//!
//! [`write`] does the reverse.
//!
//! Sources: `k8s.io/apimachinery/pkg/runtime/serializer/protobuf`, and the readers that gogo-protobuf generates.

mod message;
mod scalar;
mod wire;
pub(crate) mod write;

use std::borrow::Cow;

use crate::decode::TypeMeta;
use crate::decode::error::DecodeError;
use crate::model::{Field, Schema, TypeId};
use crate::tree::Node;
use message::Reading;
use wire::{Payload, records};

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// `runtime.Unknown`: an object of a type that it names.
#[derive(Debug, Clone)]
pub(crate) struct Envelope<'a> {
    /// Empty where the client does not say.
    pub(crate) type_meta: TypeMeta,
    /// The object's own message.
    raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads the frame of a body. As upstream, this looks at neither `contentEncoding` nor `contentType`.
    ///
    /// # Errors
    /// [`DecodeError::Protobuf`] with upstream's message.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Envelope<'a>, DecodeError> {
        let message = match bytes.strip_prefix(MAGIC) {
            Some([]) => return Err(malformed("empty body")),
            Some(message) => message,
            None if bytes.is_empty() => return Err(malformed("empty data")),
            None => {
                let prefix = MAGIC.iter().map(u8::to_string).collect::<Vec<String>>().join(" ");
                let message = "provided data does not appear to be a protobuf message";
                return Err(malformed(format!("{message}, expected prefix [{prefix}]")));
            }
        };
        let mut envelope = Envelope { type_meta: TypeMeta::default(), raw: &[] };
        for record in records("Unknown", message) {
            let record = record?;
            match record.number {
                1 => envelope.read_type_meta(record.payload.bytes("TypeMeta")?)?,
                2 => envelope.raw = record.payload.bytes("Raw")?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn read_type_meta(&mut self, message: &[u8]) -> Result<(), DecodeError> {
        for record in records("TypeMeta", message) {
            let record = record?;
            let text = |payload: Payload<'_>, name| {
                payload.bytes(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            match record.number {
                1 => self.type_meta.api_version = text(record.payload, "APIVersion")?,
                2 => self.type_meta.kind = text(record.payload, "Kind")?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The object as a tree, with the `apiVersion` and `kind` of the envelope if the type has them.
    ///
    /// # Errors
    /// [`DecodeError::Protobuf`], [`DecodeError::TooDeep`].
    pub(crate) fn node<'n>(&self, schema: &'n Schema, ty: TypeId) -> Result<Node<'n>, DecodeError>
    where
        'a: 'n,
    {
        let mut node = Reading::new(schema).whole(ty, self.raw)?;
        if let Node::Object(fields) = &mut node
            && message::names_itself(schema, ty)
        {
            let TypeMeta { api_version, kind } = self.type_meta.clone();
            fields.push((Cow::Borrowed("apiVersion"), Node::String(Cow::Owned(api_version))));
            fields.push((Cow::Borrowed("kind"), Node::String(Cow::Owned(kind))));
        }
        Ok(node)
    }
}

/// Whether a field's list is written item by item. A list type with a name of its own may be a message of its own
/// instead; upstream's tag tells.
fn is_repeated(schema: &Schema, field: &Field) -> bool {
    schema.get(field.ty).name.starts_with("[]") || field.proto.is_some_and(|proto| proto.repeated)
}

fn malformed(message: impl Into<String>) -> DecodeError {
    DecodeError::Protobuf { message: message.into() }
}

#[cfg(test)]
mod tests;
