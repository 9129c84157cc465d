//! Callers are judged by the API: a TokenReview says who they are, a SubjectAccessReview whether they may.
//!
//! Deliberately absent: memory of what was answered ([`crate::memory`]).

use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, api::PostParams};

use crate::access::{Access, Decision, ReviewError, Reviews, User};

/// Judges callers by asking the API, and remembers its answers for a while.
#[derive(Clone)]
pub struct ApiReviews {
    client: kube::Client,
    node_name: Arc<str>,
}

impl ApiReviews {
    /// For the API of the node with that name. `client` is the node's own.
    pub fn new(client: kube::Client, node_name: &str) -> Self {
        Self { client, node_name: node_name.into() }
    }

    async fn ask_who(&self, token: &str) -> Result<Option<User>, ReviewError> {
        let spec = TokenReviewSpec { token: token.to_owned(), ..Default::default() };
        let question = TokenReview { spec, ..Default::default() };
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &question).await.map_err(failed)?;
        let status = answer.status.unwrap_or_default();
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
        let answer = reviews.create(&PostParams::default(), &question).await.map_err(failed)?;
        let status = answer.status.unwrap_or_default();
        match status.allowed {
            true => Ok(Decision::Allowed),
            false => Ok(Decision::Denied(status.reason.unwrap_or_default())),
        }
    }
}

impl Reviews for ApiReviews {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, ReviewError>> {
        self.ask_who(token).boxed()
    }

    fn allowed<'a>(
        &'a self,
        user: &'a User,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Decision, ReviewError>> {
        self.ask_whether(user, access).boxed()
    }
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn failed(error: kube::Error) -> ReviewError {
    ReviewError(error.to_string())
}
