//! When which fault strikes.

use std::{fmt, time::Duration};

use crate::{
    Fault,
    plan::Swarm,
    random::{Purpose, Random},
};

/// One strike of the nemesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When, since clients began to work.
    pub at: Duration,
    /// What.
    pub fault: Fault,
    /// How long it lasts, where it does.
    pub lasts: Duration,
    /// From this whom it hits, and how hard, is drawn.
    pub dice: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, fault, lasts, dice } = self;
        write!(
            f,
            "{:>8} ms {:<14} for {:>6} ms, dice {dice:016x}",
            at.as_millis(),
            fault.name(),
            lasts.as_millis()
        )
    }
}

pub(super) fn draw(seed: u64, swarm: &Swarm, time: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 0;
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    while !swarm.faults.is_empty() {
        let mut random = Random::new(seed, Purpose::Schedule, steps.len() as u64);
        at += random.between(1, swarm.fault_every_millis * 2);
        if at >= millis {
            break;
        }
        let fault = random.among(&swarm.faults, Fault::name);
        // Mostly shorter than what the store waits for, now and then longer.
        let most = random.pick(&[200, 1000, 3000, 10_000]);
        let lasts = random.between(1, most);
        let (at, lasts) = (Duration::from_millis(at), Duration::from_millis(lasts));
        steps.push(Step { at, fault, lasts, dice: random.next() });
    }
    steps
}
