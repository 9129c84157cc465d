//! The only place where a failure becomes a `metav1.Status`.
//!
//! In: what went wrong, said by whoever found it. Out: code, reason, message, details and causes as upstream
//! words them; clients and tests match on the texts.
//!
//! Source: `k8s.io/apimachinery/pkg/api/errors`.

use http::StatusCode;
use keelson_api_schema::go_text::quote;
use serde_json::{Value, json};

use crate::{field::FieldError, resources::ResourceInfo};

/// How many errors of fields are told: an object may have one at every few bytes.
const MAX_TOLD: usize = 1_000;

/// What clients of upstream say of a path that leads nowhere.
const NO_SUCH_PATH: &str = "the server could not find the requested resource";

/// A failed request.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The HTTP status code.
    pub code: StatusCode,
    /// The machine's word for it: `NotFound`, `Conflict`, …; empty where upstream has none.
    pub reason: &'static str,
    /// The human's.
    pub message: String,
    /// What it is about. Boxed: a failure is passed up through many results.
    pub details: Box<Details>,
    /// Whether the details are shown even where they say nothing: upstream makes them for some failures, and clients
    /// that compare whole answers see that.
    pub shows_details: bool,
}

/// The `details` of a Status.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// Its API group.
    pub group: String,
    /// Its kind, or its resource's plural where upstream says that.
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// What exactly is wrong.
    pub causes: Vec<Cause>,
    /// When to try again; 0 for no advice.
    pub retry_after_seconds: u32,
    /// The token with which the rest of a list can still be had, of a newer revision. Told in the metadata, not in
    /// the details; empty for none.
    pub next_page: String,
}

/// One cause in the details of a Status.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// `FieldValueInvalid` and the like; may be empty.
    pub reason: &'static str,
    /// What is wrong.
    pub message: String,
    /// Where.
    pub field: String,
}

impl ApiError {
    /// A failure without details.
    pub fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default(), shows_details: false }
    }

    /// With details even where they say nothing.
    #[must_use]
    pub fn with_details(mut self) -> Self {
        self.shows_details = true;
        self
    }

    /// 404: no such object.
    pub fn not_found(resource: &ResourceInfo, name: &str) -> Self {
        let message = format!("{} {} not found", resource.qualified(), quote(name));
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource.group, resource.plural, name)
    }

    /// 404: no such path.
    pub fn no_such_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", NO_SUCH_PATH).with_details()
    }

    /// Whether it is [`Self::no_such_path`].
    pub fn is_no_such_path(&self) -> bool {
        self.code == StatusCode::NOT_FOUND && self.message == NO_SUCH_PATH
    }

    /// 409: an object of that name exists.
    pub fn already_exists(resource: &ResourceInfo, name: &str) -> Self {
        let message = format!("{} {} already exists", resource.qualified(), quote(name));
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource.group, resource.plural, name)
    }

    /// 409: the object has changed, or is not the one that was meant; `why` says which.
    pub fn conflict(resource: &ResourceInfo, name: &str, why: &str) -> Self {
        Self::conflict_about(resource.group, resource.plural, name, why)
    }

    /// 409 as [`Self::conflict`], in the words of those parts of upstream that say the kind for the resource.
    pub fn conflict_of_kind(resource: &ResourceInfo, name: &str, why: &str) -> Self {
        Self::conflict_about(resource.group, resource.kind, name, why)
    }

    fn conflict_about(group: &str, what: &str, name: &str, why: &str) -> Self {
        let about = qualified(group, what);
        let message = format!("Operation cannot be fulfilled on {about} {}: {why}", quote(name));
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(group, what, name)
    }

    /// 409: upstream's words for a stale resourceVersion.
    pub fn stale(resource: &ResourceInfo, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 422: fields break rules. Of very many only the first are told.
    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let (told, untold) = errors.split_at(errors.len().min(MAX_TOLD));
        let mut texts: Vec<_> = told.iter().map(ToString::to_string).collect();
        if !untold.is_empty() {
            texts.push(format!("and {} more", untold.len()));
        }
        let text = if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) };
        let message = format!("{} {} is invalid: {text}", qualified(group, kind), quote(name));
        let mut error =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(group, kind, name);
        let cause = |error: &FieldError| Cause {
            reason: error.reason(),
            message: error.message(),
            field: error.path.clone(),
        };
        error.details.causes = told.iter().map(cause).collect();
        error
    }

    /// 400: the request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// 401: who asks is not known.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    /// 403: who asks may not; `message` is the whole text.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_details()
    }

    /// 403: an object may not be written; `why` says what forbids it.
    pub fn forbidden_object(resource: &ResourceInfo, name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("{} {} is forbidden: {why}", resource.qualified(), quote(name));
        Self::forbidden(message).about(resource.group, resource.plural, name)
    }

    /// 405: the resource does not do that.
    pub fn method_not_supported(resource: &ResourceInfo, verb: &str) -> Self {
        let message = format!("{verb} is not supported on resources of kind \"{}\"", resource.qualified());
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about(
            resource.group,
            resource.plural,
            "",
        )
    }

    /// 406: no representation that the client accepts.
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    /// 415: the body is of a kind that is not understood here.
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message)
    }

    /// 413: the body is longer than `limit` bytes.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// 410: the revision that was asked for is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// 504: nobody knows whether it happened, or no quorum could be asked in time; `why` says which.
    pub fn timeout(why: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", why).with_details()
    }

    /// 503: not now; nothing has happened.
    pub fn unavailable(why: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", why);
        error.details.retry_after_seconds = 1;
        error
    }

    /// 429: too many at once.
    pub fn too_many_requests() -> Self {
        let message = "the server has received too many requests and has asked us to try again later";
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", message);
        error.details.retry_after_seconds = 1;
        error
    }

    /// 500: a fault of this server's.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        let message = format!("Internal error occurred: {why}");
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message);
        error.details.causes.push(Cause { reason: "", message: why, field: String::new() });
        error
    }

    /// Says what the failure is about.
    #[must_use]
    pub fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        self.details.group = group.to_owned();
        self.details.kind = kind.to_owned();
        self.details.name = name.to_owned();
        self
    }

    /// The Status object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code.as_u16(),
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.next_page.is_empty() {
            status["metadata"]["continue"] = self.details.next_page.as_str().into();
        }
        let details = self.details.value();
        if self.shows_details || details.as_object().is_some_and(|members| !members.is_empty()) {
            status["details"] = details;
        }
        status
    }
}

