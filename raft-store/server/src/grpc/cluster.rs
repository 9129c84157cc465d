//! etcd's service Cluster: who belongs.
//!
//! Members can only be listed. Changing the membership is not part of this API yet.

use keelson_proto::etcd::rpc::{
    Member, MemberAddRequest, MemberAddResponse, MemberListRequest, MemberListResponse, MemberPromoteRequest,
    MemberPromoteResponse, MemberRemoveRequest, MemberRemoveResponse, MemberUpdateRequest,
    MemberUpdateResponse, cluster_server::Cluster,
};
use tonic::{Request, Response, Status};

use super::{Front, error};
use crate::{status::MemberStatus, store::Consistency};

#[tonic::async_trait]
impl Cluster for Front {
    async fn member_list(
        &self,
        request: Request<MemberListRequest>,
    ) -> Result<Response<MemberListResponse>, Status> {
        if request.get_ref().linearizable {
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
        _request: Request<MemberAddRequest>,
    ) -> Result<Response<MemberAddResponse>, Status> {
        Err(error::unimplemented("adding members"))
    }

    async fn member_remove(
        &self,
        _request: Request<MemberRemoveRequest>,
    ) -> Result<Response<MemberRemoveResponse>, Status> {
        Err(error::unimplemented("removing members"))
    }

    async fn member_update(
        &self,
        _request: Request<MemberUpdateRequest>,
    ) -> Result<Response<MemberUpdateResponse>, Status> {
        Err(error::unimplemented("changing a member's URLs"))
    }

    async fn member_promote(
        &self,
        _request: Request<MemberPromoteRequest>,
    ) -> Result<Response<MemberPromoteResponse>, Status> {
        Err(error::unimplemented("promoting members"))
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
