//! Sees to it that a container's image is there, as its pull policy says.
//!
//! In: a container. Out: the image, or why the container has to wait for it, in upstream's words. A pull that failed is
//! not tried again before its back-off. Pulls of different containers run side by side.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, Secret};
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::EventRecorder;
use keelson_cri::{Runtime, RuntimeError};
use keelson_proto::cri::v1::{Image, PodSandboxConfig};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{credentials, reference};
use crate::pod::backoff::Backoff;
use crate::pod::spec;
use crate::status::Trouble;

/// How long a failed pull is told as that, before it is told as being under back-off.
const TOLD_AS_FAILED: Duration = Duration::from_secs(2);

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Always,
    IfNotPresent,
    Never,
}

impl Policy {
    /// The container's, with the API's default.
    fn of(container: &Container, image: &str) -> Self {
        match container.image_pull_policy.as_deref() {
            Some("Always") => Self::Always,
            Some("Never") => Self::Never,
            Some("IfNotPresent") => Self::IfNotPresent,
            Some(_) | None if image.ends_with(":latest") => Self::Always,
            Some(_) | None => Self::IfNotPresent,
        }
    }

    fn pulls(self, is_present: bool) -> bool {
        match self {
            Self::Always => true,
            Self::IfNotPresent => !is_present,
            Self::Never => false,
        }
    }
}

/// Which pod's pull of which image.
type Key = (String, String);

/// Brings images.
pub(crate) struct Images {
    runtime: Runtime,
    recorder: EventRecorder,
    /// Turns true when the archives have been imported: before that nobody knows what is missing.
    imported: watch::Receiver<bool>,
    backoff: Mutex<Backoff<Key>>,
    /// Why the last pull failed.
    failures: Mutex<HashMap<Key, String>>,
}

/// Who needs which image.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) pod: &'a Pod,
    pub(crate) container: &'a Container,
    pub(crate) secrets: &'a [&'a Secret],
    pub(crate) sandbox: &'a PodSandboxConfig,
}

/// There is no image.
#[derive(Debug)]
pub(crate) struct NoImage {
    pub(crate) trouble: Trouble,
    /// When to try again; `None`: after the usual pause.
    pub(crate) until: Option<Timestamp>,
}

impl NoImage {
    fn now(reason: &'static str, message: String) -> Self {
        Self { trouble: Trouble { reason, message }, until: None }
    }
}

impl Images {
    /// Of this runtime.
    pub(crate) fn new(runtime: Runtime, recorder: EventRecorder, imported: watch::Receiver<bool>) -> Self {
        Self { runtime, recorder, imported, backoff: Mutex::new(Backoff::new()), failures: Mutex::default() }
    }

    /// The container's image.
    pub(crate) async fn ensure(&self, request: Request<'_>) -> Result<Image, NoImage> {
        // The sender lives as long as the agent.
        let _ = self.imported.clone().wait_for(|imported| *imported).await;
        let wanted = request.container.image.as_deref().unwrap_or_default();
        let image = reference::with_tag(wanted).map_err(|error| {
            let message = format!(
                "Failed to apply default image tag {wanted:?}: couldn't parse image name {wanted:?}: {error}"
            );
            self.warn(request, "InspectFailed", message.clone());
            NoImage::now("InvalidImageName", message)
        })?;
        let present = self.present(request, wanted, &image).await?;
        match (Policy::of(request.container, &image).pulls(present.is_some()), present) {
            (false, Some(present)) => {
                let message = format!(
                    "Container image {wanted:?} already present on machine and can be accessed by the pod"
                );
                self.recorder.normal(&reference_of(request), "Pulled", message);
                Ok(present)
            }
            (false, None) => {
                let message = format!("Container image {wanted:?} is not present with pull policy of Never");
                self.warn(request, "ErrImageNeverPull", message.clone());
                Err(NoImage::now("ErrImageNeverPull", message))
            }
            (true, _) => self.pull(request, wanted, &image).await,
        }
    }

    /// Forgets the failures of pods that are gone.
    pub(crate) fn forget(&self, is_gone: impl Fn(&str) -> bool) {
        lock(&self.backoff).forget(|(uid, _)| is_gone(uid));
        lock(&self.failures).retain(|(uid, _), _| !is_gone(uid));
    }

