//! In which form objects come in and go out.
//!
//! In: a request's headers and query, and an object. Out: bytes in the form that the client asked for: JSON, YAML or
//! protobuf; the object itself, a row of a Table, or only its metadata.
//!
//! Deliberately absent: CBOR. Clients that would rather have it also accept JSON, and get that.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, USER_AGENT, WARNING, X_CONTENT_TYPE_OPTIONS},
};
use keelson_api_registry::{columns, object::Object, request::RequestInfo, status::ApiError};
use keelson_api_schema::{Encoding, TypeId, builtin};
use serde_json::Value;

use crate::{
    answer::{self, Response},
    handlers::Call,
    storage::Stored,
    write::body,
};

mod collection;
mod indent;
mod negotiate;
mod rendering;
mod yaml;

pub(crate) mod protobuf;
pub(crate) mod table;

pub(crate) use collection::CollectionWriter;
pub(crate) use indent::indented;
pub(crate) use negotiate::OFFERED;
pub use negotiate::{Count, Form, Include, Media, Wanted};
use protobuf::PROTOBUF;
pub(crate) use rendering::Rendering;
pub(crate) use yaml::yaml;

/// YAML's media type.
pub(crate) const YAML: &str = "application/yaml";

/// How the user agents of tools begin whose output people read; upstream's list.
const PEOPLES_AGENTS: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

/// How many bytes of warnings are told in full, how many characters of further ones, and how many bytes in all.
const MAX_WARNINGS: usize = 4 << 10;
const MAX_FURTHER_WARNING: usize = 256;
const MAX_ALL_WARNINGS: usize = 2 * MAX_WARNINGS;

/// An object that is to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'o> {
    object: &'o Object,
    /// Its canonical JSON, where that is there already.
    json: Option<&'o Bytes>,
}

impl<'o> From<&'o Object> for Shown<'o> {
    fn from(object: &'o Object) -> Self {
        Self { object, json: None }
    }
}

impl<'o> From<&'o Stored> for Shown<'o> {
    fn from(stored: &'o Stored) -> Self {
        Self { object: &stored.object, json: Some(&stored.json) }
    }
}

/// Sends one object in the form that the client asked for, with warnings as headers.
///
/// # Errors
/// 406 for forms that are not known, and for a Table of what has no metadata.
pub fn respond<'o>(
    call: &Call,
    status: StatusCode,
    object: impl Into<Shown<'o>>,
    warnings: &[String],
) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&call.headers, &call.info)?;
    let shown: Shown<'o> = object.into();
    if shown.object.text(&["kind"]) != "Status" {
        wanted.check_count(Count::One, shown.kind())?;
    }
    let json = match wanted.form {
        // A Status is never anything but itself.
        _ if shown.object.text(&["kind"]) == "Status" => shown.json(),
        Form::Object => shown.json(),
        Form::Partial(_) => shown.partial()?,
        Form::Table(include) => shown.table(call, include)?,
    };
    let mut response = send(&wanted, status, &json);
    warnings.iter().for_each(|warning| warn(response.headers_mut(), warning));
    Ok(response)
}

/// Sends a failure as a Status, with the advice when to try again also as a header. `info` is `None` where the path makes
/// no sense.
pub(crate) fn failure(error: &ApiError, headers: &HeaderMap, info: Option<&RequestInfo>) -> Response {
    let media = Media::of_status(&accepted(headers));
    let wanted = Wanted { media, form: Form::Object, pretty: is_pretty(headers, info) };
    let mut response = send(&wanted, error.code, &canonical(&error.status()));
    let after = error.details.retry_after_seconds;
    if after > 0 {
        response.headers_mut().insert(RETRY_AFTER, after.into());
    }
    response
}

