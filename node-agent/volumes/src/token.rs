//! Tokens of a Pod: which are held, and when each is renewed.
//!
//! In: requests, the time. Out: tokens that are young enough. Upstream's rule: a token is renewed at four fifths of its
//! life, or when it is a day old. Deliberately absent: keeping tokens over a restart of the agent, which asks anew.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ServiceAccountTokenProjection};
use time::{Duration, OffsetDateTime};

use crate::{
    error::SourceError,
    source::{ObjectSource, Token},
};

/// No token gets older.
const MAX_AGE: Duration = Duration::days(1);

/// When a renewal has failed and the token is still valid, it is tried again after this long.
const RETRY: Duration = Duration::seconds(10);

/// The life that a projection asks for if it does not say.
const DEFAULT_SECONDS: i64 = 3600;

/// What a token is asked for with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenRequest {
    audience: Option<String>,
    expiration_seconds: i64,
}

impl TokenRequest {
    /// Of this projection.
    pub(crate) fn of(projection: &ServiceAccountTokenProjection) -> Self {
        Self {
            audience: projection.audience.clone().filter(|audience| !audience.is_empty()),
            expiration_seconds: projection.expiration_seconds.unwrap_or(DEFAULT_SECONDS),
        }
    }
}

/// The tokens of one Pod.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    held: BTreeMap<TokenRequest, Held>,
}

#[derive(Debug)]
struct Held {
    token: Token,
    renew: OffsetDateTime,
}

impl Tokens {
    /// A token that need not be renewed yet, asked for if none is held. If asking fails, the one that is held will do
    /// as long as it is valid.
    pub(crate) async fn get<S: ObjectSource>(
        &mut self,
        pod: &Pod,
        request: &TokenRequest,
        source: &S,
        now: OffsetDateTime,
    ) -> Result<String, SourceError> {
        if let Some(held) = self.held.get(request)
            && now < held.renew
        {
            return Ok(held.token.value.clone());
        }
        match source.token(pod, request.audience.as_deref(), request.expiration_seconds).await {
            Ok(token) => {
                let value = token.value.clone();
                let renew = renewal(now, token.expires);
                self.held.insert(request.clone(), Held { token, renew });
                Ok(value)
            }
            Err(error) => self.make_do(pod, request, error, now),
        }
    }

    /// With the one that is held, after `error`.
    fn make_do(
        &mut self,
        pod: &Pod,
        request: &TokenRequest,
        error: SourceError,
        now: OffsetDateTime,
    ) -> Result<String, SourceError> {
        match self.held.get_mut(request) {
            Some(held) if now < held.token.expires => {
                let pod = pod.metadata.name.as_deref().unwrap_or_default();
                tracing::warn!(pod, %error, "a service-account token was not renewed; the present one is still valid");
                held.renew = now + RETRY;
                Ok(held.token.value.clone())
            }
            Some(_) | None => Err(match error {
                SourceError::Unavailable(text) => {
                    SourceError::Unavailable(format!("failed to fetch token: {text}"))
                }
                SourceError::Refused(text) => SourceError::Refused(format!("failed to fetch token: {text}")),
            }),
        }
    }

    /// When the first one is to be renewed.
    pub(crate) fn next_renewal(&self) -> Option<OffsetDateTime> {
        self.held.values().map(|held| held.renew).min()
    }
}

/// When a token that was issued just now is renewed.
fn renewal(issued: OffsetDateTime, expires: OffsetDateTime) -> OffsetDateTime {
    let life = (expires - issued).max(Duration::ZERO);
    let four_fifths: Duration = life * 4 / 5;
    issued + four_fifths.min(MAX_AGE)
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::testing::Objects;

    const START: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn request(seconds: i64) -> TokenRequest {
        TokenRequest { audience: None, expiration_seconds: seconds }
    }

    #[test]
    fn a_token_is_renewed_at_four_fifths_of_its_life_or_after_a_day() {
        for (life, renewed_after) in [
            (Duration::HOUR, Duration::minutes(48)),
            (Duration::minutes(10), Duration::minutes(8)),
            (Duration::days(30), Duration::DAY),
            (Duration::seconds(-5), Duration::ZERO),
        ] {
            assert_eq!(renewal(START, START + life), START + renewed_after, "{life}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_token_is_held_until_its_renewal() {
        let (mut tokens, source) = (Tokens::default(), Objects::at(START));
        let first = tokens.get(&Pod::default(), &request(3600), &source, START).await.unwrap();
        let at = |minutes| START + Duration::minutes(minutes);
        let again = tokens.get(&Pod::default(), &request(3600), &source, at(47)).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(tokens.next_renewal(), Some(at(48)));
        source.set_time(at(48));
        let renewed = tokens.get(&Pod::default(), &request(3600), &source, at(48)).await.unwrap();
        assert_ne!(first, renewed);
        assert_eq!(tokens.next_renewal(), Some(at(96)));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_failed_renewal_is_made_up_for_as_long_as_the_token_is_valid() {
        let (mut tokens, source) = (Tokens::default(), Objects::at(START));
        let first = tokens.get(&Pod::default(), &request(3600), &source, START).await.unwrap();
        source.fail();
        let at = START + Duration::minutes(50);
        assert_eq!(tokens.get(&Pod::default(), &request(3600), &source, at).await, Ok(first));
        assert_eq!(tokens.next_renewal(), Some(at + RETRY));
        let error =
            tokens.get(&Pod::default(), &request(3600), &source, START + Duration::HOUR).await.unwrap_err();
        assert_eq!(error, SourceError::Unavailable("failed to fetch token: the API is away".into()));
    }
}
