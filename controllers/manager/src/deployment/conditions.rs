//! The conditions of a Deployment: pure.

use k8s_openapi::api::apps::v1::DeploymentCondition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

pub(super) const AVAILABLE: &str = "Available";
pub(super) const PROGRESSING: &str = "Progressing";
pub(super) const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Reasons of [`PROGRESSING`] that decide something.
pub(super) const PAUSED: &str = "DeploymentPaused";
pub(super) const TIMED_OUT: &str = "ProgressDeadlineExceeded";
pub(super) const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";

/// At most one condition of each type.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions(Vec<DeploymentCondition>);

/// A condition that holds from now on.
pub(super) fn condition(
    kind: &str,
    status: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(kind.into()),
        status: Some(status.into()),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

impl Conditions {
    /// Those of a status.
    pub(super) fn of(conditions: Option<&Vec<DeploymentCondition>>) -> Self {
        Self(conditions.cloned().unwrap_or_default())
    }

    pub(super) fn get(&self, kind: &str) -> Option<&DeploymentCondition> {
        self.0.iter().find(|condition| condition.type_.as_deref() == Some(kind))
    }

    /// The reason of the condition of this type.
    pub(super) fn reason(&self, kind: &str) -> Option<&str> {
        self.get(kind)?.reason.as_deref()
    }

    /// Takes in what holds now, unless the same was said before for the same reason.
    pub(super) fn set(&mut self, condition: DeploymentCondition) {
        let before = self.get(condition.type_.as_deref().unwrap_or_default());
        let known = before
            .is_some_and(|before| before.status == condition.status && before.reason == condition.reason);
        if !known {
            self.refresh(condition);
        }
    }

    /// Takes in what holds now, as of now even if it was said before. A transition is a change of status.
    pub(super) fn refresh(&mut self, mut condition: DeploymentCondition) {
        let kind = condition.type_.clone().unwrap_or_default();
        if let Some(before) = self.get(&kind)
            && before.status == condition.status
        {
            condition.last_transition_time.clone_from(&before.last_transition_time);
        }
        self.remove(&kind);
        self.0.push(condition);
    }

    pub(super) fn remove(&mut self, kind: &str) {
        self.0.retain(|condition| condition.type_.as_deref() != Some(kind));
    }

    /// As a status has them.
    pub(super) fn into_field(self) -> Option<Vec<DeploymentCondition>> {
        Some(self.0).filter(|conditions| !conditions.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progressing(status: &str, reason: &str, second: i64) -> DeploymentCondition {
        condition(PROGRESSING, status, reason, "", Timestamp::from_second(second).unwrap())
    }

    fn times(conditions: &Conditions) -> (i64, i64) {
        let condition = conditions.get(PROGRESSING).unwrap();
        let second = |time: &Option<Time>| time.as_ref().unwrap().0.as_second();
        (second(&condition.last_update_time), second(&condition.last_transition_time))
    }

    #[test]
    fn what_is_said_again_is_no_news_unless_it_is_refreshed() {
        let mut conditions = Conditions::default();
        conditions.set(progressing("True", "A", 1));
        conditions.set(progressing("True", "A", 2));
        assert_eq!(times(&conditions), (1, 1));
        conditions.set(progressing("True", "B", 3));
        assert_eq!(times(&conditions), (3, 1), "another reason is no transition");
        conditions.refresh(progressing("True", "B", 4));
        assert_eq!(times(&conditions), (4, 1));
        conditions.set(progressing("False", "B", 5));
        assert_eq!(times(&conditions), (5, 5));
        conditions.remove(PROGRESSING);
        assert!(conditions.into_field().is_none());
    }
}
