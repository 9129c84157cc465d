//! Asks the members over etcd's gRPC API.
//!
//! In: endpoints and certificates. Out: the cluster's members, each with its answer or the reason why it has
//! none.

use futures_util::future::join_all;
use keelson_proto::etcd::rpc::cluster_client::ClusterClient;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_proto::etcd::rpc::{
    HashKvRequest, HashKvResponse, Member, MemberListRequest, StatusRequest, StatusResponse,
};

use crate::endpoint::Endpoint;
use crate::store::connection::{Asked, ClientFiles, ConnectionArgs, NobodyAnswers};

/// A member and what it said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) member: Member,
    /// The answer, or why there is none.
    pub(super) status: Result<StatusResponse, String>,
    /// The hash of its keys at a revision that all members have; absent where it cannot read that any more.
    pub(super) hash: Option<HashKvResponse>,
}

/// Learns the members from the first endpoint that answers, then asks all of them at once.
pub(super) async fn ask_all(
    connection: &ConnectionArgs,
    files: &ClientFiles,
) -> Result<Vec<Answer>, NobodyAnswers> {
    let members = connection.first(files, members).await?;
    let mut asked = join_all(members.into_iter().map(|member| ask(member, files))).await;
    let revisions = asked.iter().filter_map(|(_, answer)| answer.status.as_ref().ok()?.header.as_ref());
    if let Some(common) = revisions.map(|header| header.revision).min() {
        join_all(asked.iter_mut().map(|(channel, answer)| hash(channel, answer, common))).await;
    }
    Ok(asked.into_iter().map(|(_, answer)| answer).collect())
}

async fn members(channel: Asked) -> Result<Vec<Member>, String> {
    // Not linearizable, because the list is wanted most when there is no quorum.
    let request = MemberListRequest { linearizable: false };
    let list = ClusterClient::new(channel).member_list(request).await;
    Ok(list.map_err(|status| status.message().to_owned())?.into_inner().members)
}

/// A member's answer, and the channel that it came by.
type Reply = (Option<Asked>, Answer);

async fn ask(member: Member, files: &ClientFiles) -> Reply {
    let mut status = Err("it has not started yet".to_owned());
    let mut channel = None;
    for url in &member.client_ur_ls {
        match ask_at(url, files).await {
            Ok((answered, answer)) => {
                (channel, status) = (Some(answered), Ok(answer));
                break;
            }
            Err(reason) => status = Err(format!("{url}: {reason}")),
        }
    }
    (channel, Answer { member, status, hash: None })
}

async fn ask_at(url: &str, files: &ClientFiles) -> Result<(Asked, StatusResponse), String> {
    let endpoint = url.parse::<Endpoint>().map_err(|error| error.to_string())?;
    let channel = files.connect(&endpoint).await?;
    let status = MaintenanceClient::new(channel.clone()).status(StatusRequest {}).await;
    let status = status.map_err(|status| status.message().to_owned())?.into_inner();
    Ok((channel, status))
}

/// Asks a member for its hash at a revision. A member that has none to tell is no worse for it.
async fn hash(channel: &mut Option<Asked>, answer: &mut Answer, revision: i64) {
    let Some(channel) = channel else { return };
    let hashed = MaintenanceClient::new(channel.clone()).hash_kv(HashKvRequest { revision }).await;
    answer.hash = hashed.ok().map(tonic::Response::into_inner);
}
