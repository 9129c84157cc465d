//! Service accounts: their tokens, and the users that they are.
//!
//! In: a bearer token. Out: the user `system:serviceaccount:<namespace>:<name>`, if the token is one of ours and
//! the service account, and the pod, secret or node that the token was made for, still exist: a token ends with
//! them, also before its time.

use std::{collections::BTreeMap, time::Duration};

use keelson_api_registry::{object::Object, resources, status::ApiError};
use time::OffsetDateTime;

use super::{
    InvalidToken, User,
    jwt::{Audiences, Claims, Holder, Reference, TokenKeys},
};
use crate::{storage::ObjectStore, uid};

/// The prefix of a service account's name as a user.
const USER_PREFIX: &str = "system:serviceaccount:";

/// The group of all service accounts; with a namespace behind a colon, of those in it.
const GROUP: &str = "system:serviceaccounts";

/// How long a token outlives the beginning of the deletion of what it was made for: time to clean up.
const DELETION_LEEWAY: Duration = Duration::from_secs(60);

/// Makes service account tokens and recognizes them.
#[derive(Debug)]
pub struct TokenIssuer {
    keys: TokenKeys,
    issuer: String,
    audiences: Vec<String>,
}

/// What a token is made for.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    /// The service account and what the token ends with.
    pub holder: Holder,
    /// For whom it is meant; empty for the API server.
    pub audiences: Vec<String>,
    /// How long it lives.
    pub time_to_live: Duration,
}

/// A token that proved somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedToken {
    /// Whom.
    pub user: User,
    /// For which of the wanted audiences.
    pub audiences: Vec<String>,
}

/// The name of a service account as a user.
pub fn user_name(namespace: &str, name: &str) -> String {
    format!("{USER_PREFIX}{namespace}:{name}")
}

/// The namespace and name of a service account, if a user is one.
pub fn split_user_name(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(USER_PREFIX)?.split_once(':')?;
    (!namespace.is_empty() && !name.is_empty() && !name.contains(':')).then_some((namespace, name))
}

/// The groups of the service accounts of a namespace.
pub fn groups(namespace: &str) -> Vec<String> {
    vec![GROUP.to_owned(), format!("{GROUP}:{namespace}")]
}

impl TokenIssuer {
    /// An issuer of that name, whose own audiences are `audiences`.
    pub fn new(keys: TokenKeys, issuer: String, audiences: Vec<String>) -> Self {
        Self { keys, issuer, audiences }
    }

    /// The keys that verify its tokens.
    pub const fn keys(&self) -> &TokenKeys {
        &self.keys
    }

    /// Its name, a URL.
    pub fn name(&self) -> &str {
        &self.issuer
    }

    /// The audiences for which the API server itself is meant.
    pub fn audiences(&self) -> &[String] {
        &self.audiences
    }

    /// Makes a token.
    pub fn issue(&self, request: TokenRequest, now: OffsetDateTime) -> String {
        let account = &request.holder.serviceaccount.name;
        let audiences = if request.audiences.is_empty() { self.audiences.clone() } else { request.audiences };
        let now = now.unix_timestamp();
        let seconds = i64::try_from(request.time_to_live.as_secs()).unwrap_or(i64::MAX);
        self.keys.sign(&Claims {
            aud: Audiences(audiences),
            exp: now.saturating_add(seconds),
            iat: now,
            iss: self.issuer.clone(),
            jti: uid::random(),
            nbf: now,
            sub: user_name(&request.holder.namespace, account),
            kubernetes: request.holder,
        })
    }

    /// Whom a token proves to one of these audiences.
    ///
    /// # Errors
    /// Outside: the store could not be asked. Inside: the token proves nothing.
    pub async fn verify(
        &self,
        objects: &ObjectStore,
        token: &str,
        audiences: &[String],
        now: OffsetDateTime,
    ) -> Result<Result<VerifiedToken, InvalidToken>, ApiError> {
        let checked = self.keys.verify(token).and_then(|claims| {
            let audiences = claims.check(&self.issuer, audiences, now)?;
            let holder = &claims.kubernetes;
            let expected = user_name(&holder.namespace, &holder.serviceaccount.name);
            if claims.sub == expected { Ok((claims, audiences)) } else { Err(InvalidToken::Malformed) }
        });
        let (claims, audiences) = match checked {
            Ok(checked) => checked,
            Err(invalid) => return Ok(Err(invalid)),
        };
        for (plural, namespace, reference) in claims.kubernetes.references() {
            if !lives(objects, plural, namespace, reference, now).await? {
                let text = format!("the {plural} {:?} of the token does not exist any more", reference.name);
                return Ok(Err(InvalidToken::Gone(text)));
            }
        }
        Ok(Ok(VerifiedToken { user: user(&claims), audiences }))
    }
}