    async fn present(
        &self,
        request: Request<'_>,
        wanted: &str,
        image: &str,
    ) -> Result<Option<Image>, NoImage> {
        self.runtime.image_status(image).await.map_err(|error| {
            let message = format!("Failed to inspect image {wanted:?}: {error}");
            self.warn(request, "InspectFailed", message.clone());
            NoImage::now("ImageInspectError", message)
        })
    }

    async fn pull(&self, request: Request<'_>, wanted: &str, image: &str) -> Result<Image, NoImage> {
        let key = (spec::uid(request.pod).to_owned(), image.to_owned());
        let reference = reference_of(request);
        let held = lock(&self.backoff).held_since_failure(&key, Timestamp::now());
        if let Some(until) = held {
            let message = format!("Back-off pulling image {wanted:?}");
            self.recorder.normal(&reference, "BackOff", message.clone());
            let before = lock(&self.failures).get(&key).map(|it| format!(": {it}")).unwrap_or_default();
            let trouble = Trouble { reason: "ImagePullBackOff", message: format!("{message}{before}") };
            return Err(NoImage { trouble, until: Some(until) });
        }
        self.recorder.normal(&reference, "Pulling", format!("Pulling image {wanted:?}"));
        let begin = Instant::now();
        match self.pull_now(request, image).await {
            Ok(pulled) => {
                lock(&self.failures).remove(&key);
                let took = go_millis(begin.elapsed());
                let size = pulled.size;
                let message = format!(
                    "Successfully pulled image {wanted:?} in {took} ({took} including waiting). Image size: {size} bytes."
                );
                self.recorder.normal(&reference, "Pulled", message);
                Ok(pulled)
            }
            Err(error) => {
                self.warn(request, "Failed", format!("Failed to pull image {wanted:?}: {error}"));
                let now = Timestamp::now();
                lock(&self.backoff).advance(key.clone(), now, now);
                lock(&self.failures).insert(key, format!("ErrImagePull: {error}"));
                let trouble = Trouble { reason: "ErrImagePull", message: error.to_string() };
                Err(NoImage { trouble, until: now.checked_add(TOLD_AS_FAILED).ok() })
            }
        }
    }

    /// Tries all credentials that fit, or none if there are none.
    async fn pull_now(&self, request: Request<'_>, image: &str) -> Result<Image, RuntimeError> {
        let fitting = credentials::for_image(image, request.secrets).into_iter().map(Some);
        let mut attempts: Vec<_> = fitting.collect();
        if attempts.is_empty() {
            attempts.push(None);
        }
        let mut failure = None;
        for auth in attempts {
            match self.runtime.pull_image(image, auth, Some(request.sandbox.clone())).await {
                Ok(reference) => {
                    let pulled = self.runtime.image_status(&reference).await?;
                    return Ok(pulled.unwrap_or_else(|| Image { id: reference, ..Image::default() }));
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.expect("there is at least one attempt"))
    }

    fn warn(&self, request: Request<'_>, reason: &'static str, message: String) {
        self.recorder.warning(&reference_of(request), reason, message);
    }
}

fn reference_of(request: Request<'_>) -> k8s_openapi::api::core::v1::ObjectReference {
    spec::container_reference(request.pod, &request.container.name)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A duration as Go writes it, in whole milliseconds: `850ms`, `1.25s`, `1m2.5s`.
fn go_millis(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!("{:03}", rest % 1000);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    let minutes = if minutes > 0 { format!("{minutes}m") } else { String::new() };
    format!("{minutes}{}{point}{fraction}s", rest / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_decides_whether_an_image_is_pulled() {
        for (policy, image, present, absent) in [
            (Some("Always"), "x:1", true, true),
            (Some("IfNotPresent"), "x:latest", false, true),
            (Some("Never"), "x:1", false, false),
            (None, "x:latest", true, true),
            (None, "x:1", false, true),
        ] {
            let container = Container { image_pull_policy: policy.map(Into::into), ..Container::default() };
            let policy = Policy::of(&container, image);
            assert_eq!((policy.pulls(true), policy.pulls(false)), (present, absent), "{policy:?}");
        }
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (millis, text) in [(0, "0ms"), (850, "850ms"), (1000, "1s"), (1250, "1.25s"), (62_500, "1m2.5s")]
        {
            assert_eq!(go_millis(Duration::from_millis(millis)), text);
        }
    }
}
