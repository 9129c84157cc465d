//! Connections to nodes, with the certificate of the store's clients.
//!
//! In: the folder of the certificates. Out: one channel per node, which connects when it is first used and again
//! whenever it was lost.

use std::path::Path;
use std::time::Duration;

use keelson_checkers::history::Revision;
use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_proto::etcd::rpc::{CompactionRequest, MoveLeaderRequest, RangeRequest, StatusRequest};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Status};

use crate::failure::{Doing as _, Result};
use crate::target::client_url;

/// For questions about the cluster; a node that is paused or slow has no answer.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(1);
/// A transfer of leadership may take longer.
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

    /// Forgets the history below a revision.
    pub(crate) async fn compact(&self, revision: Revision) -> std::result::Result<(), Status> {
        let revision = i64::try_from(revision.0).unwrap_or(i64::MAX);
        let request = within(QUESTION_TIMEOUT, CompactionRequest { revision, physical: false });
        KvClient::new(self.channel.clone()).compact(request).await.map(drop)
    }
}

fn within<T>(timeout: Duration, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    request
}
