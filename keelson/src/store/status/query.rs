//! Asks the members over etcd's gRPC API.
//!
//! In: endpoints and certificates. Out: the cluster's members, each with its answer or the reason why it has none.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use keelson_proto::etcd::rpc::cluster_client::ClusterClient;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_proto::etcd::rpc::{Member, MemberListRequest, StatusRequest, StatusResponse};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

use crate::endpoint::{Endpoint, Scheme};
use crate::error_chain::chain;

/// For connecting, and again for each answer: longer than an election, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The contents of the certificate files.
#[derive(Debug, Default)]
pub(super) struct ClientFiles {
    authority: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// A member and what it said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) member: Member,
    /// The answer, or why there is none.
    pub(super) status: Result<StatusResponse, String>,
}

/// None of the endpoints could name the members.
#[derive(Debug, thiserror::Error)]
#[error("no endpoint answers:\n{0}\nCheck that the members run, and the certificates given")]
pub(super) struct NobodyAnswers(String);

impl ClientFiles {
    /// Reads the files.
    pub(super) fn read(
        authority: Option<&PathBuf>,
        identity: Option<(&PathBuf, &PathBuf)>,
    ) -> Result<Self, String> {
        let identity = match identity {
            Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
            None => None,
        };
        Ok(Self { authority: authority.map(|path| read(path)).transpose()?, identity })
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

/// Learns the members from the first endpoint that answers, then asks all of them at once.
pub(super) async fn ask_all(
    endpoints: &[Endpoint],
    files: &ClientFiles,
) -> Result<Vec<Answer>, NobodyAnswers> {
    let mut refusals = Vec::new();
    for endpoint in endpoints {
        match members(endpoint, files).await {
            Ok(members) => return Ok(join_all(members.into_iter().map(|member| ask(member, files))).await),
            Err(reason) => refusals.push(format!("  {endpoint}: {reason}")),
        }
    }
    Err(NobodyAnswers(refusals.join("\n")))
}

async fn members(endpoint: &Endpoint, files: &ClientFiles) -> Result<Vec<Member>, String> {
    let mut client = ClusterClient::new(connect(endpoint, files).await?);
    // Not linearizable, because the list is wanted most when there is no quorum.
    let request = MemberListRequest { linearizable: false };
    let list = client.member_list(request).await.map_err(|status| status.message().to_owned())?;
    Ok(list.into_inner().members)
}

async fn ask(member: Member, files: &ClientFiles) -> Answer {
    let mut status = Err("it has not started yet".to_owned());
    for url in &member.client_ur_ls {
        status = ask_at(url, files).await.map_err(|reason| format!("{url}: {reason}"));
        if status.is_ok() {
            break;
        }
    }
    Answer { member, status }
}

async fn ask_at(url: &str, files: &ClientFiles) -> Result<StatusResponse, String> {
    let endpoint = url.parse::<Endpoint>().map_err(|error| error.to_string())?;
    let mut client = MaintenanceClient::new(connect(&endpoint, files).await?);
    let response = client.status(StatusRequest {}).await.map_err(|status| status.message().to_owned())?;
    Ok(response.into_inner())
}

async fn connect(endpoint: &Endpoint, files: &ClientFiles) -> Result<Channel, String> {
    let mut channel = Channel::from_shared(endpoint.to_string())
        .map_err(|error| chain(&error))?
        .connect_timeout(PATIENCE)
        .timeout(PATIENCE);
    match endpoint.scheme {
        Scheme::Https => channel = channel.tls_config(files.tls()).map_err(|error| chain(&error))?,
        Scheme::Http => {}
    }
    channel.connect().await.map_err(|error| chain(&error))
}
