//! From a request's body to an object of the kind that the path wants.
//!
//! In: bytes in JSON, YAML or protobuf. Out: a canonical object with `apiVersion` and `kind`, and warnings about fields that
//! were dropped; or why the body is none, in upstream's words.
//!
//! Source: `transformDecodeError` and `summarizeData` of `k8s.io/apiserver/pkg/endpoints/handlers`.

use http::StatusCode;
use keelson_api_registry::{
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use keelson_api_schema::{
    DecodeError, Document, Encoding, FieldValidation, TypeId, TypeMeta, builtin, encode,
};

use crate::storage::check_length;

/// Where upstream's types are registered, as its refusals name it.
const SCHEME: &str = "pkg/api/legacyscheme/scheme.go:30";

/// Versions that upstream serves no longer, or only on request, and still understands.
const ONCE_SERVED: &[(&str, &[&str])] = &[
    ("admissionregistration.k8s.io", &["v1alpha1", "v1beta1"]),
    ("apps", &["v1beta1", "v1beta2"]),
    ("authentication.k8s.io", &["v1alpha1", "v1beta1"]),
    ("authorization.k8s.io", &["v1beta1"]),
    ("batch", &["v1beta1"]),
    ("certificates.k8s.io", &["v1alpha1", "v1beta1"]),
    ("coordination.k8s.io", &["v1beta1"]),
    ("discovery.k8s.io", &["v1beta1"]),
    ("events.k8s.io", &["v1beta1"]),
    ("flowcontrol.apiserver.k8s.io", &["v1beta1", "v1beta2", "v1beta3"]),
    ("networking.k8s.io", &["v1beta1"]),
    ("node.k8s.io", &["v1alpha1", "v1beta1"]),
    ("policy", &["v1beta1"]),
    ("rbac.authorization.k8s.io", &["v1alpha1", "v1beta1"]),
    ("resource.k8s.io", &["v1alpha3", "v1beta1", "v1beta2"]),
    ("scheduling.k8s.io", &["v1beta1"]),
    ("storage.k8s.io", &["v1alpha1", "v1beta1"]),
    ("storagemigration.k8s.io", &["v1beta1"]),
];

/// How much of a body that cannot be read is quoted, in bytes.
const QUOTED_BYTES: usize = 30;

/// The kind that a body must be of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// Its group.
    pub(crate) group: &'a str,
    /// Its version.
    pub(crate) version: &'a str,
    /// Its name.
    pub(crate) kind: &'a str,
}

impl<'a> Wanted<'a> {
    /// The kind of a resource.
    pub(crate) fn of(resource: &'a ResourceInfo) -> Self {
        Self { group: resource.group, version: resource.version, kind: resource.kind }
    }

    /// `apps/v1`, `v1`.
    pub(crate) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// Its type.
    ///
    /// # Panics
    /// For kinds that the schema does not have: callers name built-in ones.
    pub(crate) fn ty(&self) -> TypeId {
        builtin()
            .lookup_kind(self.group, self.version, self.kind)
            .expect("the resource table and the handlers name kinds of the schema: tests look them up")
    }
}

/// An object that a client sent, and what to warn it of.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// Canonical, with `apiVersion` and `kind`.
    pub(crate) object: Object,
    /// About fields that were dropped.
    pub(crate) warnings: Vec<String>,
}

/// Reads a body of exactly the kind and version that are wanted.
///
/// # Errors
/// 400 for what is no such object, 413 for a body that is too long.
pub(crate) fn read(
    body: &[u8],
    encoding: Encoding,
    wanted: Wanted<'_>,
    validation: FieldValidation,
) -> Result<Draft, ApiError> {
    read_if(body, encoding, wanted, validation, |found| check(found, wanted))
}

/// Reads a body of a kind that is the same in all groups and versions, whichever it names.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_of_any_version(
    body: &[u8],
    encoding: Encoding,
    wanted: Wanted<'_>,
) -> Result<Draft, ApiError> {
    let check = |found: &TypeMeta| {
        check_kind(found, wanted)?;
        check_served(found, wanted)
    };
    read_if(body, encoding, wanted, FieldValidation::Ignore, check)
}

fn read_if(
    body: &[u8],
    encoding: Encoding,
    wanted: Wanted<'_>,
    validation: FieldValidation,
    check: impl Fn(&TypeMeta) -> Result<(), ApiError>,
) -> Result<Draft, ApiError> {
    let unrecognized = |error: &DecodeError| refusal(error, unrecognized_as(wanted, error, body));
    let document = Document::parse(body, encoding).map_err(|error| unrecognized(&error))?;
    let found = document.type_meta().map_err(|error| unrecognized(&error))?;
    if found.api_version.matches('/').count() > 1 {
        let why = format!("unexpected GroupVersion string: {}", found.api_version);
        return Err(ApiError::bad_request(unrecognized_as(wanted, &why, body)));
    }
    check(&found)?;
    let unfit = |error: &DecodeError| match found.kind.as_str() {
        "" => unrecognized(error),
        _ => refusal(error, cannot_be_handled(&found, wanted, error)),
    };
    let decoded = document.decode(builtin(), wanted.ty()).map_err(|error| unfit(&error))?;
    let (value, warnings) = decoded.enforce(validation).map_err(|error| unfit(&error))?;
    check_length(body, || encode(builtin(), wanted.ty(), &value).len())?;
    let mut object = Object(value);
    object.set(&["apiVersion"], wanted.api_version());
    object.set(&["kind"], wanted.kind);
    Ok(Draft { object, warnings })
}

