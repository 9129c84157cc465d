//! Finds out that this replica was removed from its cluster.
//!
//! A replica that is removed rarely learns it from the log: nobody sends it the entry that says so. Its peers
//! close their connections and refuse it when it comes again; that, a membership of its own that does not name it, or a
//! leader that has fallen silent, is the occasion to ask them all. A learner never comes by itself: silence is all that it
//! notices. It was removed when everybody who answers says so, several times
//! in a row: one peer alone may be ahead of what is committed, or behind.

use std::{io, sync::Arc, time::Duration};

use futures_util::future::join_all;

use crate::{
    membership,
    options::Timing,
    peer::{Directory, denies_membership},
    runtime::clock::sleep,
    state::SharedState,
    types::Raft,
};

/// So many rounds must agree.
const ROUNDS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// How long one peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the operator is told.
pub(super) const REMOVED: &str = "this member was removed from its cluster, and serves nothing any more. To bring the machine \
     back, empty its data folder and start it with --initial-cluster-state=existing; it then joins as a new member";

/// Completes when this replica, which belonged to a cluster, has been removed.
pub(super) async fn removed(raft: &Raft, directory: &Arc<Directory>, state: &SharedState, timing: Timing) {
    let me = directory.me().replica;
    loop {
        tokio::select! {
            () = directory.refused() => {}
            () = membership::left(raft, me) => {}
            () = membership::out_of_touch(raft, state, timing) => {}
        }
        if everybody_says_so(raft, directory).await {
            return;
        }
        sleep(PAUSE).await;
    }
}

async fn everybody_says_so(raft: &Raft, directory: &Directory) -> bool {
    for round in 0..ROUNDS {
        if round > 0 {
            sleep(PAUSE).await;
        }
        let me = directory.me().replica;
        let membership = membership::current(raft);
        let others = membership.nodes().filter(|(id, member)| **id != me && !member.name.is_empty());
        let urls = others.flat_map(|(_, member)| member.peer_urls.clone());
        let asked: Vec<_> =
            urls.map(async |url| directory.identify(&url, PATIENCE).await.map(drop)).collect();
        let answers = join_all(asked).await;
        let votes: Vec<_> = answers.into_iter().filter_map(says_so).collect();
        if votes.is_empty() || votes.contains(&false) {
            return false;
        }
    }
    true
}

/// Whether a peer says that this replica is no member; `None` if it says nothing.
fn says_so(answer: io::Result<()>) -> Option<bool> {
    match answer {
        Ok(()) => Some(false),
        Err(refusal) if refusal.kind() == io::ErrorKind::ConnectionAborted => {
            Some(denies_membership(&refusal.to_string()))
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_for_not_being_a_member_counts() {
        let refused = |text: String| says_so(Err(io::Error::new(io::ErrorKind::ConnectionAborted, text)));
        assert_eq!(refused("\"b\" with id 7 is not a member of this cluster".to_owned()), Some(true));
        let other =
            "\"b\" is a member with id 8, not 7: a wiped or foreign disk may not take its place; remove it";
        assert_eq!(refused(other.to_owned()), Some(true));
        assert_eq!(refused("cluster 1 is not this one".to_owned()), Some(false));
        assert_eq!(says_so(Ok(())), Some(false));
        assert_eq!(says_so(Err(io::Error::from(io::ErrorKind::ConnectionRefused))), None);
    }
}
