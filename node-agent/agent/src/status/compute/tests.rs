//! What is promised of the status compute, shown by example.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{ContainerStatus, PodCondition};
use serde_json::{Value, json};

use super::*;
use crate::probes::verdicts::{Kind, Verdict};
use crate::runtime::observed::{Instance, InstanceState};
use crate::status::Trouble;
use crate::testing::{at, exited, instance, observed, pod, running, sized};

/// A pod's situation; everything that a test does not care about is quiet.
struct Case {
    pod: Pod,
    observed: Observed,
    old: PodStatus,
    verdicts: Verdicts,
    troubles: Troubles,
    hooked: BTreeSet<String>,
    pending: Option<PendingSize>,
    state: State,
}

impl Case {
    fn new(spec: Value, instances: Vec<Instance>) -> Self {
        let mut pod = pod(spec);
        pod.metadata.generation = Some(7);
        Self {
            pod,
            observed: observed(instances),
            old: PodStatus::default(),
            verdicts: Verdicts::default(),
            troubles: HashMap::new(),
            hooked: BTreeSet::new(),
            pending: None,
            state: State::Running,
        }
    }

    fn status(&self) -> PodStatus {
        let Self { pod, observed, old, verdicts, troubles, hooked, pending, state } = self;
        let node_addresses = ["172.31.0.21".parse().unwrap()];
        compute(&Input {
            pod,
            observed,
            old,
            verdicts,
            troubles,
            hooked,
            pending: pending.as_ref(),
            state,
            runtime: "containerd",
            node_addresses: &node_addresses,
            now: at(100),
        })
    }

    /// The status, which is then the old one.
    fn next(&mut self) -> PodStatus {
        self.old = self.status();
        self.old.clone()
    }
}

fn one(spec: Value) -> Value {
    let mut container = json!({"name": "a", "image": "busybox:1.36"});
    container.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"containers": [container]})
}

fn container(status: &PodStatus) -> &ContainerStatus {
    &status.container_statuses.as_ref().unwrap()[0]
}

/// A container status as JSON, in the fields asked for.
fn facts(status: &ContainerStatus, keys: &[&str]) -> Value {
    let value = serde_json::to_value(status).unwrap();
    keys.iter().map(|key| ((*key).to_owned(), value[*key].clone())).collect::<serde_json::Map<_, _>>().into()
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> &'a PodCondition {
    status.conditions.as_ref().unwrap().iter().find(|it| it.type_ == kind).unwrap()
}

#[test]
fn a_pod_that_was_just_taken_is_pending_and_creates_its_containers() {
    let mut case = Case::new(one(json!({})), vec![]);
    case.observed = Observed::default();
    let status = case.status();
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    assert_eq!(status.start_time, Some(time(at(100))));
    assert_eq!((status.host_ip.as_deref(), status.pod_ip.as_deref()), (Some("172.31.0.21"), None));
    assert_eq!(status.observed_generation, Some(7));
    assert_eq!(status.qos_class.as_deref(), Some("BestEffort"));
    let expected = json!({"state": {"waiting": {"reason": "ContainerCreating"}}, "ready": false, "started": false,
        "image": "busybox:1.36", "imageID": "", "restartCount": 0});
    assert_eq!(
        facts(container(&status), &["state", "ready", "started", "image", "imageID", "restartCount"]),
        expected
    );
    let kinds: Vec<(&str, &str)> = status
        .conditions
        .as_ref()
        .unwrap()
        .iter()
        .map(|it| (it.type_.as_str(), it.status.as_str()))
        .collect();
    let expected = [
        ("PodReadyToStartContainers", "False"),
        ("Initialized", "True"),
        ("Ready", "False"),
        ("ContainersReady", "False"),
        ("PodScheduled", "True"),
    ];
    assert_eq!(kinds, expected);
    let ready = condition(&status, "Ready");
    assert_eq!(ready.reason.as_deref(), Some("ContainersNotReady"));
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [a]"));
    assert_eq!(ready.observed_generation, Some(7));
}

