//! Calls about containers.

use std::time::Duration;

use keelson_proto::cri::v1::{
    AttachRequest, Container, ContainerConfig, ContainerFilter, ContainerStats, ContainerStatsFilter,
    ContainerStatsRequest, ContainerStatus, ContainerStatusRequest, CreateContainerRequest, ExecRequest,
    ExecSyncRequest, ExecSyncResponse, LinuxContainerResources, ListContainerStatsRequest,
    ListContainersRequest, PodSandboxConfig, RemoveContainerRequest, ReopenContainerLogRequest,
    StartContainerRequest, StopContainerRequest, UpdateContainerResourcesRequest,
};

use crate::error::gone_is_done;
use crate::runtime::{DEADLINE, seconds};
use crate::sandboxes::empty;
use crate::{Runtime, RuntimeError};

impl Runtime {
    /// Makes a container in a sandbox; its id.
    pub async fn create_container(
        &self,
        sandbox: &str,
        config: ContainerConfig,
        sandbox_config: PodSandboxConfig,
    ) -> Result<String, RuntimeError> {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        // The messages are large.
        Box::pin(
            self.runtime("CreateContainer", DEADLINE, request, async |mut c, r| c.create_container(r).await),
        )
        .await
        .map(|answer| answer.container_id)
    }

    /// Starts a container that was made.
    pub async fn start_container(&self, id: &str) -> Result<(), RuntimeError> {
        let request = StartContainerRequest { container_id: id.to_owned() };
        self.runtime("StartContainer", DEADLINE, request, async |mut c, r| c.start_container(r).await)
            .await
            .map(drop)
    }

    /// Asks a container to end, and kills it after `grace` (whole seconds). Returns when it has ended. Idempotent.
    pub async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        let request = StopContainerRequest { container_id: id.to_owned(), timeout: seconds(grace) };
        let deadline = DEADLINE.saturating_add(grace);
        let answer = self
            .runtime("StopContainer", deadline, request, async |mut c, r| c.stop_container(r).await)
            .await;
        gone_is_done(answer)
    }

    /// Removes a container, by force if it runs. Idempotent.
    pub async fn remove_container(&self, id: &str) -> Result<(), RuntimeError> {
        let request = RemoveContainerRequest { container_id: id.to_owned() };
        let answer = self
            .runtime("RemoveContainer", DEADLINE, request, async |mut c, r| c.remove_container(r).await)
            .await;
        gone_is_done(answer)
    }

    /// The containers that pass the filter.
    pub async fn list_containers(
        &self,
        filter: Option<ContainerFilter>,
    ) -> Result<Vec<Container>, RuntimeError> {
        let request = ListContainersRequest { filter };
        self.runtime("ListContainers", DEADLINE, request, async |mut c, r| c.list_containers(r).await)
            .await
            .map(|answer| answer.containers)
    }

    /// The state of a container.
    pub async fn container_status(&self, id: &str) -> Result<ContainerStatus, RuntimeError> {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        self.runtime("ContainerStatus", DEADLINE, request, async |mut c, r| c.container_status(r).await)
            .await?
            .status
            .ok_or_else(|| empty("ContainerStatus"))
    }

    /// Changes the limits of a container that runs.
    pub async fn update_container_resources(
        &self,
        id: &str,
        linux: LinuxContainerResources,
    ) -> Result<(), RuntimeError> {
        let request = UpdateContainerResourcesRequest {
            container_id: id.to_owned(),
            linux: Some(linux),
            ..Default::default()
        };
        self.runtime("UpdateContainerResources", DEADLINE, request, async |mut c, r| {
            c.update_container_resources(r).await
        })
        .await
        .map(drop)
    }

    /// Makes the runtime open a container's log anew, after the file was moved away.
    pub async fn reopen_container_log(&self, id: &str) -> Result<(), RuntimeError> {
        let request = ReopenContainerLogRequest { container_id: id.to_owned() };
        self.runtime("ReopenContainerLog", DEADLINE, request, async |mut c, r| {
            c.reopen_container_log(r).await
        })
        .await
        .map(drop)
    }

    /// Runs a command to its end. An end with another exit code than 0 is an answer, not an error; a command that
    /// takes longer than `timeout` (whole seconds) is [`RuntimeError::TimedOut`]. It is the runtime that ends it; one
    /// that does not answer has as long as for every other call, so that a runtime that hangs for a moment does not
    /// pass for a command that does.
    pub async fn exec_sync(
        &self,
        id: &str,
        cmd: Vec<String>,
        timeout: Duration,
    ) -> Result<ExecSyncResponse, RuntimeError> {
        let request = ExecSyncRequest { container_id: id.to_owned(), cmd, timeout: seconds(timeout) };
        let deadline = DEADLINE.saturating_add(timeout);
        self.runtime("ExecSync", deadline, request, async |mut c, r| c.exec_sync(r).await).await
    }

    /// The URL where a command is run with its streams.
    pub async fn exec(&self, request: ExecRequest) -> Result<String, RuntimeError> {
        self.runtime("Exec", DEADLINE, request, async |mut c, r| c.exec(r).await)
            .await
            .map(|answer| answer.url)
    }

    /// The URL where the streams of a container's main process are.
    pub async fn attach(&self, request: AttachRequest) -> Result<String, RuntimeError> {
        self.runtime("Attach", DEADLINE, request, async |mut c, r| c.attach(r).await)
            .await
            .map(|answer| answer.url)
    }

    /// What one container uses.
    pub async fn container_stats(&self, id: &str) -> Result<ContainerStats, RuntimeError> {
        let request = ContainerStatsRequest { container_id: id.to_owned() };
        self.runtime("ContainerStats", DEADLINE, request, async |mut c, r| c.container_stats(r).await)
            .await?
            .stats
            .ok_or_else(|| empty("ContainerStats"))
    }

    /// What the containers that pass the filter use.
    pub async fn list_container_stats(
        &self,
        filter: Option<ContainerStatsFilter>,
    ) -> Result<Vec<ContainerStats>, RuntimeError> {
        let request = ListContainerStatsRequest { filter };
        self.runtime("ListContainerStats", DEADLINE, request, async |mut c, r| {
            c.list_container_stats(r).await
        })
        .await
        .map(|answer| answer.stats)
    }
}
