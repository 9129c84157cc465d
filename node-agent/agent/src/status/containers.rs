//! The statuses of a pod's containers. Pure; the rules are those of upstream's `convertToAPIContainerStatuses`.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, ContainerUser, LinuxContainerUser, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::Input;
use crate::config::resources;
use crate::pod::{plan, qos, spec};
use crate::probes::verdicts::{Kind, Verdict};
use crate::quantity::Resources;
use crate::runtime::observed::{Instance, InstanceState};

/// Why a container could not be started the last time, by its name.
pub(crate) type Troubles = HashMap<String, Trouble>;

/// Why a container could not be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// A word: `ErrImagePull`, `CrashLoopBackOff`, …
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// The reason of a container of which nobody knows how it ended.
const STATUS_UNKNOWN: &str = "ContainerStatusUnknown";

/// The exit code that such a container is given: the one of a process that was killed.
const KILLED: i32 = 137;

/// Which list of the spec containers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Init,
    Main,
    Ephemeral,
}

/// The statuses of one list of containers: init containers in the order of the spec, others by name.
pub(super) fn statuses(input: &Input<'_>, role: Role, containers: &[Container]) -> Vec<ContainerStatus> {
    let old = old_statuses(input, role);
    let mut statuses: Vec<ContainerStatus> = containers
        .iter()
        .map(|container| status(input, role, container, old.get(container.name.as_str())))
        .collect();
    match role {
        Role::Init => {}
        Role::Main | Role::Ephemeral => statuses.sort_by(|a, b| a.name.cmp(&b.name)),
    }
    statuses
}

fn old_statuses<'a>(input: &Input<'a>, role: Role) -> BTreeMap<&'a str, &'a ContainerStatus> {
    let list = match role {
        Role::Init => &input.old.init_container_statuses,
        Role::Main => &input.old.container_statuses,
        Role::Ephemeral => &input.old.ephemeral_container_statuses,
    };
    list.iter().flatten().map(|status| (status.name.as_str(), status)).collect()
}

fn status(
    input: &Input<'_>,
    role: Role,
    container: &Container,
    old: Option<&&ContainerStatus>,
) -> ContainerStatus {
    let is_shown = |it: &&Instance| it.name == container.name && !is_in_its_hook(input, it);
    let mut instances = input.observed.instances.iter().filter(is_shown);
    let mut status = match instances.next() {
        Some(newest) => {
            let mut status = of_instance(input, container, newest, old.copied());
            keep_end(&mut status, old.copied());
            let before = old.and_then(|old| old.last_state.clone());
            // What is known to have ended is not also what ended before.
            let before = before
                .filter(|it| it.terminated.as_ref().is_none_or(|it| it.container_id != status.container_id));
            status.last_state = instances.next().map(|it| state(input, it)).or(before);
            status
        }
        None => without_instance(input, container, old.copied()),
    };
    apply_trouble(input, role, container, &mut status);
    // The API writes an empty one where there is none.
    status.last_state.get_or_insert_default();
    match role {
        Role::Init | Role::Main => judge(input, role, container, &mut status),
        Role::Ephemeral => {}
    }
    status
}

/// Whether an instance runs, and its `postStart` hook is not over: until then the container is as it was before.
fn is_in_its_hook(input: &Input<'_>, instance: &Instance) -> bool {
    matches!(instance.state, InstanceState::Running { .. }) && input.hooked.contains(&instance.id)
}

/// An end that was told is not told in another way later: what the container left behind may be gone by then.
fn keep_end(status: &mut ContainerStatus, old: Option<&ContainerStatus>) {
    let end = |status: &ContainerStatus| status.state.as_ref().and_then(|state| state.terminated.clone());
    if let (Some(now), Some(told)) = (end(status), old.and_then(end))
        && told.container_id == now.container_id
        && told.finished_at == now.finished_at
    {
        status.state = Some(terminated(told));
    }
}

