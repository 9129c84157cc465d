//! Where the objects come from that a Pod names. The agent implements it over its caches of the API.
//!
//! Out: objects as they are now. Deliberately absent: how they are cached and watched; the renewal of tokens
//! ([`crate::PodVolumes`] decides when).

use std::{fmt, future::Future, sync::Arc};

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret, Service};
use time::OffsetDateTime;

use crate::error::SourceError;

/// The objects that Pods name.
pub trait ObjectSource: Send + Sync {
    /// The ConfigMap, `None` if the API says that there is none.
    fn config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<Arc<ConfigMap>>, SourceError>> + Send;

    /// The Secret, `None` if the API says that there is none.
    fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Future<Output = Result<Option<Arc<Secret>>, SourceError>> + Send;

    /// A new token of the Pod's service account, bound to the Pod (TokenRequest). `None` as the audience is the API
    /// server.
    fn token(
        &self,
        pod: &Pod,
        audience: Option<&str>,
        expiration_seconds: i64,
    ) -> impl Future<Output = Result<Token, SourceError>> + Send;

    /// All Services of a namespace, for environment variables. An error if they have never been listed yet.
    fn services(&self, namespace: &str) -> Result<Vec<Arc<Service>>, SourceError>;
}

/// A service-account token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself, a secret.
    pub value: String,
    /// Until when it is valid.
    pub expires: OffsetDateTime,
}

/// Without the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires", &self.expires).finish_non_exhaustive()
    }
}
