//! One pod, as the runtime has it at one moment. Pure data, read from the runtime's messages.

use std::collections::HashSet;

use k8s_openapi::jiff::Timestamp;
use keelson_proto::cri::v1 as cri;

use super::labels::{CONTAINER_NAME, Marks};
use crate::cgroups::given::Given;
use crate::config::resources::Bounds;

/// What the runtime has of one pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    /// Its sandboxes, the newest first.
    pub(crate) sandboxes: Vec<Sandbox>,
    /// Instances of its containers, the newest first.
    pub(crate) instances: Vec<Instance>,
}

/// What holds a pod's namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    pub(crate) attempt: u32,
    pub(crate) is_ready: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) is_host_network: bool,
    /// The pod's addresses; none in the node's network.
    pub(crate) addresses: Vec<String>,
}

/// One run of a container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Instance {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The id of the sandbox that it is in.
    pub(crate) sandbox: String,
    pub(crate) created_at: Timestamp,
    pub(crate) state: InstanceState,
    /// The image by name, as the runtime writes it.
    pub(crate) image: String,
    /// The image by content.
    pub(crate) image_ref: String,
    pub(crate) marks: Marks,
    /// What the instance says about its end, if it has ended.
    pub(crate) message: String,
    pub(crate) log_path: String,
    /// Who the first process runs as, if the runtime tells.
    pub(crate) user: Option<cri::LinuxContainerUser>,
    /// What it has been given, while it runs and that can be read.
    pub(crate) size: Option<Size>,
}

/// How large an instance is that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// What the kernel says.
    pub(crate) given: Given,
    /// What the runtime was told last, by this agent: not every kernel says it back in the same numbers.
    pub(crate) told: Option<Bounds>,
}

impl Size {
    /// Whether the instance has what is wanted.
    pub(crate) fn is(&self, wanted: &Bounds) -> bool {
        self.told == Some(*wanted) || (self.given.has_cpu_of(wanted) && self.given.has_memory_of(wanted))
    }
}

/// Where an instance is in its life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum InstanceState {
    /// Made, and not started: a start is under way, or has failed.
    Created,
    /// Runs.
    Running { started_at: Timestamp },
    /// Has ended.
    Exited {
        /// `None` if it never started.
        started_at: Option<Timestamp>,
        finished_at: Timestamp,
        exit_code: i32,
        /// A word: `Completed`, `Error`, `OOMKilled`, …
        reason: String,
    },
    /// The runtime does not know.
    #[default]
    Unknown,
}

impl Observed {
    /// From the runtime's answers about the pod's sandboxes and containers.
    pub(crate) fn new(mut sandboxes: Vec<Sandbox>, mut instances: Vec<Instance>) -> Self {
        sandboxes.sort_by_key(|sandbox| std::cmp::Reverse(sandbox.created_at));
        instances.sort_by_key(|instance| std::cmp::Reverse(instance.created_at));
        Self { sandboxes, instances }
    }

    /// The newest instance of a container.
    pub(crate) fn newest(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    /// The newest instance of a container in this sandbox.
    pub(crate) fn newest_in(&self, sandbox: &str, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.sandbox == sandbox && instance.name == name)
    }

    /// The newest instance of a container that has ended, and when it did.
    pub(crate) fn newest_exited(&self, name: &str) -> Option<(&Instance, Timestamp)> {
        self.instances.iter().filter(|instance| instance.name == name).find_map(|instance| {
            match instance.state {
                InstanceState::Exited { finished_at, .. } => Some((instance, finished_at)),
                InstanceState::Created | InstanceState::Running { .. } | InstanceState::Unknown => None,
            }
        })
    }

