//! Disks that do not belong: a replica comes back on one that was wiped or rolled back, and must be refused.

use std::time::Duration;

use keelson_store_core::{
    engine::mem::MemDisk,
    id::{LogIndex, Term},
};
use tokio::time::sleep;

use super::{Hit, Nemesis, Strike, quiet::SETTLES};
use crate::{
    Node,
    cluster::Death,
    ghost::{Broken, Trust},
    invariant::Invariant,
    progress::within,
};

/// How long a replica on a disk that is not its own may take to be refused.
const PATIENCE: Duration = Duration::from_secs(8);

/// Who leads, since when, and what it knows of the victim.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Memory {
    leader: Node,
    life: u64,
    term: Term,
    matched: LogIndex,
}

impl Nemesis {
    pub(super) async fn wipe(&self, strike: &mut Strike) -> Hit {
        let _reserved = self.reserve()?;
        let victim = self.victim(&mut strike.random);
        self.check_free(victim)?;
        self.inner.cluster.kill(victim, Death::Process);
        let outcome = self.try_disk(victim, MemDisk::new()).await;
        if outcome == Outcome::LetIn {
            let text = format!("{victim} was wiped, and was let in");
            self.inner.cluster.ghost().report(Broken(Invariant::StrangersStayOut, text));
        }
        Ok(vec![victim])
    }

    /// Peers remember only as long as they run, and only who reaches them is told: for the length of the trial nothing
    /// else happens to the cluster.
    pub(super) async fn roll_back(&self, strike: &mut Strike) -> Hit {
        let _reserved = self.reserve()?;
        let victim = self.victim(&mut strike.random);
        self.check_free(victim)?;
        let cluster = &self.inner.cluster;
        // A copy has what was not synced, too.
        let (copy, before) = (cluster.disk(victim).copy(), cluster.ghost().log_end(victim));
        sleep(strike.step.lasts).await;
        let _quiet = self.quiet(strike.step.fault).await?;
        let remembers = || self.memory_of(victim).filter(|memory| before < Some(memory.matched));
        let memory = within(SETTLES, remembers).await.ok_or("nobody remembers more of it")?;
        self.check_free(victim)?;
        cluster.kill(victim, Death::Process);
        let outcome = self.try_disk(victim, copy).await;
        if outcome == Outcome::LetIn {
            self.judge(victim, memory);
        }
        Ok(vec![victim])
    }

    fn judge(&self, victim: Node, then: Memory) {
        let Memory { leader, matched, .. } = then;
        let text =
            format!("{victim} was rolled back, {leader} has seen its entry {matched}, and it was let in");
        if self.memory_of(victim).is_some_and(|now| now.remembers(then)) {
            self.inner.cluster.ghost().report(Broken(Invariant::StrangersStayOut, text));
        } else {
            self.state().void = Some(format!("{text}: the leader was lost meanwhile, and nobody remembered"));
        }
    }

    pub(super) fn check_free(&self, victim: Node) -> Result<(), &'static str> {
        if !self.reliable_voters().any(|node| node == victim) {
            return Err("it does not vote, or may soon not");
        }
        if self.inner.cluster.ghost().trust(victim) != Trust::Whole {
            return Err("its disk is damaged");
        }
        self.inner.cluster.store(victim).map(drop).ok_or("it does not serve")
    }

    fn memory_of(&self, victim: Node) -> Option<Memory> {
        let cluster = &self.inner.cluster;
        let leader = cluster.leader().filter(|leader| *leader != victim)?;
        let status = cluster.store(leader)?.status();
        let member = status.members.iter().find(|member| member.member.name == victim.to_string())?;
        Some(Memory { leader, life: cluster.lives(leader), term: status.term, matched: member.matched? })
    }

    /// Starts a replica that is down on another disk, sees whether it is let in, and gives its own disk back.
    async fn try_disk(&self, victim: Node, disk: MemDisk) -> Outcome {
        let cluster = &self.inner.cluster;
        cluster.ghost().set_trust(victim, Trust::Foreign);
        let own = cluster.swap_disk(victim, disk);
        self.state().held.insert(victim, own);
        cluster.start(victim);
        let outcome = self.outcome(victim).await;
        let own = self.state().held.remove(&victim);
        if let Some(own) = own {
            self.give_back(victim, own);
        }
        outcome
    }

    async fn outcome(&self, victim: Node) -> Outcome {
        let cluster = &self.inner.cluster;
        let refused = || cluster.refusal(victim).map(|_| Outcome::Refused);
        let let_in = || cluster.store(victim).map(|_| Outcome::LetIn);
        within(PATIENCE, || refused().or_else(let_in)).await.unwrap_or(Outcome::Undecided)
    }

    /// Puts a replica's own disk back, and starts it.
    pub(super) fn give_back(&self, node: Node, own: MemDisk) {
        let cluster = &self.inner.cluster;
        cluster.kill(node, Death::Process);
        cluster.swap_disk(node, own);
        cluster.ghost().set_trust(node, Trust::Whole);
        cluster.start(node);
    }
}

impl Memory {
    /// Whether who leads now led then, too.
    fn remembers(&self, then: Self) -> bool {
        (self.leader, self.life, self.term) == (then.leader, then.life, then.term)
    }
}

/// What became of a replica on a disk that is not its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Refused,
    LetIn,
    /// Nobody was there to say so.
    Undecided,
}
