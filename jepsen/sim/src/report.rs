//! What a run found, for people and for programs.

use std::{collections::BTreeMap, fmt};

use keelson_checkers::history::{End, History};
use serde::Serialize;

use crate::{Fault, Invariant, Plan, Swarm, Violation, ghost::Ghost, nemesis::Count, trace::Trace};

/// One run's outcome.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The plan's seed.
    pub seed: u64,
    /// The plan's options.
    pub swarm: Swarm,
    /// The plan's schedule, a line for each step.
    pub schedule: Vec<String>,
    /// What was broken. Empty: nothing, unless the run is void.
    pub violations: Vec<Violation>,
    /// Why nothing can be concluded, although nothing was seen to be broken. A void run is not a pass.
    pub void: Option<String>,
    /// Of everything that happened; the same plan gives the same hash.
    pub trace_hash: String,
    /// How much happened.
    pub counts: Counts,
    /// Operations and events that promises were held against.
    pub checked: u64,
}

/// How much happened.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// Events in the trace.
    pub events: u64,
    /// Virtual time, in milliseconds.
    pub virtual_millis: u64,
    /// Operations that were answered.
    pub answered: u64,
    /// Operations that certainly did not happen.
    pub failed: u64,
    /// Operations of which nobody knows.
    pub unknown: u64,
    /// Watches.
    pub watches: u64,
    /// Revisions that were made.
    pub commits: u64,
    /// Faults that struck, by name.
    pub injected: BTreeMap<&'static str, u64>,
    /// Faults that could not be injected, by name.
    pub skipped: BTreeMap<&'static str, u64>,
}

impl Report {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            seed: plan.seed,
            swarm: plan.swarm.clone(),
            schedule: plan.schedule.iter().map(ToString::to_string).collect(),
            violations: Vec::new(),
            void: None,
            trace_hash: String::new(),
            counts: Counts::default(),
            checked: 0,
        }
    }

    /// Whether everything that was checked was as it must be.
    pub fn passed(&self) -> bool {
        self.violations.is_empty() && self.void.is_none()
    }

    pub(crate) fn add(&mut self, invariant: Invariant, text: String) {
        let at = self.counts.virtual_millis * 1_000_000;
        self.violations.push(Violation { at, broken: invariant.name(), text });
    }

    pub(crate) fn break_promise(&mut self, promise: &'static str, text: String) {
        self.violations.push(Violation { at: self.counts.virtual_millis * 1_000_000, broken: promise, text });
    }

    pub(crate) fn count_faults(&mut self, counts: &BTreeMap<Fault, Count>) {
        for (fault, count) in counts {
            self.counts.injected.insert(fault.name(), count.injected);
            self.counts.skipped.insert(fault.name(), count.skipped);
        }
        self.counts.injected.retain(|_, count| *count > 0);
        self.counts.skipped.retain(|_, count| *count > 0);
    }

    pub(crate) fn count_operations(&mut self, history: &History) {
        let count = |is_meant: fn(&End) -> bool| {
            history.operations.iter().filter(|operation| is_meant(&operation.end)).count() as u64
        };
        self.counts.answered = count(|end| matches!(end, End::Ok { .. }));
        self.counts.failed = count(|end| matches!(end, End::Failed { .. }));
        self.counts.unknown = count(|end| matches!(end, End::Unknown { .. }));
        self.counts.watches = history.watches.len() as u64;
        self.counts.commits = history.log.as_ref().map_or(0, |log| log.commits.len() as u64);
    }

    pub(crate) fn finish(&mut self, trace: &Trace, ghost: &Ghost) {
        let (hash, events) = trace.hash();
        self.trace_hash = format!("{hash:016x}");
        self.counts.events = events;
        self.counts.virtual_millis = trace.now() / 1_000_000;
        self.violations.splice(0..0, ghost.violations());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { swarm, counts, .. } = self;
        writeln!(f, "seed {}: {}", self.seed, self.verdict())?;
        for Violation { at, broken, text } in &self.violations {
            writeln!(f, "  {broken} at {} ms: {text}", at / 1_000_000)?;
        }
        writeln!(f, "options: {swarm:?}")?;
        writeln!(f, "schedule:")?;
        for step in &self.schedule {
            writeln!(f, "  {step}")?;
        }
        writeln!(
            f,
            "trace: {} of {} events in {} virtual ms",
            self.trace_hash, counts.events, counts.virtual_millis
        )?;
        writeln!(
            f,
            "operations: {} answered, {} failed, {} unknown; {} watches; {} revisions; {} checks of promises",
            counts.answered, counts.failed, counts.unknown, counts.watches, counts.commits, self.checked
        )?;
        write!(f, "faults: {:?} injected, {:?} skipped", counts.injected, counts.skipped)
    }
}

impl Report {
    /// The outcome in a few words.
    pub fn verdict(&self) -> String {
        match (self.violations.len(), &self.void) {
            (0, None) => "passed".to_owned(),
            (0, Some(why)) => format!("void: {why}"),
            (count, _) => format!("{count} violations"),
        }
    }
}
