//! Connections to members, as a client: the flags of `etcdctl`, and what becomes of them.
//!
//! In: endpoints and certificate files. Out: channels, made one by one, or why there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::endpoint::{Endpoint, Scheme};
use crate::error_chain::chain;

/// For connecting, and again for the beginning of each answer: longer than an election, short enough to wait
/// for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the members are and what is shown to them; named and settable by environment as `etcdctl`'s flags.
#[derive(Debug, Args)]
pub(super) struct ConnectionArgs {
    /// Members to ask; one that answers is enough.
    #[arg(long, env = "ETCDCTL_ENDPOINTS", value_name = "URLS", value_delimiter = ',', required = true)]
    pub(super) endpoints: Vec<Endpoint>,
    /// The authority that signed the members' certificates.
    #[arg(long, env = "ETCDCTL_CACERT", value_name = "FILE")]
    cacert: Option<PathBuf>,
    /// The certificate to show.
    #[arg(long, env = "ETCDCTL_CERT", value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key.
    #[arg(long, env = "ETCDCTL_KEY", value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// The contents of the certificate files.
#[derive(Debug, Default)]
pub(super) struct ClientFiles {
    authority: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// None of the endpoints could answer.
#[derive(Debug, thiserror::Error)]
#[error("no endpoint answers:\n{}\nCheck that the members run, and the certificates given", .0.join("\n"))]
pub(super) struct NobodyAnswers(Vec<String>);

impl ConnectionArgs {
    /// Reads the files.
    pub(super) fn files(&self) -> Result<ClientFiles, String> {
        let identity = match self.cert.as_ref().zip(self.key.as_ref()) {
            Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
            None => None,
        };
        Ok(ClientFiles { authority: self.cacert.as_ref().map(|path| read(path)).transpose()?, identity })
    }

    /// What `ask` answers of the first endpoint where it answers anything.
    pub(super) async fn first<T>(
        &self,
        files: &ClientFiles,
        ask: impl AsyncFn(Channel) -> Result<T, String>,
    ) -> Result<T, NobodyAnswers> {
        let mut refusals = Vec::new();
        for endpoint in &self.endpoints {
            let answer = match files.connect(endpoint).await {
                Ok(channel) => ask(channel).await,
                Err(refused) => Err(refused),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(reason) => refusals.push(format!("  {endpoint}: {reason}")),
            }
        }
        Err(NobodyAnswers(refusals))
    }
}

impl ClientFiles {
    /// Connects to one member.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, String> {
        let mut channel = Channel::from_shared(endpoint.to_string())
            .map_err(|error| chain(&error))?
            .connect_timeout(PATIENCE)
            .timeout(PATIENCE);
        match endpoint.scheme {
            Scheme::Https => channel = channel.tls_config(self.tls()).map_err(|error| chain(&error))?,
            Scheme::Http => {}
        }
        channel.connect().await.map_err(|error| chain(&error))
    }

    fn tls(&self) -> ClientTlsConfig {
        let mut tls = ClientTlsConfig::new();
        if let Some(pem) = &self.authority {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        if let Some((certificate, key)) = &self.identity {
            tls = tls.identity(Identity::from_pem(certificate, key));
        }
        tls
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}