#[test]
fn a_pod_that_runs_is_ready_and_has_addresses() {
    let case = Case::new(one(json!({})), vec![instance("a", 5, running(6))]);
    let status = case.status();
    assert_eq!(status.phase.as_deref(), Some("Running"));
    assert_eq!(status.pod_ip.as_deref(), Some("10.244.1.7"));
    let expected = json!({"ready": true, "started": true, "containerID": "containerd://a-5",
        "image": "docker.io/library/busybox:1.36", "imageID": "sha256:1111",
        "state": {"running": {"startedAt": time(at(6))}}});
    let keys = ["ready", "started", "containerID", "image", "imageID", "state"];
    assert_eq!(facts(container(&status), &keys), expected);
    for kind in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"] {
        let condition = condition(&status, kind);
        assert_eq!((condition.status.as_str(), &condition.reason), ("True", &None), "{kind}");
    }
}

#[test]
fn conditions_keep_the_time_since_when_they_hold() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 5, running(6))]);
    case.old = serde_json::from_value(json!({"conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": time(at(9))},
        {"type": "ContainersReady", "status": "False", "lastTransitionTime": time(at(9))},
    ]}))
    .unwrap();
    let status = case.status();
    assert_eq!(condition(&status, "Ready").last_transition_time, Some(time(at(9))));
    assert_eq!(condition(&status, "ContainersReady").last_transition_time, Some(time(at(100))));
}

#[test]
fn probes_decide_whether_a_container_is_started_and_ready() {
    let spec = one(json!({"startupProbe": {}, "readinessProbe": {}}));
    let mut case = Case::new(spec, vec![instance("a", 5, running(6))]);
    let judged = |case: &Case| {
        let status = case.status();
        (container(&status).started, container(&status).ready)
    };
    assert_eq!(judged(&case), (Some(false), false));
    case.verdicts.set(Kind::Readiness, "a-5", Verdict::Success);
    assert_eq!(judged(&case), (Some(false), false), "readiness does not count before the start");
    case.verdicts.set(Kind::Startup, "a-5", Verdict::Success);
    assert_eq!(judged(&case), (Some(true), true));
    case.verdicts.set(Kind::Readiness, "a-5", Verdict::Failure);
    assert_eq!(judged(&case), (Some(true), false));
}

#[test]
fn a_container_in_a_crash_loop_waits_and_shows_how_it_ended() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 1, exited(1, 3))]);
    case.observed.instances[0].marks.restart_count = 2;
    // Before the back-off is known it has just terminated.
    let status = case.next();
    assert_eq!(container(&status).state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 3);
    assert_eq!(status.phase.as_deref(), Some("Running"));
    let message = "back-off 20s restarting failed container=a pod=web_shop(uid-1)";
    case.troubles.insert("a".into(), Trouble { reason: "CrashLoopBackOff", message: message.into() });
    for _ in 0..2 {
        let status = case.next();
        let container = container(&status);
        let expected = json!({
            "state": {"waiting": {"reason": "CrashLoopBackOff", "message": message}},
            "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "containerID": "containerd://a-1",
                "startedAt": time(at(1)), "finishedAt": time(at(2))}},
            "restartCount": 2,
        });
        assert_eq!(facts(container, &["state", "lastState", "restartCount"]), expected);
        assert_eq!(status.phase.as_deref(), Some("Running"));
    }
    // It runs again: what ended before is its last state.
    case.troubles.clear();
    case.observed.instances.insert(0, instance("a", 50, running(50)));
    let status = case.next();
    assert_eq!(container(&status).last_state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 3);
}

#[test]
fn the_same_end_is_not_shown_twice() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 1, exited(1, 3))]);
    case.troubles.insert("a".into(), Trouble { reason: "CrashLoopBackOff", message: String::new() });
    case.next();
    case.troubles.clear();
    let status = case.next();
    assert!(container(&status).state.as_ref().unwrap().terminated.is_some());
    assert_eq!(container(&status).last_state.as_ref().unwrap().terminated, None);
}

