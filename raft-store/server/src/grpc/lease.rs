//! etcd's service Lease.
//!
//! Granting and revoking are commands like any other. Renewing and asking for the remaining time go to the
//! leader, which alone counts: the [`Store`](crate::Store) finds it.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use keelson_proto::etcd::rpc::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus, LeaseTimeToLiveRequest,
    LeaseTimeToLiveResponse, lease_server::Lease,
};
use keelson_store_core::{
    auth::Rights,
    command::{Caller, Command},
    id::LeaseId,
    lease::{self, Remaining},
};
use tonic::{Request, Response, Status, Streaming, codegen::BoxStream};

use super::{Front, convert, ending, error, identity::Credentials};
use crate::{error::LeaseError, state::StateView, store::Consistency};

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
        let (who, raw) = Credentials::split(request);
        let lease = convert::lease_grant(&raw, self.draw_lease_id(), MIN_TTL_SECONDS);
        let lease = lease.map_err(error::bad_request)?;
        let command = Command::LeaseGrant { id: lease.id, ttl_seconds: lease.ttl_seconds };
        let revision = self.propose(&who, &command).await?.revision;
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
        let (who, raw) = Credentials::split(request);
        let command = Command::LeaseRevoke(LeaseId::new(raw.id));
        let revision = self.propose(&who, &command).await?.revision;
        Ok(Response::new(LeaseRevokeResponse { header: Some(self.header(revision)) }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let ended = ending::of_stream(self.clone(), request.metadata());
        let (who, requests) = Credentials::split(request);
        let (front, who) = (self.clone(), Arc::new(who));
        let renewing = requests.map(move |request| {
            let (front, who) = (front.clone(), who.clone());
            async move { front.keep_alive(&who, LeaseId::new(request?.id)).await }
        });
        // Clients with many leases renew them all over one stream, without waiting for answers.
        let answers = renewing.buffered(RENEWALS_PER_STREAM);
        Ok(Response::new(Box::pin(ending::until(ended, answers))))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let (who, LeaseTimeToLiveRequest { id, keys }) = Credentials::split(request);
        self.require_user(&who).await?;
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
            response.keys = self.lease_keys(&who, LeaseId::new(id)).await?;
        }
        response.header = Some(self.header_now());
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let (who, _) = Credentials::split(request);
        let leases = self.all_leases(&who).await?;
        Ok(Response::new(LeaseLeasesResponse {
            header: Some(self.header_now()),
            leases: leases.iter().map(|lease| LeaseStatus { id: lease.id.get() }).collect(),
        }))
    }
}

impl Front {
    /// Renews a lease. One that does not exist has 0 seconds to live, says etcd.
    async fn keep_alive(&self, who: &Credentials, id: LeaseId) -> Result<LeaseKeepAliveResponse, Status> {
        self.require_lease(who, id).await?;
        let ttl = match self.store.renew_lease(id).await {
            Ok(seconds) => seconds.into(),
            Err(LeaseError::NotFound) => 0,
            Err(failed) => return Err(error::lease(failed)),
        };
        Ok(LeaseKeepAliveResponse { header: Some(self.header_now()), id: id.get(), ttl })
    }

    /// Lets pass who may write all keys of a lease, and everybody while authentication is off.
    async fn require_lease(&self, who: &Credentials, id: LeaseId) -> Result<(), Status> {
        if !self.store.auth().is_enabled() {
            return Ok(());
        }
        let may_write = |caller: &Caller, view: &StateView| {
            let rights = view.auth().rights(caller)?;
            Ok(rights.lease(id, Rights::write, view.read())??)
        };
        self.view(who, Consistency::Local, may_write).await.map(drop)
    }

    /// The keys that hang on a lease, for whoever may read all of them.
    async fn lease_keys(&self, who: &Credentials, id: LeaseId) -> Result<Vec<Bytes>, Status> {
        let may_read = |caller: &Caller, view: &StateView| {
            let rights = view.auth().rights(caller)?;
            Ok(rights.lease(id, Rights::read, view.read())??)
        };
        let view = self.view(who, Consistency::Linearizable, may_read).await?;
        lease::keys(view.read(), id).map_err(|failed| error::broken(&failed))
    }

    /// All leases, for whoever may read all keys that hang on them.
    async fn all_leases(&self, who: &Credentials) -> Result<Vec<lease::Lease>, Status> {
        let may_read = |caller: &Caller, view: &StateView| {
            let rights = view.auth().rights(caller)?;
            for lease in lease::all(view.read())? {
                rights.lease(lease.id, Rights::read, view.read())??;
            }
            Ok(())
        };
        let view = self.view(who, Consistency::Linearizable, may_read).await?;
        lease::all(view.read()).map_err(|failed| error::broken(&failed))
    }
}
