//! A replica whose state is another one than it should be, though all checksums fit: it must be found out, and get the others'.
//!
//! Others decide, so for the length of the trial nothing else happens to them. Deliberately absent: what happens where they
//! cannot; the store's own tests have that.

use std::time::Duration;

use keelson_store::log::LogMeta;
use keelson_store_core::{
    engine::{Batch, Disk as _, EngineError, Family, Role, mem::MemDisk},
    schema::Header,
};
use tokio::time::{Instant, sleep};

use super::{Hit, Nemesis, Strike, disk::LOG_STORE, foreign::CALM};
use crate::{
    Node,
    cluster::Death,
    ghost::{Broken, Trust},
    invariant::Invariant,
};

/// How long a replica may take to be found out and to be whole again.
const PATIENCE: Duration = Duration::from_secs(20);

impl Nemesis {
    pub(super) async fn diverge(&self, strike: &mut Strike) -> Hit {
        let _reserved = self.reserve()?;
        let victim = self.victim(&mut strike.random);
        self.check_free(victim)?;
        self.may_damage(victim)?;
        if self.state().active > 1 || self.state().is_quiet {
            return Err("others decide only while nothing else happens to them");
        }
        let cluster = &self.inner.cluster;
        let lives = self.lives_without(victim).ok_or("somebody who would decide does not serve")?;
        self.state().is_quiet = true;
        cluster.network().set_weather(CALM, |_, _| true);
        cluster.kill(victim, Death::Process);
        let is_other = change_hash(&cluster.disk(victim), strike.random.next() | 1);
        if is_other {
            cluster.ghost().set_trust(victim, Trust::Damaged);
            cluster.ghost().diverged(victim);
        }
        cluster.start(victim);
        let is_whole = !is_other || self.becomes_whole(victim).await;
        if is_whole {
            cluster.ghost().set_trust(victim, Trust::Whole);
        } else if self.lives_without(victim) == Some(lives) {
            let text = format!("{victim} has had another state than all others for {PATIENCE:?}");
            cluster.ghost().report(Broken(Invariant::Refilled, text));
        }
        cluster.network().set_weather(self.inner.swarm.weather, |_, _| true);
        self.state().is_quiet = false;
        if is_other { Ok(vec![victim]) } else { Err("it has applied nothing yet") }
    }

    async fn becomes_whole(&self, victim: Node) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !self.inner.cluster.ghost().has_diverged(victim) {
                return true;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
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
        let store = LogMeta::new(disk.open(LOG_STORE, Role::Log)?).state_store()?;
        let Some(store) = store else { return Ok(false) };
        let state = disk.open(&store, Role::State)?;
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
