//! What is promised of the deployment plan, shown by example.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::super::annotations::REVISION_HISTORY;
use super::super::conditions::PROGRESSING;
use super::super::samples::{
    at, condition_line, deployment, plan_of, recreate, rolling, set, set_status, settled, steps_of,
};
use super::*;

fn progress(plan: &Plan) -> String {
    condition_line(&plan.status.as_ref().unwrap().status, PROGRESSING)
}

#[test]
fn a_new_deployment_gets_a_set_with_all_pods() {
    let mut deployment = deployment("v1", 3);
    deployment.spec.min_ready_seconds = Some(5);
    deployment.metadata.annotations = Some([("kubernetes.io/change-cause".into(), "because".into())].into());
    let plan = plan_of(&deployment, &[]);
    let [Step::Create(set)] = &plan.steps[..] else { panic!("{:?}", plan.steps) };
    let hash = set.metadata.labels.as_ref().unwrap()["pod-template-hash"].clone();
    assert_eq!(set.metadata.name, Some(format!("web-{hash}")));
    assert_eq!(set.metadata.owner_references.as_ref().unwrap()[0].uid, "web-uid");
    assert_eq!((set.spec.replicas, set.spec.min_ready_seconds), (Some(3), Some(5)));
    let labels =
        [("app".to_owned(), "web".to_owned()), ("pod-template-hash".to_owned(), hash.clone())].into();
    assert_eq!(set.spec.selector.match_labels, Some(labels));
    let template = set.spec.template.as_ref().unwrap().metadata.as_ref().unwrap();
    assert_eq!(template.labels, set.spec.selector.match_labels);
    let annotations = [
        ("deployment.kubernetes.io/desired-replicas", "3"),
        ("deployment.kubernetes.io/max-replicas", "4"),
        ("deployment.kubernetes.io/revision", "1"),
        ("kubernetes.io/change-cause", "because"),
    ];
    let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    assert_eq!(set.metadata.annotations, Some(annotations));
    let update = plan.status.as_ref().unwrap();
    assert_eq!(update.revision.as_deref(), Some("1"));
    assert_eq!(update.status.unavailable_replicas, Some(3));
    let created = format!("Progressing=True NewReplicaSetCreated: Created new replica set \"web-{hash}\"");
    assert_eq!(progress(&plan), created);
    assert_eq!(plan.again, Some(Duration::from_secs(601)));
}

#[test]
fn after_a_collision_the_set_has_another_name() {
    let mut deployment = deployment("v1", 3);
    let name = |deployment: &Deployment| match &plan_of(deployment, &[]).steps[..] {
        [Step::Create(set)] => set.metadata.name.clone(),
        other => panic!("{other:?}"),
    };
    let first = name(&deployment);
    deployment.status = Some(status::after_collision(&deployment));
    assert_ne!(name(&deployment), first);
    deployment.metadata.name = Some("a".repeat(253));
    assert_eq!(name(&deployment).unwrap().len(), 253);
}

#[test]
fn new_pods_come_as_far_as_they_may_and_old_ones_go_as_far_as_they_may() {
    let mut deployment = deployment("v2", 10);
    deployment.spec.strategy = Some(rolling(IntOrString::Int(3), IntOrString::Int(2)));
    let old = |replicas, available| set("v1", 1, 10, replicas, available);
    let new = |replicas, available| set("v2", 2, 10, replicas, available);
    let steps = |sets: &[_]| steps_of(&deployment, sets);
    assert_eq!(steps(&[old(10, 10)]), ["create with 3", "web-v1 10->8 max-replicas=13"]);
    // Not one available yet, so no old one goes.
    assert_eq!(steps(&[old(8, 8), new(3, 0)]), ["web-v2 3->5 max-replicas=13"]);
    assert_eq!(steps(&[old(8, 8), new(5, 0)]), [""; 0]);
    assert_eq!(steps(&[old(8, 8), new(5, 4)]), ["web-v1 8->4 max-replicas=13"]);
    assert_eq!(steps(&[old(4, 4), new(5, 4)]), ["web-v2 5->9 max-replicas=13"]);
    assert_eq!(steps(&[old(0, 0), new(10, 10)]), [""; 0]);
}

#[test]
fn old_pods_that_serve_nobody_go_first() {
    let mut deployment = deployment("v3", 10);
    deployment.spec.strategy = Some(rolling(IntOrString::Int(0), IntOrString::Int(4)));
    let sets = [set("v1", 1, 10, 3, 3), set("v2", 2, 10, 7, 1), set("v3", 3, 10, 0, 0)];
    // Four may be missing, and six are.
    assert_eq!(steps_of(&deployment, &sets), ["web-v2 7->3 max-replicas=10"]);
}

