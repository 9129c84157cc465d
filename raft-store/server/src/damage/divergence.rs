//! Replicas compare what they have applied, all the time.
//!
//! In: the rolling hash after an entry, here and on every other member. Out: the end of a replica that is wrong, and doubt
//! where nobody can tell who is.
//!
//! # Rules
//! * **V1** What is compared is the rolling hash of all that was applied up to one entry: neither batches nor sweeping nor
//!   snapshots show in it. Whoever has differed once differs at every later entry, too, until it is refilled.
//! * **V2** A replica judges itself alone. It is wrong when a majority of the voters agrees on something else; then it
//!   stops, says so, and is refilled from a peer.
//! * **V3** Where no majority agrees (of two members, or of three while one is away) nobody knows who is wrong, and those
//!   who differ serve nothing. The log goes on meanwhile, so that a third one that comes back catches up and decides. Of
//!   two members none ever can: an operator has to say which one is replaced.
//! * **V4** Who is contradicted sends no snapshots: they would make a majority of what is wrong.
//!
//! Deliberately absent: certainty about what was served before. A replica that goes wrong is found out within a few
//! seconds, not at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use keelson_proto::peer::StateHash;
use keelson_store_core::{
    engine::EngineError,
    id::{LogIndex, ReplicaId},
    mutant::{self, Mutant},
    schema::Header,
};

use super::Sentinel;
use crate::{
    error::OpenError,
    membership,
    options::Member,
    peer::{Directory, wire::Body},
    record::DamagedPart,
    runtime::clock::sleep,
    state::SharedState,
    types::{Membership, Raft},
};

/// Between two comparisons. In that time the others apply what is compared.
const PACE: Duration = Duration::from_secs(1);
/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Who compares.
pub(crate) struct Comparison {
    raft: Raft,
    directory: Arc<Directory>,
    state: Arc<SharedState>,
    sentinel: Arc<Sentinel>,
}

/// What the hashes after one entry say about this replica.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judgement {
    /// A majority has this state, and nobody who answers another one.
    Alike,
    /// Nobody who answers has another state, and too few answer to be sure.
    Unopposed,
    /// These have another one, and a majority has this one.
    Right(Vec<ReplicaId>),
    /// These have another one, and are a majority.
    Wrong(Vec<ReplicaId>),
    /// These have another one, and no majority has any.
    Tied(Vec<ReplicaId>),
}

/// Compares until it is dropped, whenever something was applied; while there is doubt, without that.
pub(crate) async fn run(comparison: Comparison) {
    let mut applied = comparison.state.applied();
    let mut compared = None;
    loop {
        let index = applied.borrow_and_update().index;
        if index == compared && !comparison.state.is_in_doubt() {
            if applied.changed().await.is_err() {
                return;
            }
            continue;
        }
        sleep(PACE).await;
        if let Some(index) = index {
            comparison.round(index).await;
        }
        compared = index;
    }
}

impl Comparison {
    pub(crate) fn of(
        raft: &Raft,
        directory: &Arc<Directory>,
        state: &Arc<SharedState>,
        sentinel: &Arc<Sentinel>,
    ) -> Self {
        let (raft, directory) = (raft.clone(), directory.clone());
        Self { raft, directory, state: state.clone(), sentinel: sentinel.clone() }
    }

    async fn round(&self, index: LogIndex) {
        let Some(mine) = self.state.hash_after(index) else { return };
        let me = self.directory.me().replica;
        let membership = membership::current(&self.raft);
        let others = membership.nodes().filter(|(id, member)| **id != me && !member.name.is_empty());
        let asked = join_all(others.map(|(id, member)| self.ask(*id, member, index))).await;
        let answers: BTreeMap<_, _> = asked.into_iter().flatten().collect();
        let names = |who: &[ReplicaId]| {
            let name =
                |id| membership.get_node(id).map_or_else(|| id.to_string(), |member| member.name.clone());
            who.iter().map(name).collect::<Vec<_>>().join(", ")
        };
        match judge(me, mine, &answers, &membership) {
            Judgement::Alike => self.state.set_doubt(None),
            // Whoever was contradicted is not right because the other has fallen silent.
            Judgement::Unopposed => {}
            Judgement::Right(others) => {
                tracing::error!(%index, others = names(&others), "others have another state than most members");
                self.state.set_doubt(None);
            }
            Judgement::Wrong(_) if mutant::is(Mutant::IgnoreDivergence) => {}
            Judgement::Wrong(others) => {
                let others = names(&others);
                let what = format!(
                    "at entry {index} the state of most members ({others}) is another one: this one's is damaged"
                );
                self.sentinel.note(DamagedPart::Diverged, &what);
            }
            Judgement::Tied(others) => {
                let others = names(&others);
                let doubt = format!(
                    "at entry {index} this member and {others} have different states, and no majority says which is right"
                );
                tracing::error!(doubt, "nothing is served until it is known whose state is damaged");
                self.state.set_doubt(Some(doubt));
            }
        }
    }

    /// A member's hash, if it answers and knows.
    async fn ask(&self, replica: ReplicaId, member: &Member, index: LogIndex) -> Option<(ReplicaId, u64)> {
        let link = self.directory.control(replica, member);
        match link.request(Body::StateHash(StateHash { index: index.get() }), PATIENCE).await {
            Ok(Body::StateHashReply(reply)) => reply.hash.map(|hash| (replica, hash)),
            // Who is away, or older than the question, is not compared.
            Ok(_) | Err(_) => None,
        }
    }
}

