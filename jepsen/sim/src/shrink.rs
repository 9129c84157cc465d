//! The smallest schedule that still fails.
//!
//! In: a plan whose run breaks something. Out: a plan with fewer steps and less time whose run still breaks one of the
//! same things (delta debugging: Zeller, "Yesterday, my program worked. Today, it does not. Why?", 1999). Deliberately
//! absent: promises that it is minimal; fewer steps change what happens, and each attempt is one run.

use std::{collections::BTreeSet, time::Duration};

use crate::{Plan, Report, Step, run};

/// Cuts a failing plan down; tells `progress` of every smaller one that still fails. `None` when the plan does not fail.
pub fn shrink(plan: &Plan, progress: &mut dyn FnMut(&Plan)) -> Option<(Plan, Report)> {
    shrink_by(plan, &run, progress)
}

fn shrink_by(
    plan: &Plan,
    run: &dyn Fn(&Plan) -> Report,
    progress: &mut dyn FnMut(&Plan),
) -> Option<(Plan, Report)> {
    let report = run(plan);
    let broken: BTreeSet<_> = report.violations.iter().map(|violation| violation.broken).collect();
    if broken.is_empty() {
        return None;
    }
    let mut search = Search { best: plan.clone(), report, broken, run, progress };
    search.cut_time();
    search.cut_steps();
    search.cut_time();
    Some((search.best, search.report))
}

struct Search<'p> {
    best: Plan,
    report: Report,
    broken: BTreeSet<&'static str>,
    run: &'p dyn Fn(&Plan) -> Report,
    progress: &'p mut dyn FnMut(&Plan),
}

impl Search<'_> {
    /// Keeps a plan if its run still breaks one of the same things.
    fn accept(&mut self, plan: Plan) -> bool {
        let report = (self.run)(&plan);
        let fails = report.violations.iter().any(|violation| self.broken.contains(violation.broken));
        if fails {
            (self.progress)(&plan);
            self.best = plan;
            self.report = report;
        }
        fails
    }

    /// Ends the first phase earlier, again and again by half of what is left.
    fn cut_time(&mut self) {
        let mut low = Duration::from_secs(1);
        while low + Duration::from_millis(500) < self.best.time {
            let time = (low + self.best.time) / 2;
            let schedule = self.best.schedule.iter().copied().filter(|step| step.at < time).collect();
            if !self.accept(Plan { time, schedule, ..self.best.clone() }) {
                low = time;
            }
        }
    }

    /// Leaves out parts of the schedule, ever smaller ones.
    fn cut_steps(&mut self) {
        let mut parts = 2;
        while self.best.schedule.len() >= 2 {
            let len = self.best.schedule.len();
            let size = len.div_ceil(parts);
            let is_less = (0..len).step_by(size).any(|start| {
                let schedule = without(&self.best.schedule, start..(start + size).min(len));
                self.accept(Plan { schedule, ..self.best.clone() })
            });
            match is_less {
                true => parts = parts.saturating_sub(1).max(2),
                false if size == 1 => return,
                false => parts = (parts * 2).min(len),
            }
        }
        self.accept(Plan { schedule: Vec::new(), ..self.best.clone() });
    }
}

fn without(steps: &[Step], out: std::ops::Range<usize>) -> Vec<Step> {
    steps[..out.start].iter().chain(&steps[out.end..]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Invariant;

    /// A run that fails exactly when its schedule has the two steps with these dice.
    fn fails_with(plan: &Plan, dice: [u64; 2]) -> Report {
        let mut report = Report::new(plan);
        if dice.iter().all(|dice| plan.schedule.iter().any(|step| step.dice == *dice)) {
            report.add(Invariant::SameState, String::new());
        }
        report
    }

    #[test]
    fn of_many_steps_the_two_remain_that_fail_together() {
        let plan =
            (0..).map(Plan::of).find(|plan| plan.schedule.len() > 40).expect("some seed has many steps");
        let dice = [plan.schedule[7].dice, plan.schedule[31].dice];
        let (small, _) = shrink_by(&plan, &|plan| fails_with(plan, dice), &mut |_| ()).expect("it fails");
        let left: Vec<_> = small.schedule.iter().map(|step| step.dice).collect();
        assert_eq!(left, dice);
        let last = small.schedule[1].at;
        assert!(
            small.time > last && small.time < last + Duration::from_secs(2),
            "{:?} and {last:?}",
            small.time
        );
    }

    #[test]
    fn a_plan_that_does_not_fail_is_left_alone() {
        assert!(shrink_by(&Plan::of(1), &|plan| Report::new(plan), &mut |_| ()).is_none());
    }
}
