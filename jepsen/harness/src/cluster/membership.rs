//! Members that go, and come back on empty disks.
//!
//! In: which node shall be how much of a member. Out: the changes that lead there, one at a time, asked of the others and
//! of nobody else. Whatever became of a change that was asked for, the next step follows from who belongs now.
//!
//! A node is *away* from the moment when its member is to go until it votes again under another id. Meanwhile it may end
//! by itself, nobody starts it but this, and it counts as a damaged disk does: at most a minority is away or damaged.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::{Cluster, PACE};
use crate::connection::Seat;
use crate::failure::{Doing as _, Result};
use crate::target::peer_url;

/// A node that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Away {
    /// The id of the member that it was.
    was: u64,
    wanted: Wanted,
    disk: Contents,
    coming: Coming,
}

/// What shall become of a node that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It belongs no more.
    Gone,
    /// It belongs again, and does not vote.
    Learner,
    /// It votes.
    Voter,
}

/// What lies on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// What it had as the member that it was.
    Old,
    /// Nothing, or what it has as the member that it becomes.
    New,
}

/// How it comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coming {
    /// It asks to be taken in, and is made a voter by the store.
    ByItself,
    /// A place is kept for a learner, which is promoted when that is wanted.
    AsLearner,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is what was wanted.
    Rest,
    /// The store has to do something.
    Wait,
    Remove,
    KeepPlace,
    Start,
    Promote(u64),
}

impl Away {
    /// What leads on from who belongs now.
    fn next(&self, name: &str, url: &str, seats: &[Seat]) -> Step {
        if seats.iter().any(|seat| seat.member == self.was) {
            return Step::Remove;
        }
        let come = seats.iter().find(|seat| seat.name == name);
        match (self.wanted, come) {
            (Wanted::Gone, None) => Step::Rest,
            (Wanted::Learner | Wanted::Voter, None) => {
                let has_place = seats.iter().any(|seat| seat.urls.iter().any(|other| other == url));
                if self.coming == Coming::AsLearner && !has_place { Step::KeepPlace } else { Step::Start }
            }
            (Wanted::Voter, Some(seat)) if !seat.votes => match self.coming {
                Coming::ByItself => Step::Wait,
                Coming::AsLearner => Step::Promote(seat.member),
            },
            (Wanted::Gone | Wanted::Learner | Wanted::Voter, Some(_)) => Step::Rest,
        }
    }
}

impl Cluster {
    /// Whether any node is away.
    pub(crate) fn is_anybody_away(&self) -> bool {
        !self.away.is_empty()
    }

    /// From now on the node is away, and shall be no member. Answers false if nobody can say which member it is.
    pub(crate) async fn send_away(&mut self, node: usize) -> bool {
        let Some((_, seats)) = self.seats_without(node).await else { return false };
        let Some(seat) = seats.iter().find(|seat| seat.name == self.names[node]) else { return false };
        let (was, wanted) = (seat.member, Wanted::Gone);
        self.away.insert(node, Away { was, wanted, disk: Contents::Old, coming: Coming::ByItself });
        true
    }

    /// From now on this shall become of a node, if it is away.
    pub(crate) fn want(&mut self, node: usize, wanted: Wanted) {
        if let Some(away) = self.away.get_mut(&node) {
            away.wanted = wanted;
            match wanted {
                Wanted::Learner => away.coming = Coming::AsLearner,
                Wanted::Gone | Wanted::Voter => {}
            }
        }
    }

    /// From now on all who are away shall vote again.
    pub(crate) fn call_back(&mut self) {
        self.away.values_mut().for_each(|away| away.wanted = Wanted::Voter);
    }

    /// Does one thing for each node that is away.
    pub(crate) async fn tend(&mut self) -> Result<()> {
        let away: Vec<_> = self.away.keys().copied().collect();
        for node in away {
            self.tend_one(node).await?;
        }
        Ok(())
    }

    /// Waits until everything has become of those who are away that was wanted, or a while. Answers whether it has.
    pub(crate) async fn settle(&mut self, patience: Duration) -> Result<bool> {
        let deadline = Instant::now() + patience;
        loop {
            let away: Vec<_> = self.away.keys().copied().collect();
            let mut is_settled = true;
            for node in away {
                is_settled &= self.tend_one(node).await? == Step::Rest;
            }
            if is_settled || Instant::now() >= deadline {
                return Ok(is_settled);
            }
            sleep(PACE).await;
        }
    }

    /// The names of those who are away.
    pub(crate) fn names_away(&self) -> Vec<String> {
        self.away.keys().map(|node| self.names[*node].clone()).collect()
    }

