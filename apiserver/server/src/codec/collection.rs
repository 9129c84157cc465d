//! A collection, written item by item, so that a long one never lies in memory as a whole.
//!
//! In: JSON, the head of a collection and its items one after the other. Out: the same as JSON, as indented JSON, or as
//! YAML. Deliberately absent: protobuf, in which the length of the whole stands in front of it.

use super::{
    indent::Indenter,
    negotiate::{Media, Wanted},
    table::TAIL,
    yaml,
};

/// Writes one collection.
pub(crate) struct CollectionWriter {
    form: Form,
    /// Whether no item has been written yet.
    is_empty: bool,
}

enum Form {
    Json,
    Indented(Indenter),
    /// What follows the items; known once the head is written.
    Yaml(String),
}

impl CollectionWriter {
    /// In the form that a client wants.
    pub(crate) fn new(wanted: &Wanted) -> Self {
        let form = match wanted.media {
            Media::Yaml => Form::Yaml(String::new()),
            Media::Json | Media::Protobuf if wanted.pretty => Form::Indented(Indenter::default()),
            Media::Json | Media::Protobuf => Form::Json,
        };
        Self { form, is_empty: true }
    }

    /// The media type of what is written.
    pub(crate) const fn content_type(&self) -> &'static str {
        match self.form {
            Form::Json | Form::Indented(_) => crate::answer::JSON,
            Form::Yaml(_) => super::YAML,
        }
    }

    /// Whether items are written as they are: then the length of the whole can be told beforehand.
    pub(crate) const fn is_verbatim(&self) -> bool {
        matches!(self.form, Form::Json)
    }

    /// Begins with JSON that ends where the first item begins.
    pub(crate) fn head(&mut self, head: &[u8], out: &mut Vec<u8>) {
        match &mut self.form {
            Form::Json => out.extend_from_slice(head),
            Form::Indented(indenter) => indenter.write(head, out),
            Form::Yaml(after) => *after = yaml::collection_head(&[head, TAIL].concat(), out),
        }
    }

    /// Writes an item, which comes in two parts.
    pub(crate) fn item(&mut self, (start, rest): (&[u8], &[u8]), out: &mut Vec<u8>) {
        let comma: &[u8] = if std::mem::replace(&mut self.is_empty, false) { b"" } else { b"," };
        match &mut self.form {
            Form::Json => {
                out.extend_from_slice(comma);
                out.extend_from_slice(start);
                out.extend_from_slice(rest);
            }
            Form::Indented(indenter) => {
                [comma, start, rest].iter().for_each(|part| indenter.write(part, out));
            }
            Form::Yaml(_) => {
                if comma.is_empty() {
                    out.push(b'\n');
                }
                out.extend_from_slice(&yaml::collection_item(&[start, rest].concat()));
            }
        }
    }

    /// Ends it, with a line end.
    pub(crate) fn end(&mut self, out: &mut Vec<u8>) {
        match &mut self.form {
            Form::Json => out.extend_from_slice(TAIL),
            Form::Indented(indenter) => indenter.write(TAIL, out),
            Form::Yaml(after) => {
                if self.is_empty {
                    out.extend_from_slice(b" []\n");
                }
                out.extend_from_slice(after.as_bytes());
                return;
            }
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::codec::{Form as Shape, indented, yaml::yaml};

    fn written(media: Media, pretty: bool, items: &[serde_json::Value]) -> String {
        let mut writer = CollectionWriter::new(&Wanted { media, form: Shape::Object, pretty });
        let mut out = Vec::new();
        writer.head(
            br#"{"kind":"ThingList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":["#,
            &mut out,
        );
        items.iter().for_each(|item| writer.item(item.to_string().as_bytes().split_at(1), &mut out));
        writer.end(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_written_in_pieces_is_what_is_written_at_once() {
        let items =
            [json!({"a": {"b": [1, {"c": "\"x\\"}]}, "empty": {}}), json!({"text": "a\nb: {}\n"}), json!({})];
        for count in 0..=items.len() {
            let items = &items[..count];
            let whole = json!({
                "kind": "ThingList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items,
            });
            let json = written(Media::Json, false, items);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), whole);
            let pretty = written(Media::Json, true, items);
            assert_eq!(pretty.as_bytes(), indented(json.trim_end().as_bytes()), "{count}");
            let in_yaml = written(Media::Yaml, false, items);
            assert_eq!(in_yaml.as_bytes(), yaml(whole.to_string().as_bytes()), "{count}");
        }
    }
}
