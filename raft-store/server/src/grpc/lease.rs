//! etcd's service Lease.
//!
//! Granting and revoking are commands like any other. Renewing and asking for the remaining time go to the
//! leader, which alone counts: the [`Store`](crate::Store) finds it.

use futures_util::StreamExt as _;
use keelson_proto::etcd::rpc::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse, lease_server::Lease,
};
use keelson_store_core::{
    id::LeaseId,
    lease::{self, Remaining},
};
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use super::{Front, convert, ending, error};
use crate::{
    error::LeaseError,
    store::{At, Consistency},
};

/// The shortest time to live, in seconds: a lease must outlive the search for a new leader. etcd's default,
/// too.
const MIN_TTL_SECONDS: u32 = 2;

/// Renewals of one stream that are under way at once.
const RENEWALS_PER_STREAM: usize = 1024;

/// What etcd answers as the remaining time of a lease that does not exist.
const NO_SUCH_LEASE: i64 = -1;

#[tonic::async_trait]
impl Lease for Front {
    type LeaseKeepAliveStream = BoxStream<LeaseKeepAliveResponse>;

    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        let lease = convert::lease_grant(request.get_ref(), self.draw_lease_id(), MIN_TTL_SECONDS);
        let lease = lease.map_err(error::bad_request)?;
        let At { revision, answer: () } = self.store.grant_lease(lease).await.map_err(error::write)?;
        Ok(Response::new(LeaseGrantResponse {
            header: Some(self.header(revision)),
            id: lease.id.get(),
            ttl: lease.ttl_seconds.into(),
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let id = LeaseId::new(request.get_ref().id);
        let At { revision, answer: () } = self.store.revoke_lease(id).await.map_err(error::write)?;
        Ok(Response::new(LeaseRevokeResponse { header: Some(self.header(revision)) }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let ended = ending::of_stream(self.clone(), request.metadata());
        let front = self.clone();
        let renewing = request.into_inner().map(move |request| {
            let front = front.clone();
            async move { front.keep_alive(LeaseId::new(request?.id)).await }
        });
        // Clients with many leases renew them all over one stream, without waiting for answers.
        let answers = renewing.buffered(RENEWALS_PER_STREAM);
        Ok(Response::new(Box::pin(ending::until(ended, answers))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let LeaseTimeToLiveRequest { id, keys } = *request.get_ref();
        let mut response = LeaseTimeToLiveResponse { id, ttl: NO_SUCH_LEASE, ..Default::default() };
        match self.store.lease_remaining(LeaseId::new(id)).await {
            Ok(Remaining { granted_seconds, millis }) => {
                response.ttl = convert::signed(millis / 1000);
                response.granted_ttl = granted_seconds.into();
            }
            Err(LeaseError::NotFound) => {}
            Err(failed) => return Err(error::lease(failed)),
        }
        if keys {
            let view = self.store.view(Consistency::Linearizable).await.map_err(error::read)?;
            response.keys =
                lease::keys(view.read(), LeaseId::new(id)).map_err(|failed| error::broken(&failed))?;
        }
        response.header = Some(self.header_now());
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        _request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let leases = self.store.leases().await.map_err(error::read)?;
        Ok(Response::new(LeaseLeasesResponse {
            header: Some(self.header_now()),
            leases: leases.iter().map(|lease| LeaseStatus { id: lease.id.get() }).collect(),
        }))
    }
}

impl Front {
    /// Renews a lease. One that does not exist has 0 seconds to live, says etcd.
    async fn keep_alive(&self, id: LeaseId) -> Result<LeaseKeepAliveResponse, Status> {
        let ttl = match self.store.renew_lease(id).await {
            Ok(seconds) => seconds.into(),
            Err(LeaseError::NotFound) => 0,
            Err(failed) => return Err(error::lease(failed)),
        };
        Ok(LeaseKeepAliveResponse { header: Some(self.header_now()), id: id.get(), ttl })
    }
}
