//! Finds out whether this disk was rolled back, before it votes.
//!
//! A disk that was restored from a copy, or that lost what it had synced, has promised things that it no longer
//! knows of: with its vote, entries could be lost that were acknowledged with its help. Its peers remember: who
//! leads knows what the replica has acknowledged, and everybody knows whether they voted for it.
//!
//! Peers are those whom the flags name, those whom the disk knows, for who came later stands in no founder's flags, and
//! the leader whom they follow, for it may have come after this disk was copied.
//!
//! Deliberately absent: certainty. Peers remember only what they have seen since they started, and one that is
//! away cannot be asked.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use keelson_proto::peer::RecallReply;
use keelson_store_core::{
    id::LogPosition,
    mutant::{self, Mutant},
};

use crate::{
    error::OpenError,
    options::{Member, StoreOptions},
    peer::{Directory, Identity, wire},
    record::VoteRecord,
    types,
};

/// How long a peer may take to answer. One that is away must not keep a cluster from starting.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is on this disk.
pub(super) struct OnDisk {
    /// The last entry of the log or of the state, whichever is later.
    pub(super) last: Option<LogPosition>,
    /// The last vote.
    pub(super) vote: Option<VoteRecord>,
    /// The members in the state.
    pub(super) members: Vec<Member>,
}

/// Asks all peers at once what they remember of this replica.
///
/// # Errors
/// [`OpenError::RolledBack`] when one of them has seen more than the disk has.
pub(super) async fn check(
    directory: &Directory,
    others: &BTreeSet<&str>,
    on_disk: &OnDisk,
) -> Result<(), OpenError> {
    if mutant::is(Mutant::VoteAfterWipe) {
        return Ok(());
    }
    let mut leaders = BTreeSet::new();
    for (peer, remembered) in ask(directory, others.iter().copied()).await {
        tracing::debug!(peer = peer.name, ?remembered, found = ?on_disk.last, "a peer says what it remembers of this disk");
        compare(&peer, &remembered, on_disk)?;
        leaders.extend(remembered.leader_urls);
    }
    leaders.retain(|url| !others.contains(url.as_str()));
    for (peer, remembered) in ask(directory, leaders.iter().map(String::as_str)).await {
        compare(&peer, &remembered, on_disk)?;
    }
    Ok(())
}

/// What those remember who answer.
async fn ask<'a>(
    directory: &Directory,
    urls: impl Iterator<Item = &'a str>,
) -> impl Iterator<Item = (Identity, RecallReply)> {
    join_all(urls.map(|url| directory.recall(url, PATIENCE))).await.into_iter().flatten()
}

/// Where there may be somebody who remembers this replica.
pub(super) fn others<'a>(options: &'a StoreOptions, members: &'a [Member]) -> BTreeSet<&'a str> {
    let told = options.initial_cluster.iter().map(|other| (&other.name, &other.peer_url));
    let known = members.iter().flat_map(|other| other.peer_urls.iter().map(|url| (&other.name, url)));
    let is_other = |(name, _): &(&String, &String)| **name != options.member.name;
    told.chain(known).filter(is_other).map(|(_, url)| url.as_str()).collect()
}

fn compare(peer: &Identity, remembered: &RecallReply, on_disk: &OnDisk) -> Result<(), OpenError> {
    let rolled_back =
        |seen: String, found: String| OpenError::RolledBack { peer: peer.name.clone(), seen, found };
    let own = on_disk.vote.map(VoteRecord::vote);
    let matched = remembered.matched.map(|id| types::position(&wire::log_id(id)));
    // What was acknowledged in a term before the disk's vote was on the disk when it voted: if it is gone, then a
    // later leader has taken it back. A crash may come between that and the entries that were to replace it.
    let outvoted = own.zip(remembered.matched_in).is_some_and(|(own, term)| own.leader_id.term > term);
    if matched > on_disk.last && !outvoted {
        return Err(rolled_back(entry(matched), entry(on_disk.last)));
    }
    match remembered.vote.and_then(|vote| wire::vote(Some(vote)).ok()) {
        // Both votes are this replica's own: they differ in term, or in whether a quorum had granted it.
        Some(seen) if own.is_none_or(|own| own.leader_id.term < seen.leader_id.term) => {
            let found =
                own.map_or_else(|| "no vote".to_owned(), |own| format!("term {}", own.leader_id.term));
            Err(rolled_back(format!("a vote in term {}", seen.leader_id.term), found))
        }
        Some(_) | None => Ok(()),
    }
}

