//! What happens to every request, top to bottom in the order in which it happens: who calls, what of, may they,
//! and then the answer.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, StatusCode, header::AUTHORIZATION};
use hyper::body::Incoming;
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::{
    access::{Access, Decision, Reviews, User},
    answer::{Refusal, Response},
    containers::Containers,
    paths::{self, Target},
    pods::Pods,
    tls::CertifiedUser,
};

/// What all requests share.
pub(crate) struct Node {
    /// The node's name.
    pub(crate) name: String,
    pub(crate) pods: Arc<dyn Pods>,
    pub(crate) containers: Arc<dyn Containers>,
    pub(crate) reviews: Arc<dyn Reviews>,
    /// Changes when the server ends.
    pub(crate) serving: watch::Receiver<()>,
}

/// Whoever is at the other end of a connection.
pub(crate) struct Caller {
    /// Whom their certificate names, if they showed one.
    pub(crate) certified: Option<CertifiedUser>,
}

impl Node {
    /// Runs what goes on after its request was answered; it ends with the server at the latest.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut serving = self.serving.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = work => {}
                // Nothing is ever sent: this ends with the server.
                _ = serving.changed() => {}
            }
        });
    }
}

/// Answers a request.
pub(crate) async fn answer(node: &Arc<Node>, caller: &Caller, request: Request<Incoming>) -> Response {
    stations(node, caller, request).await.unwrap_or_else(Refusal::response)
}

async fn stations(
    node: &Arc<Node>,
    caller: &Caller,
    request: Request<Incoming>,
) -> Result<Response, Refusal> {
    let user = authenticate(node, caller, request.headers(), OffsetDateTime::now_utc()).await?;
    let target = Target::parse(request.uri().path());
    authorize(node, &user, request.method(), target.as_ref()).await?;
    // What does not exist is told only to those who may do everything.
    let target = target.ok_or_else(|| Refusal::not_found("404 page not found"))?;
    paths::answer(node, target, request).await
}

/// A token has more say than a certificate, because it was sent on purpose.
async fn authenticate(
    node: &Node,
    caller: &Caller,
    headers: &HeaderMap,
    now: OffsetDateTime,
) -> Result<User, Refusal> {
    let unauthorized = || Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized");
    if let Some(token) = bearer_token(headers) {
        let user = node.reviews.authenticate(token).await;
        return user.map_err(|error| unavailable(&error))?.ok_or_else(unauthorized);
    }
    let certified = caller.certified.as_ref().and_then(|certified| certified.at(now));
    certified.cloned().ok_or_else(unauthorized)
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

async fn authorize(
    node: &Node,
    user: &User,
    method: &Method,
    target: Option<&Target>,
) -> Result<(), Refusal> {
    let asked = Access::needed(method, target);
    for access in &asked {
        match node.reviews.allowed(user, access).await.map_err(|error| unavailable(&error))? {
            Decision::Allowed => return Ok(()),
            Decision::Denied(reason) => {
                tracing::debug!(user = user.name, ?access, reason, "refused");
            }
        }
    }
    let subresources: Vec<&str> = asked.iter().map(|access| access.subresource).collect();
    let text = format!(
        "Forbidden (user={}, verb={}, resource=nodes, subresource(s)=[{}])\n",
        user.name,
        asked.first().map_or("", |access| access.verb),
        subresources.join(" ")
    );
    Err(Refusal::new(StatusCode::FORBIDDEN, text))
}

/// Neither allowed nor refused: the caller may try again.
fn unavailable(error: &crate::ReviewError) -> Refusal {
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}
