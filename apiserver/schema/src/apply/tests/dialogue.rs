//! The runner of `dialogue.txt`. A line `= type apiVersion` begins a new object; `> update NAME JSON`, `> apply NAME JSON`
//! and `> force NAME JSON` write it, `NAME/sub` through a subresource, and the answer follows: the object, then a line per
//! manager, or the error. `UPDATE_GOLDEN=1` writes the answers anew.

use std::fmt::Write as _;

use serde_json::Value;

use super::super::{ApplyError, FieldManager, FieldSet};
use super::{NOW, without_entries};
use crate::model::TypeId;
use crate::{builtin, decode_value, encode};

struct Dialogue {
    ty: TypeId,
    api_version: String,
    live: Option<Value>,
}

impl Dialogue {
    fn begin(line: &str) -> Self {
        let (name, api_version) = line.split_once(' ').unwrap();
        Self { ty: builtin().lookup(name).unwrap(), api_version: api_version.to_owned(), live: None }
    }

    fn write(&mut self, line: &str) -> String {
        let mut words = line.splitn(3, ' ');
        let (verb, who, json) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        let (name, subresource) = who.split_once('/').unwrap_or((who, ""));
        let reset: &[&[&str]] = if subresource == "status" { &[&["spec"]] } else { &[&["status"]] };
        let reset = FieldSet::of(reset);
        let ty = &builtin().get(self.ty).name;
        let me = FieldManager {
            schema: builtin(),
            ty: self.ty,
            api_version: &self.api_version,
            kind: ty.rsplit('.').next().unwrap(),
            reset: &reset,
            name,
            subresource,
            now: NOW,
            versions: None,
        };
        let mut wanted: Value = serde_json::from_str(json).unwrap();
        wanted["apiVersion"] = self.api_version.as_str().into();
        wanted["kind"] = me.kind.into();
        let object = match verb {
            "update" => Ok(update(&me, self.live.as_ref(), wanted)),
            _ => me.apply(self.live.as_ref(), &wanted, verb == "force"),
        };
        match object {
            Ok(object) => {
                let live = decode_value(builtin(), self.ty, object).unwrap().value;
                let text = self.describe(&live);
                self.live = Some(live);
                text
            }
            Err(error) => describe_error(&error),
        }
    }

    fn describe(&self, object: &Value) -> String {
        let mut text = encode(builtin(), self.ty, &without_entries(object));
        text.push(b'\n');
        let mut text = String::from_utf8(text).unwrap();
        for entry in object["metadata"]["managedFields"].as_array().into_iter().flatten() {
            let word = |name: &str| entry[name].as_str().unwrap_or_default();
            let mut fields = Vec::new();
            encode::untyped(&entry["fieldsV1"], &mut fields);
            let (manager, subresource) = (word("manager"), word("subresource"));
            let operation = word("operation").to_lowercase();
            let fields = String::from_utf8(fields).unwrap();
            writeln!(
                text,
                "  {manager} {operation}{} {fields}",
                if subresource.is_empty() { String::new() } else { format!(" {subresource}") }
            )
            .unwrap();
        }
        text
    }
}

fn update(me: &FieldManager<'_>, live: Option<&Value>, wanted: Value) -> Value {
    let mut object = decode_value(builtin(), me.ty, wanted).unwrap().value;
    let managed = me.update(live, &object);
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.remove("managedFields");
    if let Some(managed) = managed {
        metadata.insert("managedFields".to_owned(), managed);
    }
    object
}

fn describe_error(error: &ApplyError) -> String {
    let code = match error {
        ApplyError::Malformed { .. } => 400,
        ApplyError::Conflicts(_) => 409,
        ApplyError::Unfit { .. } => 500,
    };
    format!("{code} {error}\n")
}

#[test]
fn the_dialogue_goes_as_it_is_written() {
    // Tests run in their crate's folder. The path is not compiled in: a kept binary serves another checkout, too.
    let path = "src/apply/tests/dialogue.txt";
    let script = std::fs::read_to_string(path).unwrap();
    let mut dialogue = Dialogue::begin("core/v1.ConfigMap v1");
    let mut found = String::new();
    for line in script.lines() {
        let answer = match (line.strip_prefix("= "), line.strip_prefix("> ")) {
            (Some(begin), _) => {
                dialogue = Dialogue::begin(begin);
                String::new()
            }
            (_, Some(write)) => dialogue.write(write),
            _ if line.is_empty() || line.starts_with('#') => String::new(),
            _ => continue,
        };
        found += &format!("{line}\n{answer}");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    assert_eq!(found, script);
}
