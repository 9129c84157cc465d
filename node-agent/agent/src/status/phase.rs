//! The phase of a pod, from the statuses of its containers. Pure; upstream's `getPhase`.

use k8s_openapi::api::core::v1::{Container, ContainerState, ContainerStatus, Pod};

use crate::pod::spec;

/// Where a pod is, as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

impl Phase {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }

    pub(super) fn named(word: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Succeeded, Self::Failed].into_iter().find(|it| it.word() == word)
    }

    /// Whether a pod does not leave it.
    pub(super) fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Succeeded | Self::Failed => true,
        }
    }
}

/// How a container stands.
#[derive(Clone, Copy)]
enum Standing {
    Running,
    /// Ended, or is being started again.
    Stopped {
        exit_code: i32,
        is_restarting: bool,
    },
    Waiting,
    Unknown,
}

fn standing(status: Option<&ContainerStatus>) -> Standing {
    let ended = |state: &Option<ContainerState>| {
        state.as_ref().and_then(|state| state.terminated.as_ref()).map(|it| it.exit_code)
    };
    let Some(status) = status else { return Standing::Unknown };
    let Some(state) = &status.state else { return Standing::Unknown };
    match (&state.running, ended(&status.state), ended(&status.last_state)) {
        (Some(_), ..) => Standing::Running,
        (None, Some(exit_code), _) => Standing::Stopped { exit_code, is_restarting: false },
        (None, None, Some(exit_code)) => Standing::Stopped { exit_code, is_restarting: true },
        (None, None, None) if state.waiting.is_some() => Standing::Waiting,
        (None, None, None) => Standing::Unknown,
    }
}

#[derive(Default)]
struct Count {
    pending_init: u32,
    pending_sidecars: u32,
    /// Those that are not tried again.
    failed_init: u32,
    unknown: u32,
    running: u32,
    waiting: u32,
    stopped: u32,
    succeeded: u32,
    /// Those of the stopped ones that are started again.
    restarting: u32,
}

/// The phase. `is_over`: nothing of the pod runs any more, and nothing will.
pub(super) fn phase(pod: &Pod, init: &[ContainerStatus], main: &[ContainerStatus], is_over: bool) -> Phase {
    let count = count(pod, init, main, is_over);
    if count.failed_init > 0 {
        return Phase::Failed;
    }
    let is_initializing = count.pending_init > 0 || (count.pending_sidecars > 0 && !has_started(main));
    if is_initializing || count.waiting > 0 {
        return Phase::Pending;
    }
    if count.unknown > 0 || count.running + count.stopped == 0 {
        return Phase::Pending;
    }
    match (count.running + count.restarting, count.stopped == count.succeeded) {
        (1.., _) => Phase::Running,
        (0, true) => Phase::Succeeded,
        (0, false) => Phase::Failed,
    }
}

fn count(pod: &Pod, init: &[ContainerStatus], main: &[ContainerStatus], is_over: bool) -> Count {
    let mut count = Count::default();
    // A container may have a policy of its own, and rules about exit codes.
    let restarts = |container: &Container, exit_code| !is_over && spec::restarts(pod, container, exit_code);
    for container in spec::init_containers(pod) {
        let status = init.iter().find(|status| status.name == container.name);
        if spec::is_sidecar(container) {
            count_sidecar(&mut count, status);
        } else {
            count_init(&mut count, standing(status), |exit_code| restarts(container, exit_code));
        }
    }
    for container in spec::containers(pod) {
        match standing(main.iter().find(|status| status.name == container.name)) {
            Standing::Running => count.running += 1,
            Standing::Stopped { exit_code, is_restarting } => {
                count.stopped += 1;
                count.succeeded += u32::from(exit_code == 0 && !is_restarting);
                let is_due = is_restarting && !is_over && spec::restarts_on_failure(pod, container);
                count.restarting += u32::from(is_due || restarts(container, exit_code));
            }
            Standing::Waiting => count.waiting += 1,
            Standing::Unknown => count.unknown += 1,
        }
    }
    count
}

fn count_init(count: &mut Count, standing: Standing, restarts: impl Fn(i32) -> bool) {
    match standing {
        Standing::Stopped { exit_code: 0, .. } => {}
        Standing::Stopped { exit_code, .. } if !restarts(exit_code) => count.failed_init += 1,
        Standing::Stopped { .. } => count.pending_init += 1,
        Standing::Running | Standing::Waiting | Standing::Unknown => count.pending_init += 1,
    }
}

fn count_sidecar(count: &mut Count, status: Option<&ContainerStatus>) {
    match standing(status) {
        Standing::Running => {
            count.running += 1;
            count.pending_sidecars += u32::from(status.and_then(|it| it.started) != Some(true));
        }
        // A sidecar that has ended says nothing about the pod.
        Standing::Stopped { .. } => {}
        Standing::Waiting => {
            count.pending_sidecars += 1;
            count.waiting += 1;
        }
        Standing::Unknown => {
            count.pending_sidecars += u32::from(status.is_some());
            count.unknown += 1;
        }
    }
}

