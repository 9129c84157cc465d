//! What a run will be: its options and its faults, drawn from the seed before it begins.
//!
//! In: a seed. Out: a value that can be printed, cut down, and run again. Deliberately absent: anything that depends on
//! how the run goes; whom a fault hits is drawn when it strikes, from a number that stands in the plan.

mod schedule;
mod swarm;

use std::time::Duration;

pub use schedule::Step;
pub use swarm::Swarm;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where everything comes from.
    pub seed: u64,
    /// The options.
    pub swarm: Swarm,
    /// What the nemesis does, in order of time.
    pub schedule: Vec<Step>,
    /// How long clients work while the nemesis does.
    pub time: Duration,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let swarm = Swarm::draw(seed);
        let time = Duration::from_secs(swarm.seconds);
        let schedule = schedule::draw(seed, &swarm, time);
        Self { seed, swarm, schedule, time }
    }

    /// The same, with another workload.
    #[must_use]
    pub fn with_workload(mut self, workload: &'static str) -> Self {
        self.swarm.workload = workload;
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Fault;

    #[test]
    fn a_seed_means_one_plan() {
        assert_eq!(format!("{:?}", Plan::of(7)), format!("{:?}", Plan::of(7)));
        assert_ne!(format!("{:?}", Plan::of(7)), format!("{:?}", Plan::of(8)));
    }

    #[test]
    fn every_fault_and_every_workload_is_drawn_by_some_seed() {
        let plans: Vec<_> = (0..400).map(Plan::of).collect();
        let faults: BTreeSet<_> =
            plans.iter().flat_map(|plan| &plan.schedule).map(|step| step.fault).collect();
        assert_eq!(faults, Fault::ALL.iter().copied().collect());
        let workloads: BTreeSet<_> = plans.iter().map(|plan| plan.swarm.workload).collect();
        let all: BTreeSet<_> = keelson_workloads::WORKLOADS.iter().map(|workload| workload.name).collect();
        assert_eq!(workloads, all);
    }
}
