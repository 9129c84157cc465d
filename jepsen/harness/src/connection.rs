//! Connections to nodes, with the certificate of the store's clients.
//!
//! In: the folder of the certificates. Out: one channel per node, which connects when it is first used and again
//! whenever it was lost.

use std::path::Path;
use std::time::Duration;

use keelson_proto::etcd::rpc::cluster_client::ClusterClient;
use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_proto::etcd::rpc::{
    Member, MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MoveLeaderRequest, RangeRequest, StatusRequest,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::failure::{Doing as _, Result};
use crate::target::client_url;

/// For questions about the cluster; a node that is paused or slow has no answer.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(1);
/// Changes of the membership may take longer.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(3);
/// So may a transfer of leadership.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(6);

/// One node's doors.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) channel: Channel,
}

/// How a node sees the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Who it is.
    pub(crate) member: u64,
    /// Who leads; 0: nobody.
    pub(crate) leader: u64,
}

/// One member, as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) member: u64,
    /// Empty: a place is kept for somebody.
    pub(crate) name: String,
    pub(crate) votes: bool,
    /// Where its peers reach it.
    pub(crate) urls: Vec<String>,
}

/// Connections to all nodes, by their numbers.
pub(crate) fn connections(nodes: usize, pki: &Path) -> Result<Vec<Connection>> {
    let read = |name: &str| std::fs::read(pki.join(name)).doing(name);
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read("client-ca.crt")?))
        .identity(Identity::from_pem(read("clients/root.crt")?, read("clients/root.key")?));
    (0..nodes)
        .map(|node| {
            let endpoint = Endpoint::from_shared(client_url(node)).doing("the URL of a node")?;
            let endpoint = endpoint.tls_config(tls.clone()).doing("the certificate of the clients")?;
            let endpoint = endpoint.tcp_nodelay(true).connect_timeout(QUESTION_TIMEOUT);
            Ok(Connection { channel: endpoint.connect_lazy() })
        })
        .collect()
}

impl Connection {
    /// Asks how the node sees the cluster.
    pub(crate) async fn view(&self) -> std::result::Result<View, Status> {
        let request = within(QUESTION_TIMEOUT, StatusRequest {});
        let status = MaintenanceClient::new(self.channel.clone()).status(request).await?.into_inner();
        let header = status.header.unwrap_or_default();
        Ok(View { member: header.member_id, leader: status.leader })
    }

    /// Reads something linearizably: succeeds only with a quorum.
    pub(crate) async fn has_quorum(&self) -> bool {
        let request = within(QUESTION_TIMEOUT, RangeRequest { key: "\0".into(), ..RangeRequest::default() });
        KvClient::new(self.channel.clone()).range(request).await.is_ok()
    }

    /// Has the node, which must lead, hand leadership over.
    pub(crate) async fn move_leader(&self, to: u64) -> std::result::Result<(), Status> {
        let request = within(TRANSFER_TIMEOUT, MoveLeaderRequest { target_id: to });
        MaintenanceClient::new(self.channel.clone()).move_leader(request).await.map(drop)
    }

    /// Asks who belongs; there is an answer only with a quorum.
    pub(crate) async fn members(&self) -> std::result::Result<Vec<Seat>, Status> {
        let request = within(QUESTION_TIMEOUT, MemberListRequest { linearizable: true });
        let list = self.cluster().member_list(request).await?.into_inner();
        let seat = |Member { id, name, peer_ur_ls, is_learner, .. }| Seat {
            member: id,
            name,
            votes: !is_learner,
            urls: peer_ur_ls,
        };
        Ok(list.members.into_iter().map(seat).collect())
    }

    /// Removes a member.
    pub(crate) async fn remove_member(&self, id: u64) -> std::result::Result<(), Status> {
        let request = within(CHANGE_TIMEOUT, MemberRemoveRequest { id });
        self.cluster().member_remove(request).await.map(drop)
    }

    /// Keeps a place for a learner.
    pub(crate) async fn add_learner(&self, url: String) -> std::result::Result<(), Status> {
        let request = MemberAddRequest { peer_ur_ls: vec![url], is_learner: true };
        self.cluster().member_add(within(CHANGE_TIMEOUT, request)).await.map(drop)
    }

    /// Makes a voter of a learner.
    pub(crate) async fn promote(&self, id: u64) -> std::result::Result<(), Status> {
        let request = within(CHANGE_TIMEOUT, MemberPromoteRequest { id });
        self.cluster().member_promote(request).await.map(drop)
    }

    fn cluster(&self) -> ClusterClient<Channel> {
        ClusterClient::new(self.channel.clone())
    }
}

fn within<T>(timeout: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}
