//! A thousand watches of one resource through one server: what they cost while nothing happens, and when the last of them
//! hears of a change.
//!
//! In: running servers. Out: [`Figures`]. Each watch is a connection of its own, as HTTP/1.1 has it.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    client::Body,
};
use serde_json::json;

use super::{NAMESPACE, Servers, config_map};
use crate::processes::{Idle, share_of};

const WATCHERS: usize = 1_000;

const UPDATES: usize = 20;

/// A name that nothing else has.
const NAME: &str = "watched-by-all";

/// What was measured.
pub(super) struct Figures {
    idle_cpu_percent: f64,
    /// From the update until the last watch has heard of it.
    last_p50: Duration,
    last_worst: Duration,
}

/// Opens the watches and measures.
pub(super) async fn measure(servers: &Servers, idle: Duration) -> Result<Figures, Box<dyn Error>> {
    let client = &servers.clients().await?[0];
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let made = maps.create(&PostParams::default(), &config_map(NAME)).await?;
    let version = made.metadata.resource_version.unwrap_or_default();
    let mut watches = try_join_all((0..WATCHERS).map(|_| open(client, &version))).await?;
    let idle = Idle::watch(&servers.pids()[..1], idle).await?;
    let mut last = Vec::new();
    for update in 0..UPDATES {
        let patch = Patch::Merge(json!({"data": {"update": update.to_string()}}));
        let params = PatchParams::default();
        let begun = Instant::now();
        let (patched, heard) =
            tokio::join!(maps.patch(NAME, &params, &patch), try_join_all(watches.iter_mut().map(hear)));
        patched?;
        heard?;
        last.push(begun.elapsed());
    }
    last.sort_unstable();
    Ok(Figures {
        idle_cpu_percent: idle.cpu_percent,
        last_p50: share_of(&last, 0.5),
        last_worst: share_of(&last, 1.0),
    })
}

async fn open(client: &Client, version: &str) -> Result<Body, Box<dyn Error>> {
    let path = format!("/api/v1/namespaces/{NAMESPACE}/configmaps?watch=1&resourceVersion={version}");
    Ok(client.send(http::Request::get(path).body(Body::empty())?).await?.into_body())
}

/// Waits for the next event, to the end of its line.
async fn hear(watch: &mut Body) -> Result<(), Box<dyn Error>> {
    loop {
        let frame = watch.frame().await.ok_or("a watch ended")??;
        if frame.data_ref().is_some_and(|data| data.ends_with(b"\n")) {
            return Ok(());
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        writeln!(f, "{WATCHERS} idle watches        {:>8.1} % of a core", self.idle_cpu_percent)?;
        writeln!(
            f,
            "update to the last of them{:>8.2} ms     worst {:>5.2} ms",
            ms(self.last_p50),
            ms(self.last_worst)
        )
    }
}
