//! Who manages which field of the object that is written.
//!
//! In: the object as it was and as the client wants it, and the client's name. Out: the object with
//! `metadata.managedFields`; for an apply the object itself.
//!
//! What the server fills in itself once the client's wish is known (by admission, by a kind's preparation, a pod's node)
//! nobody manages, as upstream has it.

use std::sync::LazyLock;

use http::{StatusCode, header::USER_AGENT};
use keelson_api_registry::{
    field::FieldError,
    object::Object,
    resources::{self, ResourceInfo},
    status::{ApiError, Cause},
    strategy::StatusMetadata,
};
use keelson_api_schema::{
    TypeId,
    apply::{ApplyError, FieldManager, FieldSet, Versions},
    builtin, decode_value,
};
use serde_json::Value;

use super::{
    Part, Write, identity,
    options::{FIELD_MANAGER_MAX_BYTES, check_field_manager},
};
use crate::{
    handlers::Call,
    storage::{from_storage, storage_of, to_storage},
};

/// The longest name of a subresource, in bytes.
const SUBRESOURCE_MAX_BYTES: usize = 256;

const MANAGED_FIELDS: [&str; 2] = ["metadata", "managedFields"];

/// What a write of each part resets, whatever a client says.
static NOTHING: LazyLock<FieldSet> = LazyLock::new(FieldSet::default);
static STATUS: LazyLock<FieldSet> = LazyLock::new(|| FieldSet::of(&[&["status"]]));
static ALL_BUT_STATUS: LazyLock<FieldSet> = LazyLock::new(|| FieldSet::of(ALWAYS_RESET_BY_STATUS));
static WITH_LABELS: LazyLock<FieldSet> =
    LazyLock::new(|| FieldSet::of(&[ALWAYS_RESET_BY_STATUS, &[&["metadata", "labels"]]].concat()));
static WITH_METADATA: LazyLock<FieldSet> = LazyLock::new(|| FieldSet::of(&[&["spec"], &["metadata"]]));

const ALWAYS_RESET_BY_STATUS: &[&[&str]] = &[
    &["spec"],
    &["metadata", "deletionTimestamp"],
    &["metadata", "deletionGracePeriodSeconds"],
    &["metadata", "ownerReferences"],
];

/// Whose entries an object comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Managed {
    /// Those of before: this write's changes are yet to be noted.
    Before,
    /// Those of after: an apply has said them.
    After,
}

impl Write<'_> {
    /// Notes what this write changes of `old`, or makes anew.
    pub(super) fn note_changes(&self, part: Part, object: &mut Object, old: Option<&Object>) {
        if part == Part::Binding {
            return;
        }
        let managed = self.with_manager(part, |manager| manager.update(old.map(|old| &old.0), &object.0));
        match managed {
            Some(managed) => object.set(&MANAGED_FIELDS, managed),
            None => drop(object.remove(&MANAGED_FIELDS)),
        }
    }

    /// What a configuration makes of `old`, or anew; not canonical yet.
    ///
    /// # Errors
    /// 409 for conflicts with other managers, 400 and 500 in upstream's words for what cannot be applied.
    pub(crate) fn applied(
        &self,
        part: Part,
        old: Option<&Object>,
        configuration: &Value,
        force: bool,
    ) -> Result<Value, ApiError> {
        let apply = |manager: &FieldManager<'_>| manager.apply(old.map(|old| &old.0), configuration, force);
        self.with_manager(part, apply).map_err(refusal)
    }

    fn with_manager<T>(&self, part: Part, act: impl FnOnce(&FieldManager<'_>) -> T) -> T {
        let resource = self.target.resource;
        let has_status = resource.subresources.iter().any(|subresource| subresource.name == "status");
        let reset = match part {
            Part::Status => match resource.strategy.status_metadata() {
                StatusMetadata::Open => &ALL_BUT_STATUS,
                StatusMetadata::LabelsStay => &WITH_LABELS,
                StatusMetadata::Stays => &WITH_METADATA,
            },
            Part::Main | Part::Finalize if has_status => &STATUS,
            Part::Main | Part::Finalize | Part::Binding => &NOTHING,
        };
        act(&FieldManager {
            schema: builtin(),
            ty: resource.schema(),
            api_version: &resource.api_version(),
            kind: resource.kind,
            reset,
            name: &manager_of(self.call),
            subresource: self.target.subresource,
            now: &identity::timestamp(self.call.now),
            versions: Some(&KindVersions(resource)),
        })
    }
}

