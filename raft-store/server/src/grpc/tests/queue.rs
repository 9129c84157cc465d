//! Locks and elections, as clients of etcd's services use them.

use keelson_proto::etcd::{
    election::{
        CampaignRequest, LeaderRequest, ProclaimRequest, ResignRequest, election_client::ElectionClient,
    },
    lock::{LockRequest, UnlockRequest, lock_client::LockClient},
    rpc::{LeaseGrantRequest, LeaseRevokeRequest, RangeRequest},
};
use tokio_stream::StreamExt as _;
use tonic::{Code, transport::Channel};

use super::{Served, assert_refused, with_member};

async fn lease(served: &Served, id: i64) -> i64 {
    let grant = LeaseGrantRequest { id, ttl: 60 };
    served.lease().lease_grant(grant).await.unwrap().into_inner().id
}

async fn revoke(served: &Served, id: i64) {
    served.lease().lease_revoke(LeaseRevokeRequest { id }).await.unwrap();
}

fn locks(served: &Served) -> LockClient<Channel> {
    LockClient::new(served.channel.clone())
}

/// How many keys begin with `l/`.
async fn waiting(served: &Served) -> i64 {
    let request =
        RangeRequest { key: "l/".into(), range_end: "l0".into(), count_only: true, ..Default::default() };
    served.kv().range(request).await.unwrap().into_inner().count
}

async fn until_waiting(served: &Served, count: i64) {
    while waiting(served).await != count {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_lock_passes_to_whoever_waits_when_it_is_unlocked_or_its_lease_ends() {
    with_member(async |served| {
        let request = async |id| LockRequest { name: "l".into(), lease: lease(&served, id).await };
        let first = locks(&served).lock(request(1).await).await.unwrap().into_inner();
        assert_eq!(first.key, "l/1");
        let again = LockRequest { name: "l".into(), lease: 1 };
        assert_eq!(locks(&served).lock(again).await.unwrap().into_inner().key, "l/1", "it has it already");

        let mut other = locks(&served);
        let second = request(2).await;
        let second = tokio::spawn(async move { other.lock(second).await });
        until_waiting(&served, 2).await;
        assert!(!second.is_finished());
        locks(&served).unlock(UnlockRequest { key: first.key }).await.unwrap();
        assert_eq!(second.await.unwrap().unwrap().into_inner().key, "l/2");

        let mut other = locks(&served);
        let third = request(3).await;
        let third = tokio::spawn(async move { other.lock(third).await });
        until_waiting(&served, 2).await;
        revoke(&served, 2).await;
        assert_eq!(third.await.unwrap().unwrap().into_inner().key, "l/3");
    });
}

#[test]
fn whoever_goes_away_while_it_waits_leaves_the_queue() {
    with_member(async |served| {
        let held = LockRequest { name: "l".into(), lease: 0 };
        locks(&served).lock(held).await.unwrap();
        let mut other = locks(&served);
        let request = LockRequest { name: "l".into(), lease: lease(&served, 5).await };
        let waits = tokio::spawn(async move { other.lock(request).await });
        until_waiting(&served, 2).await;
        waits.abort();
        until_waiting(&served, 1).await;
    });
}

#[test]
fn a_lock_on_a_lease_that_does_not_exist_is_refused() {
    with_member(async |served| {
        let refused = locks(&served).lock(LockRequest { name: "l".into(), lease: 77 }).await;
        assert_refused(refused, Code::Unknown, "etcdserver: requested lease not found");
    });
}

#[test]
fn an_election_has_one_leader_and_observers_hear_of_each() {
    with_member(async |served| {
        let mut election = ElectionClient::new(served.channel.clone());
        let name = LeaderRequest { name: "e".into() };
        assert_refused(election.leader(name.clone()).await, Code::Unknown, "election: no leader");
        let mut observed = election.observe(name.clone()).await.unwrap().into_inner();
        let campaign = async |id, value: &'static str| CampaignRequest {
            name: "e".into(),
            lease: lease(&served, id).await,
            value: value.into(),
        };

        let first = election.campaign(campaign(1, "one").await).await.unwrap().into_inner().leader.unwrap();
        assert_eq!((first.name.as_ref(), first.key.as_ref(), first.lease), (&b"e"[..], &b"e/1"[..], 1));
        let mut other = election.clone();
        let second = campaign(2, "two").await;
        let second = tokio::spawn(async move { other.campaign(second).await });
        let proclaim = ProclaimRequest { leader: Some(first.clone()), value: "one again".into() };
        election.proclaim(proclaim.clone()).await.unwrap();
        assert_eq!(election.leader(name).await.unwrap().into_inner().kv.unwrap().value, "one again");
        election.resign(ResignRequest { leader: Some(first.clone()) }).await.unwrap();
        second.await.unwrap().unwrap();

        let late = election.proclaim(proclaim).await;
        assert_refused(late, Code::Unknown, "election: not leader");
        for expected in ["one", "one again", "two"] {
            let told = observed.next().await.unwrap().unwrap();
            assert_eq!(told.kv.unwrap().value, expected);
        }
        let nobody = election.resign(ResignRequest { leader: None }).await;
        assert_refused(nobody, Code::InvalidArgument, "\"leader\" field must be provided");
    });
}
