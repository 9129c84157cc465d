//! Whether replicas that were asked one by one can decide anything together, and what each of them is. Pure.
//!
//! In: what each replica said about itself and its leader. Out: its [`Role`], and what stands in the way of reads and
//! writes. The two `status` commands learn the answers by different ways and judge them by the same rules.

use std::collections::BTreeSet;

use serde::Serialize;

/// One replica of the store, as far as it was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica<Id> {
    pub(crate) id: Id,
    /// Whether it counts for a majority.
    pub(crate) voter: bool,
    pub(crate) answer: Answer<Id>,
}

/// What a replica said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer<Id> {
    /// Nothing.
    Silent,
    /// That it knows no leader.
    Leaderless,
    /// That this one leads.
    Follows(Id),
}

/// What a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Role {
    Leader,
    Follower,
    Learner,
    Unreachable,
}

/// Why reads and writes wait.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    #[error(
        "only {answering} of {voters} voters answer: reads and writes wait until a majority does. Next: start the \
         others again"
    )]
    NoMajority { answering: usize, voters: usize },
    #[error("the store has no leader: reads and writes wait until one is elected")]
    NoLeader,
    /// After a restart the others still name the old leader, which does not lead until it is elected anew.
    #[error("nobody leads the store yet: an election is in progress")]
    NotYet,
    #[error("the replicas name different leaders: an election is in progress")]
    Disagreement,
}

impl Role {
    /// As tables print it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Learner => "learner",
            Self::Unreachable => "unreachable",
        }
    }
}

impl<Id: Ord> Replica<Id> {
    /// What this replica is, by its own word.
    pub(crate) fn role(&self) -> Role {
        match &self.answer {
            Answer::Silent => Role::Unreachable,
            Answer::Leaderless | Answer::Follows(_) if !self.voter => Role::Learner,
            Answer::Follows(leader) if *leader == self.id => Role::Leader,
            Answer::Leaderless | Answer::Follows(_) => Role::Follower,
        }
    }

    /// The leader that it names.
    fn leader(&self) -> Option<&Id> {
        match &self.answer {
            Answer::Silent | Answer::Leaderless => None,
            Answer::Follows(leader) => Some(leader),
        }
    }

    fn is_silent(&self) -> bool {
        matches!(self.answer, Answer::Silent)
    }
}

/// Whether the cluster can decide anything. A leader that lost its followers may not have noticed yet, so its word
/// alone is not enough.
pub(crate) fn problem<Id: Ord>(replicas: &[Replica<Id>]) -> Option<Problem> {
    let voters = replicas.iter().filter(|replica| replica.voter);
    let answering = voters.clone().filter(|voter| !voter.is_silent()).count();
    let voters = voters.count();
    if answering * 2 <= voters {
        return Some(Problem::NoMajority { answering, voters });
    }
    let leaders: BTreeSet<&Id> = replicas.iter().filter_map(Replica::leader).collect();
    let denies = |replica: &Replica<Id>| !replica.is_silent() && replica.leader() != Some(&replica.id);
    let denied = replicas.iter().any(|replica| leaders.contains(&replica.id) && denies(replica));
    match leaders.len() {
        0 => Some(Problem::NoLeader),
        1 if denied => Some(Problem::NotYet),
        1 => None,
        _ => Some(Problem::Disagreement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(id: u8, voter: bool, answer: Answer<u8>) -> Replica<u8> {
        Replica { id, voter, answer }
    }

    fn voters<const N: usize>(answers: [Answer<u8>; N]) -> Vec<Replica<u8>> {
        (1..).zip(answers).map(|(id, answer)| replica(id, true, answer)).collect()
    }

    use Answer::{Follows, Leaderless, Silent};

    #[test]
    fn a_majority_that_agrees_is_well_also_while_one_is_silent_or_has_not_heard() {
        for third in [Follows(1), Leaderless, Silent] {
            assert_eq!(problem(&voters([Follows(1), Follows(1), third])), None);
        }
    }

    #[test]
    fn half_of_the_voters_is_no_majority_and_learners_do_not_count() {
        let mut replicas = voters([Follows(1), Silent]);
        replicas.push(replica(3, false, Follows(1)));
        assert_eq!(problem(&replicas), Some(Problem::NoMajority { answering: 1, voters: 2 }));
    }

    #[test]
    fn no_leader_two_leaders_and_one_that_denies_it_are_told_apart() {
        assert_eq!(problem(&voters([Leaderless, Leaderless, Silent])), Some(Problem::NoLeader));
        assert_eq!(problem(&voters([Follows(1), Follows(2), Leaderless])), Some(Problem::Disagreement));
        assert_eq!(problem(&voters([Leaderless, Follows(1), Follows(1)])), Some(Problem::NotYet));
        // A leader that is silent is not asked for its word.
        assert_eq!(problem(&voters([Silent, Follows(1), Follows(1)])), None);
    }

    #[test]
    fn roles_follow_from_a_replicas_own_word() {
        let roles = [
            (replica(1, true, Follows(1)), Role::Leader),
            (replica(1, true, Follows(2)), Role::Follower),
            (replica(1, true, Leaderless), Role::Follower),
            (replica(1, false, Follows(2)), Role::Learner),
            (replica(1, false, Silent), Role::Unreachable),
        ];
        for (replica, role) in roles {
            assert_eq!(replica.role(), role, "{replica:?}");
        }
    }
}
