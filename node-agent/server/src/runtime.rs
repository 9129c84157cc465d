//! A runtime behind CRI is one that the server can ask.

use futures_util::future::{BoxFuture, FutureExt};
use keelson_cri::{Code, Runtime, RuntimeError};
use keelson_proto::cri::v1::{
    AttachRequest, ContainerState, ExecRequest, PodSandbox, PodSandboxState, PodSandboxStats,
    PortForwardRequest,
};

use crate::containers::{Container, Containers, RuntimeFailure};

impl Containers for Runtime {
    fn container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Option<Container>, RuntimeFailure>> {
        async move {
            match self.container_status(id).await {
                Ok(status) => Ok(Some(Container {
                    log_path: status.log_path.clone().into(),
                    is_running: status.state() == ContainerState::ContainerRunning,
                })),
                Err(RuntimeError::Refused { code: Code::NotFound, .. }) => Ok(None),
                Err(error) => Err(failure(&error)),
            }
        }
        .boxed()
    }

    fn ready_sandbox<'a>(
        &'a self,
        pod_uid: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, RuntimeFailure>> {
        async move {
            let sandboxes = self.list_pod_sandbox(None).await.map_err(|error| failure(&error))?;
            Ok(newest_ready(sandboxes, pod_uid))
        }
        .boxed()
    }

    fn stats(&self) -> BoxFuture<'_, Result<Vec<PodSandboxStats>, RuntimeFailure>> {
        async move { self.list_pod_sandbox_stats(None).await.map_err(|error| failure(&error)) }.boxed()
    }

    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Result<String, RuntimeFailure>> {
        async move { self.exec(request).await.map_err(|error| failure(&error)) }.boxed()
    }

    fn attach(&self, request: AttachRequest) -> BoxFuture<'_, Result<String, RuntimeFailure>> {
        async move { self.attach(request).await.map_err(|error| failure(&error)) }.boxed()
    }

    fn port_forward(&self, request: PortForwardRequest) -> BoxFuture<'_, Result<String, RuntimeFailure>> {
        async move {
            let PortForwardRequest { pod_sandbox_id, port } = request;
            self.port_forward(&pod_sandbox_id, port).await.map_err(|error| failure(&error))
        }
        .boxed()
    }
}

fn failure(error: &RuntimeError) -> RuntimeFailure {
    RuntimeFailure(error.to_string())
}

/// Sandboxes are looked up by what their metadata says, which every agent has to write, not by a label.
fn newest_ready(sandboxes: Vec<PodSandbox>, pod_uid: &str) -> Option<String> {
    let is_it = |sandbox: &PodSandbox| {
        let uid = sandbox.metadata.as_ref().map_or("", |metadata| metadata.uid.as_str());
        uid == pod_uid && sandbox.state() == PodSandboxState::SandboxReady
    };
    let found = sandboxes.into_iter().filter(is_it).max_by_key(|sandbox| sandbox.created_at);
    found.map(|sandbox| sandbox.id)
}

#[cfg(test)]
mod tests {
    use keelson_proto::cri::v1::PodSandboxMetadata;

    use super::*;

    fn sandbox(id: &str, uid: &str, state: PodSandboxState, created_at: i64) -> PodSandbox {
        let metadata = PodSandboxMetadata { uid: uid.to_owned(), ..Default::default() };
        PodSandbox {
            id: id.to_owned(),
            metadata: Some(metadata),
            state: state.into(),
            created_at,
            ..Default::default()
        }
    }

    #[test]
    fn the_newest_sandbox_of_the_pod_that_is_ready_is_found() {
        use PodSandboxState::{SandboxNotready, SandboxReady};
        let sandboxes = vec![
            sandbox("old", "u", SandboxReady, 1),
            sandbox("new", "u", SandboxReady, 2),
            sandbox("dead", "u", SandboxNotready, 3),
            sandbox("other", "v", SandboxReady, 4),
        ];
        assert_eq!(newest_ready(sandboxes.clone(), "u").as_deref(), Some("new"));
        assert_eq!(newest_ready(sandboxes, "w"), None);
    }
}
