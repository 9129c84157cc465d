//! What a list or a watch is asked for, in the query.
//!
//! The rules and texts are upstream's (`ValidateListOptions`).

use http::StatusCode;
use keelson_api_registry::{
    field::FieldError,
    request::RequestInfo,
    resources::ResourceInfo,
    status::{ApiError, Cause},
};
use keelson_api_schema::go_text::{parse_int, parse_uint};
use keelson_store_core::id::Revision;

use super::token::Token;

/// A resourceVersion that a client names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceVersion {
    /// None: the newest.
    Unset,
    /// `0`: any will do. It gets the newest like everybody.
    Any,
    /// This one.
    At(Revision),
}

/// How the resourceVersion is meant: `resourceVersionMatch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// Nothing is said.
    Unset,
    /// The state at exactly that revision.
    Exact,
    /// That revision or a later one.
    NotOlderThan,
}

/// The parameters of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListOptions {
    pub(crate) version: ResourceVersion,
    pub(crate) matching: Match,
    /// How many objects at most; `None` for all.
    pub(crate) limit: Option<usize>,
    /// The token of the page before; `None` for the first page.
    pub(super) token: Option<Token>,
}

/// The parameters of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchOptions {
    pub(crate) version: ResourceVersion,
    /// Whether what is there already is told first; `None` where nothing is said.
    pub(crate) initial: Option<bool>,
    pub(crate) bookmarks: bool,
    /// Seconds; `None` where nothing is said.
    pub(crate) timeout: Option<u64>,
}

impl ResourceVersion {
    /// Reads the parameter of a read.
    ///
    /// # Errors
    /// 400 for what is no decimal number of 64 bits.
    pub(crate) fn of(text: &str) -> Result<Self, ApiError> {
        Self::parse(text).map_err(|error| ApiError::bad_request(format!("invalid resource version: {error}")))
    }

    /// Reads the parameter.
    ///
    /// # Errors
    /// For what is no decimal number of 64 bits.
    fn parse(text: &str) -> Result<Self, FieldError> {
        match text {
            "" => Ok(Self::Unset),
            "0" => Ok(Self::Any),
            _ => match parse_uint(text) {
                Ok(0) => Ok(Self::Any),
                Ok(number) => Ok(Self::At(Revision::new(number))),
                Err(why) => Err(FieldError::invalid("resourceVersion", text, why)),
            },
        }
    }
}