#[test]
fn a_status_older_than_the_last_step_down_does_not_make_it_go_too_far() {
    let mut deployment = deployment("v2", 10);
    deployment.spec.strategy = Some(rolling(IntOrString::Int(3), IntOrString::Int(2)));
    let mut old = set("v1", 1, 10, 8, 8);
    Arc::make_mut(&mut old).status = Some(set_status(10, 10));
    assert_eq!(steps_of(&deployment, &[old, set("v2", 2, 10, 5, 5)]), ["web-v1 8->3 max-replicas=13"]);
}

#[test]
fn where_nothing_may_be_missing_nothing_old_goes_before_something_new_serves() {
    let mut deployment = deployment("v2", 1);
    deployment.spec.strategy =
        Some(rolling(IntOrString::String("25%".into()), IntOrString::String("25%".into())));
    assert_eq!(steps_of(&deployment, &[set("v1", 1, 1, 1, 1)]), ["create with 1"]);
    assert_eq!(steps_of(&deployment, &[set("v1", 1, 1, 1, 1), set("v2", 2, 1, 1, 0)]), [""; 0]);
    assert_eq!(steps_of(&deployment, &[set("v1", 1, 1, 1, 1), set("v2", 2, 1, 1, 1)]), ["web-v1 1->0"]);
}

#[test]
fn another_template_in_the_middle_of_a_rollout_takes_over() {
    let deployment = deployment("v3", 4);
    let sets = [set("v1", 1, 4, 3, 3), set("v2", 2, 4, 2, 0)];
    // v2 was full of hopes: it goes before v1, for nobody relies on it.
    assert_eq!(steps_of(&deployment, &sets), ["create with 0", "web-v2 2->0"]);
}

#[test]
fn undoing_a_rollout_finds_the_former_set_and_makes_it_the_latest() {
    let deployment = deployment("v1", 3);
    let sets = [set("v1", 1, 3, 0, 0), set("v2", 2, 3, 3, 3)];
    let plan = plan_of(&deployment, &sets);
    let steps = steps_of(&deployment, &sets);
    assert_eq!(steps, ["web-v1 0->1 revision=3 revision-history=1"]);
    assert_eq!(plan.status.unwrap().revision.as_deref(), Some("3"));
    let Step::Update(update) = &plan.steps[0] else { panic!("{:?}", plan.steps) };
    assert_eq!(update.annotations[REVISION_HISTORY], "1");
}

#[test]
fn no_revision_comes_after_the_last_number_and_that_is_no_reason_to_panic() {
    let mut last = set("v2", 2, 3, 3, 3);
    let annotations = Arc::make_mut(&mut last).metadata.annotations.as_mut().unwrap();
    annotations.insert(REVISION.into(), i64::MAX.to_string());
    let sets = [set("v1", 1, 3, 0, 0), last];
    let steps = steps_of(&deployment("v1", 3), &sets);
    assert_eq!(steps, ["web-v1 0->1 revision=9223372036854775807 revision-history=1"]);
}

#[test]
fn of_several_sets_with_the_template_the_oldest_is_the_new_one() {
    let deployment = deployment("v1", 3);
    let mut twin = set("v1", 5, 3, 1, 1);
    Arc::make_mut(&mut twin).metadata.uid = Some("twin".into());
    Arc::make_mut(&mut twin).metadata.name = Some("web-twin".into());
    assert_eq!(
        steps_of(&deployment, &[twin, set("v1", 1, 3, 2, 2)]),
        ["web-v1 2->3 revision=6 revision-history=1"]
    );
}

#[test]
fn recreation_takes_all_old_pods_waits_for_the_last_and_begins_anew() {
    let mut deployment = deployment("v2", 3);
    deployment.spec.strategy = Some(recreate());
    assert_eq!(steps_of(&deployment, &[set("v1", 1, 3, 3, 3)]), ["web-v1 3->0 max-replicas=3"]);
    let mut going = set("v1", 1, 3, 0, 0);
    Arc::make_mut(&mut going).status = Some(set_status(1, 1));
    assert_eq!(steps_of(&deployment, &[going]), [""; 0]);
    let gone = [set("v1", 1, 3, 0, 0)];
    let running = BTreeSet::from(["web-v1-uid".to_owned()]);
    let observed = Observed { deployment: &deployment, sets: &gone, running: &running };
    assert_eq!(plan(&observed, at(1000)).steps, [], "a terminating pod still runs");
    assert_eq!(steps_of(&deployment, &gone), ["create with 3"]);
    let back = [set("v1", 1, 3, 0, 0), set("v2", 2, 3, 0, 0)];
    assert_eq!(steps_of(&deployment, &back), ["web-v2 0->3 max-replicas=3"], "an undone undo");
}

