//! Rules about failed pods and succeeded indexes, and upstream's messages.

use k8s_openapi::api::{
    batch::v1::{PodFailurePolicyOnPodConditionsPattern, SuccessPolicyRule},
    core::v1::PodCondition,
};

use super::*;
use crate::job::testing::{exited, pod};

fn on_codes(action: &str, container: Option<&str>, operator: &str, values: &[i32]) -> PodFailurePolicyRule {
    PodFailurePolicyRule {
        action: action.into(),
        on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
            container_name: container.map(Into::into),
            operator: operator.into(),
            values: values.to_vec(),
        }),
        on_pod_conditions: None,
    }
}

fn on_condition(action: &str, kind: &str, status: Option<&str>) -> PodFailurePolicyRule {
    let pattern =
        PodFailurePolicyOnPodConditionsPattern { type_: kind.into(), status: status.map(Into::into) };
    PodFailurePolicyRule {
        action: action.into(),
        on_exit_codes: None,
        on_pod_conditions: Some(vec![pattern]),
    }
}

fn judged(rules: Vec<PodFailurePolicyRule>, pod: &Pod) -> Failure {
    judge(Some(&PodFailurePolicy { rules }), pod)
}

fn failed(code: i32) -> Pod {
    exited(pod("p", "Failed"), code, 0)
}

fn disrupted() -> Pod {
    let mut pod = failed(137);
    let condition =
        PodCondition { type_: "DisruptionTarget".into(), status: "True".into(), ..PodCondition::default() };
    pod.status.get_or_insert_default().conditions = Some(vec![condition]);
    pod
}

#[test]
fn a_failure_counts_unless_a_rule_says_otherwise() {
    assert_eq!(judge(None, &failed(1)), Failure::Counts);
    let rules = || vec![on_codes("Ignore", None, "In", &[2, 3]), on_codes("FailIndex", None, "NotIn", &[4])];
    assert_eq!(judged(rules(), &failed(3)), Failure::Ignored);
    assert_eq!(judged(rules(), &failed(1)), Failure::FailsIndex);
    assert_eq!(judged(rules(), &failed(4)), Failure::Counts);
}

#[test]
fn the_first_rule_that_matches_decides_and_is_named() {
    let rules = vec![
        on_codes("Ignore", Some("other"), "In", &[42]),
        on_codes("FailJob", Some("main"), "In", &[42]),
        on_codes("Ignore", None, "In", &[42]),
    ];
    let message = "Container main for pod shop/p failed with exit code 42 matching FailJob rule at index 1";
    assert_eq!(judged(rules, &failed(42)), Failure::FailsJob(message.into()));
}

#[test]
fn success_matches_no_rule_about_exit_codes() {
    for operator in ["In", "NotIn"] {
        assert_eq!(judged(vec![on_codes("Ignore", None, operator, &[1])], &failed(0)), Failure::Counts);
    }
    let running = pod("p", "Running");
    assert_eq!(judged(vec![on_codes("Ignore", None, "NotIn", &[1])], &running), Failure::Counts);
}

#[test]
fn conditions_match_by_type_and_status() {
    let rule = |action, status| on_condition(action, "DisruptionTarget", status);
    assert_eq!(judged(vec![rule("Ignore", None)], &disrupted()), Failure::Ignored);
    assert_eq!(judged(vec![rule("Ignore", Some("False"))], &disrupted()), Failure::Counts);
    assert_eq!(judged(vec![on_condition("Ignore", "Ready", None)], &disrupted()), Failure::Counts);
    let message = "Pod shop/p has condition DisruptionTarget matching FailJob rule at index 0";
    assert_eq!(judged(vec![rule("FailJob", None)], &disrupted()), Failure::FailsJob(message.into()));
}

#[test]
fn a_rule_of_a_later_version_is_passed_over() {
    let rules = vec![on_codes("Celebrate", None, "In", &[1]), on_codes("Ignore", None, "In", &[1])];
    assert_eq!(judged(rules, &failed(1)), Failure::Ignored);
}

#[test]
fn a_job_succeeds_by_the_first_rule_that_its_indexes_fulfil() {
    let rule = |indexes: Option<&str>, count: Option<i32>| SuccessPolicyRule {
        succeeded_indexes: indexes.map(Into::into),
        succeeded_count: count,
    };
    let met = |rules: Vec<SuccessPolicyRule>, succeeded: &str| {
        success(Some(&SuccessPolicy { rules }), 10, &Indexes::parse(succeeded, 10))
    };
    let matched = |place: usize| Some(format!("Matched rules at index {place}"));
    assert_eq!(met(vec![rule(Some("0-2"), None)], "0-1"), None);
    assert_eq!(met(vec![rule(Some("0-2"), None)], "0-3"), matched(0));
    assert_eq!(met(vec![rule(Some("0-2"), Some(2))], "1-5"), matched(0), "two of them are enough");
    assert_eq!(met(vec![rule(Some("0-2"), Some(2))], "2-9"), None, "others do not count");
    assert_eq!(met(vec![rule(Some("9"), None), rule(None, Some(3))], "0-2"), matched(1));
    assert_eq!(met(vec![rule(Some("nonsense"), None)], "0"), None);
    assert_eq!(met(vec![rule(None, Some(0))], ""), None, "nothing has succeeded");
    assert_eq!(success(None, 10, &Indexes::parse("0-9", 10)), None);
}
