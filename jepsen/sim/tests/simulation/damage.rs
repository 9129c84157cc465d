//! Written-out schedules: disks of a minority are damaged while everything goes on, and all must be whole again.

use std::time::Duration;

use keelson_sim::{Fault, Plan, Step, run};

/// A quiet run of a seed, but for these faults, one after the other.
fn plan(seed: u64, faults: &[Fault]) -> Plan {
    let mut plan = Plan::of(seed).with_workload("revisions");
    let steps = (1_u64..).zip(faults).map(|(number, fault)| {
        let (at, lasts) = (Duration::from_secs(3 * number), Duration::from_secs(1));
        Step { at, fault: *fault, lasts, dice: seed << 8 | number }
    });
    plan.schedule = steps.collect();
    plan.time = Duration::from_secs(3 * (faults.len() as u64 + 2));
    plan.swarm.snapshot_every = if seed.is_multiple_of(2) { 20 } else { 100_000 };
    plan
}

#[test]
fn what_is_damaged_is_whole_again_whatever_else_happens() {
    use Fault::{DamageFile, DamageRecord, DamageStore, Diverge, Kill, KillAll, PowerCutAll, Transfer};
    let schedules: [&[Fault]; 4] = [
        &[DamageStore, KillAll, DamageRecord, KillAll],
        &[DamageRecord, Transfer, DamageRecord, PowerCutAll, DamageRecord, Kill],
        &[Diverge, Transfer, Kill, Diverge],
        &[DamageFile, DamageStore, KillAll, Diverge, Kill],
    ];
    for (seed, faults) in (0..).zip(schedules.iter().cycle().take(8)) {
        let report = run(&plan(seed, faults));
        assert!(report.passed(), "{report}");
        let is_damage = |name: &&str| name.starts_with("damage") || *name == "diverge";
        let damaged = report.counts.injected.keys().filter(|name| is_damage(name)).count();
        assert!(damaged > 0, "nothing was damaged: {report}");
    }
}