/// Whether any main container has ever been started.
pub(super) fn has_started(main: &[ContainerStatus]) -> bool {
    let has = |state: &Option<ContainerState>| {
        state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    main.iter().any(|status| status.started == Some(true) || has(&status.state) || has(&status.last_state))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::pod;

    fn run() -> Value {
        json!({"state": {"running": {}}, "started": true})
    }

    fn wait() -> Value {
        json!({"state": {"waiting": {"reason": "ContainerCreating"}}})
    }

    fn end(exit_code: i32) -> Value {
        json!({"state": {"terminated": {"exitCode": exit_code}}})
    }

    fn again(exit_code: i32) -> Value {
        json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": exit_code}}})
    }

    /// Statuses with names `c0`, `c1`, …
    fn statuses(values: &[Value]) -> Vec<ContainerStatus> {
        let named = values.iter().enumerate().map(|(index, value)| {
            let mut value = value.clone();
            value["name"] = json!(format!("c{index}"));
            for (key, default) in [
                ("ready", json!(false)),
                ("restartCount", json!(0)),
                ("image", json!("")),
                ("imageID", json!("")),
            ] {
                value[key] = default;
            }
            serde_json::from_value(value).unwrap()
        });
        named.collect()
    }

    fn names(values: &[Value]) -> Vec<Value> {
        (0..values.len()).map(|index| json!({"name": format!("c{index}")})).collect()
    }

    fn main_only(policy: &str, main: &[Value], is_over: bool) -> Phase {
        let pod = pod(json!({"restartPolicy": policy, "containers": names(main)}));
        phase(&pod, &[], &statuses(main), is_over)
    }

    #[test]
    fn main_containers_and_the_restart_policy_make_the_phase() {
        use Phase::{Failed, Pending, Running, Succeeded};
        for (main, always, on_failure, never) in [
            (vec![wait()], Pending, Pending, Pending),
            (vec![run()], Running, Running, Running),
            (vec![run(), wait()], Pending, Pending, Pending),
            (vec![run(), end(1)], Running, Running, Running),
            (vec![end(0)], Running, Succeeded, Succeeded),
            (vec![end(1)], Running, Running, Failed),
            (vec![end(0), end(1)], Running, Running, Failed),
            (vec![again(1)], Running, Running, Failed),
            (vec![run(), again(1)], Running, Running, Running),
        ] {
            for (policy, expected) in [("Always", always), ("OnFailure", on_failure), ("Never", never)] {
                assert_eq!(main_only(policy, &main, false), expected, "{policy} {main:?}");
            }
        }
    }

    #[test]
    fn a_pod_that_is_over_has_succeeded_or_failed_whatever_its_policy() {
        for policy in ["Always", "OnFailure", "Never"] {
            assert_eq!(main_only(policy, &[end(0), end(0)], true), Phase::Succeeded);
            assert_eq!(main_only(policy, &[end(0), end(1)], true), Phase::Failed);
            assert_eq!(main_only(policy, &[again(0)], true), Phase::Failed);
        }
    }

    #[test]
    fn a_pod_whose_container_is_restarted_by_its_own_policy_or_rules_goes_on() {
        let rule = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
        let ruled = json!({"name": "c0", "restartPolicy": "Never", "restartPolicyRules": rule});
        let own = json!({"name": "c0", "restartPolicy": "OnFailure"});
        for (container, exit_code, expected) in [
            (&ruled, 42, Phase::Running),
            (&ruled, 1, Phase::Failed),
            (&own, 1, Phase::Running),
            (&own, 0, Phase::Succeeded),
        ] {
            let main = pod(json!({"restartPolicy": "Never", "containers": [container]}));
            assert_eq!(phase(&main, &[], &statuses(&[end(exit_code)]), false), expected, "{container}");
        }
        let init =
            json!({"restartPolicy": "Never", "containers": [{"name": "c0"}], "initContainers": [ruled]});
        let init = pod(init);
        for (exit_code, expected) in [(42, Phase::Pending), (1, Phase::Failed)] {
            let (ended, waits) = (statuses(&[end(exit_code)]), statuses(&[wait()]));
            assert_eq!(phase(&init, &ended, &waits, false), expected);
        }
    }

    #[test]
    fn a_container_without_a_status_leaves_the_pod_pending() {
        let pod = pod(json!({"containers": [{"name": "c0"}, {"name": "c1"}]}));
        assert_eq!(phase(&pod, &[], &statuses(&[run()]), false), Phase::Pending);
    }

    fn with_init(policy: &str, is_sidecar: bool, init: Value, main: Value) -> Phase {
        let kind = if is_sidecar { json!("Always") } else { Value::Null };
        let pod = pod(json!({"restartPolicy": policy, "containers": [{"name": "c0"}],
            "initContainers": [{"name": "c0", "restartPolicy": kind}]}));
        phase(&pod, &statuses(&[init]), &statuses(&[main]), false)
    }

    #[test]
    fn a_pod_is_pending_until_its_init_containers_are_done() {
        for init in [wait(), run()] {
            assert_eq!(with_init("Always", false, init, wait()), Phase::Pending);
        }
        assert_eq!(with_init("Always", false, end(0), run()), Phase::Running);
        assert_eq!(with_init("Always", false, end(1), wait()), Phase::Pending);
        assert_eq!(with_init("Never", false, end(1), wait()), Phase::Failed);
    }

    #[test]
    fn a_sidecar_counts_until_the_pod_has_started_and_not_after() {
        assert_eq!(with_init("Always", true, wait(), wait()), Phase::Pending);
        assert_eq!(
            with_init("Always", true, json!({"state": {"running": {}}, "started": false}), wait()),
            Phase::Pending
        );
        assert_eq!(with_init("Always", true, run(), run()), Phase::Running);
        assert_eq!(with_init("Always", true, again(1), run()), Phase::Running);
        assert_eq!(with_init("Never", true, end(1), end(0)), Phase::Succeeded);
        assert_eq!(with_init("Never", true, run(), end(0)), Phase::Running);
    }
}