#[test]
fn a_paused_deployment_is_scaled_but_rolls_nothing_out() {
    let mut deployment = deployment("v2", 5);
    deployment.spec.paused = Some(true);
    let sets = [set("v1", 1, 3, 3, 3)];
    assert_eq!(steps_of(&deployment, &sets), ["web-v1 3->5 desired-replicas=5 max-replicas=6"]);
    let paused = plan_of(&deployment, &sets);
    assert_eq!(progress(&paused), "Progressing=Unknown DeploymentPaused: Deployment is paused");
    assert_eq!(paused.again, None, "time stands still");
    deployment.status = Some(paused.status.unwrap().status);
    deployment.spec.paused = None;
    deployment.spec.replicas = Some(3);
    let resumed = plan_of(&deployment, &[set("v1", 1, 3, 3, 3)]);
    assert_eq!(progress(&resumed).split(':').next(), Some("Progressing=True NewReplicaSetCreated"));
    deployment.spec.template = set("v1", 1, 3, 3, 3).spec.template.clone().unwrap();
    deployment.status.as_mut().unwrap().updated_replicas = Some(3);
    let resumed = plan_of(&deployment, &[set("v1", 1, 3, 3, 2)]);
    assert_eq!(progress(&resumed), "Progressing=Unknown DeploymentResumed: Deployment is resumed");
    assert_eq!(resumed.again, Some(Duration::from_secs(601)));
}

#[test]
fn a_change_of_size_is_settled_before_the_rollout_goes_on() {
    let deployment = deployment("v2", 10);
    let sets = [set("v1", 1, 5, 3, 3), set("v2", 2, 5, 3, 1)];
    assert_eq!(
        steps_of(&deployment, &sets),
        [
            "web-v2 3->6 desired-replicas=10 max-replicas=11",
            "web-v1 3->5 desired-replicas=10 max-replicas=11",
        ]
    );
    // In no proportion to anything, but nothing is in the middle of anything either.
    assert_eq!(
        steps_of(&deployment, &[set("v1", 1, 5, 5, 5)])[0],
        "web-v1 5->10 desired-replicas=10 max-replicas=11"
    );
}

#[test]
fn what_the_deployment_says_of_its_pods_goes_to_the_new_set_alone() {
    let mut deployment = deployment("v2", 3);
    deployment.spec.min_ready_seconds = Some(7);
    deployment.metadata.annotations = Some([("team".into(), "a".into())].into());
    let sets = [set("v1", 1, 3, 0, 0), set("v2", 2, 3, 3, 3)];
    assert_eq!(steps_of(&deployment, &sets), ["web-v2 minReadySeconds=7 team=a"]);
}

#[test]
fn a_complete_deployment_forgets_its_lowest_revisions() {
    let mut deployment = deployment("v4", 3);
    deployment.spec.revision_history_limit = Some(1);
    let mut busy = set("v2", 2, 3, 0, 0);
    Arc::make_mut(&mut busy).status = Some(set_status(1, 0));
    let sets = [set("v1", 1, 3, 0, 0), set("v3", 3, 3, 0, 0), busy.clone(), set("v4", 4, 3, 3, 3)];
    let done = settled(deployment.clone(), &sets);
    assert_eq!(steps_of(&done, &sets), [""; 0], "a pod of v2 is not gone yet");
    let sets = [set("v1", 1, 3, 0, 0), set("v3", 3, 3, 0, 0), set("v2", 2, 3, 0, 0), set("v4", 4, 3, 3, 3)];
    let done = settled(deployment.clone(), &sets);
    assert_eq!(steps_of(&done, &sets), ["delete web-v1", "delete web-v2"]);
    let mut endless = done.clone();
    endless.spec.revision_history_limit = Some(i32::MAX);
    assert_eq!(steps_of(&endless, &sets), [""; 0]);
    assert_eq!(steps_of(&deployment, &sets), [""; 0], "whether it is complete is not told yet");
}

#[test]
fn a_deployment_that_is_being_deleted_only_keeps_its_status() {
    let mut deployment = deployment("v2", 3);
    deployment.metadata.deletion_timestamp = Some(Time(at(5)));
    let plan = plan_of(&deployment, &[set("v1", 1, 3, 3, 2)]);
    assert_eq!(plan.steps, []);
    assert_eq!(plan.status.unwrap().status.available_replicas, Some(2));
}

#[test]
fn what_is_settled_is_left_alone() {
    let sets = [set("v1", 1, 3, 0, 0), set("v2", 2, 3, 3, 3)];
    let done = settled(deployment("v2", 3), &sets);
    assert_eq!(plan_of(&done, &sets), Plan { steps: vec![], status: None, again: None });
}
