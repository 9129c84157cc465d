//! What a change does to a membership, and what a membership needs by itself. Pure.
//!
//! In: the membership in force, who has been heard of and what they have of the log, and the change. Out: the one step
//! that Raft is to take, or the rule that forbids it.
//!
//! # Rules
//! * **M1** A disk comes in as a learner, under its own id; a name belongs to one disk.
//! * **M2** A voter is made only of a learner that is heard of and has nearly all of the log.
//! * **M3** No change of voters leaves fewer of them alive than a majority of the new ones: it would never be completed,
//!   and nothing after it. Alive is who has answered since the change was asked for.
//! * **M4** A change that is half done (a joint membership whose leader was lost) is completed before another begins.
//! * **M5** A leader that was removed changes nothing any more. It leads on for a moment, until it notices.

use std::collections::{BTreeMap, BTreeSet};

use keelson_store_core::id::ReplicaId;
use openraft::{ChangeMembers, async_runtime::watch::WatchReceiver as _};

use super::{Change, Refusal};
use crate::{
    options::{Calling, Member},
    runtime::clock::Instant,
    types::{Membership, Raft},
};

/// A learner this many entries behind has caught up: the rest takes it less time than an election.
const NEAR: u64 = 1_000;

/// What the leader knows of the others.
pub(super) struct Health {
    /// Itself.
    pub(super) leader: ReplicaId,
    /// Who has answered, without itself.
    pub(super) alive: BTreeSet<ReplicaId>,
    /// Who has nearly all of the log, without itself.
    pub(super) near: BTreeSet<ReplicaId>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is so already.
    Nothing,
    /// Raft is to change this.
    Change(ChangeMembers<ReplicaId, Member>),
}

impl Health {
    /// What this leader knows, of those that have answered since `began`.
    pub(super) fn since(raft: &Raft, began: Instant) -> Self {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let heartbeats = metrics.heartbeat.iter().flatten();
        let since = began.elapsed();
        let lately = heartbeats.filter(|(_, at)| at.is_some_and(|at| at.into_inner().elapsed() <= since));
        let last = metrics.last_log_index.unwrap_or_default();
        let replicated = metrics.replication.iter().flatten();
        let near = replicated.filter(|(_, matched)| {
            matched.as_ref().is_some_and(|matched| last.saturating_sub(matched.index()) <= NEAR)
        });
        Self {
            leader: metrics.id,
            alive: lately.map(|(id, _)| *id).collect(),
            near: near.map(|(id, _)| *id).collect(),
        }
    }

    /// Whether nobody is missing.
    pub(super) fn is_complete(&self, membership: &Membership) -> bool {
        membership.nodes().all(|(id, member)| member.name.is_empty() || self.is_alive(*id))
    }

    /// M5.
    pub(super) fn may_change(&self, membership: &Membership) -> bool {
        membership.get_node(&self.leader).is_some()
    }

    fn is_alive(&self, replica: ReplicaId) -> bool {
        replica == self.leader || self.alive.contains(&replica)
    }

    /// Whether a majority of these voters is alive (M3).
    fn have_quorum(&self, voters: &BTreeSet<ReplicaId>) -> bool {
        let alive = voters.iter().filter(|voter| self.is_alive(**voter)).count();
        alive > voters.len() / 2
    }

    /// M2.
    fn is_ready(&self, learner: ReplicaId) -> bool {
        self.alive.contains(&learner) && self.near.contains(&learner)
    }
}

/// The step that a change takes.
///
/// # Errors
/// The rule that forbids it.
pub(super) fn plan(
    membership: &Membership,
    health: &Health,
    token: &str,
    change: &Change,
) -> Result<Step, Refusal> {
    if is_half_done(membership) {
        return Err(Refusal::InProgress);
    }
    match change {
        Change::Add { place, member } => {
            check_urls(membership, &member.peer_urls, None)?;
            Ok(add(*place, member.clone()))
        }
        Change::Join { token: given, .. } if given != token => Err(Refusal::Token),
        Change::Join { replica, member, token: _ } => join(membership, *replica, member),
        Change::Promote(replica) => promote(membership, health, known_as(membership, *replica)),
        Change::Remove(replica) => remove(membership, health, known_as(membership, *replica)),
        Change::Announce { replica, client_urls } => announce(membership, *replica, client_urls),
        Change::Update { replica, peer_urls } => {
            update(membership, known_as(membership, *replica), peer_urls)
        }
    }
}

/// What a membership needs without being asked: M4, and voters of the learners that are called to it.
pub(super) fn upkeep(membership: &Membership, health: &Health) -> Option<ChangeMembers<ReplicaId, Member>> {
    if !health.may_change(membership) {
        return None;
    }
    if is_half_done(membership) {
        return Some(ChangeMembers::AddVoterIds(BTreeSet::new()));
    }
    let voters = voters(membership);
    let called = membership.nodes().filter(|(id, member)| {
        !voters.contains(id) && !member.name.is_empty() && member.calling == Calling::Voter
    });
    let ready = called.map(|(id, _)| *id).find(|id| health.is_ready(*id))?;
    let after = voters.into_iter().chain([ready]).collect();
    health.have_quorum(&after).then(|| ChangeMembers::AddVoterIds([ready].into()))
}

