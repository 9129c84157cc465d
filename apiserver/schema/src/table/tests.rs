//! The reader refuses what it does not understand and keeps what the table says.

use crate::model::SchemaError;
use crate::{ListKind, PatchStrategy, Presence, Shape, Wire, builtin};

fn reason(text: &'static str) -> String {
    match super::read(text) {
        Err(SchemaError::BadTable { line, reason }) => format!("{line}: {reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bad_lines_are_named() {
    assert_eq!(reason("keelson-schema 2\n"), "1: must be keelson-schema 1");
    assert_eq!(reason("keelson-schema 1\n\tname\tstring\n"), "2: a field before any type");
    assert_eq!(reason("keelson-schema 1\nT\n\tname\tstring\tq\n"), "3: attribute \"q\"");
    assert_eq!(reason("keelson-schema 1\nT\n\tname\tstring\t#b\n"), "3: protobuf tag \"b\"");
    assert_eq!(reason("keelson-schema 1\nT\tscope=Galaxy\n"), "2: scope \"Galaxy\"");
}

#[test]
fn undeclared_types_are_named() {
    let builder = super::read("keelson-schema 1\nT\n\tname\tmissing.Type\n").unwrap();
    // JSONSchemaProps is mentioned by the primitives and comes first.
    let error = builder.build().unwrap_err();
    assert_eq!(error, SchemaError::Undeclared { name: "apiextensions/v1.JSONSchemaProps".into() });
}

#[test]
fn a_field_keeps_every_fact() {
    let schema = builtin();
    let spec = schema.get(schema.lookup("core/v1.PodSpec").unwrap()).as_struct().unwrap();
    let containers = spec.field("containers").unwrap();
    assert!(!containers.omit_empty && !containers.pointer);
    assert_eq!(containers.merge_key.as_deref(), Some("name"));
    assert_eq!(containers.patch, PatchStrategy { merge: true, ..PatchStrategy::default() });
    let proto = containers.proto.unwrap();
    assert_eq!((proto.number, proto.wire, proto.repeated), (2, Wire::Bytes, true));
    let Shape::List { item, kind } = &schema.get(containers.ty).shape else { panic!("no list") };
    assert_eq!(*kind, ListKind::Map(vec!["name".into()]));
    assert_eq!(schema.get(*item).name, "core/v1.Container");
    let port = schema.get(schema.lookup("core/v1.ContainerPort").unwrap()).as_struct().unwrap();
    let protocol = port.field("protocol").unwrap();
    assert_eq!(protocol.default, Some("TCP".into()));
    assert_eq!(protocol.presence, Some(Presence::Optional));
    assert_eq!(schema.get(protocol.ty).enum_values, ["TCP", "UDP", "SCTP"]);
}

#[test]
fn embedded_structs_are_flattened_and_remembered() {
    let schema = builtin();
    let volume = schema.get(schema.lookup("core/v1.Volume").unwrap()).as_struct().unwrap();
    assert_eq!(volume.fields[0].name, "name");
    assert_eq!(volume.fields[1].name, "hostPath");
    let source = &volume.embedded[0];
    assert_eq!(schema.get(source.ty).name, "core/v1.VolumeSource");
    assert_eq!((source.start, usize::from(source.len)), (1, volume.fields.len() - 1));
    assert_eq!(source.proto.unwrap().number, 2);
}