#[test]
fn a_container_that_cannot_start_says_why_and_keeps_the_pod_pending() {
    let mut case = Case::new(one(json!({})), vec![]);
    case.troubles.insert("a".into(), Trouble { reason: "ErrImagePull", message: "no such image".into() });
    let status = case.status();
    let expected = json!({"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}});
    assert_eq!(facts(container(&status), &["state"]), expected);
    assert_eq!(status.phase.as_deref(), Some("Pending"));
}

#[test]
fn containers_wait_for_init_containers() {
    let spec = json!({"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]});
    let mut case = Case::new(spec, vec![instance("i", 1, exited(1, 0)), instance("j", 2, running(2))]);
    let status = case.next();
    let init = status.init_container_statuses.as_ref().unwrap();
    assert_eq!((init[0].ready, init[1].ready, init[1].started), (true, false, Some(true)));
    assert_eq!(
        container(&status).state.as_ref().unwrap().waiting.as_ref().unwrap().reason.as_deref(),
        Some("PodInitializing")
    );
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    let initialized = condition(&status, "Initialized");
    assert_eq!(initialized.reason.as_deref(), Some("ContainersNotInitialized"));
    assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [j]"));
    // The instance of an init container that is done may go; its status stays.
    case.observed = observed(vec![instance("j", 2, exited(2, 0)), instance("a", 3, running(3))]);
    let status = case.next();
    assert!(status.init_container_statuses.as_ref().unwrap().iter().all(|it| it.ready));
    assert_eq!(condition(&status, "Initialized").status, "True");
    assert_eq!(status.phase.as_deref(), Some("Running"));
}

#[test]
fn a_job_that_has_succeeded_is_completed() {
    let mut spec = one(json!({}));
    spec["restartPolicy"] = json!("Never");
    let mut case = Case::new(spec, vec![instance("a", 1, exited(1, 0))]);
    case.state = State::Terminating(Cause::Ended);
    let status = case.next();
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    for kind in ["Ready", "ContainersReady"] {
        let condition = condition(&status, kind);
        assert_eq!((condition.status.as_str(), condition.reason.as_deref()), ("False", Some("PodCompleted")));
    }
    assert_eq!(condition(&status, "Initialized").reason.as_deref(), Some("PodCompleted"));
    // What comes later does not take it back.
    case.observed = Observed::default();
    case.state = State::Terminated(Cause::Ended);
    let status = case.next();
    assert_eq!(status.phase.as_deref(), Some("Succeeded"));
    assert_eq!(container(&status).state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 0);
}

fn overdue() -> Failure {
    Failure {
        reason: "DeadlineExceeded".into(),
        message: "Pod was active on the node longer than the specified deadline".into(),
    }
}

#[test]
fn a_pod_is_not_called_failed_while_something_of_it_runs() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 1, running(1))]);
    case.next();
    case.state = State::Terminating(Cause::Overdue(overdue()));
    let status = case.next();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Running"), None));
    case.observed = observed(vec![instance("a", 1, exited(1, 137))]);
    case.state = State::Terminated(Cause::Overdue(overdue()));
    let status = case.next();
    assert_eq!(
        (status.phase.as_deref(), status.reason.as_deref()),
        (Some("Failed"), Some("DeadlineExceeded"))
    );
    assert_eq!(condition(&status, "Ready").reason.as_deref(), Some("PodFailed"));
    assert_eq!(case.next().message, status.message);
}

#[test]
fn a_rejected_pod_has_nothing_but_the_reason() {
    let mut case = Case::new(one(json!({})), vec![]);
    let failure = Failure { reason: "OutOfcpu".into(), message: "Pod was rejected: too much".into() };
    case.state = State::Terminating(Cause::Rejected(failure));
    let status = case.status();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("OutOfcpu")));
    assert_eq!((status.container_statuses, status.conditions), (None, None));
}