impl ListOptions {
    /// Reads the query of a list.
    ///
    /// # Errors
    /// 422 for combinations that mean nothing, 400 for numbers that are none.
    pub(crate) fn parse(info: &RequestInfo) -> Result<Self, ApiError> {
        let text = |name| info.parameter(name).unwrap_or_default();
        let mut errors = match_errors(info);
        if !text("sendInitialEvents").is_empty() {
            errors
                .push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        refuse(&errors)?;
        // It means nothing here, and must be a number all the same.
        number(info, "timeoutSeconds")?;
        let limit = number(info, "limit")?.and_then(|limit| usize::try_from(limit).ok());
        let token = Token::of(text("continue"))?;
        if token.is_some() && !matches!(text("resourceVersion"), "" | "0") {
            let why = "specifying resource version is not allowed when using continue";
            return Err(ApiError::bad_request(why));
        }
        let version = ResourceVersion::of(text("resourceVersion"))?;
        Ok(Self { version, matching: matching(info), limit: limit.filter(|limit| *limit > 0), token })
    }

    /// The revision whose state is meant exactly. A page of a named revision is one of exactly that revision.
    pub(crate) fn exact(&self) -> Option<Revision> {
        match (self.version, self.matching) {
            (ResourceVersion::At(revision), Match::Exact) => Some(revision),
            (ResourceVersion::At(revision), Match::Unset) if self.limit.is_some() => Some(revision),
            _ => None,
        }
    }
}

impl WatchOptions {
    /// Reads the query of a watch.
    ///
    /// # Errors
    /// As [`ListOptions::parse`], but as upstream 422 for what is no resourceVersion, about a kind that is the plural.
    pub(crate) fn parse(info: &RequestInfo, resource: &ResourceInfo) -> Result<Self, ApiError> {
        let text = |name| info.parameter(name).unwrap_or_default();
        let initial = match text("sendInitialEvents") {
            "" => None,
            _ => Some(info.flag("sendInitialEvents")),
        };
        refuse(&watch_errors(info, initial.is_some()))?;
        Ok(Self {
            version: ResourceVersion::parse(text("resourceVersion"))
                .map_err(|error| ApiError::invalid(resource.group, resource.plural, "", &[error]))?,
            initial,
            bookmarks: info.flag("allowWatchBookmarks"),
            timeout: number(info, "timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()),
        })
    }
}

/// Refuses a resourceVersion that the store has not reached.
///
/// # Errors
/// 504 with upstream's cause, by which clients know that they may ask again.
pub(crate) fn check_reached(asked: ResourceVersion, reached: Revision) -> Result<(), ApiError> {
    match asked {
        ResourceVersion::At(revision) if revision > reached => Err(too_large(revision, reached)),
        ResourceVersion::At(_) | ResourceVersion::Unset | ResourceVersion::Any => Ok(()),
    }
}

/// 504: a revision that is yet to come.
pub(crate) fn too_large(revision: Revision, reached: Revision) -> ApiError {
    let text = format!("Timeout: Too large resource version: {revision}, current: {reached}");
    let mut error = ApiError::new(StatusCode::GATEWAY_TIMEOUT, "Timeout", text);
    error.details.retry_after_seconds = 1;
    error.details.causes.push(Cause {
        reason: "ResourceVersionTooLarge",
        message: "Too large resource version".to_owned(),
        field: String::new(),
    });
    error
}

fn match_errors(info: &RequestInfo) -> Vec<FieldError> {
    let text = |name| info.parameter(name).unwrap_or_default();
    let forbidden = |why: &str| FieldError::forbidden("resourceVersionMatch", why);
    let given = text("resourceVersionMatch");
    let mut errors = Vec::new();
    if given.is_empty() {
        return errors;
    }
    if text("resourceVersion").is_empty() {
        errors.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
    }
    if !text("continue").is_empty() {
        errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
    }
    if !matches!(given, "Exact" | "NotOlderThan") {
        let known = ["Exact", "NotOlderThan", ""];
        errors.push(FieldError::not_supported_in_order("resourceVersionMatch", given, &known));
    }
    if given == "Exact" && text("resourceVersion") == "0" {
        errors.push(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
    }
    errors
}

fn watch_errors(info: &RequestInfo, initial: bool) -> Vec<FieldError> {
    let text = |name| info.parameter(name).unwrap_or_default();
    let forbidden = |why: &str| FieldError::forbidden("resourceVersionMatch", why);
    let given = text("resourceVersionMatch");
    let mut errors = Vec::new();
    if initial && given != "NotOlderThan" {
        errors.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if given.is_empty() {
        return errors;
    }
    if !initial {
        errors.push(forbidden(
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        ));
    }
    if given != "NotOlderThan" {
        errors.push(FieldError::not_supported("resourceVersionMatch", given, &["NotOlderThan"]));
    }
    if !text("continue").is_empty() {
        errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
    }
    errors
}

fn matching(info: &RequestInfo) -> Match {
    match info.parameter("resourceVersionMatch") {
        Some("Exact") => Match::Exact,
        Some("NotOlderThan") => Match::NotOlderThan,
        _ => Match::Unset,
    }
}

fn refuse(errors: &[FieldError]) -> Result<(), ApiError> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", errors))
}

fn number(info: &RequestInfo, name: &str) -> Result<Option<i64>, ApiError> {
    match info.parameter(name).unwrap_or_default() {
        "" => Ok(None),
        text => parse_int(text).map(Some).map_err(ApiError::bad_request),
    }
}

#[cfg(test)]
mod tests;
