//! Three `keelson server` processes, measured as clients meet them.
//!
//! In: the binary. Out: [`Figures`]: start, cost at rest, creates per second, a list, a watch; then many watches, and many
//! pods.

use std::{
    error::Error,
    fmt,
    fs::File,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api, Client, Config,
    api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use crate::processes::{self, Idle, share_of};

mod pods;
mod watchers;

/// The servers and their addresses; all have the same port.
const SERVERS: [(&str, Ipv4Addr); 3] = [
    ("a", Ipv4Addr::new(127, 0, 0, 2)),
    ("b", Ipv4Addr::new(127, 0, 0, 3)),
    ("c", Ipv4Addr::new(127, 0, 0, 4)),
];

const START_PATIENCE: Duration = Duration::from_secs(60);

/// Clients that create at once, over all servers.
const CREATORS: usize = 64;

/// Bytes in a config map.
const OBJECT_BYTES: usize = 1024;

const LISTS: usize = 5;

const UPDATES: usize = 100;

/// How long the servers are left alone before it is measured what they cost at rest.
const SETTLE: Duration = Duration::from_secs(10);

const NAMESPACE: &str = "bench";

/// What was measured.
pub(crate) struct Figures {
    start: Duration,
    idle: Idle,
    creates_per_second: f64,
    create_p50: Duration,
    create_p99: Duration,
    listed: usize,
    list: Duration,
    watch_p50: Duration,
    watch_p99: Duration,
    watchers: watchers::Figures,
    pods: pods::Figures,
}

/// Measures with `seconds` per load.
pub(crate) async fn measure(keelson: &Path, seconds: u64) -> Result<Figures, Box<dyn Error>> {
    let servers = Servers::start(keelson).await?;
    tokio::time::sleep(SETTLE).await;
    let idle = Idle::watch(&servers.pids(), Duration::from_secs(seconds.max(5))).await?;
    let clients = servers.clients().await?;
    let namespace = Namespace { metadata: named(NAMESPACE), ..Namespace::default() };
    Api::<Namespace>::all(clients[0].clone()).create(&PostParams::default(), &namespace).await?;
    let creates = creates(&clients, Duration::from_secs(seconds)).await?;
    let (listed, list) = list(&clients[0]).await?;
    let watched = watch(&clients[0], &clients[1]).await?;
    Ok(Figures {
        start: servers.ready_after,
        idle,
        creates_per_second: creates.len() as f64 / seconds as f64,
        create_p50: share_of(&creates, 0.5),
        create_p99: share_of(&creates, 0.99),
        listed,
        list,
        watch_p50: share_of(&watched, 0.5),
        watch_p99: share_of(&watched, 0.99),
        watchers: watchers::measure(&servers, Duration::from_secs(seconds.max(5))).await?,
        pods: pods::measure(&servers).await?,
    })
}

fn named(name: &str) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() }
}

fn config_map(name: &str) -> ConfigMap {
    let data = [("text".to_owned(), "x".repeat(OBJECT_BYTES))].into();
    ConfigMap { metadata: named(name), data: Some(data), ..ConfigMap::default() }
}

/// The latencies of what was created in that time, sorted.
async fn creates(clients: &[Client], duration: Duration) -> Result<Vec<Duration>, Box<dyn Error>> {
    let end = Instant::now() + duration;
    let creators = (0..CREATORS).map(|creator| {
        let maps: Api<ConfigMap> = Api::namespaced(clients[creator % clients.len()].clone(), NAMESPACE);
        async move {
            let mut latencies = Vec::new();
            while Instant::now() < end {
                let begun = Instant::now();
                let map = config_map(&format!("map-{creator}-{}", latencies.len()));
                maps.create(&PostParams::default(), &map).await?;
                latencies.push(begun.elapsed());
            }
            Ok::<_, kube::Error>(latencies)
        }
    });
    let mut latencies = try_join_all(creators).await?.concat();
    latencies.sort_unstable();
    Ok(latencies)
}

/// How many objects a list has, and the median time until its last byte.
async fn list(client: &Client) -> Result<(usize, Duration), Box<dyn Error>> {
    let mut times = Vec::new();
    let mut objects = 0;
    for _ in 0..LISTS {
        let begun = Instant::now();
        let request =
            http::Request::get(format!("/api/v1/namespaces/{NAMESPACE}/configmaps")).body(Vec::new())?;
        let text = client.request_text(request).await?;
        times.push(begun.elapsed());
        objects = text.matches("\"uid\":").count();
    }
    times.sort_unstable();
    Ok((objects, share_of(&times, 0.5)))
}

