//! What the runtime tells on its own: containers that were made, started, stopped and removed.
//!
//! In: nothing. Out: [`Events`]. Runtimes before containerd 1.7 have no such stream: the call answers with an error
//! whose [`RuntimeError::is_unimplemented`] is true, and who wants to know has to ask for lists.

use keelson_proto::cri::v1::{ContainerEventResponse, GetEventsRequest};
use tonic::{Request, Streaming};

use crate::{Runtime, RuntimeError};

/// A stream of events. It has no past: what happened before it was opened has to be listed.
pub struct Events {
    endpoint: String,
    stream: Streaming<ContainerEventResponse>,
}

impl Runtime {
    /// Opens the stream of events. A runtime that has one may answer only when the first event comes, one that has
    /// none refuses at once.
    pub async fn events(&self) -> Result<Events, RuntimeError> {
        let answer = self.runtime_client().get_container_events(Request::new(GetEventsRequest {})).await;
        let endpoint = self.endpoint().to_owned();
        match answer {
            Ok(answer) => Ok(Events { endpoint, stream: answer.into_inner() }),
            Err(status) => Err(RuntimeError::of(&endpoint, "GetContainerEvents", &status)),
        }
    }
}

impl Events {
    /// The next event; `None` when the runtime has closed the stream.
    pub async fn next(&mut self) -> Result<Option<ContainerEventResponse>, RuntimeError> {
        self.stream
            .message()
            .await
            .map_err(|status| RuntimeError::of(&self.endpoint, "GetContainerEvents", &status))
    }
}
