//! Server-side apply: PATCH with a configuration, in YAML or JSON, of what the client wants to manage.
//!
//! Deliberately absent: what a configuration does to an object ([`keelson_api_schema::apply`]), and conversion of the
//! entries of a scale: they are those of the object itself, whose `spec.replicas` a scale's is.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/handlers/patch.go`.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::{object::Object, status::ApiError};
use keelson_api_schema::{
    DecodeError, Document, Encoding, FieldValidation,
    apply::{FieldManager, FieldSet},
    builtin, decode_value,
};
use serde_json::{Value, json};

use crate::{
    answer::Response,
    codec,
    handlers::{Call, update::check_may_create},
    server::Server,
    storage::{Stored, check_length},
    write::{Draft, Outcome, Part, Target, Write, Written, body::Wanted, identity, options::WriteOptions},
};

/// What a client wants to manage.
pub(in crate::handlers) struct Configuration {
    value: Value,
    warnings: Vec<String>,
    /// Whether it takes over what others manage.
    force: bool,
}

/// Answers a PATCH that is an apply.
///
/// # Errors
/// As [`Write::apply`].
pub(super) async fn apply(server: &Arc<Server>, call: &Call, part: Part) -> Result<Response, ApiError> {
    let options = WriteOptions::parse_apply(&call.info)?;
    let configuration = Configuration::read(call, options.validation)?;
    match configuration.write(server, call, options, part).await? {
        Outcome::Created(written) => {
            codec::respond(call, StatusCode::CREATED, &written.stored, &written.warnings)
        }
        Outcome::Updated(written) => codec::respond(call, StatusCode::OK, &written.stored, &written.warnings),
    }
}

/// Applies a scale: the object with its `spec.replicas`.
///
/// # Errors
/// As [`Write::apply`].
pub(in crate::handlers) async fn apply_scale(
    server: &Arc<Server>,
    call: &Call,
    wanted: Wanted<'_>,
) -> Result<Written, ApiError> {
    let options = WriteOptions::parse_apply(&call.info)?;
    let configuration = Configuration::read(call, options.validation)?.of_scale(call, wanted)?;
    match configuration.write(server, call, options, Part::Main).await? {
        Outcome::Created(written) | Outcome::Updated(written) => Ok(written),
    }
}

impl Configuration {
    fn read(call: &Call, validation: FieldValidation) -> Result<Self, ApiError> {
        let decoded = Document::parse(&call.body, Encoding::Yaml).and_then(Document::decode_untyped);
        let decoded = decoded.map_err(|error| unreadable(&error))?;
        let repeated: Vec<String> = decoded.violations.iter().map(ToString::to_string).collect();
        if validation == FieldValidation::Strict && !repeated.is_empty() {
            let why = repeated.join(", ");
            return Err(ApiError::bad_request(format!("error strict decoding YAML: {why}")));
        }
        let value = match decoded.value {
            Value::Null => json!({}),
            value @ Value::Object(_) => value,
            _ => return Err(ApiError::bad_request("error decoding YAML: the configuration is no object")),
        };
        check_length(&call.body, || value.to_string().len())?;
        let warnings = if validation == FieldValidation::Warn { repeated } else { Vec::new() };
        Ok(Self { value, warnings, force: call.info.flag("force") })
    }

    /// A scale as a configuration of the object itself.
    fn of_scale(self, call: &Call, wanted: Wanted<'_>) -> Result<Self, ApiError> {
        let scale = FieldManager {
            schema: builtin(),
            ty: wanted.ty(),
            api_version: &wanted.api_version(),
            kind: wanted.kind,
            reset: &FieldSet::default(),
            name: "",
            subresource: "",
            now: "",
            versions: None,
        };
        scale.apply(None, &self.value, true).map_err(crate::write::apply_refusal)?;
        let own = Wanted::of(call.request.resource);
        let mut configuration = Object(json!({"apiVersion": own.api_version(), "kind": own.kind}));
        for field in [
            &["metadata", "name"][..],
            &["metadata", "uid"],
            &["metadata", "resourceVersion"],
            &["spec", "replicas"],
        ] {
            if let Some(value) = Object(self.value.clone()).get(field) {
                configuration.set(field, value.clone());
            }
        }
        Ok(Self { value: configuration.0, ..self })
    }

    async fn write(
        &self,
        server: &Arc<Server>,
        call: &Call,
        options: WriteOptions,
        part: Part,
    ) -> Result<Outcome, ApiError> {
        let write = Write { server, call, target: Target::of(call), dry_run: options.dry_run };
        let configure = |current: Option<&Stored>| self.applied(&write, call, part, current);
        let outcome = write.apply(part, &configure, &|| check_may_create(server, call)).await?;
        outcome.ok_or_else(|| ApiError::not_found(call.request.resource, &call.request.name))
    }

    fn applied(
        &self,
        write: &Write<'_>,
        call: &Call,
        part: Part,
        current: Option<&Stored>,
    ) -> Result<Draft, ApiError> {
        let resource = call.request.resource;
        let applied = write.applied(part, current.map(|current| &current.object), &self.value, self.force)?;
        let decoded = decode_value(builtin(), resource.schema(), applied);
        let decoded = decoded.map_err(|error| ApiError::bad_request(error.to_string()))?;
        let object = Object(decoded.value);
        if current.is_none() && !object.uid().is_empty() {
            let why = format!(
                "uid mismatch: the provided object specified uid {}, and no existing object was found",
                object.uid()
            );
            return Err(ApiError::conflict(resource, &call.request.name, &why));
        }
        identity::check_name(&object, &call.request)?;
        Ok(Draft { object, warnings: self.warnings.clone() })
    }
}

fn unreadable(error: &DecodeError) -> ApiError {
    match error {
        DecodeError::TooLarge | DecodeError::TooMany => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", error.to_string())
        }
        other => ApiError::bad_request(format!("error decoding YAML: {other}")),
    }
}
