//! Whether the runtime and its network are there.
//!
//! In: the runtime's own word, every few seconds. Out: what keeps pods from running, in upstream's words. A runtime that
//! is away for a moment (it is being restarted) makes no difference yet.

use std::convert::Infallible;
use std::time::Duration;

use keelson_cri::Runtime;
use keelson_proto::cri::v1::{RuntimeCondition, StatusResponse};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How often the runtime is asked: upstream's `updateRuntimeUp`.
const PERIOD: Duration = Duration::from_secs(5);

/// For how long it may be away.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known about the runtime.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuntimeHealth {
    /// When it last said that it is well; `None` if it has not yet.
    well_at: Option<Instant>,
    /// What it says is wrong with itself.
    runtime: Option<String>,
    /// What it says is wrong with its network.
    network: Option<String>,
    /// Name and version: `containerd`, `1.6.20`.
    pub(crate) version: Option<(String, String)>,
}

impl RuntimeHealth {
    /// What keeps pods from running.
    pub(crate) fn obstacles(&self, now: Instant) -> Vec<String> {
        let runtime = match self.well_at {
            None => Some("container runtime status check may not have completed yet".to_owned()),
            Some(at) if now.duration_since(at) > PATIENCE => Some("container runtime is down".to_owned()),
            Some(_) => None,
        };
        [runtime, self.runtime.clone(), self.network_obstacle()].into_iter().flatten().collect()
    }

    /// What keeps pods with a network of their own from running.
    pub(crate) fn network_obstacle(&self) -> Option<String> {
        self.network.clone()
    }

    fn take_in(&mut self, answer: &StatusResponse, now: Instant) {
        let conditions =
            answer.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        self.runtime = not_ready(conditions, "RuntimeReady", "container runtime not ready");
        self.network = not_ready(conditions, "NetworkReady", "container runtime network not ready");
        if self.runtime.is_none() {
            self.well_at = Some(now);
        }
    }
}

fn not_ready(conditions: &[RuntimeCondition], kind: &str, what: &str) -> Option<String> {
    match conditions.iter().find(|it| it.r#type == kind) {
        Some(condition) if condition.status => None,
        Some(RuntimeCondition { reason, message, .. }) => {
            Some(format!("{what}: {kind}=false reason:{reason} message:{message}"))
        }
        None => Some(format!("{what}: {kind}=false reason: message:")),
    }
}

/// Asks the runtime again and again.
pub(crate) async fn watch(runtime: &Runtime, health: &watch::Sender<RuntimeHealth>) -> Infallible {
    loop {
        match runtime.status().await {
            Ok(answer) => health.send_modify(|health| health.take_in(&answer, Instant::now())),
            Err(error) => {
                tracing::debug!(%error, "the container runtime does not say how it is");
                // The time goes on: whoever judges has to look again.
                health.send_modify(|_| {});
            }
        }
        // Another one may have taken its place.
        if let Ok(version) = runtime.version().await {
            let version = (version.runtime_name, version.runtime_version);
            health.send_modify(|health| health.version = Some(version));
        }
        sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use keelson_proto::cri::v1::RuntimeStatus;

    use super::*;

    fn answer(runtime: bool, network: bool) -> StatusResponse {
        let condition = |kind: &str, status, reason: &str, message: &str| RuntimeCondition {
            r#type: kind.into(),
            status,
            reason: reason.into(),
            message: message.into(),
        };
        let conditions = vec![
            condition("RuntimeReady", runtime, "r", "m"),
            condition(
                "NetworkReady",
                network,
                "NetworkPluginNotReady",
                "Network plugin returns error: cni plugin not initialized",
            ),
        ];
        StatusResponse { status: Some(RuntimeStatus { conditions }), ..Default::default() }
    }

    #[test]
    fn what_is_wrong_is_told_in_upstreams_words() {
        let mut health = RuntimeHealth::default();
        let start = Instant::now();
        assert_eq!(health.obstacles(start), ["container runtime status check may not have completed yet"]);
        health.take_in(&answer(true, false), start);
        let network = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady \
                       message:Network plugin returns error: cni plugin not initialized";
        assert_eq!(health.obstacles(start), [network]);
        assert_eq!(health.network_obstacle().as_deref(), Some(network));
        health.take_in(&answer(false, true), start);
        assert_eq!(
            health.obstacles(start),
            ["container runtime not ready: RuntimeReady=false reason:r message:m"]
        );
        health.take_in(&answer(true, true), start);
        assert_eq!(health.obstacles(start), [] as [&str; 0]);
    }

    #[test]
    fn a_runtime_may_be_away_for_half_a_minute() {
        let mut health = RuntimeHealth::default();
        let start = Instant::now();
        health.take_in(&answer(true, true), start);
        assert_eq!(health.obstacles(start + Duration::from_secs(30)), [] as [&str; 0]);
        assert_eq!(health.obstacles(start + Duration::from_secs(31)), ["container runtime is down"]);
    }
}
