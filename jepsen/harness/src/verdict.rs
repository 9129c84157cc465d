//! What a run comes to: every promise, every fault, every crash, and one word for all.
//!
//! In: a history, with what its run says of itself. Out: `verdict.json`, the table that people see, and
//! the exit status. A promise that nothing speaks of was not kept; a fault that was not injected was not survived.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use keelson_checkers::history::{End, FaultPhase, History, Remarks};
use keelson_checkers::promise::{Outcome, Promise, Verdict};
use serde::{Deserialize, Serialize};

use crate::exit::Exit;

/// Enough to see what it is about; the rest is in the file.
const VIOLATIONS_SHOWN: usize = 3;

/// The content of `verdict.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judgement {
    pub(crate) workload: String,
    pub(crate) seed: u64,
    pub(crate) nodes: Vec<String>,
    /// One word for all.
    pub(crate) outcome: Exit,
    pub(crate) operations: Counts,
    pub(crate) watches: usize,
    pub(crate) promises: Vec<Judged>,
    pub(crate) faults: Vec<FaultSummary>,
    /// Nodes that ended although nobody ended them.
    pub(crate) crashes: Vec<String>,
    /// Nodes that were removed and have not become members again.
    pub(crate) outcasts: Vec<String>,
    /// What the run could not do.
    pub(crate) shortfalls: Vec<String>,
}

/// What came of the operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) ok: usize,
    pub(crate) failed: usize,
    pub(crate) unknown: usize,
}

/// One promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) promise: String,
    #[serde(flatten)]
    pub(crate) finding: Finding,
    /// Operations or events that were looked at.
    pub(crate) checked: u64,
}

/// Whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "kebab-case")]
pub(crate) enum Finding {
    Kept,
    Broken { violations: Vec<Breach> },
    Undecided { why: String },
    NotApplicable,
}

/// One violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Breach {
    pub(crate) class: String,
    pub(crate) text: String,
    /// Places in the history's operations.
    pub(crate) operations: Vec<u32>,
    /// Places in the history's watches.
    pub(crate) watches: Vec<u32>,
}

/// What became of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FaultSummary {
    pub(crate) fault: String,
    pub(crate) injected: usize,
    /// Why it was not, each reason once.
    pub(crate) skipped: Vec<String>,
}

/// Judges a history by these promises, and by what its run says of itself.
pub(crate) fn judge<'p>(history: &History, promises: impl IntoIterator<Item = &'p Promise>) -> Judgement {
    let Remarks { crashes, outcasts, mut shortfalls } = history.remarks.clone();
    let flaw = history.validate().err();
    let promises: Vec<_> = match &flaw {
        // Checks rely on what is not so.
        Some(_) => Vec::new(),
        None => promises.into_iter().filter_map(|promise| judged(promise, history)).collect(),
    };
    let faults = summarise(history);
    let outcome = match &flaw {
        Some(_) => Exit::HarnessFailed,
        None if !crashes.is_empty() || !outcasts.is_empty() => Exit::Broken,
        None => outcome(&promises, &faults, &shortfalls),
    };
    shortfalls.extend(flaw.map(|flaw| format!("what was recorded cannot have been: {flaw}")));
    Judgement {
        workload: history.meta.workload.clone(),
        seed: history.meta.seed,
        nodes: history.meta.nodes.clone(),
        outcome,
        operations: count(history),
        watches: history.watches.len(),
        promises,
        faults,
        crashes,
        outcasts,
        shortfalls,
    }
}

/// `None`: what was tested has never promised it.
fn judged(promise: &Promise, history: &History) -> Option<Judged> {
    let is_promised = !history.meta.not_promised.iter().any(|name| name == promise.name);
    is_promised.then(|| finding(promise.name, (promise.check)(history)))
}

fn finding(promise: &str, verdict: Verdict) -> Judged {
    let finding = match verdict.outcome {
        Outcome::Kept => Finding::Kept,
        Outcome::Broken(violations) => {
            let breaches = violations.into_iter().map(|violation| Breach {
                class: violation.class.to_owned(),
                text: violation.text,
                operations: violation.operations.iter().map(|operation| operation.0).collect(),
                watches: violation.watches.iter().map(|watch| watch.0).collect(),
            });
            Finding::Broken { violations: breaches.collect() }
        }
        Outcome::Undecided(why) => Finding::Undecided { why },
        Outcome::NotApplicable => Finding::NotApplicable,
    };
    Judged { promise: promise.to_owned(), finding, checked: verdict.checked }
}

fn outcome(promises: &[Judged], faults: &[FaultSummary], shortfalls: &[String]) -> Exit {
    let any = |test: fn(&Finding) -> bool| promises.iter().any(|judged| test(&judged.finding));
    if any(|finding| matches!(finding, Finding::Broken { .. })) {
        return Exit::Broken;
    }
    let is_undecided = any(|finding| matches!(finding, Finding::Undecided { .. }));
    let is_empty = !any(|finding| matches!(finding, Finding::Kept));
    let is_untouched = !faults.is_empty() && faults.iter().all(|fault| fault.injected == 0);
    if is_undecided || is_empty || is_untouched || !shortfalls.is_empty() {
        Exit::NothingChecked
    } else {
        Exit::Kept
    }
}

