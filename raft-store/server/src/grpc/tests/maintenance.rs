//! Maintenance and Cluster calls, as a client sends them.

use keelson_proto::etcd::rpc::{
    AlarmRequest, DefragmentRequest, HashKvRequest, MemberAddRequest, MemberListRequest, MoveLeaderRequest,
    StatusRequest, cluster_client::ClusterClient,
};
use tonic::Code;

use super::{assert_refused, with_member};

#[test]
fn a_member_tells_how_it_is() {
    with_member(async |served| {
        let put = served.put("a", "1").await.header.unwrap();
        let status = served.maintenance().status(StatusRequest {}).await.unwrap().into_inner();
        let header = status.header.unwrap();
        assert_eq!((header.revision, header.cluster_id), (put.revision, put.cluster_id));
        assert_eq!((status.leader, header.member_id), (put.member_id, put.member_id));
        assert_eq!((status.raft_term, status.is_learner), (put.raft_term, false));
        assert!(status.raft_applied_index > 0 && status.raft_applied_index <= status.raft_index);
        assert_eq!(status.errors, Vec::<String>::new());
    });
}

#[test]
fn members_are_listed_with_their_addresses() {
    with_member(async |served| {
        let mut cluster = ClusterClient::new(served.channel.clone());
        let list = cluster.member_list(MemberListRequest { linearizable: true }).await.unwrap().into_inner();
        let [member] = list.members.as_slice() else { panic!("{list:?}") };
        assert_eq!((member.id, member.name.as_str()), (list.header.unwrap().member_id, "alone"));
        assert_eq!(member.client_ur_ls, [format!("http://{}", served.address)]);
        assert!(!member.is_learner);

        let added = cluster.member_add(MemberAddRequest::default()).await;
        assert_eq!(added.unwrap_err().code(), Code::Unimplemented);
    });
}

#[test]
fn leadership_goes_only_to_a_voter() {
    with_member(async |served| {
        let me = served.put("a", "1").await.header.unwrap().member_id;
        let mut maintenance = served.maintenance();
        maintenance.move_leader(MoveLeaderRequest { target_id: me }).await.unwrap();
        let stranger = maintenance.move_leader(MoveLeaderRequest { target_id: me ^ 1 }).await;
        assert_refused(stranger, Code::FailedPrecondition, "etcdserver: bad leader transferee");
    });
}

#[test]
fn what_is_missing_says_so() {
    with_member(async |served| {
        let mut maintenance = served.maintenance();
        let hash = maintenance.hash_kv(HashKvRequest::default()).await;
        assert_eq!(hash.unwrap_err().code(), Code::Unimplemented);
        let alarms = maintenance.alarm(AlarmRequest::default()).await.unwrap().into_inner();
        assert_eq!(alarms.alarms, []);
        maintenance.defragment(DefragmentRequest {}).await.unwrap();
    });
}
