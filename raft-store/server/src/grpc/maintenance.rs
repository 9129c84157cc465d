//! etcd's service Maintenance: how a member is, and who leads.
//!
//! Deliberately absent: alarms that are raised by hand, and downgrades.

use std::time::Duration;

use keelson_proto::etcd::rpc::{
    AlarmMember, AlarmRequest, AlarmResponse, AlarmType, DefragmentRequest, DefragmentResponse,
    DowngradeRequest, DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse,
    MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest, SnapshotResponse, StatusRequest, StatusResponse,
    alarm_request::AlarmAction, maintenance_server::Maintenance,
};
use keelson_store_core::id::ReplicaId;
use tonic::{Request, Response, Status, codegen::BoxStream};

use super::{Front, convert, ending, error, identity::Credentials};
use crate::store::{At, Consistency};

/// The version of etcd whose API this is. Clients decide by it what they may ask for; Kubernetes, for one,
/// whether progress requests can be relied upon.
pub(super) const API_VERSION: &str = "3.7.0";

/// How long a transfer of leadership may take.
const TRANSFER_PATIENCE: Duration = Duration::from_secs(5);

#[tonic::async_trait]
impl Maintenance for Front {
    type SnapshotStream = BoxStream<SnapshotResponse>;

    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.require_user(&Credentials::split(request).0).await?;
        let status = self.store.status();
        let me = status.members.iter().find(|member| member.replica == status.replica);
        let leaderless = status.leader.is_none().then(|| error::no_leader().message().to_owned());
        let full = self.is_full().then(|| format!("memberID:{} alarm:NOSPACE ", self.replica));
        let errors = leaderless.into_iter().chain(full).chain(status.doubt.clone()).collect();
        Ok(Response::new(StatusResponse {
            header: Some(self.header_in(status.term, status.revision)),
            version: API_VERSION.to_owned(),
            db_size: convert::signed(status.size),
            leader: status.leader.map_or(0, ReplicaId::get),
            raft_index: status.last_index.map_or(0, |index| index.get()),
            raft_term: status.term.get(),
            raft_applied_index: status.applied_index.map_or(0, |index| index.get()),
            errors,
            db_size_in_use: convert::signed(status.size),
            is_learner: me.is_some_and(|me| !me.voter),
            storage_version: API_VERSION.to_owned(),
            db_size_quota: convert::signed(self.quota.unwrap_or_default()),
            downgrade_info: None,
        }))
    }

    async fn move_leader(
        &self,
        request: Request<MoveLeaderRequest>,
    ) -> Result<Response<MoveLeaderResponse>, Status> {
        let (who, MoveLeaderRequest { target_id }) = Credentials::split(request);
        self.require_root(&who).await?;
        let heir = ReplicaId::new(target_id);
        let status = self.store.status();
        if status.leader != Some(status.replica) {
            return Err(error::not_leader());
        }
        if !status.members.iter().any(|member| member.replica == heir && member.voter) {
            return Err(error::bad_transferee());
        }
        if heir != status.replica && !self.store.transfer_leadership(heir, TRANSFER_PATIENCE).await {
            return Err(error::transfer_timeout());
        }
        Ok(Response::new(MoveLeaderResponse { header: Some(self.header_now()) }))
    }

    /// An alarm stands for as long as its cause does: it can be listed, and there is nothing to clear.
    async fn alarm(&self, request: Request<AlarmRequest>) -> Result<Response<AlarmResponse>, Status> {
        let (who, asked) = Credentials::split(request);
        match asked.action() {
            AlarmAction::Get => self.require_user(&who).await?,
            AlarmAction::Deactivate | AlarmAction::Activate => self.require_root(&who).await?,
        }
        match asked.action() {
            AlarmAction::Get => {
                let no_space =
                    AlarmMember { member_id: self.replica.get(), alarm: AlarmType::Nospace.into() };
                let alarms = self.is_full().then_some(no_space).into_iter().collect();
                Ok(Response::new(AlarmResponse { header: Some(self.header_now()), alarms }))
            }
            AlarmAction::Deactivate => {
                Ok(Response::new(AlarmResponse { header: Some(self.header_now()), alarms: Vec::new() }))
            }
            AlarmAction::Activate => Err(error::unimplemented("raising alarms")),
        }
    }

    /// Nothing has to be done: the space of what was deleted comes back by itself, and no call can hurry it.
    async fn defragment(
        &self,
        request: Request<DefragmentRequest>,
    ) -> Result<Response<DefragmentResponse>, Status> {
        self.require_root(&Credentials::split(request).0).await?;
        Ok(Response::new(DefragmentResponse { header: Some(self.header_now()) }))
    }

    /// The rolling hash over all that this member has applied, folded: as in etcd, for tests.
    async fn hash(&self, request: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        self.require_root(&Credentials::split(request).0).await?;
        let view = self.store.view(Consistency::Local).await.map_err(error::read)?;
        let header = view.header();
        Ok(Response::new(HashResponse {
            header: Some(self.header(header.revision)),
            hash: fold(header.hash),
        }))
    }

    async fn hash_kv(&self, request: Request<HashKvRequest>) -> Result<Response<HashKvResponse>, Status> {
        let (who, asked) = Credentials::split(request);
        self.require_root(&who).await?;
        let revision = convert::revision(asked.revision);
        let At { revision, answer } = self.store.contents_hash(revision).await.map_err(error::read)?;
        Ok(Response::new(HashKvResponse {
            header: Some(self.header(revision)),
            hash: fold(answer.hash),
            compact_revision: convert::signed(answer.compacted.get()),
            hash_revision: convert::signed(answer.at.get()),
        }))
    }

    async fn snapshot(
        &self,
        request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let ended = ending::of_stream(self.clone(), request.metadata());
        self.require_root(&Credentials::split(request).0).await?;
        let pieces = self.save_snapshot().await?;
        Ok(Response::new(Box::pin(ending::until(ended, pieces))))
    }

    async fn downgrade(
        &self,
        request: Request<DowngradeRequest>,
    ) -> Result<Response<DowngradeResponse>, Status> {
        self.require_root(&Credentials::split(request).0).await?;
        Err(error::unimplemented("downgrading"))
    }
}

/// etcd's hashes have 32 bits.
const fn fold(hash: u64) -> u32 {
    (hash ^ (hash >> 32)) as u32
}
