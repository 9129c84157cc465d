//! Connections to members, as a client: the flags of `etcdctl`, and what becomes of them.
//!
//! In: endpoints and certificate files. Out: channels, made one by one, or why there is none.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use keelson_proto::etcd::rpc::AuthenticateRequest;
use keelson_proto::etcd::rpc::auth_client::AuthClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic::{Code, Request, Status};

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
    /// The user, where authentication is on and the certificate does not name it: NAME, or NAME:PASSWORD.
    #[arg(long, env = "ETCDCTL_USER", value_name = "NAME[:PASSWORD]", hide_env_values = true)]
    user: Option<String>,
    /// The user's password.
    #[arg(long, env = "ETCDCTL_PASSWORD", requires = "user", hide_env_values = true)]
    password: Option<String>,
}

/// What is shown to members: the contents of the certificate files, and who asks.
#[derive(Default)]
pub(super) struct ClientFiles {
    authority: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    user: Option<AuthenticateRequest>,
}

/// A connection to a member, and the token with which it is asked.
pub(super) type Asked = InterceptedService<Channel, Token>;

/// What calls show of who makes them.
#[derive(Clone)]
pub(super) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("token", token.clone());
        }
        Ok(request)
    }
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
        let authority = self.cacert.as_ref().map(|path| read(path)).transpose()?;
        Ok(ClientFiles { authority, identity, user: self.user()? })
    }

    fn user(&self) -> Result<Option<AuthenticateRequest>, String> {
        let Some(given) = &self.user else { return Ok(None) };
        let (name, password) = match (&self.password, given.split_once(':')) {
            (Some(password), _) => (given.as_str(), password.as_str()),
            (None, Some((name, password))) => (name, password),
            (None, None) => {
                return Err("--user has no password: give it as NAME:PASSWORD, or --password".to_owned());
            }
        };
        Ok(Some(AuthenticateRequest { name: name.to_owned(), password: password.to_owned() }))
    }

    /// What `ask` answers of the first endpoint where it answers anything.
    pub(super) async fn first<T>(
        &self,
        files: &ClientFiles,
        ask: impl AsyncFn(Asked) -> Result<T, String>,
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
    /// Connects to one member, and authenticates there.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Asked, String> {
        let channel = self.reach(endpoint).await?;
        let token = self.token(&channel).await?;
        Ok(InterceptedService::new(channel, Token(token)))
    }

    /// Connects to one member.
    pub(super) async fn reach(&self, endpoint: &Endpoint) -> Result<Channel, String> {
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

    /// What the member gives for the password. Nothing where it does not ask who anybody is.
    async fn token(&self, channel: &Channel) -> Result<Option<MetadataValue<Ascii>>, String> {
        let Some(user) = &self.user else { return Ok(None) };
        match AuthClient::new(channel.clone()).authenticate(user.clone()).await {
            Ok(answer) => {
                answer.into_inner().token.parse().map(Some).map_err(|_| "its token is no text".to_owned())
            }
            Err(status) if status.code() == Code::FailedPrecondition => Ok(None),
            Err(status) => Err(status.message().to_owned()),
        }
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
