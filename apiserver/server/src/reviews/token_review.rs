//! Whom a token proves: `TokenReview`.

use keelson_api_registry::{object::Object, status::ApiError};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{texts, user_info};
use crate::server::Server;

/// The answer; that a token proves nobody is one, too.
pub(super) async fn status(
    server: &Server,
    question: &Object,
    now: OffsetDateTime,
) -> Result<Value, ApiError> {
    let token = question.text(&["spec", "token"]);
    if token.is_empty() {
        return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
    }
    let wanted = texts(question.list(&["spec", "audiences"]));
    let audiences = if wanted.is_empty() { server.tokens.audiences() } else { &wanted };
    Ok(match server.tokens.verify(&server.objects, token, audiences, now).await? {
        Ok(verified) => json!({
            "authenticated": true,
            "user": user_info(&verified.user.authenticated()),
            "audiences": verified.audiences,
        }),
        Err(invalid) => json!({"user": {}, "error": invalid.to_string()}),
    })
}
