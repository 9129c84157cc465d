//! The states of a pod on its node, and the one table of what leads from one to another. Pure.
//!
//! ```text
//!     Waiting ────── admitted ──────> Running
//!        │                               │
//!        │ rejected, ended before,       │ ended, overdue,
//!        │ deleted, removed              │ deleted, removed
//!        └───────────────┬───────────────┘
//!                        v
//!                   Terminating <──┐ deleted, removed:
//!                        │     └───┘ another cause, perhaps less time
//!                        │ stopped: nothing runs any more
//!                        v
//!                   Terminated <───┐  volumes and control groups are removed; then,
//!                        │     └───┘  if the API wants the pod gone, the object
//!                        │            deleted, removed: another cause
//!                        │ cleared, after the API has lost it: nothing is left of it
//!                        v
//!                      Gone
//! ```
//!
//! No way leads back: what terminates is never started again, whatever the API says later. A pod that has to run once
//! more comes as another object with another uid.

/// Where a pod is in its life on the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not judged yet: nothing is made for it.
    Waiting,
    /// What its spec asks for is being kept running.
    Running,
    /// Everything of it is being stopped.
    Terminating(Cause),
    /// Nothing of it runs. What is left of it is being removed, or has been.
    Terminated(Cause),
    /// Nobody asks about it any more.
    Gone,
}

/// Why a pod ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its containers have ended and are not started again.
    Ended,
    /// The API wants it gone.
    Deleted,
    /// The API does not have it.
    Removed,
    /// The node did not take it.
    Rejected(Failure),
    /// The node ended it.
    Overdue(Failure),
}

/// What the status of a pod says that the node does not let run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// What happens to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The node takes it.
    Admitted,
    /// The node does not take it.
    Rejected(Failure),
    /// It ran longer than it may.
    Overdue(Failure),
    /// Its containers have ended and are not started again; or it had ended when the agent first saw it.
    Ended,
    /// The API wants it gone.
    Deleted,
    /// The API does not have it any more.
    Removed,
    /// Nothing of it runs any more.
    Stopped,
    /// Nothing of it is left, in the runtime or on the disk.
    Cleared,
}

impl State {
    /// What comes of it.
    #[must_use]
    pub(crate) fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::Waiting, Event::Admitted) => Self::Running,
            (Self::Waiting, Event::Rejected(failure)) => Self::Terminating(Cause::Rejected(failure)),
            (Self::Waiting | Self::Running, Event::Overdue(failure)) => {
                Self::Terminating(Cause::Overdue(failure))
            }
            (Self::Waiting | Self::Running, Event::Ended) => Self::Terminating(Cause::Ended),
            (Self::Waiting | Self::Running, Event::Deleted) => Self::Terminating(Cause::Deleted),
            (Self::Waiting | Self::Running, Event::Removed) => Self::Terminating(Cause::Removed),
            (Self::Terminating(cause), Event::Stopped) => Self::Terminated(cause),
            (Self::Terminating(cause), Event::Deleted) => Self::Terminating(cause.deleted()),
            (Self::Terminating(_), Event::Removed) => Self::Terminating(Cause::Removed),
            (Self::Terminated(cause), Event::Deleted) => Self::Terminated(cause.deleted()),
            (Self::Terminated(_), Event::Removed) => Self::Terminated(Cause::Removed),
            (Self::Terminated(Cause::Removed), Event::Cleared) => Self::Gone,
            // What does not concern the state. What was taken is not sent away again.
            (Self::Waiting, Event::Stopped | Event::Cleared) => Self::Waiting,
            (Self::Running, Event::Admitted | Event::Rejected(_) | Event::Stopped | Event::Cleared) => {
                Self::Running
            }
            (
                Self::Terminating(cause),
                Event::Admitted | Event::Rejected(_) | Event::Overdue(_) | Event::Ended | Event::Cleared,
            ) => Self::Terminating(cause),
            (
                Self::Terminated(cause),
                Event::Admitted
                | Event::Rejected(_)
                | Event::Overdue(_)
                | Event::Ended
                | Event::Stopped
                | Event::Cleared,
            ) => Self::Terminated(cause),
            (
                Self::Gone,
                Event::Admitted
                | Event::Rejected(_)
                | Event::Overdue(_)
                | Event::Ended
                | Event::Deleted
                | Event::Removed
                | Event::Stopped
                | Event::Cleared,
            ) => Self::Gone,
        }
    }

    /// Whether nothing may be started any more.
    pub(crate) fn is_ending(&self) -> bool {
        match self {
            Self::Waiting | Self::Running => false,
            Self::Terminating(_) | Self::Terminated(_) | Self::Gone => true,
        }
    }

    /// Whether nothing of it runs, for good.
    pub(crate) fn is_stopped(&self) -> bool {
        match self {
            Self::Terminated(_) | Self::Gone => true,
            Self::Waiting | Self::Running | Self::Terminating(_) => false,
        }
    }

    /// Why it ends, once it does.
    pub(crate) fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Terminating(cause) | Self::Terminated(cause) => Some(cause),
            Self::Waiting | Self::Running | Self::Gone => None,
        }
    }
}

