//! A client of one member, over etcd's gRPC API.

use std::collections::BTreeMap;
use std::time::Duration;

use keelson_proto::etcd::rpc::cluster_client::ClusterClient;
use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_proto::etcd::rpc::watch_client::WatchClient;
use keelson_proto::etcd::rpc::watch_request::RequestUnion;
use keelson_proto::etcd::rpc::{
    Member, MemberAddRequest, MemberListRequest, MemberPromoteRequest, MemberRemoveRequest,
    MoveLeaderRequest, PutRequest, RangeRequest, StatusRequest, StatusResponse, WatchCreateRequest,
    WatchRequest, WatchResponse,
};
use tokio_stream::StreamExt as _;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Status, Streaming};

/// Longer than the store's own deadline, so that its answer comes first.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A range end that means "all keys from the first one on".
const TO_THE_END: &[u8] = b"\0";

/// Whether a read must see every acknowledged write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// It must.
    Linearizable,
    /// It shows what the member has applied.
    Serializable,
}

/// All keys with their values, as text, and the store's revision then.
pub(crate) struct Contents {
    pub(crate) revision: i64,
    pub(crate) values: BTreeMap<String, String>,
}

/// Calls to one member. It connects when it is first used, and again whenever the connection was lost.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
}

impl Client {
    /// A client of the member at `url`.
    pub(crate) fn new(url: String, tls: ClientTlsConfig) -> Self {
        let endpoint = Endpoint::from_shared(url).unwrap().tls_config(tls).unwrap();
        let endpoint = endpoint.connect_timeout(Duration::from_secs(2)).timeout(CALL_TIMEOUT);
        Self { channel: endpoint.connect_lazy() }
    }

    /// What its calls go through.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Writes one key. Answers the revision.
    pub(crate) async fn put(&self, key: &str, value: &str) -> Result<i64, Status> {
        let (key, value) = (key.to_owned().into(), value.to_owned().into());
        let request = PutRequest { key, value, ..PutRequest::default() };
        let reply = KvClient::new(self.channel.clone()).put(request).await?;
        Ok(reply.into_inner().header.unwrap().revision)
    }

    /// Reads all keys.
    pub(crate) async fn read_all(&self, read: Read) -> Result<Contents, Status> {
        let request = RangeRequest {
            key: TO_THE_END.into(),
            range_end: TO_THE_END.into(),
            serializable: read == Read::Serializable,
            ..RangeRequest::default()
        };
        let mut kv = KvClient::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        let reply = kv.range(request).await?.into_inner();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let values = reply.kvs.iter().map(|kv| (text(&kv.key), text(&kv.value))).collect();
        Ok(Contents { revision: reply.header.unwrap().revision, values })
    }

    /// How the member is.
    pub(crate) async fn status(&self) -> Result<StatusResponse, Status> {
        let reply = MaintenanceClient::new(self.channel.clone()).status(StatusRequest {}).await?;
        Ok(reply.into_inner())
    }

    /// The members that this one knows.
    pub(crate) async fn members(&self) -> Result<Vec<Member>, Status> {
        let request = MemberListRequest { linearizable: false };
        Ok(ClusterClient::new(self.channel.clone()).member_list(request).await?.into_inner().members)
    }

    /// Keeps a place for a learner at a peer URL.
    pub(crate) async fn add_learner(&self, peer_url: String) -> Result<(), Status> {
        let add = MemberAddRequest { peer_ur_ls: vec![peer_url], is_learner: true };
        ClusterClient::new(self.channel.clone()).member_add(add).await.map(drop)
    }

    /// Makes a voter of a learner.
    pub(crate) async fn promote(&self, id: u64) -> Result<(), Status> {
        ClusterClient::new(self.channel.clone()).member_promote(MemberPromoteRequest { id }).await.map(drop)
    }

    /// Removes a member.
    pub(crate) async fn remove_member(&self, id: u64) -> Result<(), Status> {
        ClusterClient::new(self.channel.clone()).member_remove(MemberRemoveRequest { id }).await.map(drop)
    }

    /// Has this member, which must lead, hand leadership over.
    pub(crate) async fn move_leader(&self, to: u64) -> Result<(), Status> {
        let request = MoveLeaderRequest { target_id: to };
        MaintenanceClient::new(self.channel.clone()).move_leader(request).await.map(drop)
    }

    /// Watches all keys from a revision on.
    pub(crate) async fn watch_all(&self, start_revision: i64) -> Result<Streaming<WatchResponse>, Status> {
        let create = WatchCreateRequest {
            key: TO_THE_END.into(),
            range_end: TO_THE_END.into(),
            start_revision,
            ..WatchCreateRequest::default()
        };
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        // It stays open: a client that closes its side says that it wants nothing more.
        let requests = tokio_stream::once(request).chain(tokio_stream::pending());
        Ok(WatchClient::new(self.channel.clone()).watch(requests).await?.into_inner())
    }
}
