//! A controller's own identity: its ServiceAccount in `kube-system`.
//!
//! In: a connection that may create ServiceAccounts and tokens. Out: a client that acts as the ServiceAccount, with
//! only what its role allows. The token is renewed as long as the value lives, also when a server refuses it early
//! (the ServiceAccount was deleted and made anew).

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::connection::{Connection, ConnectionError, TokenSource};
use crate::explain::explain;

/// Where the ServiceAccounts of controllers are.
const NAMESPACE: &str = "kube-system";

/// How long a token is asked for.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A token is renewed when this part of its life has passed.
const RENEW_AT: f64 = 0.8;

/// A refused token is not replaced more often than this.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(5);

/// Acts as a ServiceAccount. The clients it gave out fail when it has been dropped for as long as a token lives.
pub struct Identity {
    client: Client,
    renewal: JoinHandle<()>,
}

/// A ServiceAccount that cannot be acted as. Worth another try later, except for [`IdentityError::Connection`].
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The connection itself is unusable.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The ServiceAccount is absent and could not be created.
    #[error("cannot create the service account {NAMESPACE}/{name}")]
    Account {
        /// The ServiceAccount's name.
        name: String,
        /// The API's answer.
        source: Box<kube::Error>,
    },
    /// The API gave no token.
    #[error("cannot get a token of the service account {NAMESPACE}/{name}")]
    Token {
        /// The ServiceAccount's name.
        name: String,
        /// The API's answer.
        source: Box<kube::Error>,
    },
    /// The API answered with something that is no token.
    #[error("the API gave no usable token of the service account {NAMESPACE}/{0}")]
    Unusable(String),
}

impl Identity {
    /// Acts as the ServiceAccount `name` in `kube-system`, which is created if it is absent. `connection` has to be
    /// allowed to create ServiceAccounts and `serviceaccounts/token`.
    pub async fn of_service_account(
        connection: &Connection,
        name: &str,
        user_agent: &str,
    ) -> Result<Self, IdentityError> {
        let accounts = Api::namespaced(connection.client(user_agent)?, NAMESPACE);
        let issuer = Issuer { accounts, name: name.to_owned() };
        let first = issuer.issue().await?;
        let source = TokenSource::new(&first.text).ok_or_else(|| IdentityError::Unusable(name.to_owned()))?;
        let client = connection.client_with_token(user_agent, &source)?;
        let renewal = tokio::spawn(issuer.keep_fresh(source, first.life));
        Ok(Self { client, renewal })
    }

    /// A client with this identity.
    pub fn client(&self) -> Client {
        self.client.clone()
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

struct Issuer {
    accounts: Api<ServiceAccount>,
    name: String,
}

struct Issued {
    text: String,
    life: Duration,
}

impl Issuer {
    /// A new token. The account is created when the API does not know it.
    async fn issue(&self) -> Result<Issued, IdentityError> {
        let answer = match self.request().await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {
                self.create_account().await?;
                self.request().await
            }
            other => other,
        };
        let answer = answer
            .map_err(|source| IdentityError::Token { name: self.name.clone(), source: Box::new(source) })?;
        let text = answer.status.and_then(|status| status.token);
        let text = text.ok_or_else(|| IdentityError::Unusable(self.name.clone()))?;
        // What the server granted, which may be other than what was asked for. Its clock says when that ends, so
        // only the length counts, from now on.
        let seconds = answer.spec.and_then(|spec| spec.expiration_seconds);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        Ok(Issued { text, life: seconds.map_or(LIFETIME, Duration::from_secs) })
    }

    async fn request(&self) -> kube::Result<TokenRequest> {
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        self.accounts.create_token_request(&self.name, &PostParams::default(), &request).await
    }

    async fn create_account(&self) -> Result<(), IdentityError> {
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        };
        let account = ServiceAccount { metadata, ..ServiceAccount::default() };
        match self.accounts.create(&PostParams::default(), &account).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(source) => Err(IdentityError::Account { name: self.name.clone(), source: Box::new(source) }),
        }
    }

    async fn keep_fresh(self, source: TokenSource, first: Duration) {
        let mut life = first;
        loop {
            tokio::select! {
                () = tokio::time::sleep(life.mul_f64(RENEW_AT)) => {}
                () = source.refused() => tokio::time::sleep(BETWEEN_REFUSALS).await,
            }
            life = self.renew(&source).await;
        }
    }

    /// Replaces the token, however long it takes; returns how long the new one lives.
    async fn renew(&self, source: &TokenSource) -> Duration {
        let mut backoff = Backoff::default();
        loop {
            match self.issue().await {
                Ok(issued) if source.replace(&issued.text) => return issued.life,
                Ok(_) => tracing::warn!(account = self.name, "the API gave no usable token"),
                Err(error) => {
                    tracing::warn!(account = self.name, error = explain(&error), "no new token");
                }
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }
}

#[cfg(test)]
mod tests;