impl Cause {
    /// The cause after the API asks for the end as well. A failure stays one: its status is still owed.
    fn deleted(self) -> Self {
        match self {
            Self::Ended | Self::Deleted => Self::Deleted,
            Self::Removed => Self::Removed,
            Self::Rejected(failure) => Self::Rejected(failure),
            Self::Overdue(failure) => Self::Overdue(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failure() -> Failure {
        Failure { reason: "OutOfcpu".into(), message: "too much".into() }
    }

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Admitted),
            Just(Event::Rejected(failure())),
            Just(Event::Overdue(failure())),
            Just(Event::Ended),
            Just(Event::Deleted),
            Just(Event::Removed),
            Just(Event::Stopped),
            Just(Event::Cleared),
        ]
    }

    fn stage(state: &State) -> u8 {
        match state {
            State::Waiting => 0,
            State::Running => 1,
            State::Terminating(_) => 2,
            State::Terminated(_) => 3,
            State::Gone => 4,
        }
    }

    proptest! {
        #[test]
        fn no_way_leads_back(happens in prop::collection::vec(events(), 0..20)) {
            let mut state = State::Waiting;
            for event in happens {
                let next = state.clone().after(event.clone());
                prop_assert!(stage(&next) >= stage(&state), "{state:?} after {event:?} is {next:?}");
                // Nothing counts as stopped or gone that was not seen to be.
                if stage(&next) == 3 && stage(&state) < 3 {
                    prop_assert_eq!(event, Event::Stopped);
                } else if stage(&next) == 4 && stage(&state) < 4 {
                    prop_assert_eq!(event, Event::Cleared);
                }
                state = next;
            }
        }

        #[test]
        fn a_pod_that_the_api_lost_ends_whatever_came_before(happens in prop::collection::vec(events(), 0..20)) {
            let state = happens.into_iter().fold(State::Waiting, State::after);
            let end = state.after(Event::Removed).after(Event::Stopped).after(Event::Cleared);
            prop_assert_eq!(end, State::Gone);
        }
    }

    #[test]
    fn the_usual_life_goes_through_every_state() {
        let mut state = State::Waiting;
        for (event, then) in [
            (Event::Admitted, State::Running),
            (Event::Deleted, State::Terminating(Cause::Deleted)),
            (Event::Stopped, State::Terminated(Cause::Deleted)),
            (Event::Cleared, State::Terminated(Cause::Deleted)),
            (Event::Removed, State::Terminated(Cause::Removed)),
            (Event::Cleared, State::Gone),
        ] {
            state = state.after(event);
            assert_eq!(state, then);
        }
    }

    #[test]
    fn a_failure_is_still_told_when_the_pod_is_deleted_meanwhile() {
        let state =
            State::Running.after(Event::Overdue(failure())).after(Event::Deleted).after(Event::Stopped);
        assert_eq!(state.cause(), Some(&Cause::Overdue(failure())));
        assert!(state.is_stopped() && state.is_ending());
    }
}