fn unrecognized_as(wanted: Wanted<'_>, why: &dyn std::fmt::Display, body: &[u8]) -> String {
    let summary = summary(body);
    format!("the object provided is unrecognized (must be of type {}): {why} ({summary})", wanted.kind)
}

/// Refuses what calls itself something else than what is wanted. It may call itself nothing.
///
/// # Errors
/// 400.
fn check(found: &TypeMeta, wanted: Wanted<'_>) -> Result<(), ApiError> {
    if let Some(why) = mismatch(found, wanted) {
        return Err(ApiError::bad_request(cannot_be_handled(found, wanted, &why)));
    }
    check_version(found, wanted)
}

/// Why what is found cannot be what is wanted. It may be it in another version, or call itself nothing.
pub(crate) fn mismatch(found: &TypeMeta, wanted: Wanted<'_>) -> Option<String> {
    let versions = !found.api_version.is_empty() && !is_understood(found, wanted);
    other_kind(found, wanted).or_else(|| versions.then(|| not_registered(found, wanted)))
}

fn other_kind(found: &TypeMeta, wanted: Wanted<'_>) -> Option<String> {
    if found.kind.is_empty() || found.kind == wanted.kind {
        return None;
    }
    Some(match is_known(found) {
        true => format!(
            "converting ({}) to ({}): unknown conversion",
            go_type(&found.api_version, &found.kind),
            internal_go_type(wanted)
        ),
        false => not_registered(found, wanted),
    })
}

fn check_kind(found: &TypeMeta, wanted: Wanted<'_>) -> Result<(), ApiError> {
    let wrong = other_kind(found, wanted);
    wrong.map_or(Ok(()), |why| Err(ApiError::bad_request(cannot_be_handled(found, wanted, &why))))
}

/// Refuses a group and version of which there is nothing here. It may name none.
fn check_served(found: &TypeMeta, wanted: Wanted<'_>) -> Result<(), ApiError> {
    let (group, version) = split(&found.api_version);
    let is_served =
        resources::groups().iter().any(|(name, versions)| *name == group && versions.contains(&version));
    if found.api_version.is_empty() || is_served || found.api_version == wanted.api_version() {
        return Ok(());
    }
    let why = not_registered(found, wanted);
    Err(ApiError::bad_request(cannot_be_handled(found, wanted, &why)))
}

fn not_registered(found: &TypeMeta, wanted: Wanted<'_>) -> String {
    let kind = if found.kind.is_empty() { wanted.kind } else { &found.kind };
    format!("no kind {kind:?} is registered for version {:?} in scheme {SCHEME:?}", found.api_version)
}

fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

fn check_version(found: &TypeMeta, wanted: Wanted<'_>) -> Result<(), ApiError> {
    if !found.api_version.is_empty() && found.api_version != wanted.api_version() {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({})",
            found.api_version,
            wanted.api_version()
        )));
    }
    Ok(())
}

fn cannot_be_handled(found: &TypeMeta, wanted: Wanted<'_>, why: &dyn std::fmt::Display) -> String {
    let kind = if found.kind.is_empty() { wanted.kind } else { &found.kind };
    let version = found.api_version.rsplit('/').next().unwrap_or_default();
    let version = if version.is_empty() { wanted.version } else { version };
    format!("{kind} in version {version:?} cannot be handled as a {}: {why}", wanted.kind)
}

/// Whether there is, or was, such a version of the kind that is wanted.
fn is_understood(found: &TypeMeta, wanted: Wanted<'_>) -> bool {
    let (group, version) = split(&found.api_version);
    let once = ONCE_SERVED.iter().filter(|(once, _)| *once == group && group == wanted.group);
    builtin().lookup_kind(group, version, wanted.kind).is_some()
        || once.flat_map(|(_, versions)| *versions).any(|once| *once == version)
}

fn is_known(found: &TypeMeta) -> bool {
    let (group, version) = split(&found.api_version);
    builtin().lookup_kind(group, version, &found.kind).is_some()
}

/// `v1.Service`: a type of a package that is named after the version.
fn go_type(api_version: &str, kind: &str) -> String {
    format!("{}.{kind}", api_version.rsplit('/').next().unwrap_or(api_version))
}

