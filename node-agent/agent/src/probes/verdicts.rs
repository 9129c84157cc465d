//! What the probes have found out about containers. Pure data.

use std::collections::HashMap;

/// What a probe is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Whether the container has come up.
    Startup,
    /// Whether it has to be restarted.
    Liveness,
    /// Whether it can serve.
    Readiness,
}

impl Kind {
    /// The word in events.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// The judgement that holds, after the thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Unknown,
    Success,
    Failure,
}

/// The judgements about the instances of one pod's containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdicts {
    by_instance: HashMap<(Kind, String), Verdict>,
}

impl Verdicts {
    /// What a probe says about an instance; `None` if there is no such probe, or it has not begun.
    pub(crate) fn get(&self, kind: Kind, instance: &str) -> Option<Verdict> {
        self.by_instance.get(&(kind, instance.to_owned())).copied()
    }

    /// Whether a probe says that something is wrong.
    pub(crate) fn failed(&self, kind: Kind, instance: &str) -> bool {
        self.get(kind, instance) == Some(Verdict::Failure)
    }

    /// Sets a judgement; whether it is another than before.
    pub(crate) fn set(&mut self, kind: Kind, instance: &str, verdict: Verdict) -> bool {
        self.by_instance.insert((kind, instance.to_owned()), verdict) != Some(verdict)
    }

    /// Keeps what is said about these only; whether anything was forgotten.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(Kind, &str) -> bool) -> bool {
        let before = self.by_instance.len();
        self.by_instance.retain(|(kind, instance), _| is_kept(*kind, instance));
        self.by_instance.len() != before
    }
}
