//! From answers to judgements: thresholds, and when to ask at all. Pure; upstream's probe worker.

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::verdicts::{Kind, Verdict};

/// What a container answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Success,
    Failure,
}

/// How often in a row an answer has to come until it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thresholds {
    success: u32,
    failure: u32,
}

impl Thresholds {
    /// As the probe says, with the API's defaults.
    pub(crate) fn of(probe: &Probe) -> Self {
        let positive = |value: Option<i32>, default: u32| {
            value.and_then(|it| u32::try_from(it).ok()).filter(|it| *it > 0).unwrap_or(default)
        };
        Self { success: positive(probe.success_threshold, 1), failure: positive(probe.failure_threshold, 3) }
    }
}

/// The judge of one probe of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judge {
    kind: Kind,
    thresholds: Thresholds,
    last: Option<Answer>,
    run: u32,
    /// It has said what there was to say about this instance.
    is_done: bool,
}

/// What the judge knows of the instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    pub(crate) running_since: Timestamp,
    /// Whether the startup probe has succeeded, or there is none.
    pub(crate) has_come_up: bool,
    pub(crate) now: Timestamp,
}

impl Judge {
    /// Of a new instance.
    pub(crate) fn new(kind: Kind, thresholds: Thresholds) -> Self {
        Self { kind, thresholds, last: None, run: 0, is_done: false }
    }

    /// What holds until there are enough answers.
    pub(crate) fn initial(kind: Kind) -> Verdict {
        match kind {
            Kind::Startup => Verdict::Unknown,
            Kind::Liveness => Verdict::Success,
            Kind::Readiness => Verdict::Failure,
        }
    }

    /// Whether the container is to be asked now.
    pub(crate) fn asks(&self, probe: &Probe, situation: Situation) -> bool {
        let delay = SignedDuration::from_secs(probe.initial_delay_seconds.unwrap_or(0).into());
        let is_early = situation.now.duration_since(situation.running_since) < delay;
        let is_turn = match self.kind {
            Kind::Startup => !situation.has_come_up,
            Kind::Liveness | Kind::Readiness => situation.has_come_up,
        };
        !self.is_done && !is_early && is_turn
    }

    /// Whether this instance is not asked any more.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes an answer in; the judgement, if it is time for one.
    pub(crate) fn hear(&mut self, answer: Answer) -> Option<Verdict> {
        if self.last == Some(answer) {
            self.run = self.run.saturating_add(1);
        } else {
            self.last = Some(answer);
            self.run = 1;
        }
        let (needed, verdict) = match answer {
            Answer::Success => (self.thresholds.success, Verdict::Success),
            Answer::Failure => (self.thresholds.failure, Verdict::Failure),
        };
        if self.run < needed {
            return None;
        }
        // The container is going to be restarted, or has come up: there is nothing more to ask it.
        self.is_done = match (self.kind, answer) {
            (Kind::Startup, _) | (Kind::Liveness, Answer::Failure) => true,
            (Kind::Liveness, Answer::Success) | (Kind::Readiness, _) => false,
        };
        Some(verdict)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::at;

    fn thresholds(success: i32, failure: i32) -> Thresholds {
        let probe = json!({"successThreshold": success, "failureThreshold": failure});
        Thresholds::of(&serde_json::from_value(probe).unwrap())
    }

    fn heard(judge: &mut Judge, answers: &str) -> Vec<Option<Verdict>> {
        let answer = |it| if it == '+' { Answer::Success } else { Answer::Failure };
        answers.chars().map(|it| judge.hear(answer(it))).collect()
    }

    #[test]
    fn thresholds_have_the_apis_defaults() {
        assert_eq!(Thresholds::of(&Probe::default()), Thresholds { success: 1, failure: 3 });
        assert_eq!(thresholds(0, -1), Thresholds { success: 1, failure: 3 });
        assert_eq!(thresholds(2, 5), Thresholds { success: 2, failure: 5 });
    }

    #[test]
    fn an_answer_counts_when_it_came_often_enough_in_a_row() {
        let (yes, no) = (Some(Verdict::Success), Some(Verdict::Failure));
        let mut judge = Judge::new(Kind::Readiness, thresholds(2, 3));
        assert_eq!(heard(&mut judge, "+-+"), [None, None, None]);
        assert_eq!(heard(&mut judge, "++"), [yes, yes]);
        assert_eq!(heard(&mut judge, "--+--"), [None; 5]);
        assert_eq!(heard(&mut judge, "--"), [no, no]);
    }

    fn asks(judge: &Judge, probe: &Probe, has_come_up: bool, now: i64) -> bool {
        judge.asks(probe, Situation { running_since: at(0), has_come_up, now: at(now) })
    }

    #[test]
    fn nobody_is_asked_before_the_initial_delay() {
        let probe = Probe { initial_delay_seconds: Some(5), ..Probe::default() };
        let judge = Judge::new(Kind::Liveness, Thresholds::of(&probe));
        assert!(!asks(&judge, &probe, true, 4) && asks(&judge, &probe, true, 5));
    }

    #[test]
    fn the_startup_probe_is_asked_before_the_start_and_the_others_after_it() {
        let probe = Probe::default();
        for (kind, before, after) in
            [(Kind::Startup, true, false), (Kind::Liveness, false, true), (Kind::Readiness, false, true)]
        {
            let judge = Judge::new(kind, Thresholds::of(&probe));
            assert_eq!((asks(&judge, &probe, false, 9), asks(&judge, &probe, true, 9)), (before, after));
        }
    }

    #[test]
    fn what_has_failed_for_good_is_not_asked_again() {
        let probe = Probe::default();
        for (kind, answer, is_asked) in [
            (Kind::Startup, Answer::Success, false),
            (Kind::Startup, Answer::Failure, false),
            (Kind::Liveness, Answer::Success, true),
            (Kind::Liveness, Answer::Failure, false),
            (Kind::Readiness, Answer::Failure, true),
        ] {
            let mut judge = Judge::new(kind, thresholds(1, 1));
            assert!(judge.hear(answer).is_some());
            assert_eq!(asks(&judge, &probe, kind != Kind::Startup, 9), is_asked, "{kind:?} {answer:?}");
        }
    }

    #[test]
    fn until_there_are_answers_a_container_lives_and_serves_nobody() {
        assert_eq!(Judge::initial(Kind::Startup), Verdict::Unknown);
        assert_eq!(Judge::initial(Kind::Liveness), Verdict::Success);
        assert_eq!(Judge::initial(Kind::Readiness), Verdict::Failure);
    }
}
