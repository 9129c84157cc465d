//! Schemas that somebody declares, as clients will for custom resources, and documents of them.
//!
//! In: declarations, one a line, an empty line, and a document of the type that is declared first. A declaration is a name
//! and what it is: `string`, `int`, `any`, `list T`, `set T`, `keyed T FIELD`, `map T`, `bool-or T`, `list-or T`,
//! `strings-or T`, `alias T`, or `struct` and its fields: `name:T`, `name:T!` if it is always there, `name:T=DEFAULT`,
//! `name:T@KEY` for a list that is patched item by item.
//!
//! Promises: declarations make a schema or are refused; what can be read by it once can be written and read again; and
//! defaults and patches panic by no schema.

use std::borrow::Cow;

use keelson_api_schema::{
    Document, Encoding, FieldDraft, ListKind, MapKind, Schema, SchemaBuilder, SchemaError, Shape, TypeId,
    UnknownFields, decode_value, default, patch::strategic,
};

use crate::bodies::check_text;

pub(crate) fn schemas(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Some((declarations, body)) = text.split_once("\n\n") else { return };
    let Some((schema, ty)) = declared(declarations) else { return };
    let document = Document::parse(body.as_bytes(), Encoding::Json);
    let Ok(decoded) = document.and_then(|document| document.decode(&schema, ty)) else { return };
    let value = decoded.value;
    check_text(&schema, ty, &value);
    drop(strategic::apply(&schema, ty, value.clone(), value.clone()));
    let mut with_defaults = value;
    default::apply(&schema, ty, &mut with_defaults);
    if let Ok(decoded) = decode_value(&schema, ty, with_defaults) {
        check_text(&schema, ty, &decoded.value);
    }
}

/// The schema, and the type that is declared first.
fn declared(declarations: &str) -> Option<(Schema, TypeId)> {
    let mut builder = SchemaBuilder::new();
    let mut first = None;
    for line in declarations.lines() {
        let declared = declare(&mut builder, line)?.ok()?;
        first.get_or_insert(declared);
    }
    Some((builder.build().ok()?, first?))
}

/// `None`: the line is no declaration.
fn declare(builder: &mut SchemaBuilder, line: &str) -> Option<Result<TypeId, SchemaError>> {
    let mut words = line.split(' ').map(str::to_owned);
    let (name, form) = (words.next()?, words.next()?);
    let mut of = || words.next().map(|of| builder.reference(of));
    let shape = match form.as_str() {
        "string" => Shape::String,
        "int" => Shape::Int64,
        "any" => Shape::Any,
        "list" => Shape::List { item: of()?, kind: ListKind::Atomic },
        "set" => Shape::List { item: of()?, kind: ListKind::Set },
        "keyed" => Shape::List { item: of()?, kind: ListKind::Map(words.map(Cow::Owned).collect()) },
        "map" => Shape::Map { value: of()?, kind: MapKind::Granular },
        "bool-or" => Shape::BoolOr(of()?),
        "list-or" => Shape::ListOr(of()?),
        "strings-or" => Shape::StringsOr(of()?),
        "alias" => {
            let of = of()?;
            return Some(builder.alias(name, of, Vec::new(), Vec::new()));
        }
        "struct" => {
            let fields = words.map(|word| field(builder, &word)).collect::<Option<Vec<FieldDraft>>>()?;
            return Some(builder.structure(name, fields, UnknownFields::Preserve, None, Vec::new()));
        }
        _ => return None,
    };
    Some(builder.shape(name, shape))
}

fn field(builder: &mut SchemaBuilder, word: &str) -> Option<FieldDraft> {
    let (name, rest) = word.split_once(':').filter(|(name, _)| !name.is_empty())?;
    let (name, end) = (name.to_owned(), rest.find(['!', '=', '@']).unwrap_or(rest.len()));
    let (ty, more) = (builder.reference(rest[..end].to_owned()), &rest[end..]);
    Some(match more.split_at_checked(1) {
        None => FieldDraft::optional(name, ty),
        Some(("!", _)) => FieldDraft::plain(name, ty),
        Some(("=", default)) => {
            let default = serde_json::from_str(default).ok()?;
            FieldDraft::optional(name, ty).with(|field| field.default = Some(default))
        }
        Some((_, key)) => FieldDraft::optional(name, ty).with(|field| {
            field.patch.merge = true;
            field.merge_key = Some(key.to_owned().into());
        }),
    })
}
