//! Faults of processes, machines and clocks, and what the store can be asked to do to itself.

use std::time::Duration;

use tokio::time::sleep;

use super::{Hit, Nemesis, Strike};
use crate::{Fault, cluster::Death};

/// A clock that runs true, in millionths.
pub(super) const TRUE_PACE: u64 = 1_000_000;
/// The most that a clock drifts, in millionths. Promises about leases allow for it.
pub(crate) const MOST_DRIFT: u32 = 100_000;
/// Between two replicas of a rolling restart.
const ROLL_PAUSE: Duration = Duration::from_secs(2);

impl Nemesis {
    pub(super) fn kill_one(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        let death = if strike.step.fault == Fault::PowerCut { Death::Power } else { Death::Process };
        if !self.inner.cluster.is_up(victim) {
            return Err("it is down already");
        }
        self.inner.cluster.kill(victim, death);
        Ok(vec![victim])
    }

    pub(super) fn kill_all(&self, death: Death) -> Hit {
        let nodes: Vec<_> = self.inner.cluster.nodes().collect();
        nodes.iter().for_each(|node| self.inner.cluster.kill(*node, death));
        Ok(nodes)
    }

    pub(super) fn pause_one(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        if !self.inner.cluster.is_up(victim) {
            return Err("it is down");
        }
        self.inner.cluster.pause(victim, true);
        Ok(vec![victim])
    }

    pub(super) fn restart_one(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        if self.inner.cluster.store(victim).is_none() {
            return Err("it does not serve");
        }
        self.inner.cluster.restart_in_order(victim);
        Ok(vec![victim])
    }

    pub(super) async fn roll(&self) -> Hit {
        let nodes: Vec<_> = self.inner.cluster.nodes().collect();
        for node in &nodes {
            self.inner.cluster.restart_in_order(*node);
            sleep(ROLL_PAUSE).await;
        }
        Ok(nodes)
    }

    pub(super) fn transfer(&self, strike: &mut Strike) -> Hit {
        let cluster = &self.inner.cluster;
        let leader = cluster.leader().ok_or("nobody leads")?;
        let others: Vec<_> = cluster.nodes().filter(|node| *node != leader).collect();
        let heir = strike.random.pick(&others);
        let id = cluster.replica_id(heir).ok_or("the heir does not serve")?;
        let patience = Duration::from_secs(2);
        cluster.visit(leader, move |store| async move {
            // Whether it succeeds is not for the nemesis to say.
            let _ = store.transfer_leadership(id, patience).await;
        });
        Ok(vec![leader, heir])
    }

    pub(super) fn set_clock(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        let pace = if strike.step.fault == Fault::StopClock {
            0
        } else {
            let most = u64::from(MOST_DRIFT);
            TRUE_PACE - most + strike.random.below(2 * most)
        };
        self.inner.cluster.set_clock(victim, pace);
        Ok(vec![victim])
    }
}