#[test]
fn what_ran_and_vanished_has_ended_somehow() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 1, running(1))]);
    case.next();
    case.observed = observed(vec![]);
    let status = case.next();
    let container = container(&status);
    assert_eq!(container.restart_count, 1);
    let end = container.last_state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((end.reason.as_deref(), end.exit_code), (Some("ContainerStatusUnknown"), 137));
    assert_eq!(status.phase.as_deref(), Some("Running"), "it does not go back to Pending");
    assert_eq!(case.next().container_statuses.unwrap()[0].restart_count, 1);
}

#[test]
fn a_pod_that_was_stopped_before_its_containers_were_made_has_failed() {
    let mut case = Case::new(one(json!({})), vec![]);
    case.next();
    case.state = State::Terminated(Cause::Deleted);
    let status = case.next();
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    let end = container(&status).state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!(
        end.message.as_deref(),
        Some("The container could not be located when the pod was terminated")
    );
}

#[test]
fn containers_that_were_never_reached_do_not_get_an_end() {
    let spec = json!({"restartPolicy": "Never", "initContainers": [{"name": "i"}, {"name": "j"}],
        "containers": [{"name": "a"}]});
    let mut case = Case::new(spec, vec![instance("i", 1, exited(1, 1))]);
    case.state = State::Terminated(Cause::Ended);
    let status = case.status();
    assert_eq!(status.phase.as_deref(), Some("Failed"));
    assert!(container(&status).state.as_ref().unwrap().waiting.is_some());
    let init = status.init_container_statuses.unwrap();
    assert!(init[0].state.as_ref().unwrap().terminated.is_some());
    assert!(init[1].state.as_ref().unwrap().waiting.is_some());
}

#[test]
fn readiness_gates_are_waited_for() {
    let mut spec = one(json!({}));
    spec["readinessGates"] = json!([{"conditionType": "example.com/g"}]);
    let mut case = Case::new(spec, vec![instance("a", 1, running(1))]);
    let ready = condition(&case.status(), "Ready").clone();
    assert_eq!(ready.reason.as_deref(), Some("ReadinessGatesNotReady"));
    assert_eq!(
        ready.message.as_deref(),
        Some("corresponding condition of pod readiness gate \"example.com/g\" does not exist.")
    );
    let gate = |status: &str| json!({"conditions": [{"type": "example.com/g", "status": status}]});
    case.pod.status = serde_json::from_value(gate("False")).unwrap();
    assert_eq!(
        condition(&case.status(), "Ready").message.as_deref(),
        Some("the status of pod readiness gate \"example.com/g\" is not \"True\", but False")
    );
    case.pod.status = serde_json::from_value(gate("True")).unwrap();
    assert_eq!(condition(&case.status(), "Ready").status, "True");
}

#[test]
fn addresses_outlive_the_sandbox_and_are_the_nodes_in_the_nodes_network() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 1, running(1))]);
    case.next();
    case.observed.sandboxes[0].is_ready = false;
    assert_eq!(case.next().pod_ip.as_deref(), Some("10.244.1.7"));
    let mut spec = one(json!({}));
    spec["hostNetwork"] = json!(true);
    let case = Case::new(spec, vec![]);
    assert_eq!(case.status().pod_ip.as_deref(), Some("172.31.0.21"));
}

#[test]
fn a_message_from_the_container_is_shown() {
    let mut ended = instance("a", 1, exited(1, 1));
    ended.message = "disk on fire".into();
    let case = Case::new(one(json!({})), vec![ended]);
    let status = case.status();
    let end = container(&status).state.as_ref().unwrap().terminated.as_ref().unwrap();
    assert_eq!((end.message.as_deref(), end.reason.as_deref()), (Some("disk on fire"), Some("Error")));
}

#[test]
fn a_container_does_not_run_before_its_hook_is_over() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 1, running(1))]);
    case.hooked.insert("a-1".to_owned());
    let status = case.next();
    let expected = json!({"state": {"waiting": {"reason": "ContainerCreating"}}, "ready": false});
    assert_eq!(facts(container(&status), &["state", "ready"]), expected);
    assert_eq!(status.phase.as_deref(), Some("Pending"));
    // The end of a container is not kept back.
    case.observed = observed(vec![instance("a", 1, exited(1, 3))]);
    assert!(container(&case.status()).state.as_ref().unwrap().terminated.is_some());
    case.observed = observed(vec![instance("a", 1, running(1))]);
    case.hooked.clear();
    assert!(container(&case.next()).ready);
}

