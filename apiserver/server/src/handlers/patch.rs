//! PATCH of an object or of a part of it: JSON patch, merge patch and strategic merge patch.
//!
//! A patch is applied to what is there now, and again if that changes meanwhile; so a patch that names no
//! resourceVersion is not refused for being late.
//!
//! Server-side apply is no patch of this kind and has a file of its own ([`apply`]).
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`.

use std::sync::Arc;

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use keelson_api_registry::{
    field::FieldError,
    object::Object,
    status::{ApiError, Cause},
};
use keelson_api_schema::{
    DecodeError, Document, Encoding, FieldValidation, TypeMeta, builtin, decode_value, go_text,
    patch::{PatchError, json::JsonPatch, merge, strategic},
};
use serde_json::Value;

use super::Call;
use crate::{
    answer::Response,
    codec,
    server::Server,
    write::{
        Draft, Part, Target, Write,
        body::{self, Wanted},
        identity,
        options::WriteOptions,
    },
};

pub(super) mod apply;
mod shape;

/// What a patch may be written in.
const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_MERGE_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// All of these, as a refusal lists them.
const ACCEPTED: [&str; 4] = [JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH];

/// Whether a PATCH is an apply.
pub(super) fn is_apply(headers: &HeaderMap) -> bool {
    form_of(headers) == APPLY_PATCH
}

fn form_of(headers: &HeaderMap) -> String {
    let form = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    form.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

pub(super) async fn patch(server: &Arc<Server>, call: &Call, part: Part) -> Result<Response, ApiError> {
    if is_apply(&call.headers) {
        return apply::apply(server, call, part).await;
    }
    let options = WriteOptions::parse_patch(&call.info)?;
    let patch = Patch::read(&call.headers, &call.body, options.validation)?;
    let resource = call.request.resource;
    let write = Write { server, call, target: Target::of(call), dry_run: options.dry_run };
    let change = |current: &crate::storage::Stored| {
        let draft = patch.apply(&current.object, Wanted::of(resource), options.validation)?;
        identity::check_name(&draft.object, &call.request)?;
        Ok(draft)
    };
    let written = write.update(part, &change).await?;
    let written = written.ok_or_else(|| ApiError::not_found(resource, &call.request.name))?;
    codec::respond(call, StatusCode::OK, &written.stored, &written.warnings)
}

/// A patch that has been read.
#[derive(Debug)]
pub(super) struct Patch {
    operation: Operation,
    /// What strict validation has against the patch itself.
    violations: Vec<String>,
}

#[derive(Debug)]
enum Operation {
    Json(JsonPatch),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    /// Reads a patch in the form that `Content-Type` names.
    ///
    /// # Errors
    /// 415 for other forms, 400 for what cannot be read, 413 for what is too long.
    pub(super) fn read(
        headers: &HeaderMap,
        body: &[u8],
        validation: FieldValidation,
    ) -> Result<Self, ApiError> {
        let form = form_of(headers);
        if form == APPLY_PATCH || !ACCEPTED.contains(&form.as_str()) {
            return Err(ApiError::unsupported_media_type(&ACCEPTED));
        }
        let decoded = Document::parse(body, Encoding::Json).and_then(Document::decode_untyped);
        let decoded = decoded.map_err(|error| unreadable(&error))?;
        let prefix = if form == JSON_PATCH { "json patch " } else { "" };
        let mut violations: Vec<String> = decoded.violations.iter().map(ToString::to_string).collect();
        let operation = match form.as_str() {
            JSON_PATCH => {
                violations.extend(shape::json_patch(&decoded.value, validation)?);
                Operation::Json(JsonPatch::read(decoded.value).map_err(|error| refusal(&error))?)
            }
            MERGE_PATCH => {
                shape::merge_patch(&decoded.value, validation)?;
                Operation::Merge(decoded.value)
            }
            _ => Operation::Strategic(shape::strategic_patch(decoded.value)?),
        };
        violations.iter_mut().for_each(|violation| violation.insert_str(0, prefix));
        Ok(Self { operation, violations })
    }

    /// The object that the patch makes of `current`.
    ///
    /// # Errors
    /// 422 for a patch that does not fit, or makes what is no such object; 400 for one that is malformed.
    pub(super) fn apply(
        &self,
        current: &Object,
        wanted: Wanted<'_>,
        validation: FieldValidation,
    ) -> Result<Draft, ApiError> {
        let patched = self.patched(current.0.clone(), wanted).map_err(|error| refusal(&error))?;
        let named = |field| patched.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let found = TypeMeta { api_version: named("apiVersion"), kind: named("kind") };
        let quoted = self.quoted(&patched);
        let unfit = |why: String| {
            let error = FieldError::invalid("patch", quoted.clone(), why);
            ApiError::invalid("", "", "", &[error])
        };
        // Upstream merges a strategic patch into a type, which does not change with what it is called.
        if !matches!(self.operation, Operation::Strategic(_))
            && let Some(why) = body::mismatch(&found, wanted)
        {
            return Err(unfit(why));
        }
        let decoded = decode_value(builtin(), wanted.ty(), patched);
        let decoded = decoded.map_err(|error| unfit(error.to_string()))?;
        let mut violations = self.violations.clone();
        violations.extend(decoded.violations.iter().map(ToString::to_string));
        if validation == FieldValidation::Strict && !violations.is_empty() {
            return Err(unfit(format!("strict decoding error: {}", violations.join(", "))));
        }
        let mut object = Object(decoded.value);
        object.set(&["apiVersion"], wanted.api_version());
        object.set(&["kind"], wanted.kind);
        let warnings = if validation == FieldValidation::Warn { violations } else { Vec::new() };
        Ok(Draft { object, warnings })
    }

    fn patched(&self, current: Value, wanted: Wanted<'_>) -> Result<Value, PatchError> {
        match &self.operation {
            Operation::Json(patch) => patch.apply(current),
            Operation::Merge(patch) => merge::apply(current, patch.clone()),
            Operation::Strategic(patch) => strategic::apply(builtin(), wanted.ty(), current, patch.clone()),
        }
    }

    /// What a refusal quotes: the patch where it is an object of its own kind, else what it made.
    fn quoted(&self, patched: &Value) -> String {
        match &self.operation {
            Operation::Strategic(patch) => go_text::print(patch),
            Operation::Json(_) | Operation::Merge(_) => patched.to_string(),
        }
    }
}

fn unreadable(error: &DecodeError) -> ApiError {
    match error {
        DecodeError::TooLarge | DecodeError::TooMany => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", error.to_string())
        }
        DecodeError::Json { .. } => ApiError::bad_request("invalid JSON patch"),
        other => ApiError::bad_request(format!("error decoding patch: {other}")),
    }
}

fn refusal(error: &PatchError) -> ApiError {
    match error {
        PatchError::Malformed { message } => ApiError::bad_request(message),
        PatchError::TooLarge { message } => {
            let message = format!("Request entity too large: {message}");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
        }
        PatchError::Unprocessable { message } => {
            // Upstream's text says nothing at all; the cause, which kubectl shows instead, says what it is.
            let text = "the server rejected our request due to an error in our request";
            let mut error = ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", text);
            let cause =
                Cause { reason: "UnexpectedServerResponse", message: message.clone(), field: String::new() };
            error.details.causes.push(cause);
            error
        }
        // Upstream has no code for it.
        PatchError::Failed { message } => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "", message),
    }
}

#[cfg(test)]
mod tests;