fn of_instance(
    input: &Input<'_>,
    container: &Container,
    instance: &Instance,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let is_running = matches!(instance.state, InstanceState::Running { .. });
    let (allocated_resources, resources) = sizes(input, container, instance, old);
    ContainerStatus {
        name: container.name.clone(),
        state: Some(state(input, instance)),
        restart_count: i32::try_from(instance.marks.restart_count).unwrap_or(i32::MAX),
        image: instance.image.clone(),
        image_id: instance.image_ref.clone(),
        container_id: Some(input.container_id(&instance.id)),
        allocated_resources,
        resources,
        user: user(instance).filter(|_| is_running),
        ..ContainerStatus::default()
    }
}

/// What the node has set aside for an instance that runs, and what the instance has. What it has is told only where it is
/// known; of one that is to be resized it is what it was.
fn sizes(
    input: &Input<'_>,
    container: &Container,
    instance: &Instance,
    old: Option<&ContainerStatus>,
) -> (Option<Resources>, Option<ResourceRequirements>) {
    let Some(size) = instance.size else { return (None, None) };
    let wanted = (qos::requests(container).cloned(), container.resources.clone().unwrap_or_default());
    if input.pending.is_none() && size.is(&resources::bounds(container)) {
        return (wanted.0, Some(wanted.1));
    }
    let id = input.container_id(&instance.id);
    let old = old.filter(|old| old.container_id.as_deref() == Some(id.as_str()));
    let has = old.and_then(|old| old.resources.clone());
    match input.pending {
        Some(_) => (old.and_then(|old| old.allocated_resources.clone()), has),
        None => (wanted.0, has),
    }
}

fn user(instance: &Instance) -> Option<ContainerUser> {
    let user = instance.user.as_ref()?;
    let groups = Some(user.supplemental_groups.clone());
    let linux = LinuxContainerUser { uid: user.uid, gid: user.gid, supplemental_groups: groups };
    Some(ContainerUser { linux: Some(linux) })
}

fn state(input: &Input<'_>, instance: &Instance) -> ContainerState {
    match &instance.state {
        InstanceState::Running { started_at } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(time(*started_at)) }),
            ..ContainerState::default()
        },
        InstanceState::Exited { started_at, finished_at, exit_code, reason } => {
            let message = (!instance.message.is_empty()).then(|| instance.message.clone());
            terminated(ContainerStateTerminated {
                container_id: Some(input.container_id(&instance.id)),
                exit_code: *exit_code,
                reason: Some(reason.clone()),
                message,
                started_at: started_at.map(time),
                finished_at: Some(time(*finished_at)),
                signal: None,
            })
        }
        // It is about to be started, and until then as it was before it was made.
        InstanceState::Created => waiting(Some(before_start(input).to_owned()), None),
        InstanceState::Unknown => waiting(None, None),
    }
}

/// What a container waits for that has not been started yet.
fn before_start(input: &Input<'_>) -> &'static str {
    if spec::init_containers(input.pod).is_empty() { "ContainerCreating" } else { "PodInitializing" }
}

/// A container of which the runtime knows nothing: not made yet, or removed behind the agent's back.
fn without_instance(
    input: &Input<'_>,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let has_terminated =
        |state: &Option<ContainerState>| state.as_ref().is_some_and(|it| it.terminated.is_some());
    if let Some(old) = old.filter(|old| has_terminated(&old.state)) {
        return old.clone();
    }
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        state: Some(waiting(Some(before_start(input).to_owned()), None)),
        restart_count: old.map_or(0, |old| old.restart_count),
        last_state: old.and_then(|old| old.last_state.clone()),
        ..ContainerStatus::default()
    };
    let was_running = old.and_then(|old| old.state.as_ref()).is_some_and(|it| it.running.is_some());
    if was_running && !has_terminated(&status.last_state) {
        // It ran, so the pod does not go back to Pending, although nobody knows how the container ended.
        status.last_state = Some(lost(
            "The container could not be located when the pod was deleted.  The container used to be Running",
        ));
        if !spec::is_deleting(input.pod) {
            status.restart_count += 1;
        }
    }
    status
}