/// What Go's router answers for paths below which upstream serves nothing: no Status.
pub(crate) fn no_such_page() -> Response {
    let mut response = answer::text(StatusCode::NOT_FOUND, "404 page not found\n");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Tells the client something beside the answer, in words that kubectl prints. Each text is told once; when they are long
/// together, further ones are cut short, and then left out.
pub(crate) fn warn(headers: &mut HeaderMap, warning: &str) {
    let told: usize = headers.get_all(WARNING).iter().map(HeaderValue::len).sum();
    let rest: String = warning.chars().take(MAX_FURTHER_WARNING).collect();
    let text = if told + warning.len() > MAX_WARNINGS { &rest } else { warning };
    let value = warning_value(text).filter(|value| headers.get_all(WARNING).iter().all(|it| it != value));
    if let Some(value) = value.filter(|_| told + text.len() <= MAX_ALL_WARNINGS) {
        headers.append(WARNING, value);
    }
}

/// Sends JSON in the media type that was asked for.
pub(crate) fn send(wanted: &Wanted, status: StatusCode, json: &[u8]) -> Response {
    let message = if wanted.media == Media::Protobuf { protobuf::document(json) } else { None };
    if let Some(message) = message {
        return answer::object_bytes(status, PROTOBUF, message.into());
    }
    match wanted.media {
        Media::Yaml => answer::object_bytes(status, YAML, yaml(json).into()),
        Media::Json | Media::Protobuf if wanted.pretty => {
            answer::object_bytes(status, answer::JSON, indented(json).into())
        }
        Media::Json | Media::Protobuf => {
            let line = [json, b"\n"].concat();
            answer::object_bytes(status, answer::JSON, line.into())
        }
    }
}

/// In what a request's body is written: JSON where nothing is said.
///
/// # Errors
/// 415 for what is not understood.
pub fn encoding_of(content_type: Option<&HeaderValue>) -> Result<Encoding, ApiError> {
    let unsupported = || ApiError::unsupported_media_type(OFFERED);
    let Some(value) = content_type else { return Ok(Encoding::Json) };
    let text = value.to_str().map_err(|_| unsupported())?;
    let media = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match media.as_str() {
        "" | answer::JSON => Ok(Encoding::Json),
        YAML | "application/x-yaml" | "text/yaml" => Ok(Encoding::Yaml),
        PROTOBUF => Ok(Encoding::Protobuf),
        _ => Err(unsupported()),
    }
}

/// [`encoding_of`] what the headers say.
///
/// # Errors
/// 415 for what is not understood.
pub fn encoding_of_body(headers: &HeaderMap) -> Result<Encoding, ApiError> {
    encoding_of(headers.get(CONTENT_TYPE))
}

/// The JSON of `PartialObjectMetadata` for an object with this metadata.
pub(crate) fn partial(metadata: &[u8]) -> Bytes {
    const START: &[u8] = br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":"#;
    [START, metadata, b"}"].concat().into()
}

impl Shown<'_> {
    fn json(&self) -> Bytes {
        if let Some(json) = self.json {
            return json.clone();
        }
        canonical(&self.object.0).into()
    }

    fn kind(&self) -> body::Wanted<'_> {
        let api_version = self.object.text(&["apiVersion"]);
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        body::Wanted { group, version, kind: self.object.text(&["kind"]) }
    }

    fn partial(&self) -> Result<Bytes, ApiError> {
        Ok(partial(&self.metadata()?))
    }

    fn table(&self, call: &Call, include: Include) -> Result<Bytes, ApiError> {
        let metadata = self.metadata()?;
        let item = table::Item { object: self.object, json: &self.json(), metadata: &metadata };
        let columns = match self.object.text(&["kind"]) {
            "Scale" => columns::SCALE,
            _ => table::columns_of(call.request.resource),
        };
        let row = table::row(columns, &item, include, call.now);
        let meta = table::ListMeta::at(self.object.resource_version());
        Ok([table::head(columns, &meta, true), row, table::TAIL.to_vec()].concat().into())
    }

    /// The JSON of its metadata. What has none cannot be shown as anything but itself.
    fn metadata(&self) -> Result<Vec<u8>, ApiError> {
        let schema = builtin();
        let kind = schema.lookup("meta/v1.ObjectMeta");
        match (self.object.get(&["metadata"]), kind) {
            (Some(metadata), Some(kind)) if !self.object.name().is_empty() => {
                Ok(keelson_api_schema::encode(schema, kind, metadata))
            }
            _ => Err(ApiError::not_acceptable(OFFERED)),
        }
    }
}

/// An object's JSON as its type has it; as it is if nobody knows the type.
pub(crate) fn canonical(object: &Value) -> Vec<u8> {
    match type_of(object) {
        Some(ty) => keelson_api_schema::encode(builtin(), ty, object),
        None => object.to_string().into(),
    }
}

/// The type that an object says it is of.
fn type_of(object: &Value) -> Option<TypeId> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let api_version = text("apiVersion");
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    // Kinds that every group has are those of meta.
    let schema = builtin();
    let own = schema.lookup_kind(group, version, text("kind"));
    own.or_else(|| schema.lookup_kind("meta.k8s.io", version, text("kind")))
}

/// The value of a `Warning` header; `None` for a text that no header can carry.
fn warning_value(text: &str) -> Option<HeaderValue> {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let quoted: String =
        plain.flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain(Some(c))).collect();
    HeaderValue::from_bytes(format!("299 - \"{quoted}\"").as_bytes()).ok()
}

/// All `Accept` headers as one.
fn accepted(headers: &HeaderMap) -> String {
    let accept = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accept.collect::<Vec<_>>().join(",")
}

/// Whether JSON is indented: where the client says so, or says nothing and is a tool by which people look at answers.
pub(crate) fn is_pretty(headers: &HeaderMap, info: Option<&RequestInfo>) -> bool {
    match info.and_then(RequestInfo::pretty) {
        Some(wish) => wish,
        None => {
            let agent = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
            PEOPLES_AGENTS.iter().any(|name| agent.starts_with(name.as_bytes()))
        }
    }
}

/// What a request wants, from its head.
impl Wanted {
    /// As [`Wanted::parse`], with the parameters `pretty` and `includeObject` of the query.
    ///
    /// # Errors
    /// 406 for forms that are not known; 400 for an `includeObject` that does not exist.
    pub fn of(headers: &HeaderMap, info: &RequestInfo) -> Result<Self, ApiError> {
        let mut wanted = Self::parse(&accepted(headers))?;
        wanted.pretty = is_pretty(headers, Some(info));
        if let Form::Table(include) = &mut wanted.form {
            *include = Include::parse(info.parameter("includeObject").unwrap_or_default())?;
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests;