fn entry(at: Option<LogPosition>) -> String {
    at.map_or_else(|| "no entry".to_owned(), |at| format!("entry {} of term {}", at.index, at.term))
}

#[cfg(test)]
mod tests {
    use keelson_proto::peer;
    use keelson_store_core::id::{ClusterId, LogIndex, ReplicaId, Term};

    use super::*;
    use crate::options::InitialMember;

    fn at(term: u64, index: u64) -> LogPosition {
        LogPosition { term: Term::new(term), index: LogIndex::new(index) }
    }

    fn compared(
        remembered: &RecallReply,
        last: Option<LogPosition>,
        voted_in: Option<u64>,
    ) -> Option<String> {
        let me = ReplicaId::new(7);
        let peer = Identity { cluster: ClusterId::new(1), replica: ReplicaId::new(2), name: "b".into() };
        let vote = voted_in.map(|term| VoteRecord { term: Term::new(term), voted_for: me, committed: false });
        let on_disk = OnDisk { last, vote, members: Vec::new() };
        compare(&peer, remembered, &on_disk).err().map(|error| error.to_string())
    }

    fn matched(term: u64, index: u64) -> RecallReply {
        RecallReply {
            matched: Some(peer::LogId { term, index }),
            matched_in: Some(term),
            ..RecallReply::default()
        }
    }

    #[test]
    fn everybody_else_is_asked_whom_the_flags_or_the_disk_know() {
        let member = |name: &str, url: &str| Member {
            name: name.into(),
            peer_urls: vec![url.into()],
            ..Member::default()
        };
        let told = [("a", "a:1"), ("b", "b:1")];
        let told = told.map(|(name, url)| InitialMember { name: name.into(), peer_url: url.into() });
        let options = StoreOptions::new(member("a", "a:1"), told.into(), "token".into());
        let known = [member("a", "a:2"), member("b", "b:2"), member("c", "c:1")];
        assert_eq!(others(&options, &known), ["b:1", "b:2", "c:1"].into());
    }

    #[test]
    fn a_disk_that_has_what_its_peers_have_seen_is_let_in() {
        assert_eq!(compared(&RecallReply::default(), None, None), None);
        assert_eq!(compared(&matched(3, 9), Some(at(3, 9)), Some(3)), None);
        assert_eq!(compared(&matched(3, 9), Some(at(4, 9)), Some(4)), None);
    }

    #[test]
    fn a_disk_that_lacks_an_acknowledged_entry_was_rolled_back() {
        let text = compared(&matched(3, 9), Some(at(3, 8)), Some(3)).unwrap();
        assert!(text.contains("entry 9 of term 3") && text.contains("entry 8 of term 3"), "{text}");
        assert!(compared(&matched(3, 9), None, None).is_some());
    }

    #[test]
    fn entries_that_a_later_leader_took_back_are_not_missed() {
        assert_eq!(compared(&matched(3, 9), Some(at(3, 6)), Some(4)), None);
        let led_in_5 = RecallReply { matched_in: Some(5), ..matched(3, 9) };
        assert!(
            compared(&led_in_5, Some(at(3, 6)), Some(4)).is_some(),
            "it was acknowledged after that vote"
        );
    }

    #[test]
    fn a_disk_that_has_forgotten_its_own_candidacy_was_rolled_back() {
        let vote = Some(peer::Vote { term: 5, voted_for: 7, committed: false });
        let voted = || RecallReply { vote, ..RecallReply::default() };
        assert_eq!(compared(&voted(), None, Some(5)), None);
        assert!(compared(&voted(), None, Some(4)).is_some());
        assert!(compared(&voted(), None, None).is_some());
    }
}