/// A replica that starts: it takes part in nothing yet, and is not to spread what is wrong with it.
pub(crate) struct Start<'a> {
    pub(crate) me: ReplicaId,
    pub(crate) directory: &'a Directory,
    pub(crate) sentinel: &'a Sentinel,
    pub(crate) state: &'a SharedState,
}

impl Start<'_> {
    /// Compares the state on a disk with those of the peers at these URLs.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] where a majority has another one, which is noted by then.
    pub(crate) async fn check(
        &self,
        urls: &BTreeSet<&str>,
        header: Header,
        membership: Membership,
    ) -> Result<(), OpenError> {
        let Some(at) = header.applied else { return Ok(()) };
        let asked = urls.iter().map(|url| self.directory.state_hash(url, at.index, PATIENCE));
        let answers = join_all(asked).await.into_iter().flatten().flatten().collect();
        match judge(self.me, header.hash, &answers, &membership) {
            Judgement::Wrong(_) if !mutant::is(Mutant::IgnoreDivergence) => {
                let detail = format!("at entry {} that of most members is another one", at.index);
                let damaged = EngineError::Corrupt { what: "this member's state".to_owned(), detail };
                self.sentinel.note(DamagedPart::Diverged, &damaged.to_string());
                Err(damaged.into())
            }
            Judgement::Tied(_) => {
                let doubt = format!(
                    "at entry {} this member and others have different states, and too few answer",
                    at.index
                );
                self.state.set_doubt(Some(doubt));
                Ok(())
            }
            Judgement::Alike | Judgement::Unopposed | Judgement::Right(_) | Judgement::Wrong(_) => Ok(()),
        }
    }
}

/// V2 and V3.
fn judge(me: ReplicaId, mine: u64, answers: &BTreeMap<ReplicaId, u64>, membership: &Membership) -> Judgement {
    let differing: Vec<_> = answers.iter().filter(|(_, hash)| **hash != mine).collect();
    let hash_of = |voter: &ReplicaId| if *voter == me { Some(mine) } else { answers.get(voter).copied() };
    let is_majority = |hash: u64| {
        membership.get_joint_config().iter().all(|voters| {
            let agreeing = voters.iter().filter(|voter| hash_of(voter) == Some(hash)).count();
            agreeing > voters.len() / 2
        })
    };
    let ids = |keep: &dyn Fn(u64) -> bool| {
        differing.iter().filter(|(_, hash)| keep(**hash)).map(|(id, _)| **id).collect::<Vec<_>>()
    };
    if let Some((_, right)) = differing.iter().find(|(_, hash)| is_majority(**hash)) {
        return Judgement::Wrong(ids(&|hash| hash == **right));
    }
    match (differing.is_empty(), is_majority(mine)) {
        (true, true) => Judgement::Alike,
        (true, false) => Judgement::Unopposed,
        (false, true) => Judgement::Right(ids(&|_| true)),
        (false, false) => Judgement::Tied(ids(&|_| true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of voters 1 to `voters` and learner 9, as replica `me` with hash 7 sees the answers of others.
    fn judged(me: u64, voters: u64, answers: &[(u64, u64)]) -> Judgement {
        let id = ReplicaId::new;
        let members: BTreeMap<_, _> = (1..=voters).chain([9]).map(|n| (id(n), Member::default())).collect();
        let membership = Membership::new(vec![(1..=voters).map(id).collect()], members).unwrap();
        judge(id(me), 7, &answers.iter().map(|(n, hash)| (id(*n), *hash)).collect(), &membership)
    }

    fn ids(ids: &[u64]) -> Vec<ReplicaId> {
        ids.iter().copied().map(ReplicaId::new).collect()
    }

    #[test]
    fn who_differs_from_a_majority_is_wrong_and_its_peers_are_right() {
        assert_eq!(judged(1, 3, &[(2, 7), (3, 7)]), Judgement::Alike);
        assert_eq!(judged(1, 3, &[(2, 8), (3, 8)]), Judgement::Wrong(ids(&[2, 3])));
        assert_eq!(judged(1, 3, &[(2, 7), (3, 8)]), Judgement::Right(ids(&[3])));
        assert_eq!(judged(1, 5, &[(2, 8), (3, 8), (4, 8)]), Judgement::Wrong(ids(&[2, 3, 4])));
    }

    #[test]
    fn without_a_majority_nobody_knows() {
        assert_eq!(judged(1, 2, &[(2, 8)]), Judgement::Tied(ids(&[2])));
        assert_eq!(judged(1, 3, &[(2, 8)]), Judgement::Tied(ids(&[2])));
        assert_eq!(judged(1, 3, &[(2, 8), (3, 9)]), Judgement::Tied(ids(&[2, 3])));
        assert_eq!(judged(1, 3, &[]), Judgement::Unopposed, "nobody has said anything else");
    }

    #[test]
    fn learners_judge_themselves_and_do_not_count_for_others() {
        assert_eq!(judged(9, 3, &[(1, 8), (2, 8)]), Judgement::Wrong(ids(&[1, 2])));
        assert_eq!(judged(1, 3, &[(2, 7), (9, 8)]), Judgement::Right(ids(&[9])));
        assert_eq!(judged(1, 3, &[(2, 8), (9, 7)]), Judgement::Tied(ids(&[2])));
    }
}
