//! Calls about pod sandboxes.

use keelson_proto::cri::v1::{
    ListPodSandboxRequest, ListPodSandboxStatsRequest, PodSandbox, PodSandboxConfig, PodSandboxFilter,
    PodSandboxStats, PodSandboxStatsFilter, PodSandboxStatus, PodSandboxStatusRequest, PortForwardRequest,
    RemovePodSandboxRequest, RunPodSandboxRequest, StopPodSandboxRequest,
};

use crate::error::gone_is_done;
use crate::runtime::DEADLINE;
use crate::{Code, Runtime, RuntimeError};

impl Runtime {
    /// Makes a sandbox and starts it; its id. May take long: the network is set up here.
    pub async fn run_pod_sandbox(
        &self,
        config: PodSandboxConfig,
        runtime_handler: &str,
    ) -> Result<String, RuntimeError> {
        let request =
            RunPodSandboxRequest { config: Some(config), runtime_handler: runtime_handler.to_owned() };
        // Upstream gives it twice the time of other calls.
        // The messages are large.
        Box::pin(
            self.runtime("RunPodSandbox", DEADLINE * 2, request, async |mut c, r| c.run_pod_sandbox(r).await),
        )
        .await
        .map(|answer| answer.pod_sandbox_id)
    }

    /// Stops what runs in a sandbox and gives its address back. Idempotent.
    pub async fn stop_pod_sandbox(&self, id: &str) -> Result<(), RuntimeError> {
        let request = StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
        let answer = self
            .runtime("StopPodSandbox", DEADLINE, request, async |mut c, r| c.stop_pod_sandbox(r).await)
            .await;
        gone_is_done(answer)
    }

    /// Removes a sandbox and its containers. Idempotent.
    pub async fn remove_pod_sandbox(&self, id: &str) -> Result<(), RuntimeError> {
        let request = RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
        let answer = self
            .runtime("RemovePodSandbox", DEADLINE, request, async |mut c, r| c.remove_pod_sandbox(r).await)
            .await;
        gone_is_done(answer)
    }

    /// The state of a sandbox.
    pub async fn pod_sandbox_status(&self, id: &str) -> Result<PodSandboxStatus, RuntimeError> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
        self.runtime("PodSandboxStatus", DEADLINE, request, async |mut c, r| c.pod_sandbox_status(r).await)
            .await?
            .status
            .ok_or_else(|| empty("PodSandboxStatus"))
    }

    /// The sandboxes that pass the filter.
    pub async fn list_pod_sandbox(
        &self,
        filter: Option<PodSandboxFilter>,
    ) -> Result<Vec<PodSandbox>, RuntimeError> {
        let request = ListPodSandboxRequest { filter };
        self.runtime("ListPodSandbox", DEADLINE, request, async |mut c, r| c.list_pod_sandbox(r).await)
            .await
            .map(|answer| answer.items)
    }

    /// What the sandboxes that pass the filter use.
    pub async fn list_pod_sandbox_stats(
        &self,
        filter: Option<PodSandboxStatsFilter>,
    ) -> Result<Vec<PodSandboxStats>, RuntimeError> {
        let request = ListPodSandboxStatsRequest { filter };
        self.runtime("ListPodSandboxStats", DEADLINE, request, async |mut c, r| {
            c.list_pod_sandbox_stats(r).await
        })
        .await
        .map(|answer| answer.stats)
    }

    /// The URL where ports of a sandbox are forwarded.
    pub async fn port_forward(&self, id: &str, port: Vec<i32>) -> Result<String, RuntimeError> {
        let request = PortForwardRequest { pod_sandbox_id: id.to_owned(), port };
        self.runtime("PortForward", DEADLINE, request, async |mut c, r| c.port_forward(r).await)
            .await
            .map(|answer| answer.url)
    }
}

/// The runtime said yes and sent nothing.
pub(crate) fn empty(call: &str) -> RuntimeError {
    RuntimeError::Refused { code: Code::Internal, description: format!("the answer to {call} was empty") }
}
