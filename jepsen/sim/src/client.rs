//! Clients: the workloads' calls, carried over the simulated network to a replica's store.
//!
//! In: calls. Out: what the store says, or that nobody knows. A request that its client no longer waits for is not taken
//! back: it may still arrive, and then it is served.
//!
//! Deliberately absent: the gRPC front, which the real processes have.

mod convert;
mod watch;

use std::future::Future;

use keelson_checkers::history::{Consistency, LeaseId, Revision};
use keelson_store::{Store, error::LeaseError, store};
use keelson_store_core::{id, lease::Lease};
use keelson_workloads::{
    Answer, CallError, Client, LeaseResponse, RangeRequest, RangeResponse, Txn, TxnResponse, WatchRequest,
    WatchStream,
};
use tokio::sync::oneshot;

use crate::{Node, cluster::Cluster};

/// A client's connection to one replica.
#[derive(Clone)]
pub(crate) struct SimClient {
    cluster: Cluster,
    /// Where the client is.
    from: Node,
    /// Where its replica is.
    to: Node,
    /// The replica's name.
    name: String,
}

impl SimClient {
    /// A connection from a client's node to a replica.
    pub(crate) fn new(cluster: Cluster, from: Node, to: Node) -> Self {
        Self { cluster, from, to, name: to.to_string() }
    }

    /// Has `call` done at the replica, wherever that leads.
    fn call<T, F>(&self, call: impl FnOnce(Store) -> F + Send + 'static) -> Answer<'_, T>
    where
        F: Future<Output = Result<T, CallError>> + Send + 'static,
        T: Send + 'static,
    {
        let (done, answer) = oneshot::channel();
        let client = self.clone();
        tokio::spawn(async move {
            // The client may have given up.
            let _ = done.send(client.carry(call).await);
        });
        Box::pin(async { answer.await.unwrap_or_else(|_| Err(unknown("the connection is gone"))) })
    }

    async fn carry<T, F>(self, call: impl FnOnce(Store) -> F + Send + 'static) -> Result<T, CallError>
    where
        F: Future<Output = Result<T, CallError>> + Send + 'static,
        T: Send + 'static,
    {
        self.cluster.network().travel(self.from, self.to).await;
        let (done, served) = oneshot::channel();
        let is_served = self.cluster.visit(self.to, move |store| async move {
            let _ = done.send(call(store).await);
        });
        // A process that dies takes with it what it was about to say.
        let answer = match is_served {
            true => served.await.unwrap_or_else(|_| Err(unknown("the connection was reset"))),
            false => Err(CallError::Failed("the connection was refused".to_owned())),
        };
        if let Err(error) = &answer {
            tracing::debug!(replica = self.name, %error, "a call has no answer");
        }
        self.cluster.network().travel(self.to, self.from).await;
        answer
    }
}

impl Client for SimClient {
    fn replica(&self) -> &str {
        &self.name
    }

    fn range(&self, request: RangeRequest) -> Answer<'_, RangeResponse> {
        let consistency = match request.consistency {
            Consistency::Linearizable => store::Consistency::Linearizable,
            Consistency::Serializable => store::Consistency::Local,
        };
        let request = convert::range(&request);
        self.call(move |store| async move {
            let found = store.range(&request, consistency).await.map_err(convert::read_error)?;
            Ok(convert::range_response(&found))
        })
    }

    fn txn(&self, txn: Txn) -> Answer<'_, TxnResponse> {
        let txn = convert::txn(&txn);
        self.call(move |store| async move {
            Ok(convert::txn_response(&store.txn(txn).await.map_err(convert::write_error)?))
        })
    }

    fn compact(&self, revision: Revision) -> Answer<'_, Revision> {
        self.call(move |store| async move {
            let done = store.compact(id::Revision::new(revision.0)).await.map_err(convert::write_error)?;
            Ok(convert::revision(done.revision))
        })
    }

    fn lease_grant(&self, id: LeaseId, ttl_seconds: u32) -> Answer<'_, LeaseResponse> {
        let lease = Lease { id: id::LeaseId::new(id.0), ttl_seconds };
        self.call(move |store| async move {
            let granted = store.grant_lease(lease).await.map_err(convert::write_error)?;
            Ok(LeaseResponse {
                revision: convert::revision(granted.revision),
                ttl_seconds: Some(ttl_seconds),
            })
        })
    }

    fn lease_keep_alive(&self, id: LeaseId) -> Answer<'_, LeaseResponse> {
        self.call(move |store| async move {
            match store.renew_lease(id::LeaseId::new(id.0)).await {
                Ok(ttl) => Ok(LeaseResponse { revision: Revision::ZERO, ttl_seconds: Some(ttl) }),
                Err(LeaseError::NotFound) => {
                    Ok(LeaseResponse { revision: Revision::ZERO, ttl_seconds: None })
                }
                // The leader may have renewed it before it fell silent.
                Err(LeaseError::Read(error)) => Err(unknown(&error.to_string())),
            }
        })
    }

    fn lease_revoke(&self, id: LeaseId) -> Answer<'_, Revision> {
        self.call(move |store| async move {
            let revoked = store.revoke_lease(id::LeaseId::new(id.0)).await.map_err(convert::write_error)?;
            Ok(convert::revision(revoked.revision))
        })
    }

    fn lease_time_to_live(&self, id: LeaseId) -> Answer<'_, LeaseResponse> {
        self.call(move |store| async move {
            match store.lease_remaining(id::LeaseId::new(id.0)).await {
                Ok(left) => {
                    let ttl_seconds = u32::try_from(left.millis / 1000).unwrap_or(u32::MAX);
                    Ok(LeaseResponse { revision: Revision::ZERO, ttl_seconds: Some(ttl_seconds) })
                }
                Err(LeaseError::NotFound) => {
                    Ok(LeaseResponse { revision: Revision::ZERO, ttl_seconds: None })
                }
                Err(LeaseError::Read(error)) => Err(convert::read_error(error)),
            }
        })
    }

    fn watch(&self, request: WatchRequest) -> Box<dyn WatchStream> {
        Box::new(watch::Stream::open(self, request))
    }
}

fn unknown(why: &str) -> CallError {
    CallError::Unknown(why.to_owned())
}
