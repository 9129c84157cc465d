//! A client of one node, over etcd's gRPC API.
//!
//! In: the workloads' calls. Out: what the node answered, or an error that says whether a change may have happened
//! ([`error`]). One question is one call: nothing here retries, and nothing waits for a limited time; who uses it gives
//! up by dropping the answer.

mod convert;
mod error;
mod watch;

use std::sync::OnceLock;

use futures_util::FutureExt as _;
use keelson_checkers::history::{Consistency, LeaseId, Revision};
use keelson_proto::etcd::rpc;
use keelson_proto::etcd::rpc::kv_client::KvClient;
use keelson_proto::etcd::rpc::lease_client::LeaseClient;
use keelson_workloads::{
    Answer, CallError, Client, LeaseResponse, RangeRequest, RangeResponse, Txn, TxnResponse, WatchRequest,
    WatchStream,
};
use tonic::transport::Channel;

use self::watch::GrpcWatch;
use crate::target::Target;

/// Answers to reads of everything are longer than what tonic takes by default.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// What etcd answers as the time to live of a lease that does not exist.
const NO_LEASE_WHEN_RENEWED: i64 = 0;
const NO_LEASE_WHEN_ASKED: i64 = -1;

/// A client of one node; of another one when that is lost for good.
pub(crate) struct GrpcClient {
    home: Door,
    refuge: OnceLock<Door>,
    target: Target,
    honesty: Honesty,
}

/// Where a node is reached.
#[derive(Clone)]
struct Door {
    replica: String,
    channel: Channel,
}

/// Whether a client reads as it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Honesty {
    /// It does.
    Honest,
    /// It has every read answered from what the node happens to know, and passes that off as linearizable. The checkers
    /// must notice.
    Stale,
}

impl GrpcClient {
    /// A client of the node with this name, over this channel.
    pub(crate) fn new(replica: String, channel: Channel, target: Target, honesty: Honesty) -> Self {
        Self { home: Door { replica, channel }, refuge: OnceLock::new(), target, honesty }
    }

    /// From now on it is a client of the node that the other one is a client of.
    pub(crate) fn take_refuge_with(&self, other: &Self) {
        // The first refuge is as good as a second one.
        let _ = self.refuge.set(other.door().clone());
    }

    fn door(&self) -> &Door {
        self.refuge.get().unwrap_or(&self.home)
    }

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.door().channel.clone()).max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.door().channel.clone())
    }

    fn consistency(&self, wanted: Consistency) -> Consistency {
        match self.honesty {
            Honesty::Honest => wanted,
            Honesty::Stale => Consistency::Serializable,
        }
    }
}

impl Client for GrpcClient {
    fn replica(&self) -> &str {
        &self.door().replica
    }

    fn range(&self, mut request: RangeRequest) -> Answer<'_, RangeResponse> {
        request.consistency = self.consistency(request.consistency);
        async move {
            let answer = self.kv().range(convert::range_request(&request)).await;
            answer
                .map(|answer| convert::range_response(&answer.into_inner()))
                .map_err(|status| self.error(&status))
        }
        .boxed()
    }

    fn txn(&self, txn: Txn) -> Answer<'_, TxnResponse> {
        async move {
            let answer = self.kv().txn(convert::txn_request(txn)).await;
            answer
                .map(|answer| convert::txn_response(answer.into_inner()))
                .map_err(|status| self.error(&status))
        }
        .boxed()
    }

    fn compact(&self, revision: Revision) -> Answer<'_, Revision> {
        async move {
            let request = rpc::CompactionRequest { revision: convert::signed(revision), physical: false };
            let answer = self.kv().compact(request).await.map_err(|status| self.error(&status))?;
            Ok(convert::revision(answer.into_inner().header.as_ref()))
        }
        .boxed()
    }

    fn lease_grant(&self, id: LeaseId, ttl_seconds: u32) -> Answer<'_, LeaseResponse> {
        async move {
            let request = rpc::LeaseGrantRequest { id: id.0, ttl: ttl_seconds.into() };
            let answer = self.lease().lease_grant(request).await.map_err(|status| self.error(&status))?;
            let answer = answer.into_inner();
            Ok(convert::lease(answer.header.as_ref(), answer.ttl, NO_LEASE_WHEN_ASKED))
        }
        .boxed()
    }

    fn lease_keep_alive(&self, id: LeaseId) -> Answer<'_, LeaseResponse> {
        async move {
            let request = tokio_stream::once(rpc::LeaseKeepAliveRequest { id: id.0 });
            let asked = async {
                let mut answers = self.lease().lease_keep_alive(request).await?.into_inner();
                answers.message().await
            };
            match asked.await.map_err(|status| self.error(&status))? {
                Some(answer) => Ok(convert::lease(answer.header.as_ref(), answer.ttl, NO_LEASE_WHEN_RENEWED)),
                None => Err(CallError::Unknown("the stream ended before the answer".to_owned())),
            }
        }
        .boxed()
    }

    fn lease_revoke(&self, id: LeaseId) -> Answer<'_, Revision> {
        async move {
            let request = rpc::LeaseRevokeRequest { id: id.0 };
            let answer = self.lease().lease_revoke(request).await.map_err(|status| self.error(&status))?;
            Ok(convert::revision(answer.into_inner().header.as_ref()))
        }
        .boxed()
    }

    fn lease_time_to_live(&self, id: LeaseId) -> Answer<'_, LeaseResponse> {
        async move {
            let request = rpc::LeaseTimeToLiveRequest { id: id.0, keys: false };
            let answer =
                self.lease().lease_time_to_live(request).await.map_err(|status| self.error(&status))?;
            let answer = answer.into_inner();
            Ok(convert::lease(answer.header.as_ref(), answer.ttl, NO_LEASE_WHEN_ASKED))
        }
        .boxed()
    }

    fn watch(&self, request: WatchRequest) -> Box<dyn WatchStream> {
        Box::new(GrpcWatch::open(self.door().channel.clone(), &request))
    }
}

impl GrpcClient {
    fn error(&self, status: &tonic::Status) -> CallError {
        error::of(status, self.target)
    }
}
