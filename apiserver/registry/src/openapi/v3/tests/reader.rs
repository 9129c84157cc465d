//! Reads gnostic's messages back, by its own copy of what `OpenAPIv3.proto` says.
//!
//! In: bytes. Out: the document as JSON. It knows more than is written, and panics at anything that it does not know.

use serde_json::{Map, Value, json};

use Content::{Any, Flag, Map as Entries, Number, One, Several, Strings, Text};

/// What a field holds.
#[derive(Clone, Copy)]
enum Content {
    Text,
    Strings,
    Flag,
    /// A double.
    Number,
    Any,
    One(&'static str),
    Several(&'static str),
    /// Pairs of a name and such a message, or `Any`, that are fields of the object around them.
    Map(&'static str),
}

/// A field: its number, its name in JSON, what it holds.
type Field = (u64, &'static str, Content);

/// The fields of a message.
fn fields(message: &str) -> &'static [Field] {
    match message {
        "Document" => &[
            (1, "openapi", Text),
            (2, "info", One("Info")),
            (4, "paths", One("Paths")),
            (5, "components", One("Components")),
            (6, "security", Several("SecurityRequirement")),
            (9, "", Entries("Any")),
        ],
        "Info" => {
            &[(1, "title", Text), (2, "description", Text), (6, "version", Text), (7, "", Entries("Any"))]
        }
        "Paths" => &[(1, "", Entries("PathItem")), (2, "", Entries("Any"))],
        "Components" => &[
            (1, "schemas", One("SchemasOrReferences")),
            (2, "responses", One("ResponsesOrReferences")),
            (3, "parameters", One("ParametersOrReferences")),
            (5, "requestBodies", One("RequestBodiesOrReferences")),
            (7, "securitySchemes", One("SecuritySchemesOrReferences")),
            (10, "", Entries("Any")),
        ],
        "SchemasOrReferences" | "Properties" => &[(1, "", Entries("SchemaOrReference"))],
        "ResponsesOrReferences" => &[(1, "", Entries("ResponseOrReference"))],
        "ParametersOrReferences" => &[(1, "", Entries("ParameterOrReference"))],
        "RequestBodiesOrReferences" => &[(1, "", Entries("RequestBodyOrReference"))],
        "SecuritySchemesOrReferences" => &[(1, "", Entries("SecuritySchemeOrReference"))],
        "SecurityRequirement" => &[(1, "", Entries("StringArray"))],
        "StringArray" => &[(1, "value", Strings)],
        "PathItem" => &[
            (1, "$ref", Text),
            (2, "summary", Text),
            (3, "description", Text),
            (4, "get", One("Operation")),
            (5, "put", One("Operation")),
            (6, "post", One("Operation")),
            (7, "delete", One("Operation")),
            (8, "options", One("Operation")),
            (9, "head", One("Operation")),
            (10, "patch", One("Operation")),
            (11, "trace", One("Operation")),
            (13, "parameters", Several("ParameterOrReference")),
            (14, "", Entries("Any")),
        ],
        "Operation" => &[
            (1, "tags", Strings),
            (2, "summary", Text),
            (3, "description", Text),
            (5, "operationId", Text),
            (6, "parameters", Several("ParameterOrReference")),
            (7, "requestBody", One("RequestBodyOrReference")),
            (8, "responses", One("Responses")),
            (10, "deprecated", Flag),
            (11, "security", Several("SecurityRequirement")),
            (13, "", Entries("Any")),
        ],
        "Parameter" => &[
            (1, "name", Text),
            (2, "in", Text),
            (3, "description", Text),
            (4, "required", Flag),
            (5, "deprecated", Flag),
            (6, "allowEmptyValue", Flag),
            (7, "style", Text),
            (8, "explode", Flag),
            (9, "allowReserved", Flag),
            (10, "schema", One("SchemaOrReference")),
            (11, "example", Any),
            (13, "content", One("MediaTypes")),
            (14, "", Entries("Any")),
        ],
        "RequestBody" => &[
            (1, "description", Text),
            (2, "content", One("MediaTypes")),
            (3, "required", Flag),
            (4, "", Entries("Any")),
        ],
        "Responses" => &[
            (1, "default", One("ResponseOrReference")),
            (2, "", Entries("ResponseOrReference")),
            (3, "", Entries("Any")),
        ],
        "Response" => &[(1, "description", Text), (3, "content", One("MediaTypes")), (5, "", Entries("Any"))],
        "MediaTypes" => &[(1, "", Entries("MediaType"))],
        "MediaType" => {
            &[(1, "schema", One("SchemaOrReference")), (2, "example", Any), (5, "", Entries("Any"))]
        }
        "SecurityScheme" => &[
            (1, "type", Text),
            (2, "description", Text),
            (3, "name", Text),
            (4, "in", Text),
            (5, "scheme", Text),
            (6, "bearerFormat", Text),
            (8, "openIdConnectUrl", Text),
            (9, "", Entries("Any")),
        ],
        "Reference" => &[(1, "$ref", Text), (2, "summary", Text), (3, "description", Text)],
        "ItemsItem" => &[(1, "", Several("SchemaOrReference"))],
        "AdditionalPropertiesItem" => &[(1, "", One("SchemaOrReference")), (2, "", Flag)],
        "DefaultType" => &[(1, "", Number), (2, "", Flag), (3, "", Text)],
        "Schema" => SCHEMA,
        "SchemaOrReference" => &[(1, "", One("Schema")), (2, "", One("Reference"))],
        "ParameterOrReference" => &[(1, "", One("Parameter")), (2, "", One("Reference"))],
        "RequestBodyOrReference" => &[(1, "", One("RequestBody")), (2, "", One("Reference"))],
        "ResponseOrReference" => &[(1, "", One("Response")), (2, "", One("Reference"))],
        "SecuritySchemeOrReference" => &[(1, "", One("SecurityScheme")), (2, "", One("Reference"))],
        other => panic!("no message {other}"),
    }
}

const SCHEMA: &[Field] = &[
    (1, "nullable", Flag),
    (3, "readOnly", Flag),
    (4, "writeOnly", Flag),
    (7, "example", Any),
    (8, "deprecated", Flag),
    (9, "title", Text),
    (10, "multipleOf", Number),
    (11, "maximum", Number),
    (12, "exclusiveMaximum", Flag),
    (13, "minimum", Number),
    (14, "exclusiveMinimum", Flag),
    (17, "pattern", Text),
    (20, "uniqueItems", Flag),
    (23, "required", Strings),
    (24, "enum", Several("Any")),
    (25, "type", Text),
    (26, "allOf", Several("SchemaOrReference")),
    (27, "oneOf", Several("SchemaOrReference")),
    (28, "anyOf", Several("SchemaOrReference")),
    (29, "not", One("Schema")),
    (30, "items", One("ItemsItem")),
    (31, "properties", One("Properties")),
    (32, "additionalProperties", One("AdditionalPropertiesItem")),
    (33, "default", One("DefaultType")),
    (34, "description", Text),
    (35, "format", Text),
    (36, "", Entries("Any")),
];

/// Messages that are read as what stands in them.
const TRANSPARENT: [&str; 3] = ["ItemsItem", "AdditionalPropertiesItem", "StringArray"];

/// A message as JSON.
pub(super) fn read(message: &str, bytes: &[u8]) -> Value {
    if message == "Any" {
        return any(bytes);
    }
    let mut object = Map::new();
    for (number, raw) in wire(bytes) {
        let field = fields(message).iter().find(|(known, _, _)| *known == number);
        let (_, name, content) = field.unwrap_or_else(|| panic!("{message} has no field {number}"));
        put(&mut object, name, *content, &raw);
    }
    let is_choice = message.ends_with("OrReference") || TRANSPARENT.contains(&message);
    match message {
        // One that says nothing is an object's or a list's.
        "DefaultType" => object.remove("").unwrap_or_else(|| json!({})),
        "StringArray" => object.remove("value").unwrap_or_else(|| json!([])),
        "ItemsItem" => match object.remove("") {
            Some(Value::Array(items)) if items.len() == 1 => items[0].clone(),
            other => panic!("one item: {other:?}"),
        },
        _ if is_choice => {
            assert_eq!(object.len(), 1, "{message} is one of two");
            object.remove("").unwrap_or_else(|| panic!("{message} is empty"))
        }
        _ => object.into(),
    }
}

fn put(object: &mut Map<String, Value>, name: &str, content: Content, raw: &Raw<'_>) {
    let mut push = |value: Value| {
        let list = object.entry(name).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(value);
    };
    let value = match (content, raw) {
        (Text, Raw::Bytes(bytes)) => text(bytes),
        (Flag, Raw::Varint(value @ (0 | 1))) => json!(*value == 1),
        (Number, Raw::Double(value)) => json!(value),
        (Any, Raw::Bytes(bytes)) => any(bytes),
        (One(message), Raw::Bytes(bytes)) => read(message, bytes),
        (Strings, Raw::Bytes(bytes)) => return push(text(bytes)),
        (Several(message), Raw::Bytes(bytes)) => return push(read(message, bytes)),
        (Entries(message), Raw::Bytes(bytes)) => {
            let (name, value) = entry(message, bytes);
            assert_eq!(object.insert(name.clone(), value), None, "{name} twice");
            return;
        }
        (_, raw) => panic!("{name} is not written as {raw:?}"),
    };
    assert_eq!(object.insert(name.to_owned(), value), None, "{name} twice");
}

fn entry(message: &str, bytes: &[u8]) -> (String, Value) {
    match wire(bytes).as_slice() {
        [(1, Raw::Bytes(name)), (2, Raw::Bytes(value))] => {
            (String::from_utf8(name.to_vec()).unwrap(), read(message, value))
        }
        other => panic!("no name and value: {other:?}"),
    }
}

/// The YAML that is written is JSON.
fn any(bytes: &[u8]) -> Value {
    let mut value = match wire(bytes).as_slice() {
        [(2, Raw::Bytes(yaml))] => serde_json::from_slice(yaml).unwrap(),
        other => panic!("no YAML: {other:?}"),
    };
    super::as_messages_say(&mut value, false);
    value
}

fn text(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).unwrap().into()
}

/// A field's content as it travels.
#[derive(Debug)]
enum Raw<'b> {
    Varint(u64),
    Double(f64),
    Bytes(&'b [u8]),
}

/// The fields of a message, in the order in which they stand.
fn wire(mut bytes: &[u8]) -> Vec<(u64, Raw<'_>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let raw = match key & 7 {
            0 => Raw::Varint(varint(&mut bytes)),
            1 => {
                let (value, rest) = bytes.split_first_chunk().unwrap();
                bytes = rest;
                Raw::Double(f64::from_le_bytes(*value))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Raw::Bytes(value)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, raw));
    }
    found
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number without an end");
}