    /// The instances that may have a process.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.state.may_run())
    }

    /// Whether something of the pod may still run.
    pub(crate) fn may_run(&self) -> bool {
        self.alive().next().is_some() || self.sandboxes.iter().any(|sandbox| sandbox.is_ready)
    }

    /// The addresses of the newest sandbox, while it is ready.
    pub(crate) fn addresses(&self) -> &[String] {
        match self.sandboxes.first() {
            Some(sandbox) if sandbox.is_ready => &sandbox.addresses,
            Some(_) | None => &[],
        }
    }

    /// Instances that are of no use any more. Of those of a container that have ended, the newest is kept for its exit
    /// code and its log; one that was only made, if no other came after it.
    pub(crate) fn superfluous(&self) -> Vec<&Instance> {
        let (mut ended, mut seen) = (HashSet::new(), HashSet::new());
        let mut superfluous = Vec::new();
        for instance in &self.instances {
            let is_newest = seen.insert(instance.name.as_str());
            let is_superfluous = match instance.state {
                InstanceState::Exited { .. } => !ended.insert(instance.name.as_str()),
                InstanceState::Created => !is_newest,
                InstanceState::Running { .. } | InstanceState::Unknown => false,
            };
            superfluous.extend(is_superfluous.then_some(instance));
        }
        superfluous
    }

    /// Instances whose sandbox is gone: one that was just being started may have been left behind.
    pub(crate) fn stray(&self) -> Vec<&Instance> {
        let is_there = |id: &str| self.sandboxes.iter().any(|sandbox| sandbox.id == id);
        self.instances.iter().filter(|instance| !is_there(&instance.sandbox)).collect()
    }

    /// Sandboxes that hold nothing, and that another one has replaced.
    pub(crate) fn abandoned(&self) -> Vec<&Sandbox> {
        let holds = |id: &str| self.instances.iter().any(|instance| instance.sandbox == id);
        self.sandboxes.iter().skip(1).filter(|sandbox| !sandbox.is_ready && !holds(&sandbox.id)).collect()
    }
}

impl InstanceState {
    /// Whether there may be a process.
    pub(crate) fn may_run(&self) -> bool {
        match self {
            Self::Running { .. } | Self::Unknown => true,
            Self::Created | Self::Exited { .. } => false,
        }
    }

    /// The exit code of an instance that has ended.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Exited { exit_code, .. } => Some(*exit_code),
            Self::Created | Self::Running { .. } | Self::Unknown => None,
        }
    }
}

impl From<&cri::PodSandboxStatus> for Sandbox {
    fn from(status: &cri::PodSandboxStatus) -> Self {
        let namespaces = status.linux.as_ref().and_then(|linux| linux.namespaces.as_ref());
        let options = namespaces.and_then(|namespaces| namespaces.options.as_ref());
        let network = status.network.as_ref();
        let first = network.map(|network| network.ip.clone());
        let further = network.into_iter().flat_map(|network| &network.additional_ips).map(|it| it.ip.clone());
        Self {
            id: status.id.clone(),
            attempt: status.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
            is_ready: status.state() == cri::PodSandboxState::SandboxReady,
            created_at: moment(status.created_at),
            is_host_network: options.is_some_and(|it| it.network() == cri::NamespaceMode::Node),
            addresses: first.into_iter().chain(further).filter(|ip| !ip.is_empty()).collect(),
        }
    }
}

impl From<&cri::ContainerStatus> for Instance {
    fn from(status: &cri::ContainerStatus) -> Self {
        let metadata_name = || status.metadata.as_ref().map(|metadata| metadata.name.clone());
        let name = status.labels.get(CONTAINER_NAME).cloned().or_else(metadata_name);
        Self {
            id: status.id.clone(),
            name: name.unwrap_or_default(),
            sandbox: String::new(),
            created_at: moment(status.created_at),
            state: state(status),
            image: status.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
            image_ref: status.image_ref.clone(),
            marks: Marks::read(&status.annotations),
            message: status.message.clone(),
            log_path: status.log_path.clone(),
            user: status.user.as_ref().and_then(|user| user.linux.clone()),
            size: None,
        }
    }
}

fn state(status: &cri::ContainerStatus) -> InstanceState {
    match status.state() {
        cri::ContainerState::ContainerCreated => InstanceState::Created,
        cri::ContainerState::ContainerRunning => {
            InstanceState::Running { started_at: moment(status.started_at) }
        }
        cri::ContainerState::ContainerExited => InstanceState::Exited {
            started_at: (status.started_at > 0).then(|| moment(status.started_at)),
            finished_at: moment(status.finished_at),
            exit_code: status.exit_code,
            reason: reason(status),
        },
        cri::ContainerState::ContainerUnknown => InstanceState::Unknown,
    }
}

