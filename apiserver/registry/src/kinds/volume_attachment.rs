//! VolumeAttachment: that a volume is to be attached to a node, and whether it is.
//!
//! Source: `pkg/apis/storage/validation`, `pkg/registry/storage/volumeattachment`.

use keelson_api_schema::format::check_dns1123_subdomain;
use serde_json::json;

use super::csi_driver::check_driver_name;
use crate::{
    columns::{AGE, NAME},
    field::FieldError,
    object::Object,
    place::Place,
    resources::Column,
    strategy::{StatusMetadata, Strategy, keep},
};

/// How long what a driver tells of an attachment may be, in bytes.
const METADATA_MAX_BYTES: usize = 256 * 1024;
const MESSAGE_MAX_BYTES: usize = 1024;

const VOLUME: [&str; 3] = ["spec", "source", "persistentVolumeName"];

/// The columns of VolumeAttachments.
pub const COLUMNS: &[Column] = &[
    NAME,
    Column::new("Attacher", "string", |object, _| object.text(&["spec", "attacher"]).into()),
    Column::new("PV", "string", |object, _| object.text(&VOLUME).into()),
    Column::new("Node", "string", |object, _| object.text(&["spec", "nodeName"]).into()),
    Column::new("Attached", "boolean", |object, _| Place::at(object, &["status", "attached"]).flag().into()),
    AGE,
];

/// The rules of VolumeAttachments.
pub struct Rules;

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        object.set(&["status"], json!({"attached": false}));
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        keep(object, old, &["status"]);
    }

    fn status_metadata(&self) -> StatusMetadata {
        StatusMetadata::Stays
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let spec = Place::at(object, &["spec"]);
        check_driver_name(&spec.child("attacher"), &mut errors);
        check_source(&spec.child("source"), &mut errors);
        let node = spec.child("nodeName");
        errors.extend(node.each_invalid(check_dns1123_subdomain(node.text())));
        errors
    }

    fn validate_update(&self, object: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        Place::at(object, &["spec"]).unchanged(&Place::at(old, &["spec"]), &mut errors);
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let status = Place::at(object, &["status"]);
        let metadata = status.child("attachmentMetadata");
        let size: usize = metadata.entries().map(|(key, value)| key.len() + value.text().len()).sum();
        if size > METADATA_MAX_BYTES {
            errors.push(FieldError::too_long(metadata.path(), METADATA_MAX_BYTES));
        }
        for error in ["attachError", "detachError"] {
            let message = status.child(error).child("message");
            if message.text().len() > MESSAGE_MAX_BYTES {
                errors.push(FieldError::too_long(message.path(), MESSAGE_MAX_BYTES));
            }
        }
        errors
    }

    fn updates_unconditionally(&self) -> bool {
        false
    }

    fn returns_deleted_object(&self) -> bool {
        true
    }
}

fn check_source(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let (inline, name) = (source.child("inlineVolumeSpec"), source.child("persistentVolumeName"));
    match (inline.is_set(), name.is_set()) {
        (false, false) => errors.push(source.required(ONE)),
        (true, true) => errors.push(source.forbidden(ONE)),
        (false, true) if name.text().is_empty() => {
            errors.push(name.required("must specify non empty persistentVolumeName"));
        }
        (true, false) if !inline.child("csi").is_set() => {
            errors.push(inline.child("csi").required("must be specified"));
        }
        (false, true) | (true, false) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::field::texts;

    fn attachment(source: &Value) -> Object {
        let spec = json!({"attacher": "disk.example.com", "nodeName": "n1", "source": source});
        let mut object = Object(json!({"metadata": {"name": "a"}, "spec": spec}));
        Rules.prepare_create(&mut object);
        object
    }

    #[test]
    fn one_volume_of_one_driver_on_one_node_for_ever() {
        let old = attachment(&json!({"persistentVolumeName": "disk"}));
        assert_eq!(Rules.validate(&old), []);
        for source in [json!({}), json!({"persistentVolumeName": "a", "inlineVolumeSpec": {}})] {
            assert_eq!(Rules.validate(&attachment(&source)).len(), 1, "{source}");
        }
        assert_eq!(
            texts(&Rules.validate(&attachment(&json!({"persistentVolumeName": ""})))),
            ["spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName"]
        );
        let mut new = attachment(&json!({"persistentVolumeName": "other"}));
        new.set(&["status", "attached"], true);
        Rules.prepare_update(&mut new, &old);
        assert_eq!(new.0["status"], old.0["status"]);
        let refused = texts(&Rules.validate_update(&new, &old));
        assert!(
            refused[0].starts_with("spec: Invalid value: {") && refused[0].ends_with("field is immutable")
        );
    }

    #[test]
    fn drivers_may_not_ramble() {
        let mut object = attachment(&json!({"persistentVolumeName": "disk"}));
        object.set(&["status", "attachError", "message"], "x".repeat(2000));
        assert_eq!(
            texts(&Rules.validate_status_update(&object, &object)),
            ["status.attachError.message: Too long: may not be more than 1024 bytes"]
        );
    }
}
