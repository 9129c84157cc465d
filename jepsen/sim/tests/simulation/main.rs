//! The simulation as a whole: a seed means one run, and runs come out right.
//!
//! Deliberately absent: many seeds; `cargo xtask sim` runs those, built with optimizations.

use std::time::Duration;

use keelson_sim::{Event, Plan, Report, run_keeping_events};

mod damage;
mod found;

/// A plan that is over soon.
fn short(seed: u64) -> Plan {
    let plan = Plan::of(seed);
    let time = Duration::from_secs(8);
    let schedule = plan.schedule.iter().copied().filter(|step| step.at < time).collect();
    Plan { time, schedule, ..plan }
}

type Told = (Report, Vec<(u64, Event)>);

/// Where two runs part.
fn first_difference(one: &Told, other: &Told) -> Option<String> {
    let (one, other) = (&one.1, &other.1);
    let place = (0..one.len().max(other.len())).find(|place| one.get(*place) != other.get(*place))?;
    let before = place.checked_sub(1).and_then(|before| one.get(before));
    Some(format!("event {place}, after {before:?}: {:?} or {:?}", one.get(place), other.get(place)))
}

#[test]
fn a_seed_means_the_same_run_every_time_and_on_every_thread() {
    for seed in [3, 17, 40] {
        let plan = short(seed);
        let elsewhere = plan.clone();
        let other = std::thread::spawn(move || run_keeping_events(&elsewhere));
        let one = run_keeping_events(&plan);
        let other = other.join().expect("a run does not panic");
        assert_eq!(first_difference(&one, &other), None, "seed {seed}");
        assert_eq!(one.0.trace_hash, other.0.trace_hash, "seed {seed}");
        assert!(one.0.counts.events > 500, "seed {seed} had something to differ in");
    }
}

#[test]
fn other_seeds_mean_other_runs() {
    let (one, other) = (run_keeping_events(&short(3)), run_keeping_events(&Plan { seed: 4, ..short(3) }));
    assert_ne!(one.0.trace_hash, other.0.trace_hash);
}
