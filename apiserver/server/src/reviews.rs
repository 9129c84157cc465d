//! Questions that are asked by creating an object: who is this, may they, give me a token.
//!
//! In: the object with the question in its spec. Out: the same object with the answer in its status. Nothing is
//! stored.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::{object::Object, status::ApiError};
use serde_json::{Map, Value, json};

use crate::{
    answer::Response,
    authn::User,
    codec,
    handlers::Call,
    server::Server,
    write::{
        body::{self, Wanted},
        options::WriteOptions,
    },
};

mod access;

mod rules;

mod token_request;

mod token_review;

/// Answers a question.
///
/// # Errors
/// 400 and 422 for questions that make no sense; the store's errors.
pub async fn answer(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let resource = call.request.resource;
    let (question, warnings) = read(call, Wanted::of(resource))?;
    let status = match resource.kind {
        "TokenReview" => token_review::status(server, &question, call.now).await?,
        "SelfSubjectReview" => json!({"userInfo": user_info(&call.user)}),
        "SubjectAccessReview" => access::subject(&server.authorizer, &question)?,
        "LocalSubjectAccessReview" => access::local(&server.authorizer, &question, &call.request.namespace)?,
        "SelfSubjectAccessReview" => access::own(&server.authorizer, &question, &call.user)?,
        "SelfSubjectRulesReview" => rules::status(&server.authorizer, &question, &call.user)?,
        _ => return Err(ApiError::no_such_path()),
    };
    respond(call, question, status, &warnings)
}

/// Makes a token for a service account: `POST …/serviceaccounts/<name>/token`.
///
/// # Errors
/// 404 for a service account or object that does not exist, 400, 409 and 422 for wishes that cannot be granted.
pub async fn token_request(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let (mut question, warnings) = read(call, token_request::WANTED)?;
    let status = token_request::status(server, &mut question, call).await?;
    respond(call, question, status, &warnings)
}

fn read(call: &Call, wanted: Wanted<'_>) -> Result<(Object, Vec<String>), ApiError> {
    let options = WriteOptions::parse(&call.info, "CreateOptions")?;
    let encoding = codec::encoding_of_body(&call.headers)?;
    let draft = body::read(&call.body, encoding, wanted, options.validation)?;
    Ok((draft.object, draft.warnings))
}

fn respond(
    call: &Call,
    mut question: Object,
    status: Value,
    warnings: &[String],
) -> Result<Response, ApiError> {
    question.set(&["status"], status);
    codec::respond(call, StatusCode::CREATED, &question, warnings)
}

/// A `UserInfo`.
fn user_info(user: &User) -> Value {
    let mut info = Map::new();
    info.insert("username".to_owned(), user.name.as_str().into());
    if !user.uid.is_empty() {
        info.insert("uid".to_owned(), user.uid.as_str().into());
    }
    info.insert("groups".to_owned(), json!(user.groups));
    if !user.extra.is_empty() {
        info.insert("extra".to_owned(), json!(user.extra));
    }
    info.into()
}

/// The texts of a list.
fn texts(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