/// Runtimes fill it in; one that does not gets the words that the others use.
fn reason(status: &cri::ContainerStatus) -> String {
    match (status.reason.as_str(), status.exit_code) {
        ("", 0) => "Completed".to_owned(),
        ("", _) => "Error".to_owned(),
        (reason, _) => reason.to_owned(),
    }
}

/// The runtime counts nanoseconds since 1970.
fn moment(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::testing::{at, exited, instance, observed, running};

    #[test]
    fn of_each_container_the_newest_dead_instance_is_kept() {
        let observed = observed(vec![
            instance("a", 1, exited(1, 1)),
            instance("a", 2, exited(2, 1)),
            instance("a", 3, running(3)),
            instance("b", 1, exited(1, 0)),
            instance("c", 1, InstanceState::Created),
            instance("d", 1, InstanceState::Created),
            instance("d", 2, running(2)),
        ]);
        let mut ids: Vec<&str> = observed.superfluous().iter().map(|it| it.id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["a-1", "d-1"]);
        assert_eq!(observed.newest("a").map(|it| it.id.as_str()), Some("a-3"));
        assert_eq!(
            observed.newest_exited("a").map(|(it, when)| (it.id.as_str(), when)),
            Some(("a-2", at(3)))
        );
        assert!(observed.may_run());
    }

    #[test]
    fn what_has_lost_its_sandbox_is_stray() {
        let mut observed =
            observed(vec![instance("a", 1, exited(1, 0)), instance("b", 2, InstanceState::Created)]);
        assert_eq!(observed.stray(), [] as [&Instance; 0]);
        observed.instances[0].sandbox = "gone".into();
        assert_eq!(observed.stray().iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["b-2"]);
    }

    #[test]
    fn a_sandbox_is_abandoned_when_another_has_taken_its_place_and_nothing_is_left_in_it() {
        let mut observed = observed(vec![instance("a", 1, exited(1, 1))]);
        assert_eq!(observed.abandoned(), [] as [&Sandbox; 0]);
        observed.sandboxes.insert(0, crate::testing::sandbox("t"));
        observed.sandboxes[1].is_ready = false;
        assert_eq!(observed.abandoned(), [] as [&Sandbox; 0]);
        observed.instances.clear();
        assert_eq!(observed.abandoned().iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["s"]);
    }

    #[test]
    fn the_runtimes_words_are_read() {
        let status = cri::ContainerStatus {
            id: "c1".into(),
            labels: HashMap::from([(CONTAINER_NAME.into(), "a".into())]),
            state: cri::ContainerState::ContainerExited.into(),
            created_at: 1_000_000_000,
            started_at: 2_000_000_000,
            finished_at: 3_000_000_000,
            exit_code: 137,
            reason: "OOMKilled".into(),
            ..Default::default()
        };
        let instance = Instance::from(&status);
        assert_eq!((instance.id.as_str(), instance.name.as_str()), ("c1", "a"));
        let state = InstanceState::Exited {
            started_at: Some(Timestamp::from_second(2).unwrap()),
            finished_at: Timestamp::from_second(3).unwrap(),
            exit_code: 137,
            reason: "OOMKilled".into(),
        };
        assert_eq!(instance.state, state);
        let silent = cri::ContainerStatus { reason: String::new(), started_at: 0, ..status };
        match Instance::from(&silent).state {
            InstanceState::Exited { started_at: None, reason, .. } => assert_eq!(reason, "Error"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_count_only_while_the_sandbox_is_ready() {
        let status = cri::PodSandboxStatus {
            id: "s".into(),
            network: Some(cri::PodSandboxNetworkStatus {
                ip: "10.0.0.2".into(),
                additional_ips: vec![cri::PodIp { ip: "fd00::2".into() }],
            }),
            ..Default::default()
        };
        let ready = Sandbox::from(&status);
        assert_eq!(ready.addresses, ["10.0.0.2", "fd00::2"]);
        let mut observed = Observed::new(vec![ready], vec![]);
        assert_eq!(observed.addresses().len(), 2);
        observed.sandboxes[0].is_ready = false;
        assert!(observed.addresses().is_empty() && !observed.may_run());
    }
}
