//! When which fault comes and goes: a pure plan.
//!
//! In: faults, the time there is, a seed. Out: steps in order of time. Each family of faults has a lane of its own, in
//! which one fault follows the other with pauses between them; lanes know nothing of each other, so faults of different
//! families overlap. The last part of the time is left to recovery.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use crate::fault::Row;

/// Before the first fault: something must be there that can be lost.
const QUIET_AT_FIRST: Duration = Duration::from_millis(1_500);
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(500)..Duration::from_millis(3_000);
const LASTS: std::ops::Range<Duration> = Duration::from_millis(800)..Duration::from_millis(6_000);

/// Something to do.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// Since the run began.
    pub(crate) at: Duration,
    /// The fault.
    pub(crate) row: &'static Row,
    /// Whether it begins or ends.
    pub(crate) action: Action,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    /// Before what begins at the same moment.
    Heal,
    /// The fault begins.
    Inject,
}

/// Plans all faults of a run, the last of which is healed by `until`. Every fault comes once before one comes twice.
pub(crate) fn plan(rows: &[&'static Row], until: Duration, seed: u64) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut families: Vec<&str> = rows.iter().map(|row| row.family).collect();
    families.dedup();
    let mut steps = Vec::new();
    for family in families {
        let lane: Vec<_> = rows.iter().copied().filter(|row| row.family == family).collect();
        steps.extend(plan_lane(lane, until, &mut random));
    }
    steps.sort_by_key(|step| (step.at, step.action));
    steps
}

fn plan_lane(mut rows: Vec<&'static Row>, until: Duration, random: &mut StdRng) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = QUIET_AT_FIRST;
    loop {
        rows.shuffle(random);
        for row in &rows {
            let lasts = random.random_range(LASTS);
            let heal = at + lasts;
            if heal > until {
                return steps;
            }
            steps.push(Step { at, row, action: Action::Inject });
            steps.push(Step { at: heal, row, action: Action::Heal });
            at = heal + random.random_range(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::called;

    fn words(steps: &[Step]) -> Vec<(Duration, &'static str, Action)> {
        steps.iter().map(|step| (step.at, step.row.name, step.action)).collect()
    }

    fn rows(names: &[&str]) -> Vec<&'static Row> {
        names.iter().flat_map(|name| called(name).unwrap()).collect()
    }

    #[test]
    fn a_seed_decides_everything() {
        let rows = rows(&["kill", "partition"]);
        let plan = |seed| words(&plan(&rows, Duration::from_secs(60), seed));
        assert_eq!(plan(1), plan(1));
        assert_ne!(plan(1), plan(2));
    }

    #[test]
    fn faults_of_a_family_never_overlap_and_all_end_in_time() {
        let until = Duration::from_secs(40);
        for seed in 0..50 {
            let steps = plan(&rows(&["kill", "pause"]), until, seed);
            assert!(steps.is_sorted_by_key(|step| step.at));
            assert!(steps.iter().all(|step| step.at <= until));
            for family in ["kill", "pause"] {
                let lane: Vec<_> = steps.iter().filter(|step| step.row.family == family).collect();
                assert!(!lane.is_empty() && lane.len() % 2 == 0);
                for pair in lane.chunks(2) {
                    assert_eq!((pair[0].action, pair[1].action), (Action::Inject, Action::Heal));
                    assert_eq!(pair[0].row.name, pair[1].row.name);
                }
            }
        }
    }

    #[test]
    fn every_fault_comes_once_before_one_comes_twice() {
        let steps = plan(&rows(&["kill"]), Duration::from_secs(60), 3);
        let first: std::collections::BTreeSet<_> = steps.iter().take(8).map(|step| step.row.name).collect();
        assert_eq!(first.len(), 4);
    }

    #[test]
    fn too_little_time_means_no_fault_rather_than_one_that_stays() {
        assert!(plan(&rows(&["kill"]), Duration::from_secs(2), 1).is_empty());
    }
}
