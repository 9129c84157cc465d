//! Who asks.
//!
//! In: a client certificate whose key the connection has proved, or a bearer token, in a header or
//! among the protocols that a WebSocket offers. Out: a [`User`], or 401 where
//! credentials are no good. No credentials at all is a user, too, `system:anonymous`: what it may see is decided
//! by [`crate::chain`].
//!
//! Deliberately absent: passwords, static token files, and trust in headers that a proxy might set.

use std::collections::BTreeMap;

use http::{HeaderMap, header::AUTHORIZATION};
use keelson_api_registry::status::ApiError;
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::{storage::ObjectStore, web_socket};

pub mod x509;

pub mod jwt;

pub mod service_account;

pub mod impersonation;

pub use jwt::InvalidToken;
use service_account::TokenIssuer;
use x509::{CertifiedUser, ClientAuthorities, Untrusted};

/// The name of who shows no credentials.
pub const ANONYMOUS: &str = "system:anonymous";

/// The group of all whose credentials were good.
pub const AUTHENTICATED: &str = "system:authenticated";

/// The group of all others.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A user, as authorization, admission and reviews see one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `system:serviceaccount:kube-system:default`, `jane`.
    pub name: String,
    /// Tells two users of one name apart that lived at different times; empty where nobody gave one.
    pub uid: String,
    /// `system:authenticated` and the like.
    pub groups: Vec<String>,
    /// Whatever else the credentials said.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Keys that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The authorities of client certificates.
    #[error("the client authority's certificate cannot be used: {0}")]
    ClientAuthority(String),
    /// The keys of service account tokens.
    #[error("the service account key cannot be used: {0}")]
    ServiceAccount(String),
}

/// What a connection knows of who is at its other end.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    certificate: Option<Result<CertifiedUser, Untrusted>>,
}

/// Finds out who asks.
#[derive(Debug)]
pub struct Authenticator {
    authorities: ClientAuthorities,
}

impl User {
    /// Who shows no credentials.
    pub fn anonymous() -> Self {
        Self { name: ANONYMOUS.to_owned(), groups: vec![UNAUTHENTICATED.to_owned()], ..Self::default() }
    }

    /// Whether they showed no credentials.
    pub fn is_anonymous(&self) -> bool {
        self.name == ANONYMOUS
    }

    /// Whether they belong to a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }

    /// The same user as a member of the group of all whose credentials were good.
    #[must_use]
    pub fn authenticated(mut self) -> Self {
        if !self.is_in(AUTHENTICATED) {
            self.groups.push(AUTHENTICATED.to_owned());
        }
        self
    }
}

impl Authenticator {
    /// Believes certificates that these authorities signed.
    pub const fn new(authorities: ClientAuthorities) -> Self {
        Self { authorities }
    }

    /// Judges what a client showed when it connected; the connection has proved that it holds the key.
    pub fn greet(&self, chain: Option<&[CertificateDer<'_>]>, now: OffsetDateTime) -> Peer {
        Peer { certificate: chain.map(|chain| self.authorities.judge(chain, now)) }
    }

    /// Who makes a request. Good credentials count although others are bad, as upstream has it.
    ///
    /// # Errors
    /// 401 where there are credentials and none of them is good; the store's errors.
    pub async fn authenticate(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        tokens: &TokenIssuer,
        objects: &ObjectStore,
        now: OffsetDateTime,
    ) -> Result<User, ApiError> {
        let mut refused = false;
        match peer.user(now) {
            Some(Ok(user)) => return Ok(user.authenticated()),
            Some(Err(untrusted)) => {
                tracing::debug!(%untrusted, "a client certificate proves nothing");
                refused = true;
            }
            None => {}
        }
        let token = bearer_token(headers).map(|token| Ok(token.to_owned()));
        let token = token.or_else(|| web_socket::bearer_token(headers).transpose());
        if let Some(Err(why)) = token {
            tracing::debug!(why, "a WebSocket shows who asks in no way that is understood");
            refused = true;
        }
        if let Some(Ok(token)) = token {
            match tokens.verify(objects, &token, tokens.audiences(), now).await? {
                Ok(verified) => return Ok(verified.user.authenticated()),
                Err(invalid) => {
                    tracing::debug!(%invalid, "a bearer token proves nothing");
                    refused = true;
                }
            }
        }
        if refused { Err(ApiError::unauthorized()) } else { Ok(User::anonymous()) }
    }
}

impl Peer {
    fn user(&self, now: OffsetDateTime) -> Option<Result<User, Untrusted>> {
        let certificate = self.certificate.as_ref()?;
        Some(certificate.as_ref().map_err(Clone::clone).and_then(|user| user.at(now).cloned()))
    }
}

/// The token of an `Authorization: Bearer` header.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_found_in_any_case() {
        let token = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            bearer_token(&headers).map(str::to_owned)
        };
        assert_eq!(token("Bearer a.b.c").as_deref(), Some("a.b.c"));
        assert_eq!(token("bearer  a.b.c ").as_deref(), Some("a.b.c"));
        for nothing in ["Bearer", "Bearer ", "Basic YTpi", ""] {
            assert_eq!(token(nothing), None, "{nothing:?}");
        }
    }
}
