//! Maintenance and Cluster calls, as a client sends them.

use keelson_proto::etcd::rpc::{
    AlarmRequest, AlarmType, CompactionRequest, DefragmentRequest, DeleteRangeRequest, DowngradeRequest,
    HashKvRequest, HashRequest, MemberAddRequest, MemberListRequest, MemberPromoteRequest,
    MemberRemoveRequest, MemberUpdateRequest, MoveLeaderRequest, SnapshotRequest, StatusRequest,
    alarm_request::AlarmAction, cluster_client::ClusterClient,
};
use tonic::Code;

use super::{assert_refused, put_request, with_member, with_quota};
use crate::export;

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
    });
}

#[test]
fn places_for_members_are_kept_and_given_up_as_etcd_says_it() {
    with_member(async |served| {
        let mut cluster = ClusterClient::new(served.channel.clone());
        let add = |urls: &[&str], is_learner| MemberAddRequest {
            peer_ur_ls: urls.iter().map(ToString::to_string).collect(),
            is_learner,
        };
        let wrong = "etcdserver: given member URLs are invalid";
        assert_refused(cluster.member_add(add(&[], false)).await, Code::InvalidArgument, wrong);
        assert_refused(cluster.member_add(add(&["b:2380"], false)).await, Code::InvalidArgument, wrong);
        let added = cluster.member_add(add(&["http://b:2380"], false)).await.unwrap().into_inner();
        let place = added.member.unwrap();
        assert_eq!((place.name.as_str(), place.is_learner, added.members.len()), ("", true, 2));
        let twice = cluster.member_add(add(&["http://b:2380"], true)).await;
        assert_refused(twice, Code::FailedPrecondition, "etcdserver: Peer URLs already exists");
        let early = cluster.member_promote(MemberPromoteRequest { id: place.id }).await;
        let text = "etcdserver: can only promote a learner member which is in sync with leader";
        assert_refused(early, Code::FailedPrecondition, text);
        let moved = MemberUpdateRequest { id: place.id, peer_ur_ls: vec!["http://c:2380".into()] };
        let moved = cluster.member_update(moved).await.unwrap().into_inner();
        assert!(moved.members.iter().any(|member| member.peer_ur_ls == ["http://c:2380"]));
        let left = cluster.member_remove(MemberRemoveRequest { id: place.id }).await.unwrap().into_inner();
        assert_eq!(left.members.len(), 1);
        let again = cluster.member_remove(MemberRemoveRequest { id: place.id }).await;
        assert_refused(again, Code::NotFound, "etcdserver: member not found");
        let last = cluster.member_remove(MemberRemoveRequest { id: left.members[0].id }).await;
        let text = "etcdserver: re-configuration failed due to not enough started members";
        assert_refused(last, Code::FailedPrecondition, text);
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
        let raise = AlarmRequest { action: AlarmAction::Activate.into(), ..AlarmRequest::default() };
        assert_eq!(maintenance.alarm(raise).await.unwrap_err().code(), Code::Unimplemented);
        assert_eq!(
            maintenance.downgrade(DowngradeRequest::default()).await.unwrap_err().code(),
            Code::Unimplemented
        );
    });
}

#[test]
fn alarms_and_defragmentation_have_nothing_to_do() {
    with_member(async |served| {
        let mut maintenance = served.maintenance();
        for action in [AlarmAction::Get, AlarmAction::Deactivate] {
            let request = AlarmRequest { action: action.into(), ..AlarmRequest::default() };
            assert_eq!(maintenance.alarm(request).await.unwrap().into_inner().alarms, []);
        }
        maintenance.defragment(DefragmentRequest {}).await.unwrap();
    });
}

#[test]
fn hashes_follow_what_can_be_read() {
    with_member(async |served| {
        let mut maintenance = served.maintenance();
        served.put("a", "1").await;
        let whole = maintenance.hash(HashRequest {}).await.unwrap().into_inner();
        let mut hash = async |revision| maintenance.hash_kv(HashKvRequest { revision }).await;
        let before = hash(0).await.unwrap().into_inner();
        assert_eq!((before.compact_revision, before.hash_revision), (0, 2));
        served.put("a", "2").await;
        assert_eq!(hash(2).await.unwrap().into_inner().hash, before.hash);
        assert_ne!(hash(0).await.unwrap().into_inner().hash, before.hash);
        let future = "etcdserver: mvcc: required revision is a future revision";
        assert_refused(hash(9).await, Code::OutOfRange, future);
        assert_ne!(maintenance.hash(HashRequest {}).await.unwrap().into_inner().hash, whole.hash);
    });
}

#[test]
fn a_snapshot_is_a_whole_file_in_pieces_that_say_what_follows() {
    with_member(async |served| {
        let value = "v".repeat(300 << 10);
        for key in ["a", "b", "c"] {
            served.put(key, &value).await;
        }
        let mut pieces = served.maintenance().snapshot(SnapshotRequest {}).await.unwrap().into_inner();
        let mut file = Vec::new();
        let mut follows = Vec::new();
        while let Some(piece) = pieces.message().await.unwrap() {
            assert_eq!(piece.header.unwrap().revision, 4);
            file.extend_from_slice(&piece.blob);
            follows.push(file.len() as u64 + piece.remaining_bytes);
        }
        assert!(follows.len() > 3 && follows.iter().all(|total| *total == file.len() as u64), "{follows:?}");
        let contents = export::read(&file[..], |_| Ok(())).unwrap();
        assert_eq!((contents.head.revision.get(), contents.totals.keys), (4, 3));
    });
}

#[test]
fn beyond_the_quota_deletes_and_small_updates_go_on_and_growth_is_refused() {
    with_quota(Some(1 << 20), async |served| {
        served.put("small", "1").await;
        let large = "v".repeat(1 << 20);
        served.put("large", &large).await;
        let no_space = "etcdserver: mvcc: database space exceeded";
        let mut kv = served.kv();
        assert_refused(kv.put(put_request("new", "1")).await, Code::ResourceExhausted, no_space);
        assert_refused(kv.put(put_request("small", &large)).await, Code::ResourceExhausted, no_space);
        served.put("small", "2").await;
        let alarms = served.maintenance().alarm(AlarmRequest::default()).await.unwrap().into_inner().alarms;
        assert_eq!(alarms.iter().map(|alarm| alarm.alarm()).collect::<Vec<_>>(), [AlarmType::Nospace]);
        let status = served.maintenance().status(StatusRequest {}).await.unwrap().into_inner();
        assert_eq!((status.errors.len(), status.db_size_quota), (1, 1 << 20));

        kv.delete_range(DeleteRangeRequest { key: "large".into(), ..Default::default() }).await.unwrap();
        kv.compact(CompactionRequest { revision: 5, physical: true }).await.unwrap();
        // The sweep takes a moment.
        while kv.put(put_request("new", "1")).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            served.maintenance().alarm(AlarmRequest::default()).await.unwrap().into_inner().alarms,
            []
        );
    });
}
