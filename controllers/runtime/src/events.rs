//! Events for users: `kubectl describe` shows them.
//!
//! In: an object, a reason, a message. Out: `core/v1` Events. Telling never waits and never fails: what does not fit
//! into the buffer is dropped. Repeats count up one Event, and an object about which too much is told is heard less
//! often. Deliberately absent: combining messages that are alike but not the same.

mod correlate;

use k8s_openapi::api::core::v1::{Event, ObjectReference};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource};
use serde_json::json;
use tokio::sync::mpsc;

use self::correlate::{Correlator, Deed};
use crate::backoff::Backoff;
use crate::explain::explain;

/// How many events may wait to be written.
const BUFFER: usize = 1000;

/// How often writing an event is tried.
const TRIES: u32 = 12;

/// Tells users what happened. Clones write through the same background task.
#[derive(Clone, Debug)]
pub struct EventRecorder {
    component: &'static str,
    host: Option<String>,
    sender: mpsc::Sender<RecordedEvent>,
}

/// An event as it was told.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// What it is about.
    pub object: ObjectReference,
    /// `Normal` or `Warning`.
    pub kind: &'static str,
    /// A word in UpperCamelCase.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
    /// Who tells it.
    pub component: &'static str,
    /// On which host, if that matters.
    pub host: Option<String>,
    /// When it was told.
    pub at: Timestamp,
}

impl EventRecorder {
    /// A recorder for `component`, and the task that writes what it is told; nothing is written unless that runs. The
    /// task ends when all recorders are gone and everything is written.
    pub fn new(
        client: Client,
        component: &'static str,
        host: Option<String>,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, receiver) = mpsc::channel(BUFFER);
        (Self { component, host, sender }, write_all(client, receiver))
    }

    /// A recorder whose events are received instead of written. For tests.
    pub fn detached() -> (Self, mpsc::Receiver<RecordedEvent>) {
        let (sender, receiver) = mpsc::channel(BUFFER);
        (Self { component: "test", host: None, sender }, receiver)
    }

    /// The same recorder in another component's name.
    pub fn of_component(&self, component: &'static str) -> Self {
        Self { component, ..self.clone() }
    }

    /// Tells of something that is as it should be.
    pub fn normal(&self, object: &ObjectReference, reason: &'static str, message: impl Into<String>) {
        self.record("Normal", object, reason, message.into());
    }

    /// Tells of something that somebody should look at.
    pub fn warning(&self, object: &ObjectReference, reason: &'static str, message: impl Into<String>) {
        self.record("Warning", object, reason, message.into());
    }

    fn record(&self, kind: &'static str, object: &ObjectReference, reason: &'static str, message: String) {
        let event = RecordedEvent {
            object: object.clone(),
            kind,
            reason,
            message,
            component: self.component,
            host: self.host.clone(),
            at: Timestamp::now(),
        };
        if let Err(error) = self.sender.try_send(event) {
            tracing::debug!(reason, %error, "an event is dropped");
        }
    }
}

/// What an event about this object refers to.
pub fn reference_to<K: Resource<DynamicType = ()>>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}

async fn write_all(client: Client, mut events: mpsc::Receiver<RecordedEvent>) {
    let mut correlator = Correlator::new();
    while let Some(event) = events.recv().await {
        match correlator.take_in(&event, tokio::time::Instant::now()) {
            Deed::Drop => {}
            Deed::Create(new) => persist(&client, &new, false).await,
            Deed::Repeat(known) => persist(&client, &known, true).await,
        }
    }
}

/// Writes the event, as long as there is hope.
async fn persist(client: &Client, event: &Event, repeats: bool) {
    let mut backoff = Backoff::default();
    for _ in 0..TRIES {
        match write(client, event, repeats).await {
            Ok(()) => return,
            Err(kube::Error::Api(status)) if status.code < 500 && status.code != 429 => {
                // An Event of this name exists: an earlier try has worked. Anything else will not get better.
                if !status.is_already_exists() {
                    tracing::debug!(reason = event.reason, refusal = status.message, "an event is refused");
                }
                return;
            }
            Err(error) => {
                let error = explain(&error);
                tracing::debug!(reason = event.reason, error, "cannot write an event; will try again");
            }
        }
        tokio::time::sleep(backoff.next_delay()).await;
    }
}

async fn write(client: &Client, event: &Event, repeats: bool) -> kube::Result<()> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    if repeats {
        let name = event.metadata.name.as_deref().unwrap_or_default();
        let patch =
            json!({"count": event.count, "lastTimestamp": event.last_timestamp, "message": event.message});
        match events.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await {
            Ok(_) => return Ok(()),
            // It has expired: an hour is all an event lives.
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    events.create(&PostParams::default(), event).await.map(|_| ())
}

#[cfg(test)]
mod tests;
