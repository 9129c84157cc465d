//! Starts one container: its image, its files and variables, the container itself, its hook.
//!
//! In: a container of the spec. Out: a container that runs, or why not: a reason and a message for its status, and when
//! to try again. Events are upstream's.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, LifecycleHandler, Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use keelson_node_volumes::{HostName, MountRequest, ObjectSource, environment, mounts};
use keelson_proto::cri::v1::{ContainerConfig, Image, PodSandboxConfig};

use super::{Next, SOON, Worker, hooks};
use crate::config::container::{self, Parts};
use crate::config::{resources, security};
use crate::images::pull::Request;
use crate::pod::backoff::go_text;
use crate::pod::{hash, spec};
use crate::references::pull_secrets;
use crate::registry::Record;
use crate::runtime::observed::Observed;
use crate::status::Trouble;

/// Pause after a container could not be made.
const PAUSE: Duration = Duration::from_secs(10);

/// For how long a `postStart` hook may run. It ends with the pod at the latest.
const POST_START: Duration = Duration::from_secs(24 * 3600);

/// Where a container is to be started.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) pod: &'a Arc<Pod>,
    /// The sandbox's id.
    pub(super) sandbox: &'a str,
    pub(super) config: &'a PodSandboxConfig,
}

/// What is to be started.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) container: &'a Container,
    pub(super) ephemeral: Option<&'a EphemeralContainer>,
}

/// Why a container does not run.
struct Obstacle {
    trouble: Trouble,
    next: Next,
    /// Whether an event has told of it already.
    is_told: bool,
}

impl Obstacle {
    fn new(reason: &'static str, message: String) -> Self {
        Self { trouble: Trouble { reason, message }, next: Next::after(PAUSE), is_told: false }
    }
}

/// A container that is starting or in its `postStart` hook; also when the worker gives up in the middle of it.
struct Hooked<'a> {
    record: &'a Record,
    id: &'a str,
}

impl<'a> Hooked<'a> {
    fn enter(record: &'a Record, id: &'a str) -> Self {
        record.view().hooked.insert(id.to_owned());
        Self { record, id }
    }
}

impl Drop for Hooked<'_> {
    fn drop(&mut self) {
        self.record.view().hooked.remove(self.id);
    }
}

impl Worker {
    /// Starts a container unless it has to wait. `Err`: it does not run; when to try again.
    pub(super) async fn start(&self, place: Place<'_>, job: Job<'_>) -> Result<(), Next> {
        let name = &job.container.name;
        let done = match self.hold_back(place.pod, job.container) {
            Some(obstacle) => Err(obstacle),
            None => self.start_now(place, job).await,
        };
        let mut view = self.record.view();
        match done {
            Ok(()) => {
                view.troubles.remove(name);
                Ok(())
            }
            Err(obstacle) => {
                if !obstacle.is_told {
                    let reference = spec::container_reference(place.pod, name);
                    let message = format!("Error: {}", event_text(&obstacle.trouble));
                    self.shared.recorder.warning(&reference, "Failed", message);
                }
                view.troubles.insert(name.clone(), obstacle.trouble);
                Err(obstacle.next)
            }
        }
    }

    /// A container that keeps ending waits longer and longer.
    fn hold_back(&self, pod: &Pod, container: &Container) -> Option<Obstacle> {
        let failed = self.record.view().observed.newest_exited(&container.name).map(|(_, when)| when)?;
        let key = (spec::uid(pod).to_owned(), container.name.clone(), hash::of(container));
        let now = Timestamp::now();
        let mut restarts = self.shared.restarts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = restarts.held_until(&key, failed, now) else {
            restarts.advance(key, failed, now);
            return None;
        };
        let (name, described) = (&container.name, spec::described(pod));
        let message = format!("Back-off restarting failed container {name} in pod {described}");
        self.shared.recorder.warning(&spec::container_reference(pod, name), "BackOff", message);
        let delay = go_text(restarts.delay(&key));
        let message = format!("back-off {delay} restarting failed container={name} pod={described}");
        let trouble = Trouble { reason: "CrashLoopBackOff", message };
        Some(Obstacle { trouble, next: Next::at(until), is_told: true })
    }

    async fn start_now(&self, place: Place<'_>, job: Job<'_>) -> Result<(), Obstacle> {
        let image = self.image(place, job.container).await?;
        let config = self.container_config(place, job, &image).await.map_err(|why| {
            // A container may not tell what its node said of its files.
            Obstacle::new("CreateContainerConfigError", why)
        })?;
        let runtime = &self.shared.runtime;
        let made = runtime.create_container(place.sandbox, config, place.config.clone()).await;
        let id = made.map_err(|error| Obstacle::new("CreateContainerError", error.description()))?;
        let reference = spec::container_reference(place.pod, &job.container.name);
        self.shared.recorder.normal(&reference, "Created", "Container created");
        let hook = job.container.lifecycle.as_ref().and_then(|it| it.post_start.as_ref());
        let _hooked = hook.map(|_| Hooked::enter(&self.record, &id));
        runtime.start_container(&id).await.map_err(|error| Obstacle {
            next: Next::after(SOON),
            ..Obstacle::new("RunContainerError", error.description())
        })?;
        self.shared.recorder.normal(&reference, "Started", "Container started");
        match hook {
            Some(hook) => self.post_start(place, job.container, hook, &id).await,
            None => Ok(()),
        }
    }

