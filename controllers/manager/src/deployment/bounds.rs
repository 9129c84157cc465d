//! How far a rolling update may stray from the number of pods that is wanted: pure.

use k8s_openapi::api::apps::v1::Deployment;

use crate::proportion::{Round, scaled};

/// The bounds, resolved for the number of pods wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// How many more there may be.
    pub(super) max_surge: i64,
    /// How many fewer may be available.
    pub(super) max_unavailable: i64,
}

/// How many pods the deployment wants.
pub(super) fn desired(deployment: &Deployment) -> i64 {
    deployment.spec.replicas.unwrap_or(1).into()
}

/// Whether new pods come before old ones have gone. What is not `Recreate` is.
pub(super) fn is_rolling(deployment: &Deployment) -> bool {
    let strategy = deployment.spec.strategy.as_ref();
    strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("Recreate")
}

/// The bounds of a deployment; both zero unless it is rolling. A part of a pod counts as a pod more, but not as one
/// that may be missing; where that leaves no room at all, one may be missing.
pub(super) fn bounds(deployment: &Deployment) -> Bounds {
    if !is_rolling(deployment) {
        return Bounds { max_surge: 0, max_unavailable: 0 };
    }
    let desired = desired(deployment);
    let strategy = deployment.spec.strategy.as_ref();
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref());
    let max_surge = surge.map_or(0, |surge| scaled(surge, desired, Round::Up));
    let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    let unavailable = unavailable.map_or(0, |unavailable| scaled(unavailable, desired, Round::Down));
    let unavailable = if max_surge == 0 && unavailable == 0 { 1 } else { unavailable };
    Bounds { max_surge, max_unavailable: unavailable.min(desired) }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::{DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment};
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

    use super::*;

    fn of(kind: &str, replicas: i32, surge: IntOrString, unavailable: IntOrString) -> (i64, i64) {
        let rolling = RollingUpdateDeployment { max_surge: Some(surge), max_unavailable: Some(unavailable) };
        let strategy = DeploymentStrategy { type_: Some(kind.into()), rolling_update: Some(rolling) };
        let spec = DeploymentSpec {
            replicas: Some(replicas),
            strategy: Some(strategy),
            ..DeploymentSpec::default()
        };
        let bounds = bounds(&Deployment { spec, ..Deployment::default() });
        (bounds.max_surge, bounds.max_unavailable)
    }

    fn percent(number: i32) -> IntOrString {
        IntOrString::String(format!("{number}%"))
    }

    #[test]
    fn percentages_are_rounded_towards_more_pods() {
        let rolling = |replicas, surge, unavailable| of("RollingUpdate", replicas, surge, unavailable);
        assert_eq!(rolling(10, percent(25), percent(25)), (3, 2));
        assert_eq!(rolling(3, percent(25), percent(25)), (1, 0));
        assert_eq!(rolling(1, percent(25), percent(25)), (1, 0));
        assert_eq!(rolling(4, percent(100), percent(0)), (4, 0));
        assert_eq!(rolling(10, IntOrString::Int(2), IntOrString::Int(1)), (2, 1));
    }

    #[test]
    fn where_there_is_no_room_one_may_be_missing() {
        assert_eq!(of("RollingUpdate", 3, IntOrString::Int(0), percent(25)), (0, 1));
        assert_eq!(of("RollingUpdate", 0, percent(25), percent(25)), (0, 0), "of none, none can be missing");
        assert_eq!(of("RollingUpdate", 2, IntOrString::Int(1), IntOrString::Int(5)), (1, 2));
    }

    #[test]
    fn recreate_knows_no_bounds() {
        assert_eq!(of("Recreate", 10, percent(25), percent(25)), (0, 0));
    }
}