    /// The nodes that are not.
    pub(crate) fn at_home(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| !self.away.contains_key(node)).collect()
    }

    /// Empties the disk of a node that is away, whatever is on it.
    pub(crate) async fn wipe_away(&mut self, node: usize) -> Result<()> {
        self.kill(node).await?;
        for folder in self.nodes[node].disk.folders() {
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).doing(folder.display());
                }
                Ok(()) | Err(_) => {}
            }
        }
        if let Some(away) = self.away.get_mut(&node) {
            away.disk = Contents::New;
        }
        Ok(())
    }

    async fn tend_one(&mut self, node: usize) -> Result<Step> {
        let Some((helper, seats)) = self.seats_without(node).await else { return Ok(Step::Wait) };
        let Some(away) = self.away.get(&node).copied() else { return Ok(Step::Rest) };
        let url = peer_url(node);
        let step = away.next(&self.names[node], &url, &seats);
        // What becomes of a request shows when the members are listed again.
        match step {
            Step::Remove => drop(self.connections[helper].remove_member(away.was).await),
            Step::KeepPlace => drop(self.connections[helper].add_learner(url).await),
            Step::Promote(member) => drop(self.connections[helper].promote(member).await),
            Step::Start => self.begin_anew(node, away).await?,
            Step::Rest if away.wanted == Wanted::Voter => {
                self.away.remove(&node);
                self.damaged.remove(&node);
            }
            Step::Rest | Step::Wait => {}
        }
        Ok(step)
    }

    /// Starts a node that is away, unless it runs already as what it shall become.
    async fn begin_anew(&mut self, node: usize, away: Away) -> Result<()> {
        match away.disk {
            Contents::Old => self.wipe_away(node).await?,
            Contents::New => {}
        }
        // It may have been refused for a reason that is none any more.
        let _ = self.nodes[node].look()?;
        self.nodes[node].joins();
        self.nodes[node].start(&self.program, &self.names, node)
    }

    /// Who belongs as another node knows it, with a quorum behind it, and which node that is.
    async fn seats_without(&self, node: usize) -> Option<(usize, Vec<Seat>)> {
        let others = (0..self.nodes.len()).filter(|other| *other != node && self.nodes[*other].runs());
        let asked = others.map(async |other| Some((other, self.connections[other].members().await.ok()?)));
        join_all(asked).await.into_iter().flatten().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://10.77.0.12:2380";

    fn seat(member: u64, name: &str, votes: bool) -> Seat {
        let url = if name == "b" || name.is_empty() { URL } else { "https://elsewhere:2380" };
        Seat { member, name: name.to_owned(), votes, urls: vec![url.to_owned()] }
    }

    fn next(wanted: Wanted, coming: Coming, b: &[Seat]) -> Step {
        let away = Away { was: 2, wanted, disk: Contents::Old, coming };
        let seats: Vec<_> = b.iter().cloned().chain([seat(1, "a", true), seat(3, "c", true)]).collect();
        away.next("b", URL, &seats)
    }

    #[test]
    fn the_old_member_goes_before_anything_else_happens() {
        for wanted in [Wanted::Gone, Wanted::Learner, Wanted::Voter] {
            assert_eq!(next(wanted, Coming::ByItself, &[seat(2, "b", true)]), Step::Remove);
        }
        assert_eq!(next(Wanted::Gone, Coming::ByItself, &[]), Step::Rest);
    }

    #[test]
    fn who_comes_by_itself_is_started_and_left_alone_until_it_votes() {
        assert_eq!(next(Wanted::Voter, Coming::ByItself, &[]), Step::Start);
        assert_eq!(next(Wanted::Voter, Coming::ByItself, &[seat(7, "b", false)]), Step::Wait);
        assert_eq!(next(Wanted::Voter, Coming::ByItself, &[seat(7, "b", true)]), Step::Rest);
    }

    #[test]
    fn a_learner_has_a_place_before_it_comes_and_is_promoted_when_that_is_wanted() {
        assert_eq!(next(Wanted::Learner, Coming::AsLearner, &[]), Step::KeepPlace);
        assert_eq!(next(Wanted::Learner, Coming::AsLearner, &[seat(7, "", false)]), Step::Start);
        assert_eq!(next(Wanted::Learner, Coming::AsLearner, &[seat(8, "b", false)]), Step::Rest);
        assert_eq!(next(Wanted::Voter, Coming::AsLearner, &[seat(8, "b", false)]), Step::Promote(8));
        assert_eq!(next(Wanted::Voter, Coming::AsLearner, &[seat(8, "b", true)]), Step::Rest);
    }
}
