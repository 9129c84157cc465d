//! etcd's service Cluster: who belongs.
//!
//! As in etcd, adding a member keeps a place for a process that is still to come. Two things differ: the process brings
//! the id of its disk, so the member is listed under another id once it has come (requests that name the first one mean it all
//! the same); and whoever comes is a learner first, and becomes a
//! voter by itself when it has caught up (unless it was added as a learner).

use keelson_proto::etcd::rpc::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest,
    MemberUpdateResponse, cluster_server::Cluster,
};
use keelson_store_core::id::ReplicaId;
use tonic::{Request, Response, Status};

use super::{Front, error, identity::Credentials};
use crate::{
    options::{self, Calling},
    peer::is_peer_url,
    reconfigure::Change,
    status::MemberStatus,
    store::Consistency,
};

#[tonic::async_trait]
impl Cluster for Front {
    async fn member_list(
        &self,
        request: Request<MemberListRequest>,
    ) -> Result<Response<MemberListResponse>, Status> {
        let (who, MemberListRequest { linearizable }) = Credentials::split(request);
        self.require_user(&who).await?;
        if linearizable {
            // A membership is an entry of the log: whoever has applied all that is committed knows the
            // newest.
            self.store.view(Consistency::Linearizable).await.map_err(error::read)?;
        }
        let status = self.store.status();
        Ok(Response::new(MemberListResponse {
            header: Some(self.header_in(status.term, status.revision)),
            members: status.members.into_iter().map(member).collect(),
        }))
    }

    async fn member_add(
        &self,
        request: Request<MemberAddRequest>,
    ) -> Result<Response<MemberAddResponse>, Status> {
        let (who, MemberAddRequest { peer_ur_ls, is_learner }) = Credentials::split(request);
        self.require_root(&who).await?;
        let peer_urls = checked(peer_ur_ls)?;
        let calling = if is_learner { Calling::Learner } else { Calling::Voter };
        let kept = options::Member { peer_urls, calling, ..options::Member::default() };
        let place = self.store.keep_place(kept).await.map_err(error::reconfigure)?;
        let members = self.members();
        let added = members.iter().find(|member| member.id == place.get()).cloned();
        Ok(Response::new(MemberAddResponse { header: Some(self.header_now()), member: added, members }))
    }

    async fn member_remove(
        &self,
        request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        let (who, MemberRemoveRequest { id }) = Credentials::split(request);
        self.require_root(&who).await?;
        let members = self.reconfigure(Change::Remove(ReplicaId::new(id))).await?;
        Ok(Response::new(MemberRemoveResponse { header: Some(self.header_now()), members }))
    }

    async fn member_update(
        &self,
        request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        let (who, MemberUpdateRequest { id, peer_ur_ls }) = Credentials::split(request);
        self.require_root(&who).await?;
        let change = Change::Update { replica: ReplicaId::new(id), peer_urls: checked(peer_ur_ls)? };
        let members = self.reconfigure(change).await?;
        Ok(Response::new(MemberUpdateResponse { header: Some(self.header_now()), members }))
    }

    async fn member_promote(
        &self,
        request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        let (who, MemberPromoteRequest { id }) = Credentials::split(request);
        self.require_root(&who).await?;
        let members = self.reconfigure(Change::Promote(ReplicaId::new(id))).await?;
        Ok(Response::new(MemberPromoteResponse { header: Some(self.header_now()), members }))
    }
}

impl Front {
    /// Carries a change out, and returns the members after it.
    async fn reconfigure(&self, change: Change) -> Result<Vec<Member>, Status> {
        self.store.reconfigure(change).await.map_err(error::reconfigure)?;
        Ok(self.members())
    }

    fn members(&self) -> Vec<Member> {
        self.store.status().members.into_iter().map(member).collect()
    }
}

/// Peer URLs as etcd takes them: at least one, each with a scheme, a host and a port.
fn checked(urls: Vec<String>) -> Result<Vec<String>, Status> {
    match !urls.is_empty() && urls.iter().all(|url| is_peer_url(url)) {
        true => Ok(urls),
        false => Err(Status::invalid_argument("etcdserver: given member URLs are invalid")),
    }
}

fn member(from: MemberStatus) -> Member {
    Member {
        id: from.replica.get(),
        name: from.member.name,
        peer_ur_ls: from.member.peer_urls,
        client_ur_ls: from.member.client_urls,
        is_learner: !from.voter,
    }
}
