//! A replica whose state is another one than it should be, though all checksums fit: it must be found out, and get the others'.
//!
//! Others decide, so for the length of the trial nothing else happens to them ([`super::quiet`]), and all of them have what
//! the replica has. Deliberately absent: what happens where they cannot decide; the store's own tests have that.

use std::time::Duration;

use keelson_store_core::{
    engine::{Batch, EngineError, Family, mem::MemDisk},
    schema::Header,
};

use super::{Hit, Nemesis, Strike, quiet::SETTLES};
use crate::{
    Node,
    cluster::Death,
    disk::live_state,
    ghost::{Broken, Trust},
    invariant::Invariant,
    progress::within,
};

/// How long a replica may take to be found out and to be whole again.
const PATIENCE: Duration = Duration::from_secs(20);

impl Nemesis {
    pub(super) async fn diverge(&self, strike: &mut Strike) -> Hit {
        let _reserved = self.reserve()?;
        let _quiet = self.quiet(strike.step.fault).await?;
        let mut obstacle = "";
        let found = within(SETTLES, || {
            let victim = self.victim(&mut strike.random);
            self.may_differ(victim).map_err(|why| obstacle = why).ok()
        });
        let Some((victim, lives)) = found.await else { return Err(obstacle) };
        let cluster = &self.inner.cluster;
        cluster.kill(victim, Death::Process);
        let is_other = change_hash(&cluster.disk(victim), strike.random.next() | 1);
        if is_other {
            cluster.ghost().set_trust(victim, Trust::Damaged);
            cluster.ghost().diverged(victim);
        }
        cluster.start(victim);
        let is_whole = || (!cluster.has_diverged(victim)).then_some(());
        if within(PATIENCE, is_whole).await.is_some() {
            cluster.ghost().set_trust(victim, Trust::Whole);
        } else if self.lives_without(victim) == Some(lives) {
            let text = format!("{victim} has had another state than all others for {PATIENCE:?}");
            cluster.ghost().report(Broken(Invariant::Refilled, text));
        }
        if is_other { Ok(vec![victim]) } else { Err("it has applied nothing yet") }
    }

    /// Whether a replica may get another state: who would decide serves, and how often each of them was started.
    fn may_differ(&self, victim: Node) -> Result<(Node, Vec<u64>), &'static str> {
        self.check_free(victim)?;
        self.may_damage(victim)?;
        let lives = self.lives_without(victim).ok_or("somebody who would decide does not serve")?;
        let applied = |node| self.inner.cluster.store(node).and_then(|store| store.status().applied_index);
        // Who needs a snapshot to decide gets none from those who differ.
        let has_all = |node| applied(node) >= applied(victim);
        if self.inner.cluster.nodes().all(has_all) { Ok((victim, lives)) } else { Err("somebody is behind") }
    }

    /// How often each of the others was started; `None` unless all of them serve.
    fn lives_without(&self, victim: Node) -> Option<Vec<u64>> {
        let cluster = &self.inner.cluster;
        let others = cluster.nodes().filter(|node| *node != victim);
        others.map(|node| cluster.store(node).map(|_| cluster.lives(node))).collect()
    }
}

/// Makes another state of that on a disk, as far as others can tell. False where there is none.
fn change_hash(disk: &MemDisk, by: u64) -> bool {
    let changed = || -> Result<bool, EngineError> {
        let Some(state) = live_state(disk)? else { return Ok(false) };
        let header = Header::load(&*state)?;
        if header.applied.is_none() {
            return Ok(false);
        }
        let mut batch = Batch::default();
        batch.put(Family::Meta, Header::key(), Header { hash: header.hash ^ by, ..header }.encode());
        state.write(batch)?;
        state.sync()?;
        Ok(true)
    };
    changed().unwrap_or(false)
}