fn is_half_done(membership: &Membership) -> bool {
    membership.get_joint_config().len() > 1
}

fn voters(membership: &Membership) -> BTreeSet<ReplicaId> {
    membership.voter_ids().collect()
}

/// Whom an id means: the member that has it, or the one that has come to the place that had it.
fn known_as(membership: &Membership, id: ReplicaId) -> ReplicaId {
    let mut came = membership.nodes().filter(|(_, member)| member.place == Some(id));
    match membership.get_node(&id) {
        Some(_) => id,
        None => came.next().map_or(id, |(replica, _)| *replica),
    }
}

fn add(replica: ReplicaId, member: Member) -> Step {
    Step::Change(ChangeMembers::AddNodes(BTreeMap::from([(replica, member)])))
}

fn join(membership: &Membership, replica: ReplicaId, member: &Member) -> Result<Step, Refusal> {
    if membership.get_node(&replica).is_some() {
        // It asks again, because it missed the answer.
        return Ok(Step::Nothing);
    }
    if let Some((known, _)) = membership.nodes().find(|(_, known)| known.name == member.name) {
        return Err(Refusal::MemberExists { name: member.name.clone(), known: known.get() });
    }
    let place = membership.nodes().find(|(_, kept)| {
        kept.name.is_empty() && kept.peer_urls.iter().any(|url| member.peer_urls.contains(url))
    });
    check_urls(membership, &member.peer_urls, place.map(|(id, _)| *id))?;
    Ok(match place {
        None => add(replica, member.clone()),
        Some((place, kept)) => {
            let member = Member { calling: kept.calling, place: Some(*place), ..member.clone() };
            Step::Change(ChangeMembers::Batch(vec![
                ChangeMembers::AddNodes(BTreeMap::from([(replica, member)])),
                ChangeMembers::RemoveNodes(BTreeSet::from([*place])),
            ]))
        }
    })
}

fn promote(membership: &Membership, health: &Health, replica: ReplicaId) -> Result<Step, Refusal> {
    let mut after = voters(membership);
    if membership.get_node(&replica).is_none() {
        return Err(Refusal::NotFound);
    }
    if !after.insert(replica) {
        return Err(Refusal::NotLearner);
    }
    if !health.is_ready(replica) {
        return Err(Refusal::LearnerNotReady);
    }
    if !health.have_quorum(&after) {
        return Err(Refusal::NotEnoughStarted);
    }
    Ok(Step::Change(ChangeMembers::AddVoterIds([replica].into())))
}

fn remove(membership: &Membership, health: &Health, replica: ReplicaId) -> Result<Step, Refusal> {
    let mut after = voters(membership);
    if membership.get_node(&replica).is_none() {
        return Err(Refusal::NotFound);
    }
    if !after.remove(&replica) {
        return Ok(Step::Change(ChangeMembers::RemoveNodes([replica].into())));
    }
    if after.is_empty() || !health.have_quorum(&after) {
        return Err(Refusal::NotEnoughStarted);
    }
    Ok(Step::Change(ChangeMembers::RemoveVoters([replica].into())))
}

fn announce(membership: &Membership, replica: ReplicaId, client_urls: &[String]) -> Result<Step, Refusal> {
    let member = membership.get_node(&replica).ok_or(Refusal::NotFound)?;
    Ok(set(replica, member, Member { client_urls: client_urls.to_vec(), ..member.clone() }))
}

fn update(membership: &Membership, replica: ReplicaId, peer_urls: &[String]) -> Result<Step, Refusal> {
    let member = membership.get_node(&replica).ok_or(Refusal::NotFound)?;
    check_urls(membership, peer_urls, Some(replica))?;
    Ok(set(replica, member, Member { peer_urls: peer_urls.to_vec(), ..member.clone() }))
}

/// Puts a member in place of what it was.
fn set(replica: ReplicaId, was: &Member, member: Member) -> Step {
    match member == *was {
        true => Step::Nothing,
        false => Step::Change(ChangeMembers::SetNodes(BTreeMap::from([(replica, member)]))),
    }
}

/// A URL belongs to one member.
fn check_urls(membership: &Membership, urls: &[String], but: Option<ReplicaId>) -> Result<(), Refusal> {
    let mut others = membership.nodes().filter(|(id, _)| Some(**id) != but);
    match others.any(|(_, other)| other.peer_urls.iter().any(|url| urls.contains(url))) {
        true => Err(Refusal::PeerUrlExists),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
