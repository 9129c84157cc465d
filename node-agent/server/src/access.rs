//! Who calls, and what of the node they want to do what with.

use futures_util::future::BoxFuture;
use http::Method;

use crate::paths::Target;

/// Judges callers; [`crate::ApiReviews`] asks the API, and remembers its answers for a while.
pub trait Reviews: Send + Sync + 'static {
    /// Whose token this is; `None` when it is nobody's.
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, ReviewError>>;

    /// Whether they may.
    fn allowed<'a>(
        &'a self,
        user: &'a User,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Decision, ReviewError>>;
}

/// Somebody who calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// Their name.
    pub name: String,
    /// Their uid; empty where they have none.
    pub uid: String,
    /// Their groups.
    pub groups: Vec<String>,
}

/// What a caller wants to do with the node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// `get`, `create`, …
    pub verb: &'static str,
    /// What below the node: `proxy`, `stats`, `metrics`, `pods`, `healthz`.
    pub subresource: &'static str,
}

impl Access {
    /// What a request needs: one of these is enough. `None` stands for a path that there is not.
    ///
    /// Commands and connections need `create`, whatever the method: WebSockets begin with a GET, and whoever may
    /// only look must not run anything.
    pub(crate) fn needed(method: &Method, target: Option<&Target>) -> Vec<Self> {
        let verb = match *method {
            Method::GET | Method::HEAD => "get",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "create",
        };
        let (verb, finer) = match target {
            Some(Target::Health) => (verb, Some("healthz")),
            Some(Target::Pods) => (verb, Some("pods")),
            Some(Target::Metrics) => return vec![Self { verb, subresource: "metrics" }],
            Some(Target::Summary) => return vec![Self { verb, subresource: "stats" }],
            Some(Target::Exec(_) | Target::Attach(_) | Target::PortForward { .. }) => ("create", None),
            Some(Target::Logs(_)) | None => (verb, None),
        };
        let subresources = finer.into_iter().chain(["proxy"]);
        subresources.map(|subresource| Self { verb, subresource }).collect()
    }
}

/// A judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Allowed,
    /// They may not; why, as the judge says it, which may be nothing.
    Denied(String),
}

/// Nobody could be asked: neither allowed nor denied. Try again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot ask the API who may do what: {0}")]
pub struct ReviewError(pub String);
