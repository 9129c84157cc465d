//! The certificates of the node's own API, as their files have them: also after they were renewed.
//!
//! In: [`Serving`], whose files are looked at every minute. Out: a server that shows what they hold. What cannot be used
//! is told of in the log, and what was shown before is shown on.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use keelson_cri::Runtime;
use keelson_node_server::{ApiReviews, BadCertificate, Identity, Renewal, Server};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::AgentError;
use crate::options::Serving;
use crate::served::Served;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(60);

/// A server, where it listens, and what keeps its certificates as their files have them.
pub(super) async fn serving(
    options: &Serving,
    pods: Arc<Served>,
    runtime: &Runtime,
    reviews: Arc<ApiReviews>,
) -> Result<(Server, TcpListener, Certificates), AgentError> {
    let texts =
        Texts::read(options).map_err(|Unreadable(doing, source)| AgentError::Machine { doing, source })?;
    let server = Server::new(&texts.identity(), pods, Arc::new(runtime.clone()), reviews)?;
    let certificates = Certificates { files: options.clone(), known: texts, renewal: server.renewal() };
    let listener = TcpListener::bind(options.address).await.map_err(|source| {
        let doing = format!("cannot listen on {}: is another node agent running?", options.address);
        AgentError::Machine { doing, source }
    })?;
    Ok((server, listener, certificates))
}

/// What the files hold, in PEM.
#[derive(PartialEq, Eq)]
struct Texts {
    certificate: String,
    key: String,
    client_authorities: String,
}

/// A file that cannot be read: what it is, and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}: {1}")]
struct Unreadable(String, #[source] io::Error);

impl Texts {
    fn read(files: &Serving) -> Result<Self, Unreadable> {
        let text = |file: &Path| {
            fs::read_to_string(file)
                .map_err(|error| Unreadable(format!("cannot read {}", file.display()), error))
        };
        Ok(Self {
            certificate: text(&files.certificate)?,
            key: text(&files.key)?,
            client_authorities: text(&files.client_authorities)?,
        })
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            certificate: &self.certificate,
            key: &self.key,
            client_authorities: &self.client_authorities,
        }
    }
}

/// Why renewed certificates are not used.
#[derive(Debug, thiserror::Error)]
enum RenewalError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Bad(#[from] BadCertificate),
}

/// Keeps a server's certificates as their files have them.
pub(super) struct Certificates {
    files: Serving,
    /// What the server was given last.
    known: Texts,
    renewal: Renewal,
}

impl Certificates {
    /// Looks again and again.
    pub(super) async fn follow(mut self) -> Infallible {
        loop {
            sleep(PERIOD).await;
            match self.look() {
                Ok(true) => tracing::info!("the node's own API shows renewed certificates"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the node's own API does not show renewed certificates"),
            }
        }
    }

    /// Whether there was something new.
    fn look(&mut self) -> Result<bool, RenewalError> {
        let texts = Texts::read(&self.files)?;
        if texts == self.known {
            return Ok(false);
        }
        self.renewal.replace(&texts.identity())?;
        self.known = texts;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use keelson_node_server::{Access, Decision, ReviewError, Reviews, User};

    use super::*;
    use crate::registry::Registry;

    struct Nobody;

    impl Reviews for Nobody {
        fn authenticate<'a>(
            &'a self,
            _: &'a str,
        ) -> futures_util::future::BoxFuture<'a, Result<Option<User>, ReviewError>> {
            Box::pin(async { Ok(None) })
        }

        fn allowed<'a>(
            &'a self,
            _: &'a User,
            _: &'a Access,
        ) -> futures_util::future::BoxFuture<'a, Result<Decision, ReviewError>> {
            Box::pin(async { Ok(Decision::Denied(String::new())) })
        }
    }

    fn write(files: &Serving) {
        let made = rcgen::generate_simple_self_signed(["n1".to_owned()]).unwrap();
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        fs::write(&files.client_authorities, made.cert.pem()).unwrap();
    }

    #[tokio::test]
    async fn renewed_files_are_taken_up_and_damaged_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let files = Serving {
            address: "127.0.0.1:0".parse().unwrap(),
            certificate: file("crt"),
            key: file("key"),
            client_authorities: file("ca"),
        };
        write(&files);
        let known = Texts::read(&files).unwrap();
        let pods = Arc::new(Served(Arc::new(Registry::default())));
        let runtime = Arc::new(Runtime::at(Path::new("/nonexistent")));
        let server = Server::new(&known.identity(), pods, runtime, Arc::new(Nobody)).unwrap();
        let mut certificates = Certificates { files, known, renewal: server.renewal() };
        assert!(!certificates.look().unwrap());
        write(&certificates.files);
        assert!(certificates.look().unwrap());
        fs::write(file("key"), "no key").unwrap();
        assert!(matches!(certificates.look(), Err(RenewalError::Bad(_))));
        fs::remove_file(file("key")).unwrap();
        assert!(matches!(certificates.look(), Err(RenewalError::Unreadable(_))));
        write(&certificates.files);
        assert!(certificates.look().unwrap());
    }
}
