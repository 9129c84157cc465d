//! A cluster that nothing else happens to, for faults of which others judge.
//!
//! In: a strike that needs it, and how long it may wait. Out: a guard: as long as it lives, other strikes wait, and nobody
//! waits too long for anybody. Deliberately absent: what is tried meanwhile.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Nemesis, QUIET_PAUSE};
use crate::{Fault, Weather};

/// A network in which nobody waits too long for anybody.
const CALM: Weather = Weather { least_micros: 0, most_micros: 1000, loss_permille: 0 };

/// How long a fault that has not struck yet waits for the end of all others, which do not begin anew meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a cluster to which nothing happens any more may take to be whole.
pub(super) const SETTLES: Duration = Duration::from_secs(5);

/// As long as it lives, nothing else happens to the cluster.
pub(super) struct Quiet {
    nemesis: Nemesis,
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let inner = &self.nemesis.inner;
        inner.cluster.network().set_weather(inner.swarm.weather, |_, _| true);
        self.nemesis.state().is_quiet = false;
    }
}

impl Nemesis {
    /// The cluster for a fault alone. One that has struck before takes the moment as it is: a run belongs to all faults.
    pub(super) async fn quiet(&self, fault: Fault) -> Result<Quiet, &'static str> {
        if std::mem::replace(&mut self.state().is_quiet, true) {
            return Err("another one has the cluster for itself");
        }
        let quiet = Quiet { nemesis: self.clone() };
        let has_struck = self.counts().get(&fault).is_some_and(|count| count.injected > 0);
        let deadline = Instant::now() + if has_struck { Duration::ZERO } else { PATIENCE };
        while self.state().active > 1 {
            if Instant::now() >= deadline {
                return Err("others decide only while nothing else happens to them");
            }
            sleep(QUIET_PAUSE).await;
        }
        self.inner.cluster.network().set_weather(CALM, |_, _| true);
        Ok(quiet)
    }
}