/// The versions in which a kind is served.
#[derive(Clone, Copy)]
struct KindVersions(&'static ResourceInfo);

impl KindVersions {
    fn in_version(self, api_version: &str) -> Option<&'static ResourceInfo> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = resources::find(group, version, self.0.plural)?;
        let stored = |resource| storage_of(resource).map(|owner| owner.storage);
        (stored(found) == stored(self.0)).then_some(found)
    }
}

impl std::fmt::Debug for KindVersions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KindVersions({})", self.0.qualified())
    }
}

impl Versions for KindVersions {
    fn ty(&self, api_version: &str) -> Option<TypeId> {
        self.in_version(api_version).map(ResourceInfo::schema)
    }

    fn convert(&self, object: &Value, api_version: &str) -> Option<Value> {
        let wanted = self.in_version(api_version)?;
        // What a configuration has made is not canonical yet.
        let canonical = decode_value(builtin(), self.0.schema(), object.clone()).ok()?;
        let canonical = Object(canonical.value);
        let (_, stored) = to_storage(self.0, &canonical).ok()?;
        let converted = from_storage(wanted, stored.into_owned()).ok()?;
        decode_value(builtin(), wanted.schema(), converted.0).ok().map(|decoded| decoded.value)
    }
}

/// Keeps the times of the entries where nothing else is new, so that nothing is written.
pub(super) fn keep_times(object: &mut Object, old: &Object) {
    let Some(managed) = old.get(&MANAGED_FIELDS) else { return };
    let same_metadata =
        |one: &Value, other: &Value| same_members(one, other, "managedFields", same_but_for_times);
    if object.get(&MANAGED_FIELDS) != Some(managed)
        && same_members(&object.0, &old.0, "metadata", same_metadata)
    {
        object.set(&MANAGED_FIELDS, managed.clone());
    }
}

/// Whether two objects have the same members; `same` decides about the one with this name.
fn same_members(one: &Value, other: &Value, name: &str, same: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else { return false };
    let is_same = |(member, value): (&String, &Value)| match other.get(member) {
        Some(other) if member == name => same(value, other),
        other => other == Some(value),
    };
    one.len() == other.len() && one.iter().all(is_same)
}

/// Whether two lists of entries say the same.
fn same_but_for_times(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_array(), other.as_array()) else { return false };
    let same = |(one, other): (&Value, &Value)| {
        let fields = ["manager", "operation", "apiVersion", "subresource", "fieldsV1"];
        fields.iter().all(|field| one.get(field) == other.get(field))
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}

/// What is wrong with entries that a client gave.
pub(super) fn validate(object: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (at, entry) in object.list(&MANAGED_FIELDS).iter().enumerate() {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let path = |field: &str| format!("metadata.managedFields[{at}].{field}");
        check_field_manager(&path("manager"), text("manager"), &mut errors);
        if text("subresource").len() > SUBRESOURCE_MAX_BYTES {
            errors.push(FieldError::too_long(path("subresource"), SUBRESOURCE_MAX_BYTES));
        }
    }
    errors
}

/// What the client calls itself: by a parameter, or by the first word of its user agent.
fn manager_of(call: &Call) -> String {
    match call.info.parameter("fieldManager") {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => {
            let agent = call.headers.get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()));
            let agent = agent.as_deref().unwrap_or_default();
            let mut name = String::new();
            let word = agent.split('/').next().unwrap_or_default();
            for letter in word.chars().filter(|letter| !letter.is_control()) {
                if name.len() + letter.len_utf8() > FIELD_MANAGER_MAX_BYTES {
                    break;
                }
                name.push(letter);
            }
            name
        }
    }
}

/// The answer to what cannot be applied.
pub(crate) fn refusal(error: ApplyError) -> ApiError {
    match error {
        ApplyError::Malformed { message } => ApiError::bad_request(message),
        ApplyError::Unfit { message } => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "", message),
        ApplyError::Conflicts(conflicts) => {
            let mut error = ApiError::new(StatusCode::CONFLICT, "Conflict", conflicts.to_string());
            let cause = |conflict: &keelson_api_schema::apply::Conflict| Cause {
                reason: "FieldManagerConflict",
                message: conflict.message(),
                field: conflict.field.clone(),
            };
            error.details.causes = conflicts.0.iter().map(cause).collect();
            error
        }
    }
}