fn summarise(history: &History) -> Vec<FaultSummary> {
    let summary = |fault: &str| FaultSummary { fault: fault.to_owned(), injected: 0, skipped: Vec::new() };
    let asked = history.meta.faults.iter().map(|name| (name.as_str(), summary(name)));
    let mut faults: BTreeMap<&str, FaultSummary> = asked.collect();
    let mut active = BTreeSet::new();
    for event in history.faults.iter().filter(|event| !event.fault.is_empty()) {
        let name = event.fault.as_str();
        let FaultSummary { injected, skipped, .. } = faults.entry(name).or_insert_with(|| summary(name));
        match &event.phase {
            FaultPhase::Began => {
                *injected += 1;
                active.insert(name);
            }
            FaultPhase::Struck => *injected += 1,
            FaultPhase::Skipped(why) => {
                // It had begun, and nobody has felt it.
                *injected -= usize::from(active.remove(name));
                if !skipped.contains(why) {
                    skipped.push(why.clone());
                }
            }
            FaultPhase::Ended => drop(active.remove(name)),
            FaultPhase::Healed | FaultPhase::LeaderSeen(_) => {}
        }
    }
    faults.into_values().collect()
}

fn count(history: &History) -> Counts {
    let mut counts = Counts::default();
    for operation in &history.operations {
        *match operation.end {
            End::Ok { .. } => &mut counts.ok,
            End::Failed { .. } => &mut counts.failed,
            End::Unknown { .. } => &mut counts.unknown,
        } += 1;
    }
    counts
}

impl Judgement {
    /// The table that people see.
    pub(crate) fn table(&self) -> String {
        let Counts { ok, failed, unknown } = self.operations;
        let mut text = format!(
            "workload {}, seed {}, {} nodes: {ok} operations answered, {failed} failed, {unknown} unknown; {} \
             watches\n\n",
            self.workload,
            self.seed,
            self.nodes.len(),
            self.watches
        );
        let width = self.promises.iter().map(|judged| judged.promise.len()).max().unwrap_or(0);
        for judged in &self.promises {
            let (word, more) = match &judged.finding {
                Finding::Kept => ("kept", String::new()),
                Finding::Broken { violations } => ("BROKEN", lines(violations)),
                Finding::Undecided { why } => ("undecided", format!("    {why}\n")),
                Finding::NotApplicable => ("nothing", String::new()),
            };
            let _ = writeln!(text, "  {word:<9}  {:<width$}  {:>9} checked", judged.promise, judged.checked);
            text += &more;
        }
        text += &self.fault_lines();
        for crash in &self.crashes {
            let _ = writeln!(text, "  CRASH      {crash}");
        }
        for node in &self.outcasts {
            let _ =
                writeln!(text, "  OUTCAST    node {node} was removed, and could not become a member again");
        }
        for shortfall in &self.shortfalls {
            let _ = writeln!(text, "  SHORT      {shortfall}");
        }
        let _ = writeln!(text, "\n{}", self.conclusion());
        text
    }

    /// A line for each fault that was injected or could not be, and one for all that found no time.
    fn fault_lines(&self) -> String {
        let mut text = String::new();
        let mut late = Vec::new();
        for FaultSummary { fault, injected, skipped } in &self.faults {
            if *injected == 0 && skipped.is_empty() {
                late.push(fault.as_str());
                continue;
            }
            let reasons =
                if skipped.is_empty() { String::new() } else { format!("  skipped: {}", skipped.join("; ")) };
            let _ = writeln!(text, "  fault      {fault:<20} {injected:>3} times{reasons}");
        }
        if !late.is_empty() {
            let _ = writeln!(text, "  no time    {}", late.join(", "));
        }
        text
    }

    /// One line for all.
    pub(crate) fn conclusion(&self) -> &'static str {
        match self.outcome {
            Exit::Kept => "KEPT: nothing contradicts the promises that were checked",
            Exit::Broken => "BROKEN: the store did not keep its promises",
            Exit::HarnessFailed => "FAILED: the harness could not do its work; nothing is known",
            Exit::NothingChecked => {
                "NOT CHECKED: a check gave up or found nothing, the run fell short, or no fault could be injected"
            }
        }
    }
}

fn lines(violations: &[Breach]) -> String {
    let mut text = String::new();
    for Breach { class, text: said, .. } in violations.iter().take(VIOLATIONS_SHOWN) {
        let _ = writeln!(text, "    {class}: {}", said.replace('\n', "\n      "));
    }
    if violations.len() > VIOLATIONS_SHOWN {
        let _ = writeln!(text, "    and {} more", violations.len() - VIOLATIONS_SHOWN);
    }
    text
}

#[cfg(test)]
mod tests;
