//! Lease calls, as a client sends them.

use keelson_proto::etcd::{
    kv::event::EventType,
    rpc::{
        LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest,
        LeaseTimeToLiveRequest, PutRequest,
    },
};
use tokio_stream::iter;
use tonic::Code;

use super::{Served, assert_refused, put_request, watch::Watching, with_member};

async fn grant(served: &Served, id: i64, ttl: i64) -> i64 {
    let granted = served.lease().lease_grant(LeaseGrantRequest { id, ttl }).await.unwrap().into_inner();
    assert_eq!(granted.ttl, ttl);
    granted.id
}

async fn put_leased(served: &Served, key: &str, lease: i64) {
    served.kv().put(PutRequest { lease, ..put_request(key, "v") }).await.unwrap();
}

#[test]
fn a_lease_lives_until_it_is_revoked_and_takes_its_keys_along() {
    with_member(async |served| {
        let mut leases = served.lease();
        let id = grant(&served, 0, 60).await;
        assert!(id > 0, "the store has chosen an id");
        put_leased(&served, "b", id).await;
        put_leased(&served, "a", id).await;
        assert_eq!(served.get("a").await.kvs[0].lease, id);

        let asked = LeaseTimeToLiveRequest { id, keys: true };
        let lives = leases.lease_time_to_live(asked).await.unwrap().into_inner();
        assert_eq!((lives.id, lives.granted_ttl), (id, 60));
        assert!((58..=60).contains(&lives.ttl), "{lives:?}");
        assert_eq!(lives.keys, ["a", "b"]);

        leases.lease_revoke(LeaseRevokeRequest { id }).await.unwrap();
        assert_eq!(served.get("a").await.count, 0);
        let none = leases.lease_leases(LeaseLeasesRequest {}).await.unwrap().into_inner();
        assert_eq!(none.leases, []);
    });
}

#[test]
fn renewals_are_answered_one_by_one() {
    with_member(async |served| {
        grant(&served, 5, 60).await;
        let requests = [5, 6, 5].map(|id| LeaseKeepAliveRequest { id });
        let mut answers = served.lease().lease_keep_alive(iter(requests)).await.unwrap().into_inner();
        let mut seen = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            seen.push((answer.id, answer.ttl));
        }
        assert_eq!(seen, [(5, 60), (6, 0), (5, 60)], "a lease that does not exist has 0 seconds");
    });
}

#[test]
fn leases_that_cannot_be_are_refused_in_etcds_words() {
    with_member(async |served| {
        let mut leases = served.lease();
        grant(&served, 5, 60).await;
        let again = leases.lease_grant(LeaseGrantRequest { id: 5, ttl: 60 }).await;
        assert_refused(again, Code::FailedPrecondition, "etcdserver: lease already exists");
        let eternal = leases.lease_grant(LeaseGrantRequest { id: 6, ttl: 9_000_000_001 }).await;
        assert_refused(eternal, Code::OutOfRange, "etcdserver: too large lease TTL");
        let unknown = leases.lease_revoke(LeaseRevokeRequest { id: 6 }).await;
        assert_refused(unknown, Code::NotFound, "etcdserver: requested lease not found");

        let unknown = leases.lease_time_to_live(LeaseTimeToLiveRequest { id: 6, keys: true }).await;
        let unknown = unknown.unwrap().into_inner();
        assert_eq!((unknown.ttl, unknown.granted_ttl, unknown.keys.len()), (-1, 0, 0));

        let short = leases.lease_grant(LeaseGrantRequest { id: 7, ttl: 0 }).await.unwrap().into_inner();
        assert_eq!(short.ttl, 2, "a lease must outlive an election");
    });
}

#[test]
fn a_lease_that_is_not_renewed_expires() {
    with_member(async |served| {
        grant(&served, 5, 2).await;
        put_leased(&served, "a", 5).await;
        let mut watching = Watching::start(&served, None).await;
        let created = watching.create(Watching::on("a", "")).await;
        let expired = watching.next().await;
        assert_eq!(expired.events[0].r#type(), EventType::Delete);
        assert_eq!(expired.header.unwrap().revision, created.header.unwrap().revision + 1);
        assert_eq!(served.get("a").await.count, 0);
    });
}
