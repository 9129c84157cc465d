//! Asks the members over etcd's gRPC API.
//!
//! In: endpoints and certificates. Out: the cluster's members, each with its answer or the reason why it has none.

use futures_util::future::join_all;
use keelson_proto::etcd::rpc::cluster_client::ClusterClient;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_proto::etcd::rpc::{Member, MemberListRequest, StatusRequest, StatusResponse};
use tonic::transport::Channel;

use crate::endpoint::Endpoint;
use crate::store::connection::{ClientFiles, ConnectionArgs, NobodyAnswers};

/// A member and what it said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) member: Member,
    /// The answer, or why there is none.
    pub(super) status: Result<StatusResponse, String>,
}

/// Learns the members from the first endpoint that answers, then asks all of them at once.
pub(super) async fn ask_all(
    connection: &ConnectionArgs,
    files: &ClientFiles,
) -> Result<Vec<Answer>, NobodyAnswers> {
    let members = connection.first(files, members).await?;
    Ok(join_all(members.into_iter().map(|member| ask(member, files))).await)
}

async fn members(channel: Channel) -> Result<Vec<Member>, String> {
    // Not linearizable, because the list is wanted most when there is no quorum.
    let request = MemberListRequest { linearizable: false };
    let list = ClusterClient::new(channel).member_list(request).await;
    Ok(list.map_err(|status| status.message().to_owned())?.into_inner().members)
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
    let mut client = MaintenanceClient::new(files.connect(&endpoint).await?);
    let response = client.status(StatusRequest {}).await.map_err(|status| status.message().to_owned())?;
    Ok(response.into_inner())
}
