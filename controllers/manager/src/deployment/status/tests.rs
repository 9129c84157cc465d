//! What is promised of the deployment status, shown by example.

use k8s_openapi::api::apps::v1::ReplicaSet;
use std::sync::Arc;

use super::super::plan::Plan;
use super::super::samples::{
    at, condition_line, deployment, plan_of, recreate, set, set_status, settled, template,
};
use super::*;

fn told(plan: &Plan) -> &DeploymentStatus {
    &plan.status.as_ref().expect("news").status
}

fn changed(set: Arc<ReplicaSet>, change: impl Fn(&mut ReplicaSet)) -> Arc<ReplicaSet> {
    let mut set = set;
    change(Arc::make_mut(&mut set));
    set
}

/// As told when its Progressing condition was last touched at second 0.
fn since_the_epoch(mut deployment: Deployment) -> Deployment {
    for condition in deployment.status.iter_mut().flat_map(|status| status.conditions.iter_mut().flatten()) {
        condition.last_update_time = Some(at(0).into());
        condition.last_transition_time = Some(at(0).into());
    }
    deployment
}

#[test]
fn pods_are_counted_over_all_sets() {
    let deployment = deployment("v2", 10);
    let old = changed(set("v1", 1, 10, 3, 3), |set| set.status = Some(set_status(4, 3)));
    let plan = plan_of(&deployment, &[old, set("v2", 2, 10, 8, 6)]);
    let status = told(&plan);
    assert_eq!(status.replicas, Some(12));
    assert_eq!(status.updated_replicas, Some(8));
    assert_eq!((status.ready_replicas, status.available_replicas), (Some(9), Some(9)));
    assert_eq!(status.unavailable_replicas, Some(2));
    assert_eq!(status.terminating_replicas, Some(0));
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(
        condition_line(status, AVAILABLE),
        "Available=True MinimumReplicasAvailable: Deployment has minimum availability."
    );
}

#[test]
fn what_a_set_does_not_say_is_not_known_of_the_deployment() {
    let silent = changed(set("v1", 1, 3, 3, 3), |set| {
        set.status.as_mut().unwrap().terminating_replicas = None;
    });
    assert_eq!(told(&plan_of(&deployment("v1", 3), &[silent])).terminating_replicas, None);
}

#[test]
fn too_few_available_pods_are_told() {
    let plan = plan_of(&deployment("v1", 3), &[set("v1", 1, 3, 3, 1)]);
    assert_eq!(
        condition_line(told(&plan), AVAILABLE),
        "Available=False MinimumReplicasUnavailable: Deployment does not have minimum availability."
    );
}

#[test]
fn a_set_found_without_a_word_about_progress_is_where_progress_begins() {
    let plan = plan_of(&deployment("v1", 3), &[set("v1", 1, 3, 3, 0)]);
    // Seen and progressed in one: the pods of the set are news as well.
    assert_eq!(
        condition_line(told(&plan), PROGRESSING),
        "Progressing=True ReplicaSetUpdated: ReplicaSet \"web-v1\" is progressing."
    );
    let none = changed(set("v1", 1, 3, 3, 0), |set| set.status = None);
    assert_eq!(
        condition_line(told(&plan_of(&deployment("v1", 3), &[none])), PROGRESSING),
        "Progressing=True FoundNewReplicaSet: Found new replica set \"web-v1\""
    );
}

#[test]
fn completion_is_told_once_and_pods_that_fail_later_do_not_undo_it() {
    let sets = [set("v1", 1, 3, 3, 3)];
    let done = since_the_epoch(settled(deployment("v1", 3), &sets));
    assert_eq!(
        condition_line(done.status.as_ref().unwrap(), PROGRESSING),
        "Progressing=True NewReplicaSetAvailable: ReplicaSet \"web-v1\" has successfully progressed."
    );
    let plan = plan_of(&done, &[set("v1", 1, 3, 3, 1)]);
    let status = told(&plan);
    assert!(condition_line(status, PROGRESSING).contains("NewReplicaSetAvailable"));
    assert!(condition_line(status, AVAILABLE).contains("MinimumReplicasUnavailable"));
    assert_eq!(plan.again, None, "and are not timed");
}

