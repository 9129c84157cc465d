//! What the logs say of elections.

use crate::cluster::{Cluster, Member};
use crate::wait::{self, PATIENCE};

const LEADS: &str = "this member became leader";
const FOLLOWS: &str = "this member follows";
const LOST: &str = "this member lost leadership";
const LEADERLESS: &str = "there is no leader any more";

async fn says(member: &mut Member, text: &str) {
    let process = member.process();
    wait::until(&format!("the log says {text:?}"), PATIENCE, async || {
        process.printed().contains(text).then_some(())
    })
    .await;
}

#[tokio::test]
async fn every_member_says_once_who_leads_and_when_nobody_does() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    for (number, member) in cluster.members.iter_mut().enumerate() {
        says(member, if number == leader { LEADS } else { FOLLOWS }).await;
    }
    let others: Vec<_> = (0..3).filter(|number| *number != leader).collect();
    for number in &others {
        cluster.members[*number].kill();
    }
    says(&mut cluster.members[leader], LOST).await;
    for number in &others {
        cluster.members[*number].start();
    }
    let heir = cluster.leader().await;
    says(&mut cluster.members[leader], "without_leader_for=").await;

    let left = others.into_iter().find(|number| *number != heir).unwrap_or(leader);
    let last = (0..3).find(|number| ![heir, left].contains(number)).unwrap();
    says(&mut cluster.members[left], FOLLOWS).await;
    cluster.members[last].kill();
    cluster.members[heir].kill();
    says(&mut cluster.members[left], LEADERLESS).await;
}