#[test]
fn while_a_hook_runs_again_the_end_before_it_is_shown() {
    let mut case =
        Case::new(one(json!({})), vec![instance("a", 50, running(50)), instance("a", 1, exited(1, 3))]);
    case.hooked.insert("a-50".to_owned());
    let status = case.next();
    assert_eq!(container(&status).state.as_ref().unwrap().terminated.as_ref().unwrap().exit_code, 3);
}

#[test]
fn an_end_that_somebody_else_has_told_stays() {
    let mut case = Case::new(one(json!({})), vec![instance("a", 1, running(1))]);
    assert_eq!(case.next().phase.as_deref(), Some("Running"));
    let given_up = json!({"phase": "Failed", "reason": "Evicted", "message": "gone"});
    case.pod.status = serde_json::from_value(given_up).unwrap();
    case.observed = observed(vec![instance("a", 1, exited(1, 0))]);
    case.state = State::Terminated(Cause::Ended);
    let status = case.next();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("Evicted")));
    assert!(container(&status).state.as_ref().unwrap().terminated.is_some());
}

#[test]
fn what_a_container_has_is_told_and_not_what_it_asks_for() {
    let asking = |cpu: &str| one(json!({"resources": {"requests": {"cpu": cpu}}}));
    let small = pod(asking("100m"));
    let instances = vec![sized(5, &spec::containers(&small)[0])];
    let mut case = Case::new(asking("100m"), instances.clone());
    let told = |status: &PodStatus| {
        let facts = facts(container(status), &["allocatedResources", "resources"]);
        let cpu = |value: &Value| value["cpu"].as_str().map(str::to_owned);
        let kinds = status.conditions.iter().flatten().map(|it| it.type_.clone());
        let resizing: Vec<String> = kinds.filter(|kind| kind.starts_with("PodResize")).collect();
        (cpu(&facts["allocatedResources"]), cpu(&facts["resources"]["requests"]), resizing)
    };
    let some = |cpu: &str| Some(cpu.to_owned());
    assert_eq!(told(&case.next()), (some("100m"), some("100m"), vec![]));
    case.pod.spec = pod(asking("200m")).spec;
    assert_eq!(told(&case.status()), (some("200m"), some("100m"), vec!["PodResizeInProgress".into()]));
    case.pending = Some(PendingSize { reason: PendingSize::DEFERRED, message: "no room".into() });
    let status = case.status();
    assert_eq!(told(&status), (some("100m"), some("100m"), vec!["PodResizePending".into()]));
    assert_eq!(condition(&status, "PodResizePending").reason.as_deref(), Some("Deferred"));
    case.pending = None;
    case.observed.instances[0] = sized(5, &spec::containers(&case.pod)[0]);
    assert_eq!(told(&case.status()), (some("200m"), some("200m"), vec![]));
    case.observed.instances[0].size = None;
    assert_eq!(told(&case.status()), (None, None, vec![]), "nobody knows what it has");
}

#[test]
fn a_container_that_is_made_and_not_started_waits_for_what_it_waited_for() {
    let spec = json!({
        "initContainers": [{"name": "i", "image": "busybox:1.36"}],
        "containers": [{"name": "a", "image": "busybox:1.36"}],
    });
    let waiting =
        |status: &ContainerStatus| status.state.as_ref().unwrap().waiting.as_ref().unwrap().reason.clone();
    let case = Case::new(spec, vec![instance("i", 5, InstanceState::Created)]);
    let init = &case.status().init_container_statuses.unwrap()[0];
    assert_eq!(waiting(init).as_deref(), Some("PodInitializing"));
    let case = Case::new(one(json!({})), vec![instance("a", 5, InstanceState::Created)]);
    assert_eq!(waiting(container(&case.status())).as_deref(), Some("ContainerCreating"));
}
