//! Callers are judged by the API: a TokenReview says who they are, a SubjectAccessReview whether they may.
//!
//! What it answers is remembered, refusals not for long: whoever has just been allowed something tries again soon.

use std::{sync::Arc, time::Duration};

use futures_util::future::{BoxFuture, FutureExt};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, api::PostParams};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::timeout;

use crate::{
    access::{Access, Decision, ReviewError, Reviews, User},
    memory::Memory,
};

/// How long the API may take. The client tries again and again, and who waits here is somebody's terminal.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it is remembered whose a token is.
const REMEMBER_USER: Duration = Duration::from_secs(120);

/// How long it is remembered that somebody may do something.
const REMEMBER_ALLOWED: Duration = Duration::from_secs(300);

/// How long a refusal is remembered, of a token or of a wish.
const REMEMBER_REFUSED: Duration = Duration::from_secs(10);

/// Judges callers by asking the API, and remembers its answers for a while.
#[derive(Clone)]
pub struct ApiReviews {
    client: kube::Client,
    node_name: Arc<str>,
    users: Arc<Memory<String, Option<User>>>,
    decisions: Arc<Memory<(User, Access), Decision>>,
}

impl ApiReviews {
    /// For the API of the node with that name. `client` is the node's own.
    pub fn new(client: kube::Client, node_name: &str) -> Self {
        let (users, decisions) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
        Self { client, node_name: node_name.into(), users, decisions }
    }

    async fn ask_who(&self, token: &str) -> Result<Option<User>, ReviewError> {
        let spec = TokenReviewSpec { token: token.to_owned(), ..Default::default() };
        let question = TokenReview { spec, ..Default::default() };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let status = ask(&reviews, &question).await?.status.unwrap_or_default();
        let user = status.user.filter(|_| status.authenticated == Some(true));
        Ok(user.map(|user| User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
        }))
    }

    async fn ask_whether(&self, user: &User, access: &Access) -> Result<Decision, ReviewError> {
        let attributes = ResourceAttributes {
            verb: Some(access.verb.to_owned()),
            version: Some("v1".to_owned()),
            resource: Some("nodes".to_owned()),
            subresource: Some(access.subresource.to_owned()),
            name: Some(self.node_name.to_string()),
            ..Default::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(user.name.clone()),
            uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
            groups: Some(user.groups.clone()),
            resource_attributes: Some(attributes),
            ..Default::default()
        };
        let question = SubjectAccessReview { spec, ..Default::default() };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let status = ask(&reviews, &question).await?.status.unwrap_or_default();
        match status.allowed {
            true => Ok(Decision::Allowed),
            false => Ok(Decision::Denied(status.reason.unwrap_or_default())),
        }
    }
}

impl Reviews for ApiReviews {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, ReviewError>> {
        async move {
            let token = token.to_owned();
            if let Some(user) = self.users.recall(&token) {
                return Ok(user);
            }
            let user = self.ask_who(&token).await?;
            let duration = if user.is_some() { REMEMBER_USER } else { REMEMBER_REFUSED };
            self.users.remember(token, user.clone(), duration);
            Ok(user)
        }
        .boxed()
    }

    fn allowed<'a>(
        &'a self,
        user: &'a User,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Decision, ReviewError>> {
        async move {
            let question = (user.clone(), access.clone());
            if let Some(decision) = self.decisions.recall(&question) {
                return Ok(decision);
            }
            let decision = self.ask_whether(user, access).await?;
            let duration = match decision {
                Decision::Allowed => REMEMBER_ALLOWED,
                Decision::Denied(_) => REMEMBER_REFUSED,
            };
            self.decisions.remember(question, decision.clone(), duration);
            Ok(decision)
        }
        .boxed()
    }
}

async fn ask<K>(reviews: &Api<K>, question: &K) -> Result<K, ReviewError>
where
    K: Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    match timeout(PATIENCE, reviews.create(&PostParams::default(), question)).await {
        Ok(answer) => answer.map_err(|error| ReviewError(error.to_string())),
        Err(_) => Err(ReviewError(format!("no answer for {} s", PATIENCE.as_secs()))),
    }
}

#[cfg(test)]
mod tests;
