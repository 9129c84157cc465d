//! What a node's refusal is to a client.
//!
//! Source: `k8s.io/apiserver/pkg/registry/generic/rest/response_checker.go`.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use keelson_api_registry::{
    request::ResourceRequest,
    status::{ApiError, Cause},
};

use crate::answer::{self, Response as Answer};

/// How much of a node's text a Status takes in; upstream's.
const MAX_TEXT: usize = 2000;

/// How much of a node's text is handed on where the client reads it as it is.
const MAX_BODY: usize = 64 << 10;

/// A refusal as a Status.
pub(crate) async fn status(refusal: Response<Incoming>, request: &ResourceRequest) -> ApiError {
    let code = refusal.status();
    let body = start_of_body(refusal).await;
    let text = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]).trim_end().to_owned();
    let below = request.subresource.map_or("", |subresource| subresource.name);
    let about = format!("( {}/{below} {})", request.resource.qualified(), request.name);
    match code {
        StatusCode::BAD_REQUEST => ApiError::bad_request(text),
        StatusCode::INTERNAL_SERVER_ERROR => ApiError::internal(text),
        StatusCode::SERVICE_UNAVAILABLE => ApiError::unavailable(text),
        StatusCode::FORBIDDEN => ApiError::forbidden(format!("{text} {about}")),
        StatusCode::NOT_FOUND => {
            let mut error = ApiError::no_such_path();
            error.message += &format!(" {about}");
            error.details.causes =
                vec![Cause { reason: "UnexpectedServerResponse", message: text, field: String::new() }];
            error
        }
        code => ApiError::new(code, "", format!("the node answers {code}: {text} {about}")),
    }
}

/// A refusal as the node worded it: clients that change the protocol show the text.
pub(crate) async fn as_it_is(refusal: Response<Incoming>) -> Answer {
    let code = refusal.status();
    let mut answer = answer::text(code, String::new());
    let body = start_of_body(refusal).await;
    *answer.body_mut() = http_body_util::Full::new(body).boxed_unsync();
    answer
}

/// The body, if it is short enough; what is longer, or breaks off, is left out.
async fn start_of_body(refusal: Response<Incoming>) -> Bytes {
    let body = Limited::new(refusal.into_body(), MAX_BODY).collect().await;
    body.map(http_body_util::Collected::to_bytes).unwrap_or_default()
}