/// `configmaps`, `deployments.apps`.
fn qualified(group: &str, what: &str) -> String {
    if group.is_empty() { what.to_owned() } else { format!("{what}.{group}") }
}

impl Details {
    fn value(&self) -> Value {
        let mut details = serde_json::Map::new();
        for (name, text) in
            [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)]
        {
            if !text.is_empty() {
                details.insert(name.to_owned(), text.as_str().into());
            }
        }
        if !self.causes.is_empty() {
            details.insert("causes".to_owned(), self.causes.iter().map(Cause::value).collect());
        }
        if self.retry_after_seconds > 0 {
            details.insert("retryAfterSeconds".to_owned(), self.retry_after_seconds.into());
        }
        details.into()
    }
}

impl Cause {
    fn value(&self) -> Value {
        let members = [("reason", self.reason), ("message", &self.message), ("field", &self.field)];
        let said = members.into_iter().filter(|(_, text)| !text.is_empty());
        said.map(|(name, text)| (name.to_owned(), Value::from(text))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_errors_the_first_are_told() {
        let errors: Vec<_> = (0..2_500).map(|at| FieldError::required(format!("spec[{at}]"), "")).collect();
        let error = ApiError::invalid("", "Pod", "a", &errors);
        assert_eq!(error.details.causes.len(), MAX_TOLD);
        assert!(error.message.ends_with("spec[999]: Required value, and 1500 more]"), "{}", error.message);
    }

    #[test]
    fn details_that_say_nothing_are_shown_where_upstream_makes_them() {
        let details = |error: ApiError| error.status().get("details").cloned();
        for error in [ApiError::no_such_path(), ApiError::forbidden("no"), ApiError::timeout("late")] {
            assert_eq!(details(error), Some(json!({})));
        }
        for error in [
            ApiError::bad_request("odd"),
            ApiError::unauthorized(),
            ApiError::not_acceptable(&["a/b"]),
            ApiError::unsupported_media_type(&["a/b"]),
            ApiError::too_large(1),
            ApiError::expired("gone"),
        ] {
            assert_eq!(details(error), None);
        }
        assert_eq!(details(ApiError::too_many_requests()), Some(json!({"retryAfterSeconds": 1})));
        assert_eq!(details(ApiError::internal("broken")), Some(json!({"causes": [{"message": "broken"}]})));
    }
}
