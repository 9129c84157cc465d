//! Who the node is towards the API: what a kubeconfig file says, also after its certificate was renewed.
//!
//! In: the file, looked at every minute. Out: a client that asks as whom the file says now. After a renewal, requests go
//! over new connections; what is under way ends on the old ones. A file that cannot be used is told of in the log, and
//! the identity before it stays. Deliberately absent: files that the kubeconfig only names, which are read once.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Request, Uri};
use keelson_controller_runtime::{Connection, ConnectionError};
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::error_chain::chain;

/// How often the file is looked at.
const PERIOD: Duration = Duration::from_secs(60);

/// A kubeconfig file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    #[error("cannot read {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Unusable(#[from] ConnectionError),
}

/// An identity, at one server's URL.
pub(super) struct Identity {
    kubeconfig: PathBuf,
    url: Uri,
    user_agent: &'static str,
    /// What the file held when it was used last.
    known: Vec<u8>,
    /// The client of the moment.
    client: watch::Sender<Client>,
}

impl Identity {
    /// The one in this file.
    pub(super) async fn read(
        kubeconfig: PathBuf,
        url: Uri,
        user_agent: &'static str,
    ) -> Result<Self, IdentityError> {
        let known = contents(&kubeconfig)?;
        let client = dial(&kubeconfig, &url, user_agent).await?;
        Ok(Self { kubeconfig, url, user_agent, known, client: watch::Sender::new(client) })
    }

    /// A client that always has the newest identity, as long as somebody [`follow`](Self::follow)s.
    pub(super) fn client(&self) -> Client {
        let newest = self.client.subscribe();
        let namespace = newest.borrow().default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let client = newest.borrow().clone();
            async move { client.send(request).await }
        });
        Client::new(service, namespace)
    }

    /// Looks at the file again and again.
    pub(super) async fn follow(mut self) -> Infallible {
        loop {
            sleep(PERIOD).await;
            match self.look().await {
                Ok(true) => {
                    tracing::info!(file = %self.kubeconfig.display(), "the identity in the file was renewed");
                }
                Ok(false) => {}
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(error, "the renewed identity cannot be used; the one before it stays");
                }
            }
        }
    }

    /// Whether there was something new.
    async fn look(&mut self) -> Result<bool, IdentityError> {
        let now = contents(&self.kubeconfig)?;
        if now == self.known {
            return Ok(false);
        }
        self.client.send_replace(dial(&self.kubeconfig, &self.url, self.user_agent).await?);
        self.known = now;
        Ok(true)
    }
}

fn contents(kubeconfig: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(kubeconfig).map_err(|source| IdentityError::Unreadable { path: kubeconfig.to_owned(), source })
}

async fn dial(kubeconfig: &Path, url: &Uri, user_agent: &str) -> Result<Client, ConnectionError> {
    Connection::from_kubeconfig(kubeconfig).await?.at(url.clone()).client(user_agent)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::Api;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with an error that says as whom it was asked.
    async fn answer(listener: &TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let line = head.lines().find(|line| line.to_lowercase().starts_with("authorization: "));
        let said = line.and_then(|line| line.split_whitespace().last()).unwrap_or_default();
        let body = json!({"status": "Failure", "code": 403, "reason": "", "message": said}).to_string();
        let length = body.len();
        let text =
            format!("HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// As whom the client asks.
    async fn asks_as(client: &Client, listener: &TcpListener) -> String {
        let api: Api<Namespace> = Api::all(client.clone());
        let (asked, ()) = futures_util::future::join(api.get("x"), answer(listener)).await;
        match asked {
            Err(kube::Error::Api(status)) => status.message.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn kubeconfig(token: &str) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": "http://nowhere"}}],
            "users": [{"name": "c", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        })
        .to_string()
    }

    #[tokio::test]
    async fn a_client_asks_as_whom_the_file_says_now() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Uri = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kubeconfig");
        fs::write(&file, kubeconfig("old")).unwrap();
        let mut identity = Identity::read(file.clone(), url, "test").await.unwrap();
        let client = identity.client();
        assert_eq!(asks_as(&client, &listener).await, "old");
        assert!(!identity.look().await.unwrap());
        fs::write(&file, "half of a fi").unwrap();
        assert!(identity.look().await.is_err());
        assert_eq!(asks_as(&client, &listener).await, "old");
        fs::write(&file, kubeconfig("new")).unwrap();
        assert!(identity.look().await.unwrap());
        assert_eq!(asks_as(&client, &listener).await, "new");
    }
}