/// `core.Pod`: upstream's internal type.
pub(crate) fn internal_go_type(wanted: Wanted<'_>) -> String {
    let package = match wanted.group {
        "" | "events.k8s.io" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    format!("{package}.{}", wanted.kind)
}

fn refusal(error: &DecodeError, message: String) -> ApiError {
    match error {
        DecodeError::TooLarge | DecodeError::TooMany => {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", error.to_string())
        }
        DecodeError::Json { .. }
        | DecodeError::Yaml { .. }
        | DecodeError::Protobuf { .. }
        | DecodeError::Type { .. }
        | DecodeError::TooDeep
        | DecodeError::Strict { .. } => ApiError::bad_request(message),
    }
}

/// The beginning of a body: JSON as it is, everything else in hexadecimal digits.
fn summary(body: &[u8]) -> String {
    let (start, dots) = match body.len() > QUOTED_BYTES {
        true => (&body[..QUOTED_BYTES], " ..."),
        false => (body, ""),
    };
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{dots}", String::from_utf8_lossy(start)),
        Some(_) => start.iter().map(|byte| format!("{byte:02x}")).chain([dots.to_owned()]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: Wanted<'_> = Wanted { group: "apps", version: "v1", kind: "Deployment" };
    const POD: Wanted<'_> = Wanted { group: "", version: "v1", kind: "Pod" };

    fn refused(body: &str, wanted: Wanted<'_>) -> String {
        let error = read(body.as_bytes(), Encoding::Json, wanted, FieldValidation::Strict).unwrap_err();
        assert_eq!(error.code, 400);
        error.message
    }

    #[test]
    fn unknown_and_repeated_fields_are_refused_or_warned_of() {
        let body = r#"{"kind":"Deployment","apiVersion":"apps/v1","spec":{"unknownField":1,"replicas":1,"replicas":2}}"#;
        assert_eq!(
            refused(body, DEPLOYMENT),
            "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \
             \"spec.unknownField\", duplicate field \"spec.replicas\""
        );
        let warned = read(body.as_bytes(), Encoding::Json, DEPLOYMENT, FieldValidation::Warn).unwrap();
        assert_eq!(
            warned.warnings,
            ["unknown field \"spec.unknownField\"", "duplicate field \"spec.replicas\""]
        );
        assert_eq!(warned.object.integer(&["spec", "replicas"]), Some(2));
        let ignored = read(body.as_bytes(), Encoding::Json, DEPLOYMENT, FieldValidation::Ignore).unwrap();
        assert_eq!(ignored.warnings, [""; 0]);
    }

    #[test]
    fn a_body_of_another_kind_or_version_is_refused() {
        assert_eq!(
            refused(r#"{"kind":"Service","apiVersion":"v1"}"#, POD),
            "Service in version \"v1\" cannot be handled as a Pod: converting (v1.Service) to (core.Pod): unknown \
             conversion"
        );
        assert_eq!(
            refused(r#"{"kind":"Pot","apiVersion":"v1"}"#, POD),
            "Pot in version \"v1\" cannot be handled as a Pod: no kind \"Pot\" is registered for version \"v1\" in \
             scheme \"pkg/api/legacyscheme/scheme.go:30\""
        );
        assert_eq!(
            refused(r#"{"kind":"Pod","apiVersion":"v2"}"#, POD),
            "Pod in version \"v2\" cannot be handled as a Pod: no kind \"Pod\" is registered for version \"v2\" in \
             scheme \"pkg/api/legacyscheme/scheme.go:30\""
        );
        assert_eq!(
            refused(r#"{"kind":"Deployment","apiVersion":"apps/v1beta1"}"#, DEPLOYMENT),
            "the API version in the data (apps/v1beta1) does not match the expected API version (apps/v1)"
        );
        assert_eq!(
            refused(r#"{"apiVersion":"a/b/c"}"#, POD),
            "the object provided is unrecognized (must be of type Pod): unexpected GroupVersion string: a/b/c \
             ({\"apiVersion\":\"a/b/c\"})"
        );
    }

    #[test]
    fn a_body_may_leave_out_what_it_is() {
        let draft = read(b"metadata: {name: a}", Encoding::Yaml, POD, FieldValidation::Strict).unwrap();
        assert_eq!((draft.object.text(&["kind"]), draft.object.text(&["apiVersion"])), ("Pod", "v1"));
    }

    #[test]
    fn what_is_no_object_is_quoted() {
        assert_eq!(
            refused("", POD),
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse \
             error: unexpected end of JSON input (<empty>)"
        );
        assert!(refused("[1]", POD).ends_with("(5b315d)"), "{}", refused("[1]", POD));
        let wrong = r#"{"kind":"Pod","apiVersion":"v1","spec":{"containers":3}}"#;
        assert!(refused(wrong, POD).starts_with(
            "Pod in version \"v1\" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field"
        ));
        let long = vec![b' '; keelson_api_schema::MAX_DOCUMENT_BYTES + 1];
        let error = read(&long, Encoding::Json, POD, FieldValidation::Warn).unwrap_err();
        assert_eq!((error.code.as_u16(), error.reason), (413, "RequestEntityTooLarge"));
    }
}