#[test]
fn every_sign_of_progress_starts_the_clock_anew() {
    let begun = settled(deployment("v1", 3), &[set("v1", 1, 3, 3, 0)]);
    let plan = plan_of(&since_the_epoch(begun), &[set("v1", 1, 3, 3, 1)]);
    let conditions = Conditions::of(told(&plan).conditions.as_ref());
    let progressing = conditions.get(PROGRESSING).unwrap();
    assert_eq!(progressing.reason.as_deref(), Some("ReplicaSetUpdated"));
    assert_eq!(progressing.last_update_time, Some(at(1000).into()));
    assert_eq!(progressing.last_transition_time, Some(at(0).into()));
    assert_eq!(plan.again, Some(Duration::from_secs(601)));
}

#[test]
fn a_rollout_that_stands_still_runs_out_of_time_and_can_recover() {
    let sets = [set("v1", 1, 3, 3, 0)];
    let mut stuck = since_the_epoch(settled(deployment("v1", 3), &sets));
    stuck.spec.progress_deadline_seconds = Some(1001);
    let plan = plan_of(&stuck, &sets);
    assert_eq!(plan.status, None);
    assert_eq!(plan.again, Some(Duration::from_secs(2)), "a second more than is left");
    stuck.spec.progress_deadline_seconds = Some(999);
    let plan = plan_of(&stuck, &sets);
    assert_eq!(
        condition_line(told(&plan), PROGRESSING),
        "Progressing=False ProgressDeadlineExceeded: ReplicaSet \"web-v1\" has timed out progressing."
    );
    assert_eq!(plan.again, None);
    let mut late = stuck.clone();
    late.status = Some(told(&plan).clone());
    assert_eq!(plan_of(&late, &sets).status, None, "told once");
    let plan = plan_of(&late, &[set("v1", 1, 3, 3, 1)]);
    assert!(condition_line(told(&plan), PROGRESSING).starts_with("Progressing=True ReplicaSetUpdated"));
    stuck.spec.progress_deadline_seconds = None;
    assert_eq!(condition_line(told(&plan_of(&stuck, &sets)), PROGRESSING), "", "nobody asks");
}

#[test]
fn undoing_a_rollout_that_ran_out_of_time_starts_the_clock_anew() {
    let broken = [set("v1", 1, 3, 0, 0), set("v2", 2, 3, 3, 0)];
    let mut late = since_the_epoch(settled(deployment("v2", 3), &broken));
    late.spec.strategy = Some(recreate());
    late.spec.progress_deadline_seconds = Some(10);
    late.status = Some(told(&plan_of(&late, &broken)).clone());
    assert!(condition_line(late.status.as_ref().unwrap(), PROGRESSING).contains("ProgressDeadlineExceeded"));
    late.spec.template = template("v1");
    let plan = plan_of(&late, &broken);
    assert_eq!(
        condition_line(told(&plan), PROGRESSING),
        "Progressing=True FoundNewReplicaSet: Found new replica set \"web-v1\""
    );
    assert_eq!(plan.again, Some(Duration::from_secs(11)));
}

#[test]
fn the_new_sets_failure_is_the_deployments() {
    let failing = |image: &str, revision, message: &str| {
        changed(set(image, revision, 3, 1, 0), |set| {
            let condition = ReplicaSetCondition {
                type_: Some(REPLICA_FAILURE.into()),
                status: Some("True".into()),
                reason: Some("FailedCreate".into()),
                message: Some(message.into()),
                last_transition_time: Some(at(3).into()),
            };
            set.status.as_mut().unwrap().conditions = Some(vec![condition]);
        })
    };
    let deployment = settled(deployment("v2", 3), &[failing("v1", 1, "old"), failing("v2", 2, "new")]);
    assert_eq!(
        condition_line(deployment.status.as_ref().unwrap(), REPLICA_FAILURE),
        "ReplicaFailure=True FailedCreate: new"
    );
    let plan = plan_of(&deployment, &[set("v1", 1, 3, 1, 0), set("v2", 2, 3, 1, 0)]);
    assert_eq!(condition_line(told(&plan), REPLICA_FAILURE), "");
}

#[test]
fn a_failure_to_create_the_set_is_told_and_a_collision_counted() {
    let deployment = settled(deployment("v1", 3), &[set("v1", 1, 3, 3, 3)]);
    let status = after_failed_creation(&deployment, "Failed to …", at(2000));
    assert_eq!(condition_line(&status, PROGRESSING), "Progressing=False ReplicaSetCreateError: Failed to …");
    assert_eq!(status.available_replicas, Some(3), "the rest is as it was");
    assert_eq!(after_collision(&deployment).collision_count, Some(1));
    let again = Deployment { status: Some(after_collision(&deployment)), ..deployment };
    assert_eq!(after_collision(&again).collision_count, Some(2));
}