/// A container that is to be started and could not be waits, and says why.
fn apply_trouble(input: &Input<'_>, role: Role, container: &Container, status: &mut ContainerStatus) {
    let newest = input.observed.newest(&container.name);
    let is_done = match role {
        Role::Init => {
            newest.and_then(|instance| instance.state.exit_code()) == Some(0) && !spec::is_sidecar(container)
        }
        Role::Main => false,
        Role::Ephemeral => newest.is_some(),
    };
    if is_done || input.state.is_ending() || !plan::wants_start(input.pod, container, input.observed) {
        return;
    }
    let Some(trouble) = input.troubles.get(&container.name) else { return };
    if status.state.as_ref().is_some_and(|state| state.terminated.is_some()) {
        status.last_state = status.state.take();
    }
    status.state = Some(waiting(Some(trouble.reason.to_owned()), Some(trouble.message.clone())));
}

/// Whether the container has come up and can serve.
fn judge(input: &Input<'_>, role: Role, container: &Container, status: &mut ContainerStatus) {
    let state = status.state.as_ref();
    let is_running = state.is_some_and(|state| state.running.is_some());
    let instance = input.observed.newest(&container.name).map(|it| it.id.as_str()).unwrap_or_default();
    let says_yes = |kind| input.verdicts.get(kind, instance) == Some(Verdict::Success);
    let is_started = is_running && (container.startup_probe.is_none() || says_yes(Kind::Startup));
    status.started = Some(is_started);
    status.ready = if role == Role::Init && !spec::is_sidecar(container) {
        state.and_then(|state| state.terminated.as_ref()).is_some_and(|it| it.exit_code == 0)
    } else {
        is_started && (container.readiness_probe.is_none() || says_yes(Kind::Readiness))
    };
}

/// Gives every container an end, of a pod of which nothing runs any more: what is not known to have succeeded has
/// failed.
pub(super) fn end(input: &Input<'_>, init: &mut [ContainerStatus], main: &mut [ContainerStatus]) {
    let is_initialized = is_initialized(input, init, main);
    let begun = init.iter().rposition(has_begun).map_or(1, |last| last + 1).min(init.len());
    let unknown = init[..begun].iter_mut().chain(main.iter_mut().filter(|_| is_initialized));
    for status in unknown {
        if status.state.as_ref().is_none_or(|state| state.terminated.is_none()) {
            status.state = Some(lost("The container could not be located when the pod was terminated"));
            status.ready = false;
            status.started = Some(false);
        }
    }
}

fn is_initialized(input: &Input<'_>, init: &[ContainerStatus], main: &[ContainerStatus]) -> bool {
    let regular = spec::init_containers(input.pod).iter().filter(|it| !spec::is_sidecar(it));
    let are_done = regular.clone().all(|it| init.iter().any(|status| status.name == it.name && status.ready));
    are_done || main.iter().any(has_begun)
}

fn has_begun(status: &ContainerStatus) -> bool {
    let has = |state: &Option<ContainerState>| {
        state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    has(&status.state) || has(&status.last_state)
}

fn lost(message: &str) -> ContainerState {
    terminated(ContainerStateTerminated {
        reason: Some(STATUS_UNKNOWN.to_owned()),
        message: Some(message.to_owned()),
        exit_code: KILLED,
        ..ContainerStateTerminated::default()
    })
}

fn terminated(terminated: ContainerStateTerminated) -> ContainerState {
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn waiting(reason: Option<String>, message: Option<String>) -> ContainerState {
    ContainerState { waiting: Some(ContainerStateWaiting { reason, message }), ..ContainerState::default() }
}

/// A moment as the API keeps it: in whole seconds. Otherwise what comes back would not be what was sent.
pub(super) fn time(moment: Timestamp) -> Time {
    Time(Timestamp::from_second(moment.as_second()).unwrap_or(moment))
}
