//! The conditions of a pod that its node owns. Pure; reasons and messages are upstream's.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};

use super::Input;
use super::containers::time;
use super::phase::{Phase, has_started};
use crate::config::resources;
use crate::pod::{plan, spec};

/// The conditions that a node writes; all others belong to somebody else.
pub(super) const OWNED: [&str; 7] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    RESIZE_PENDING,
    RESIZE_IN_PROGRESS,
];

/// Those of them that are there only while they are true.
pub(super) const PASSING: [&str; 2] = [RESIZE_PENDING, RESIZE_IN_PROGRESS];

const RESIZE_PENDING: &str = "PodResizePending";
const RESIZE_IN_PROGRESS: &str = "PodResizeInProgress";

/// Why a pod that runs does not get the size that it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingSize {
    /// [`Self::DEFERRED`]: it will when there is room. [`Self::INFEASIBLE`]: there never is.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl PendingSize {
    pub(crate) const DEFERRED: &str = "Deferred";
    pub(crate) const INFEASIBLE: &str = "Infeasible";
}

/// Whether two states of a pod agree in the conditions that others write.
pub(crate) fn has_same_foreign_conditions(a: &Pod, b: &Pod) -> bool {
    let foreign = |pod: &'_ Pod| -> Vec<(String, String)> {
        let all = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let foreign = all.filter(|it| !OWNED.contains(&it.type_.as_str()));
        foreign.map(|it| (it.type_.clone(), it.status.clone())).collect()
    };
    foreign(a) == foreign(b)
}

/// What a condition says.
struct Finding {
    is_true: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Finding {
    const YES: Self = Self { is_true: true, reason: None, message: None };

    fn no(reason: &'static str) -> Self {
        Self { is_true: false, reason: Some(reason), message: None }
    }

    fn no_because(reason: &'static str, message: String) -> Self {
        Self { message: Some(message), ..Self::no(reason) }
    }
}

/// The conditions, each with the time since when it is so.
pub(super) fn conditions(
    input: &Input<'_>,
    phase: Phase,
    init: &[ContainerStatus],
    main: &[ContainerStatus],
) -> Vec<PodCondition> {
    let pod = input.pod;
    let sandbox = if plan::usable_sandbox(pod, input.observed).is_ok() {
        Finding::YES
    } else {
        Finding { is_true: false, reason: None, message: None }
    };
    let findings = [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialized(pod, phase, init, main)),
        ("Ready", ready(pod, phase, init, main)),
        ("ContainersReady", containers_ready(pod, phase, init, main)),
        ("PodScheduled", Finding::YES),
    ];
    let findings = findings.into_iter().chain(resizing(input));
    findings.map(|(kind, finding)| condition(input, kind, finding)).collect()
}

/// What is to be said about a size that the pod does not have yet.
fn resizing(input: &Input<'_>) -> Option<(&'static str, Finding)> {
    if input.state.is_ending() {
        return None;
    }
    if let Some(PendingSize { reason, message }) = input.pending {
        let finding = Finding { is_true: true, reason: Some(reason), message: Some(message.clone()) };
        return Some((RESIZE_PENDING, finding));
    }
    let is_under_way = spec::long_running(input.pod).any(|container| {
        let size = input.observed.newest(&container.name).and_then(|instance| instance.size);
        size.is_some_and(|size| !size.is(&resources::bounds(container)))
    });
    is_under_way.then_some((RESIZE_IN_PROGRESS, Finding::YES))
}

fn condition(input: &Input<'_>, kind: &str, finding: Finding) -> PodCondition {
    let status = if finding.is_true { "True" } else { "False" };
    let old = find(input.old, kind).or_else(|| input.pod.status.as_ref().and_then(|it| find(it, kind)));
    let unchanged = old.filter(|old| old.status == status);
    let since = unchanged.and_then(|old| old.last_transition_time.clone());
    PodCondition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: finding.reason.map(str::to_owned),
        message: finding.message,
        observed_generation: input.pod.metadata.generation,
        last_transition_time: Some(since.unwrap_or_else(|| time(input.now))),
        last_probe_time: None,
    }
}

fn find<'a>(status: &'a PodStatus, kind: &str) -> Option<&'a PodCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

fn initialized(pod: &Pod, phase: Phase, init: &[ContainerStatus], main: &[ContainerStatus]) -> Finding {
    let mut unknown = Vec::new();
    let mut incomplete = Vec::new();
    for container in spec::init_containers(pod) {
        match init.iter().find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) => {
                let is_done =
                    if spec::is_sidecar(container) { status.started == Some(true) } else { status.ready };
                if !is_done {
                    incomplete.push(container.name.as_str());
                }
            }
        }
    }
    if phase == Phase::Succeeded && unknown.is_empty() {
        return Finding { reason: Some("PodCompleted"), ..Finding::YES };
    }
    // Sidecars may be restarting: the pod was initialized nevertheless.
    if has_started(main) {
        return Finding::YES;
    }
    match unmet(&unknown, "incomplete", &incomplete) {
        Some(message) => Finding::no_because("ContainersNotInitialized", message),
        None => Finding::YES,
    }
}

fn containers_ready(pod: &Pod, phase: Phase, init: &[ContainerStatus], main: &[ContainerStatus]) -> Finding {
    let mut unknown = Vec::new();
    let mut unready = Vec::new();
    let sidecars = spec::init_containers(pod).iter().filter(|it| spec::is_sidecar(it)).map(|it| (it, init));
    for (container, statuses) in sidecars.chain(spec::containers(pod).iter().map(|it| (it, main))) {
        match statuses.iter().find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !status.ready => unready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    match phase {
        Phase::Succeeded if unknown.is_empty() => Finding::no("PodCompleted"),
        Phase::Failed => Finding::no("PodFailed"),
        Phase::Pending | Phase::Running | Phase::Succeeded => match unmet(&unknown, "unready", &unready) {
            Some(message) => Finding::no_because("ContainersNotReady", message),
            None => Finding::YES,
        },
    }
}

fn ready(pod: &Pod, phase: Phase, init: &[ContainerStatus], main: &[ContainerStatus]) -> Finding {
    let containers = containers_ready(pod, phase, init, main);
    if !containers.is_true {
        return containers;
    }
    let gates = spec::spec(pod).readiness_gates.iter().flatten();
    let unmet: Vec<String> = gates.filter_map(|gate| unmet_gate(pod, &gate.condition_type)).collect();
    if unmet.is_empty() {
        Finding::YES
    } else {
        Finding::no_because("ReadinessGatesNotReady", unmet.join(", "))
    }
}

fn unmet_gate(pod: &Pod, kind: &str) -> Option<String> {
    match pod.status.as_ref().and_then(|status| find(status, kind)) {
        None => Some(format!("corresponding condition of pod readiness gate {kind:?} does not exist.")),
        Some(condition) if condition.status != "True" => Some(format!(
            "the status of pod readiness gate {kind:?} is not \"True\", but {}",
            condition.status
        )),
        Some(_) => None,
    }
}

fn unmet(unknown: &[&str], word: &str, others: &[&str]) -> Option<String> {
    let clause = |word: &str, names: &[&str]| {
        (!names.is_empty()).then(|| format!("containers with {word} status: [{}]", names.join(" ")))
    };
    let clauses: Vec<String> =
        [clause("unknown", unknown), clause(word, others)].into_iter().flatten().collect();
    (!clauses.is_empty()).then(|| clauses.join(", "))
}
