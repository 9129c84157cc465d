//! Kinds of volumes that are no more, or soon.

use crate::{kinds::persistent_volume_claim, place::Place};

/// What upstream calls the field, what it is called, and since when it is on its way out. Some are called
/// differently in upstream's words than in the API.
const DEPRECATED: [(&str, &str, &str); 7] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageOS", "storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
];
const DEPRECATED_LAST: [&str; 2] = ["cephfs", "rbd"];

/// Warns of a volume of an old kind, and of what a claim that is made for a pod asks for.
pub(super) fn deprecated(volume: &Place<'_>, warnings: &mut Vec<String>) {
    let mut warn = |shown: &str, field: &str, why: &str| {
        if volume.child(field).is_set() {
            warnings.push(format!("{}.{shown}: {why}", volume.path()));
        }
    };
    for (shown, field, why) in DEPRECATED {
        warn(shown, field, why);
    }
    for field in DEPRECATED_LAST {
        warn(field, field, "deprecated in v1.28, non-functional in v1.31+");
    }
    let claim = volume.child("ephemeral").child("volumeClaimTemplate").child("spec");
    persistent_volume_claim::warn_spec(&claim, warnings);
}
