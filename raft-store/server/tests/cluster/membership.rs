//! Changes of who belongs: replicas that come, are promoted, go, and are replaced.

use std::time::Duration;

use keelson_store::{
    Calling, Member, OpenError, Store,
    reconfigure::{Change, ReconfigureError, Refusal},
    status::MemberStatus,
};
use keelson_store_core::{
    engine::{Disk as _, Role},
    id::ReplicaId,
    schema::Header,
};

use crate::replicas::{Cluster, PATIENCE, TOKEN, eventually, put_at_last, value};

/// The member with a name, as a replica knows it.
fn member(store: &Store, name: &str) -> Option<MemberStatus> {
    store.status().members.into_iter().find(|member| member.member.name == name)
}

async fn id(store: &Store, name: &str) -> ReplicaId {
    eventually("a member", async || member(store, name).map(|member| member.replica)).await
}

/// Waits until a replica is a voter for good: while it becomes one, the old voters alone can decide, too.
async fn votes(store: &Store, name: &str) {
    eventually("a new voter", async || member(store, name)?.voter.then_some(())).await;
    let again = store.reconfigure(Change::Promote(id(store, name).await)).await;
    assert_eq!(refused(again), Refusal::NotLearner);
}

fn refused(result: Result<(), ReconfigureError>) -> Refusal {
    match result {
        Err(ReconfigureError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_replica_that_joins_learns_everything_and_becomes_a_voter_by_itself() {
    let mut cluster = Cluster::start().await;
    put_at_last(cluster.store(0), "before", "1").await;
    cluster.join(3).await.unwrap();
    votes(cluster.store(0), "d").await;
    assert_eq!(value(cluster.store(3), "before").await.as_deref(), Some("1"));
    // Four voters bear the loss of one; with the new one, writes go on.
    let leader = cluster.leader().await;
    cluster.kill(leader);
    let alive = cluster.alive();
    put_at_last(cluster.store(alive[0]), "after", "2").await;
    assert_eq!(value(cluster.store(3), "after").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn a_replica_that_joined_comes_back_after_a_crash_under_its_id() {
    let mut cluster = Cluster::start().await;
    cluster.join(3).await.unwrap();
    votes(cluster.store(0), "d").await;
    let before = id(cluster.store(0), "d").await;
    cluster.kill(3);
    cluster.restart(3).await;
    put_at_last(cluster.store(3), "key", "1").await;
    assert_eq!(cluster.store(3).status().replica, before);
}

#[tokio::test]
async fn a_member_is_removed_and_its_disk_is_nobody_any_more() {
    let mut cluster = Cluster::start().await;
    let gone = cluster.follower().await;
    let name = ["a", "b", "c"][gone];
    let asked = cluster.leader().await;
    let removed = id(cluster.store(asked), name).await;
    let was = member(cluster.store(asked), name).unwrap().member;
    cluster.store(asked).reconfigure(Change::Remove(removed)).await.unwrap();
    assert!(member(cluster.store(asked), name).is_none());
    // A request of its own may have been under way.
    let late = Change::Join { replica: removed, member: was, token: TOKEN.to_owned() };
    assert_eq!(refused(cluster.store(asked).reconfigure(late).await), Refusal::Removed);
    cluster.kill(gone);
    put_at_last(cluster.store(asked), "key", "1").await;
    assert_eq!(cluster.store(asked).status().members.iter().filter(|member| member.voter).count(), 2);
    // Two of two are needed now: another removal would leave one that nobody can outvote, and is allowed.
    let unknown = cluster.store(asked).reconfigure(Change::Remove(removed)).await;
    assert_eq!(refused(unknown), Refusal::NotFound);
}

#[tokio::test]
async fn the_leader_can_be_removed_and_the_others_go_on() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let asked = cluster.follower().await;
    let removed = id(cluster.store(asked), ["a", "b", "c"][leader]).await;
    cluster.store(asked).reconfigure(Change::Remove(removed)).await.unwrap();
    cluster.kill(leader);
    put_at_last(cluster.store(asked), "key", "1").await;
    assert_eq!(cluster.store(asked).status().members.len(), 2);
}

#[tokio::test]
async fn whoever_is_removed_finds_out_whether_it_leads_follows_or_was_away() {
    let mut cluster = Cluster::start().await;
    for number in [3, 4] {
        cluster.join(number).await.unwrap();
        votes(cluster.store(0), ["d", "e"][number - 3]).await;
    }
    let told = async |cluster: &Cluster, number: usize| {
        let why = tokio::time::timeout(PATIENCE, cluster.store(number).failed()).await;
        let why = why.expect("it does not find out");
        assert!(why.contains("was removed from its cluster") && why.contains("existing"), "{why}");
    };
    let names = ["a", "b", "c", "d", "e"];
    let leader = cluster.leader().await;
    let mut others = (0..5).filter(|number| *number != leader);
    let (asked, follower, away) = (others.next().unwrap(), others.next().unwrap(), others.next().unwrap());
    cluster.kill(away);
    for gone in [leader, follower, away] {
        let removed = id(cluster.store(asked), names[gone]).await;
        eventually("a removal", async || {
            cluster.store(asked).reconfigure(Change::Remove(removed)).await.ok()
        })
        .await;
    }
    for gone in [leader, follower] {
        told(&cluster, gone).await;
        cluster.kill(gone);
    }
    // Whatever its flags say.
    cluster.adjust(|options| options.cluster_token = "another".to_owned());
    cluster.restart(away).await;
    told(&cluster, away).await;
    put_at_last(cluster.store(asked), "key", "1").await;
}

#[tokio::test]
async fn a_learner_that_is_removed_finds_out_by_the_silence() {
    let mut cluster = Cluster::start().await;
    let kept =
        Member { peer_urls: vec!["memory://d".into()], calling: Calling::Learner, ..Member::default() };
    cluster.store(0).keep_place(kept).await.unwrap();
    cluster.join(3).await.unwrap();
    let learner = id(cluster.store(3), "d").await;
    eventually("a leader to be heard", async || cluster.store(3).status().leader.map(drop)).await;
    eventually("a removal", async || cluster.store(0).reconfigure(Change::Remove(learner)).await.ok()).await;
    let why = tokio::time::timeout(PATIENCE, cluster.store(3).failed()).await;
    assert!(why.expect("it does not find out").contains("was removed from its cluster"));
}

#[tokio::test]
async fn who_has_no_majority_or_hears_no_leader_knows_of_none() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let follower = cluster.follower().await;
    for gone in cluster.alive().into_iter().filter(|number| ![leader, follower].contains(number)) {
        cluster.kill(gone);
    }
    let id = cluster.store(leader).status().replica;
    assert_eq!(cluster.store(follower).status().leader, Some(id), "two of three are a majority");
    cluster.kill(follower);
    eventually("a leader alone", async || cluster.store(leader).status().leader.is_none().then_some(()))
        .await;
    cluster.restart(follower).await;
    let led = async |number: usize| {
        eventually("a leader", async || cluster.store(number).status().leader).await;
    };
    led(follower).await;
    led(leader).await;
    cluster.kill(leader);
    eventually("a follower alone", async || cluster.store(follower).status().leader.is_none().then_some(()))
        .await;
}

#[tokio::test]
async fn a_removal_that_would_lose_the_quorum_is_refused() {
    let mut cluster = Cluster::start().await;
    let dead = cluster.follower().await;
    cluster.kill(dead);
    let leader = cluster.leader().await;
    let living = cluster.alive().into_iter().find(|number| *number != leader).unwrap();
    let victim = id(cluster.store(leader), ["a", "b", "c"][living]).await;
    // At once: that the dead one was heard of a moment ago does not count.
    let refusal = cluster.store(leader).reconfigure(Change::Remove(victim)).await;
    assert_eq!(refused(refusal), Refusal::NotEnoughStarted);
    let buried = id(cluster.store(leader), ["a", "b", "c"][dead]).await;
    cluster.store(leader).reconfigure(Change::Remove(buried)).await.unwrap();
}

#[tokio::test]
async fn a_wiped_disk_comes_back_only_after_its_member_was_removed_and_then_as_a_learner() {
    let mut cluster = Cluster::start().await;
    cluster.join(3).await.unwrap();
    votes(cluster.store(0), "d").await;
    put_at_last(cluster.store(0), "key", "1").await;
    cluster.kill(3);
    cluster.wipe(3);
    let stranger = cluster.join(3).await.expect_err("a wiped disk must not take a member's place");
    let OpenError::Refused { reason, .. } = stranger else { panic!("{stranger}") };
    assert!(reason.contains("remove the old member"), "{reason}");
    let leader = cluster.leader().await;
    let old = id(cluster.store(leader), "d").await;
    cluster.store(leader).reconfigure(Change::Remove(old)).await.unwrap();
    cluster.join(3).await.unwrap();
    votes(cluster.store(leader), "d").await;
    assert_ne!(id(cluster.store(leader), "d").await, old, "no id comes back");
    assert_eq!(value(cluster.store(3), "key").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_replica_that_joined_and_was_removed_does_not_come_back_by_itself() {
    let mut cluster = Cluster::start().await;
    cluster.join(3).await.unwrap();
    votes(cluster.store(3), "d").await;
    let (former, removed) = (cluster.leader().await, id(cluster.store(3), "d").await);
    // Who leads learns of its own removal for certain.
    assert!(cluster.store(former).transfer_leadership(removed, PATIENCE).await);
    eventually("the heir to lead", async || {
        (cluster.store(3).status().leader == Some(removed)).then_some(())
    })
    .await;
    let _ = cluster.store(3).reconfigure(Change::Remove(removed)).await;
    eventually("a removal", async || {
        let status = cluster.store(3).status();
        let is_out = status.members.iter().all(|member| member.replica != removed);
        (is_out && status.applied_index == status.last_index).then_some(())
    })
    .await;
    cluster.kill_but(3, usize::MAX);
    assert!(matches!(cluster.join(3).await, Err(OpenError::Removed)));
    assert!(member(cluster.store(0), "d").is_none());
}

#[tokio::test]
async fn a_replica_whose_disk_fails_while_it_waits_to_be_taken_in_does_not_wait_for_ever() {
    let mut cluster = Cluster::start().await;
    (1..3).for_each(|number| cluster.kill(number));
    let joining = cluster.join_soon(3);
    eventually("an id", async || cluster.is_bound(3).then_some(())).await;
    cluster.fail_writes(3);
    cluster.restart(1).await;
    let error = joining.ready().await.err().expect("nothing can be written");
    assert!(matches!(error, OpenError::Raft(_)), "{error}");
}

#[tokio::test]
async fn a_member_that_was_away_hears_a_leader_that_came_meanwhile() {
    let mut cluster = Cluster::start().await;
    let away = cluster.follower().await;
    cluster.kill(away);
    cluster.join(3).await.unwrap();
    votes(cluster.store(3), "d").await;
    let (former, heir) = (cluster.leader().await, id(cluster.store(3), "d").await);
    assert!(cluster.store(former).transfer_leadership(heir, PATIENCE).await);
    put_at_last(cluster.store(3), "key", "1").await;
    assert_eq!(cluster.leader().await, 3);
    cluster.restart(away).await;
    assert_eq!(value(cluster.store(away), "key").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_founder_that_was_rolled_back_is_found_out_by_a_leader_that_came_later() {
    let mut cluster = Cluster::start().await;
    cluster.join(3).await.unwrap();
    votes(cluster.store(0), "d").await;
    let (former, heir) = (cluster.leader().await, id(cluster.store(3), "d").await);
    assert!(cluster.store(former).transfer_leadership(heir, PATIENCE).await);
    put_at_last(cluster.store(0), "key", "1").await;
    assert_eq!(value(cluster.store(0), "key").await.as_deref(), Some("1"));
    let copy = cluster.copy_disk(0);
    put_at_last(cluster.store(0), "key", "2").await;
    assert_eq!(cluster.leader().await, 3);
    eventually("an acknowledgement", async || {
        let leader = cluster.store(3).status();
        let matched = leader.members.iter().find(|member| member.member.name == "a")?.matched;
        (matched == leader.last_index).then_some(())
    })
    .await;
    cluster.kill(0);
    let error = cluster.restart_on(0, copy).await;
    assert!(matches!(&error, OpenError::RolledBack { peer, .. } if peer == "d"), "{error}");
}

#[tokio::test]
async fn a_member_that_starts_with_other_client_urls_is_listed_at_those() {
    let mut cluster = Cluster::start().await;
    let moved = cluster.follower().await;
    let name = ["a", "b", "c"][moved];
    let listed = |store: &Store| member(store, name).map(|member| member.member.client_urls);
    assert_eq!(listed(cluster.store(moved)), Some(Vec::new()));
    cluster.kill(moved);
    cluster.set_client_url("https://elsewhere:2379");
    cluster.restart(moved).await;
    let asked = cluster.leader().await;
    eventually("the new address", async || {
        (listed(cluster.store(asked))? == ["https://elsewhere:2379"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_member_that_has_what_the_others_have_forgotten_stops_and_keeps_it() {
    let mut cluster = Cluster::start().await;
    put_at_last(cluster.store(0), "key", "1").await;
    let leader = cluster.leader().await;
    let others: Vec<_> = (0..3).filter(|number| *number != leader).collect();
    let (back, away) = (others[0], others[1]);
    cluster.kill(away);
    cluster.kill(back);
    let old = cluster.copy_disk(back);
    cluster.restart(back).await;
    for number in 0..5 {
        put_at_last(cluster.store(back), "key", &number.to_string()).await;
    }
    let acknowledged = put_at_last(cluster.store(back), "key", "2").await;
    // Nobody is up any more who remembers the disk as it was. What the leader has applied is on its disk.
    cluster.kill_but(leader, usize::MAX);
    cluster.kill(back);
    cluster.set_disk(back, old);
    let starting = [back, away].map(|number| (number, cluster.restart_soon(number)));
    for (number, starting) in starting {
        cluster.revive(number, starting).await;
    }
    assert_ne!(value(cluster.store(back), "key").await.as_deref(), Some("2"), "it is forgotten");
    cluster.restart(leader).await;
    let why = tokio::time::timeout(PATIENCE, cluster.store(leader).failed()).await.expect("it stops");
    assert!(why.contains("a majority has forgotten what was acknowledged"), "{why}");
    let kept = cluster.take_disk(leader).open("state-0", Role::State).unwrap();
    assert_eq!(Header::load(&*kept).unwrap().revision, acknowledged, "nothing of it is gone");
}

#[tokio::test]
async fn a_place_that_was_kept_for_a_learner_makes_one_that_waits_to_be_promoted() {
    let mut cluster = Cluster::start().await;
    let kept =
        Member { peer_urls: vec!["memory://d".into()], calling: Calling::Learner, ..Member::default() };
    let place = cluster.store(0).keep_place(kept).await.unwrap();
    let early = cluster.store(0).reconfigure(Change::Promote(place)).await;
    assert_eq!(refused(early), Refusal::LearnerNotReady);
    cluster.join(3).await.unwrap();
    let joined = id(cluster.store(3), "d").await;
    assert_ne!(joined, place);
    assert!(cluster.store(3).status().members.iter().all(|member| member.replica != place));
    eventually("a promotion", async || {
        // It has come a moment ago: the leader may not have heard of it yet.
        cluster.store(1).reconfigure(Change::Promote(place)).await.ok()
    })
    .await;
    assert!(member(cluster.store(1), "d").unwrap().voter);
}

#[tokio::test]
async fn a_cluster_of_one_grows_to_three_and_bears_the_loss_of_its_founder() {
    let mut cluster = Cluster::start_alone().await;
    put_at_last(cluster.store(0), "key", "1").await;
    for (number, name) in [(3, "d"), (4, "e")] {
        cluster.join(number).await.unwrap();
        votes(cluster.store(0), name).await;
    }
    tokio::time::timeout(Duration::from_secs(20), cluster.store(0).shutdown()).await.unwrap();
    cluster.kill(0);
    put_at_last(cluster.store(3), "key", "2").await;
    assert_eq!(value(cluster.store(4), "key").await.as_deref(), Some("2"));
}
