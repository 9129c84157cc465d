//! Pods, measured on the node of `make up`.
//!
//! In: the administrator's kubeconfig file of a running cluster. Out: [`Figures`]: how long it takes from the request
//! that creates a pod until its status says Running; its image is there.

use std::{
    error::Error,
    fmt,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::processes::share_of;

const PODS: usize = 10;

const NAMESPACE: &str = "default";

/// How long one pod is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was measured.
pub(crate) struct Figures {
    running: Vec<Duration>,
}

/// Creates pods one after the other.
pub(crate) async fn measure(kubeconfig: &Path) -> Result<Figures, Box<dyn Error>> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let pods: Api<Pod> = Api::namespaced(Client::try_from(config)?, NAMESPACE);
    let mut running = Vec::new();
    for number in 0..PODS {
        let name = format!("bench-{number}-{}", std::process::id());
        let took = tokio::time::timeout(PATIENCE, until_running(&pods, &name)).await;
        // Whatever became of it.
        let deleted = pods.delete(&name, &DeleteParams::default().grace_period(0)).await;
        running.push(took.map_err(|_| format!("pod {name} does not run after {PATIENCE:?}"))??);
        deleted?;
    }
    running.sort_unstable();
    Ok(Figures { running })
}

async fn until_running(pods: &Api<Pod>, name: &str) -> Result<Duration, Box<dyn Error>> {
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "containers": [{
                "name": "sleep",
                "image": "docker.io/library/busybox:1.36",
                "command": ["sleep", "3600"],
            }],
        },
    }))?;
    let begun = Instant::now();
    let made = pods.create(&PostParams::default(), &pod).await?;
    let params = WatchParams::default().fields(&format!("metadata.name={name}"));
    let mut events = pods.watch(&params, &made.metadata.resource_version.unwrap_or_default()).await?.boxed();
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Modified(pod) = event
            && pod.status.and_then(|status| status.phase).as_deref() == Some("Running")
        {
            return Ok(begun.elapsed());
        }
    }
    Err("the watch ended".into())
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |share| share_of(&self.running, share).as_secs_f64();
        writeln!(
            f,
            "pod created to Running    {:>8.2} s      worst of {}: {:.2} s",
            seconds(0.5),
            self.running.len(),
            seconds(1.0)
        )
    }
}