impl Holder {
    /// Everything that a token ends with: the resource, its namespace, and the object.
    fn references(&self) -> impl Iterator<Item = (&'static str, &str, &Reference)> {
        // The node of a pod's token is only told: pods are deleted when their node goes.
        let node = if self.pod.is_some() { None } else { self.node.as_ref() };
        let namespace = self.namespace.as_str();
        let all = [
            ("serviceaccounts", namespace, Some(&self.serviceaccount)),
            ("pods", namespace, self.pod.as_ref()),
            ("secrets", namespace, self.secret.as_ref()),
            ("nodes", "", node),
        ];
        all.into_iter().filter_map(|(plural, namespace, reference)| Some((plural, namespace, reference?)))
    }
}

fn user(claims: &Claims) -> User {
    let holder = &claims.kubernetes;
    let mut extra = BTreeMap::new();
    let mut add = |key: &str, value: String| {
        extra.insert(format!("authentication.kubernetes.io/{key}"), vec![value]);
    };
    add("credential-id", format!("JTI={}", claims.jti));
    if let Some(pod) = &holder.pod {
        add("pod-name", pod.name.clone());
        add("pod-uid", pod.uid.clone());
    }
    if let Some(node) = &holder.node {
        add("node-name", node.name.clone());
        add("node-uid", node.uid.clone());
    }
    User {
        name: claims.sub.clone(),
        uid: holder.serviceaccount.uid.clone(),
        groups: groups(&holder.namespace),
        extra,
    }
}

/// Whether an object is there under the uid that a token says, and not long deleted.
///
/// The cache answers where it can; what it does not know may only be younger than it, so the store is asked.
async fn lives(
    objects: &ObjectStore,
    plural: &str,
    namespace: &str,
    reference: &Reference,
    now: OffsetDateTime,
) -> Result<bool, ApiError> {
    let resource = resources::find("", "v1", plural)
        .ok_or_else(|| ApiError::internal(format!("there is no resource {plural}")))?;
    if let Some(cached) = objects.cached_object(resource, namespace, &reference.name) {
        let object = cached.object();
        if object.uid() == reference.uid {
            return Ok(!is_long_deleted(&object, now));
        }
    }
    let found = objects.get(resource, namespace, &reference.name).await?;
    Ok(found.is_some_and(|found| found.object.uid() == reference.uid && !is_long_deleted(&found.object, now)))
}

fn is_long_deleted(object: &Object, now: OffsetDateTime) -> bool {
    let deleted = object.text(&["metadata", "deletionTimestamp"]);
    let deleted = OffsetDateTime::parse(deleted, &time::format_description::well_known::Rfc3339);
    deleted.is_ok_and(|deleted| deleted + DELETION_LEEWAY < now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_service_accounts_are_taken_apart() {
        assert_eq!(split_user_name("system:serviceaccount:a:b"), Some(("a", "b")));
        for name in
            ["jane", "system:serviceaccount:a", "system:serviceaccount::b", "system:serviceaccount:a:b:c"]
        {
            assert_eq!(split_user_name(name), None, "{name}");
        }
    }

    #[test]
    fn what_is_being_deleted_lives_for_a_minute() {
        let object = |when: &str| Object(serde_json::json!({"metadata": {"deletionTimestamp": when}}));
        let now = time::macros::datetime!(2026-01-01 00:02:00 UTC);
        assert!(!is_long_deleted(&Object::default(), now));
        assert!(!is_long_deleted(&object("2026-01-01T00:01:30Z"), now));
        assert!(is_long_deleted(&object("2026-01-01T00:00:30Z"), now));
    }
}
