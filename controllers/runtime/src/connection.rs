//! How a component reaches the API server.
//!
//! In: a kubeconfig file, or a token that changes while it is used. Out: `kube::Client`s. A client does not repeat
//! requests by itself: a write whose answer got lost may have happened, and only its caller knows whether to ask
//! again. Deliberately absent: in-cluster configuration and proxies.

mod failover;
mod transport;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderValue, Request, Uri, header};
use kube::client::{Body, ClientBuilder};
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tokio::sync::Notify;
use tower::util::{MapRequestLayer, MapResponseLayer};

use self::failover::Failover;
use self::transport::transport;

/// Where the API servers are, and who the caller is.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Of the first server.
    config: Config,
    /// Servers to turn to when the one before does not answer.
    others: Vec<Uri>,
}

/// A connection that cannot be made with what was given.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The kubeconfig file cannot be read or makes no sense.
    #[error("cannot use the kubeconfig file {}: name a file that has a current context", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// The certificates or the key in the kubeconfig file are not usable, or the user agent is not one.
    #[error("cannot make a client of the API: the kubeconfig file holds unusable certificates or keys")]
    Client(#[source] Box<kube::Error>),
    /// A user agent that cannot be an HTTP header.
    #[error("{0:?} cannot be a user agent: it has characters that HTTP headers may not have")]
    UserAgent(String),
}

impl Connection {
    /// As the current context of a kubeconfig file says.
    pub async fn from_kubeconfig(path: &Path) -> Result<Self, ConnectionError> {
        let failed = |source| ConnectionError::Kubeconfig { path: path.to_owned(), source: Box::new(source) };
        let kubeconfig = Kubeconfig::read_from(path).map_err(failed)?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(failed)?;
        Ok(Self::of(config))
    }

    fn of(config: Config) -> Self {
        Self { config, others: Vec::new() }
    }

    /// The same identity at another server.
    pub fn at(mut self, url: Uri) -> Self {
        self.config.cluster_url = url;
        self.others.clear();
        self
    }

    /// The same identity at whichever of these servers answers, from the first on: clients turn to the next when one
    /// cannot be reached, falls silent or says that it cannot serve, and stay there.
    pub fn among(mut self, urls: impl IntoIterator<Item = Uri>) -> Self {
        let mut urls = urls.into_iter();
        if let Some(first) = urls.next() {
            self.config.cluster_url = first;
            self.others = urls.collect();
        }
        self
    }

    /// A client with this connection's identity. Needs a running tokio runtime.
    pub fn client(&self, user_agent: &str) -> Result<Client, ConnectionError> {
        self.dial(user_agent, None)
    }

    /// A client that shows no certificate, but the source's token of the moment with every request.
    pub fn client_with_token(
        &self,
        user_agent: &str,
        token: &TokenSource,
    ) -> Result<Client, ConnectionError> {
        self.dial(user_agent, Some(token))
    }

    fn dial(&self, user_agent: &str, token: Option<&TokenSource>) -> Result<Client, ConnectionError> {
        let agent = HeaderValue::from_str(user_agent)
            .map_err(|_| ConnectionError::UserAgent(user_agent.to_owned()))?;
        let mut config = self.config.clone();
        config.headers.push((header::USER_AGENT, agent));
        if token.is_some() {
            config.auth_info = AuthInfo::default();
        }
        let first = dial_one(&config, token)?;
        if self.others.is_empty() {
            return Ok(first);
        }
        let mut clients = vec![first];
        for url in &self.others {
            config.cluster_url = url.clone();
            clients.push(dial_one(&config, token)?);
        }
        Ok(Client::new(Failover::among(clients), &self.config.default_namespace))
    }
}

/// A client of one server.
fn dial_one(config: &Config, token: Option<&TokenSource>) -> Result<Client, ConnectionError> {
    let transport = transport(config).map_err(|error| ConnectionError::Client(Box::new(error)))?;
    let builder = ClientBuilder::new(transport, &config.default_namespace);
    let Some(token) = token.cloned() else { return Ok(builder.build()) };
    let refusals = token.clone();
    let sign = MapRequestLayer::new(move |request| token.sign(request));
    let notice = MapResponseLayer::new(move |response: http::Response<_>| {
        if response.status() == http::StatusCode::UNAUTHORIZED {
            refusals.shared.refused.notify_one();
        }
        response
    });
    Ok(builder.with_layer(&sign).with_layer(&notice).build())
}

/// The bearer token of the moment. Clones share it: replacing it in one replaces it in all.
#[derive(Clone)]
pub struct TokenSource {
    shared: Arc<Token>,
}

struct Token {
    /// The value of the `Authorization` header.
    header: RwLock<HeaderValue>,
    /// Told when a server refused the token.
    refused: Notify,
}

impl TokenSource {
    /// A source of this token. `None` if it has characters that HTTP headers may not have.
    pub fn new(token: &str) -> Option<Self> {
        let token = Token { header: RwLock::new(bearer(token)?), refused: Notify::new() };
        Some(Self { shared: Arc::new(token) })
    }

    /// Uses another token from the next request on. `false`, and no change, if it is no token.
    pub fn replace(&self, token: &str) -> bool {
        let Some(header) = bearer(token) else { return false };
        *self.shared.header.write().unwrap_or_else(PoisonError::into_inner) = header;
        true
    }

    /// Until a server answers 401 to a request with the token.
    pub async fn refused(&self) {
        self.shared.refused.notified().await;
    }

    fn sign(&self, mut request: Request<Body>) -> Request<Body> {
        let header = self.shared.header.read().unwrap_or_else(PoisonError::into_inner).clone();
        request.headers_mut().insert(header::AUTHORIZATION, header);
        request
    }
}

#[cfg(test)]
impl TokenSource {
    /// Until this is the header that requests are signed with.
    pub(crate) async fn is(&self, header: &str) {
        crate::testing::until(|| *self.shared.header.read().unwrap() == header).await;
    }

    /// As if a server had answered 401.
    pub(crate) fn refuse(&self) {
        self.shared.refused.notify_one();
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenSource(..)")
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests;
