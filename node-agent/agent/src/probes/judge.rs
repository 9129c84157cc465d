//! From answers to judgements: thresholds, and whom to ask at all. Pure; upstream's probe worker.

use k8s_openapi::api::core::v1::Probe;

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

    /// Whether the container is to be asked. `has_come_up`: the startup probe has succeeded, or there is none.
    pub(crate) fn asks(&self, has_come_up: bool) -> bool {
        let is_turn = match self.kind {
            Kind::Startup => !has_come_up,
            Kind::Liveness | Kind::Readiness => has_come_up,
        };
        !self.is_done && is_turn
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

    #[test]
    fn the_startup_probe_is_asked_before_the_start_and_the_others_after_it() {
        for (kind, before, after) in
            [(Kind::Startup, true, false), (Kind::Liveness, false, true), (Kind::Readiness, false, true)]
        {
            let judge = Judge::new(kind, thresholds(1, 3));
            assert_eq!((judge.asks(false), judge.asks(true)), (before, after));
        }
    }

    #[test]
    fn what_has_failed_for_good_is_not_asked_again() {
        for (kind, answer, is_asked) in [
            (Kind::Startup, Answer::Success, false),
            (Kind::Startup, Answer::Failure, false),
            (Kind::Liveness, Answer::Success, true),
            (Kind::Liveness, Answer::Failure, false),
            (Kind::Readiness, Answer::Failure, true),
        ] {
            let mut judge = Judge::new(kind, thresholds(1, 1));
            assert!(judge.hear(answer).is_some());
            assert_eq!(judge.asks(kind != Kind::Startup), is_asked, "{kind:?} {answer:?}");
        }
    }

    #[test]
    fn until_there_are_answers_a_container_lives_and_serves_nobody() {
        assert_eq!(Judge::initial(Kind::Startup), Verdict::Unknown);
        assert_eq!(Judge::initial(Kind::Liveness), Verdict::Success);
        assert_eq!(Judge::initial(Kind::Readiness), Verdict::Failure);
    }
}