/// From an update through one server until a watch of another tells of it; sorted.
async fn watch(writer: &Client, watcher: &Client) -> Result<Vec<Duration>, Box<dyn Error>> {
    let maps: Api<ConfigMap> = Api::namespaced(writer.clone(), NAMESPACE);
    let made = maps.create(&PostParams::default(), &config_map("watched")).await?;
    let version = made.metadata.resource_version.unwrap_or_default();
    let watched: Api<ConfigMap> = Api::namespaced(watcher.clone(), NAMESPACE);
    let params = WatchParams::default().fields("metadata.name=watched").disable_bookmarks();
    let mut events = watched.watch(&params, &version).await?.boxed();
    let mut latencies = Vec::new();
    for update in 0..UPDATES {
        let (params, patch) =
            (PatchParams::default(), Patch::Merge(json!({"data": {"update": update.to_string()}})));
        let begun = Instant::now();
        let (patched, event) = tokio::join!(maps.patch("watched", &params, &patch), events.try_next());
        patched?;
        match event? {
            Some(WatchEvent::Modified(_)) => latencies.push(begun.elapsed()),
            Some(other) => return Err(format!("the watch told of something else: {other:?}").into()),
            None => return Err("the watch ended".into()),
        }
    }
    latencies.sort_unstable();
    Ok(latencies)
}

/// Running servers. Dropping them kills the processes.
struct Servers {
    folder: tempfile::TempDir,
    processes: Vec<Child>,
    port: u16,
    ready_after: Duration,
}

impl Servers {
    async fn start(keelson: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (port, peer_port) = (processes::free_port()?, processes::free_port()?);
        let servers: Vec<_> =
            SERVERS.iter().map(|(name, address)| format!("--server={name}={address}")).collect();
        processes::make_certificates(keelson, &folder.path().join("pki"), &servers)?;
        let mut servers = Self { folder, processes: Vec::new(), port, ready_after: Duration::ZERO };
        let begun = Instant::now();
        for server in SERVERS {
            let process = servers.spawn(keelson, server, peer_port)?;
            servers.processes.push(process);
        }
        for client in servers.clients().await? {
            wait_until_ready(&client).await?;
        }
        servers.ready_after = begun.elapsed();
        Ok(servers)
    }

    fn pids(&self) -> Vec<u32> {
        self.processes.iter().map(Child::id).collect()
    }

    fn spawn(
        &self,
        keelson: &Path,
        (name, address): (&str, Ipv4Addr),
        peer_port: u16,
    ) -> Result<Child, Box<dyn Error>> {
        let folder = self.folder.path();
        let log = File::create(folder.join(format!("{name}.log")))?;
        let peers: Vec<_> =
            SERVERS.iter().map(|(name, address)| format!("{name}=https://{address}:{peer_port}")).collect();
        let mut command = Command::new(keelson);
        command.arg("server").arg(format!("--name={name}"));
        command.arg(format!("--data-dir={}", folder.join(name).display()));
        command.arg(format!("--listen={address}:{}", self.port));
        command.arg(format!("--peer-listen={address}:{peer_port}"));
        command.arg(format!("--initial-cluster={}", peers.join(",")));
        command.arg(format!("--pki-dir={}", folder.join("pki").display()));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command.spawn()?)
    }

    /// One client per server, as the administrator.
    async fn clients(&self) -> Result<Vec<Client>, Box<dyn Error>> {
        let kubeconfig = Kubeconfig::read_from(self.folder.path().join("pki/clients/admin.kubeconfig"))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = |(_, address): (&str, Ipv4Addr)| {
            let mut config = config.clone();
            config.cluster_url = format!("https://{address}:{}", self.port).parse()?;
            Ok(Client::try_from(config)?)
        };
        SERVERS.into_iter().map(client).collect()
    }
}

async fn wait_until_ready(client: &Client) -> Result<(), Box<dyn Error>> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        let request = http::Request::get("/readyz").body(Vec::new())?;
        match client.request_text(request).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that has ended already cannot be killed, which is as well.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let mib = self.idle.resident_bytes as f64 / 1_048_576.0;
        writeln!(f, "start to ready            {:>8.2} s", self.start.as_secs_f64())?;
        writeln!(f, "idle memory, a server     {mib:>8.1} MiB")?;
        writeln!(f, "idle CPU, a server        {:>8.1} % of a core", self.idle.cpu_percent)?;
        writeln!(
            f,
            "creates, {CREATORS} clients      {:>8.0} /s       p50 {:>7.2} ms   p99 {:>7.2} ms",
            self.creates_per_second,
            ms(self.create_p50),
            ms(self.create_p99)
        )?;
        writeln!(f, "list of {:>6} objects    {:>8.2} ms", self.listed, ms(self.list))?;
        writeln!(
            f,
            "update to watch event     {:>8.2} ms     p99 {:>7.2} ms, through another server",
            ms(self.watch_p50),
            ms(self.watch_p99)
        )?;
        write!(f, "{}{}", self.watchers, self.pods)
    }
}