    async fn image(&self, place: Place<'_>, container: &Container) -> Result<Image, Obstacle> {
        let secrets = self.pull_secrets(place.pod).await;
        let secrets: Vec<&Secret> = secrets.iter().map(AsRef::as_ref).collect();
        let request = Request { pod: place.pod, container, secrets: &secrets, sandbox: place.config };
        self.shared.images.ensure(request).await.map_err(|missing| Obstacle {
            trouble: missing.trouble,
            next: missing.until.map_or_else(|| Next::after(PAUSE), Next::at),
            is_told: false,
        })
    }

    /// Secrets for registries; one that is not there may not be needed.
    async fn pull_secrets(&self, pod: &Pod) -> Vec<Arc<Secret>> {
        let mut secrets = Vec::new();
        for name in pull_secrets(pod) {
            match self.shared.source.secret(spec::namespace(pod), name).await {
                Ok(found) => secrets.extend(found),
                Err(error) => {
                    tracing::info!(pod = spec::described(pod), secret = name, %error, "no pull secret")
                }
            }
        }
        secrets
    }

    async fn container_config(
        &self,
        place: Place<'_>,
        job: Job<'_>,
        image: &Image,
    ) -> Result<ContainerConfig, String> {
        let (pod, container, shared) = (place.pod, job.container, &self.shared);
        let observed = self.record.view().observed.clone();
        let addresses = self.addresses(pod, &observed);
        let folders = self.volumes.folders();
        let node = shared.node_facts();
        let variables = environment(pod, container, &addresses, folders, &shared.source, &node)
            .await
            .map_err(|error| error.to_string())?;
        let restart_count = self.restart_count(container, &observed);
        let name = HostName::of(pod, &shared.dns.domain).map_err(|error| error.to_string())?;
        let mounts = mounts(&MountRequest {
            pod,
            container,
            folders,
            pod_addresses: &addresses,
            name: &name,
            environment: &variables,
            attempt: restart_count,
            recursive_read_only: false,
            hosts_of_node: Path::new("/etc/hosts"),
        })
        .map_err(|error| error.to_string())?;
        let profiles = shared.root.join("seccomp");
        let parts = Parts {
            restart_count,
            image_ref: image.id.clone(),
            environment: variables,
            mounts,
            resources: resources::of_container(pod, container, shared.node_memory, shared.cgroups.version()),
            security: security::of_container(pod, container, Some(image), &profiles)
                .map_err(|error| error.to_string())?,
        };
        let folder = self.logs.container(&container.name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut config = container::config(pod, container, parts);
        if let Some(ephemeral) = job.ephemeral {
            container::aim(&mut config, ephemeral, &observed);
        }
        Ok(config)
    }

    /// The pod's addresses; on the node's network the node's.
    fn addresses(&self, pod: &Pod, observed: &Observed) -> Vec<IpAddr> {
        if spec::is_host_network(pod) {
            return self.shared.node_addresses.clone();
        }
        observed.addresses().iter().filter_map(|ip| ip.parse().ok()).collect()
    }

    /// Which instance of the container the next one is. A runtime that has forgotten its containers (the machine was
    /// restarted) has left their logs, which must not be written over.
    fn restart_count(&self, container: &Container, observed: &Observed) -> u32 {
        match observed.newest(&container.name) {
            Some(newest) => newest.marks.restart_count + 1,
            None => next_log(&self.logs.container(&container.name)),
        }
    }

    async fn post_start(
        &self,
        place: Place<'_>,
        container: &Container,
        handler: &LifecycleHandler,
        id: &str,
    ) -> Result<(), Obstacle> {
        let address = self.record.view().observed.addresses().first().cloned().unwrap_or_default();
        let runtime = &self.shared.runtime;
        let Err(why) = hooks::run(runtime, handler, container, id, &address, POST_START).await else {
            return Ok(());
        };
        let (pod, name) = (place.pod, &container.name);
        tracing::info!(pod = spec::described(pod), container = name, why, "postStart failed");
        let reference = spec::container_reference(pod, name);
        self.shared.recorder.warning(&reference, "FailedPostStartHook", "PostStartHook failed");
        self.shared.recorder.normal(&reference, "Killing", "FailedPostStartHook");
        let grace = super::stop::grace_of_container(pod, Some(container), crate::pod::plan::Why::Other);
        if let Err(error) = runtime.stop_container(id, grace).await {
            tracing::info!(pod = spec::described(pod), container = name, %error, "the container is not stopped");
        }
        Err(Obstacle { next: Next::after(SOON), is_told: true, ..Obstacle::new("PostStartHookError", why) })
    }
}

/// Of a missing image only the reason is told: its own event has told the rest.
fn event_text(trouble: &Trouble) -> &str {
    match trouble.reason {
        "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName"
        | "ImageInspectError" => trouble.reason,
        _ => &trouble.message,
    }
}

/// The number after that of the last log in a folder; 0 if there is none.
fn next_log(folder: &Path) -> u32 {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let number = |name: &str| name.split_once(".log").and_then(|(number, _)| number.parse::<u32>().ok());
    let last = names.filter_map(|name| number(name.to_str()?)).max();
    last.map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_forgotten_instances_are_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(next_log(&folder.path().join("absent")), 0);
        for name in ["0.log", "2.log", "3.log.20260101-000000", "x.log", "other"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        assert_eq!(next_log(folder.path()), 4);
    }

    #[test]
    fn events_about_images_name_the_reason_only() {
        let trouble = |reason| Trouble { reason, message: "m".into() };
        assert_eq!(event_text(&trouble("ErrImagePull")), "ErrImagePull");
        assert_eq!(event_text(&trouble("CreateContainerConfigError")), "m");
    }
}
