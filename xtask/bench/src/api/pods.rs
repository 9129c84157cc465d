//! Ten thousand pods of 3 KiB: what it costs to make, to keep, to change and to list them.
//!
//! In: running servers. Out: [`Figures`]. The pods wait for a scheduler that does not exist, so nobody else touches them.
//! Processor time is of the server that is asked; it counts in hundredths of a second, so each list is asked for often.
//! What it takes to keep a pod is what a server grows by while as many again are made in another namespace: buffers,
//! histories and caches of a fixed size have grown full with the first.

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use http::header::{ACCEPT, ACCEPT_ENCODING};
use http_body_util::BodyExt as _;
use k8s_openapi::api::{
    coordination::v1::Lease,
    core::v1::{Namespace, Pod},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    client::Body,
};
use serde_json::json;

use super::{NAMESPACE, SERVERS, Servers};
use crate::{machine, processes::share_of};

/// How many pods there are.
const PODS: usize = 10_000;

/// Bytes of an annotation that bring a pod to about 3 KiB.
const PADDING: usize = 1_300;

/// Clients that write at once.
const WRITERS: usize = 64;

/// How often each list is asked for.
const LISTS: u32 = 10;

/// Clients that list at once, for the memory that this takes.
const LISTERS: usize = 8;

/// Where as many pods again are, which are made and kept and nothing else.
const MORE: &str = "bench-more";

/// Who leads what: the Lease, and the word for it.
const ELECTIONS: [(&str, &str); 2] =
    [("kube-controller-manager", "controllers"), ("kube-scheduler", "scheduler")];

const PATH: &str = "/api/v1/namespaces/bench/pods";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// In which forms pods are listed: name, `Accept`, `Accept-Encoding`.
const FORMS: [(&str, &str, Option<&str>); 4] = [
    ("JSON", "application/json", None),
    ("Table", TABLE, None),
    ("protobuf", "application/vnd.kubernetes.protobuf", None),
    ("JSON in gzip", "application/json", Some("gzip")),
];

/// What was measured.
pub(super) struct Figures {
    /// Bytes of one pod's JSON, on average.
    pod_bytes: usize,
    /// Pods a second, through one server and through all.
    creates: [f64; 2],
    /// Changes of pods' status a second, through one server and through all.
    updates: [f64; 2],
    kept: Vec<Kept>,
    lists: Vec<List>,
    /// How much a server grows while several clients list at once.
    listing_bytes: u64,
}

/// What one server keeps of pods, in bytes of memory for each byte of their JSON.
struct Kept {
    /// What else it does, for instance `controllers`.
    leads: Vec<&'static str>,
    /// With everything that grows once.
    first: f64,
    /// Of as many again.
    more: f64,
}

/// One form of the list.
struct List {
    form: &'static str,
    bytes: usize,
    latency: Duration,
    processor: Duration,
    /// How much the server grew.
    grown_bytes: u64,
}

/// Makes the pods and measures.
pub(super) async fn measure(servers: &Servers) -> Result<Figures, Box<dyn Error>> {
    let clients = servers.clients().await?;
    let pid = servers.pids()[0];
    let before = residents(servers)?;
    let creates = [
        write(&clients[..1], NAMESPACE, 0..PODS / 2, create).await?,
        write(&clients, NAMESPACE, PODS / 2..PODS, create).await?,
    ];
    // What the writes themselves took is given back after a while.
    tokio::time::sleep(super::SETTLE).await;
    let first = residents(servers)?;
    let more = Namespace { metadata: super::named(MORE), ..Namespace::default() };
    Api::<Namespace>::all(clients[0].clone()).create(&PostParams::default(), &more).await?;
    write(&clients, MORE, 0..PODS, create).await?;
    tokio::time::sleep(super::SETTLE).await;
    let more = residents(servers)?;
    let leads = leads(&clients[0]).await?;
    let mut lists = Vec::new();
    for form in FORMS {
        lists.push(list(&clients[0], pid, form).await?);
    }
    let whole = lists[0].bytes;
    let listing_bytes = list_at_once(&clients[0], pid).await?;
    let updates = [
        write(&clients[..1], NAMESPACE, 0..PODS / 2, update).await?,
        write(&clients, NAMESPACE, PODS / 2..PODS, update).await?,
    ];
    let ratio = |from: u64, to: u64| to.saturating_sub(from) as f64 / whole as f64;
    let kept = leads.into_iter().enumerate().map(|(at, leads)| Kept {
        leads,
        first: ratio(before[at], first[at]),
        more: ratio(first[at], more[at]),
    });
    Ok(Figures { pod_bytes: whole / PODS, creates, updates, kept: kept.collect(), lists, listing_bytes })
}

/// What each of the servers leads.
async fn leads(client: &Client) -> Result<Vec<Vec<&'static str>>, Box<dyn Error>> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-system");
    let mut leads = vec![Vec::new(); SERVERS.len()];
    for (lease, word) in ELECTIONS {
        let holder = leases.get(lease).await?.spec.and_then(|spec| spec.holder_identity);
        let at = SERVERS.iter().position(|(name, _)| holder.as_deref() == Some(name));
        leads[at.ok_or_else(|| format!("nobody leads the {word}"))?].push(word);
    }
    Ok(leads)
}

fn residents(servers: &Servers) -> Result<Vec<u64>, Box<dyn Error>> {
    servers.pids().into_iter().map(resident).collect()
}

fn name(number: usize) -> String {
    format!("pod-{number:05}")
}

async fn create(pods: Api<Pod>, number: usize) -> Result<(), kube::Error> {
    let pod = json!({
        "metadata": {"name": name(number), "labels": {"app": "bench"}, "annotations": {"padding": "x".repeat(PADDING)}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "bench"}]},
    });
    let pod: Pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError)?;
    pods.create(&PostParams::default(), &pod).await.map(drop)
}

async fn update(pods: Api<Pod>, number: usize) -> Result<(), kube::Error> {
    let patch = Patch::Merge(json!({"status": {"message": "changed"}}));
    pods.patch_status(&name(number), &PatchParams::default(), &patch).await.map(drop)
}

/// Does something with each of these pods, and answers how many it did a second.
async fn write<F: Future<Output = Result<(), kube::Error>>>(
    clients: &[Client],
    namespace: &str,
    numbers: std::ops::Range<usize>,
    act: impl Fn(Api<Pod>, usize) -> F,
) -> Result<f64, Box<dyn Error>> {
    let count = numbers.len();
    let begun = Instant::now();
    let act = &act;
    let writers = (0..WRITERS).map(|writer| {
        let pods: Api<Pod> = Api::namespaced(clients[writer % clients.len()].clone(), namespace);
        let own = numbers.clone().skip(writer).step_by(WRITERS);
        async move {
            for number in own {
                act(pods.clone(), number).await?;
            }
            Ok::<_, kube::Error>(())
        }
    });
    try_join_all(writers).await?;
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

async fn list(
    client: &Client,
    pid: u32,
    (form, accept, encoding): (&'static str, &str, Option<&str>),
) -> Result<List, Box<dyn Error>> {
    // Once before: forms are made at first use, and kept.
    let bytes = read(client, accept, encoding).await?;
    let before = resident(pid)?;
    machine::forget_peak(pid)?;
    let ticks = machine::cpu_ticks(pid).ok_or("the server is gone")?;
    let mut latencies = Vec::new();
    for _ in 0..LISTS {
        let begun = Instant::now();
        read(client, accept, encoding).await?;
        latencies.push(begun.elapsed());
    }
    latencies.sort_unstable();
    let ticks = machine::cpu_ticks(pid).ok_or("the server is gone")? - ticks;
    let peak = machine::peak_bytes(pid).ok_or("the server is gone")?;
    Ok(List {
        form,
        bytes,
        latency: share_of(&latencies, 0.5),
        processor: Duration::from_millis(10 * ticks) / LISTS,
        grown_bytes: peak.saturating_sub(before),
    })
}

/// How many bytes the list has as it is sent.
async fn read(client: &Client, accept: &str, encoding: Option<&str>) -> Result<usize, Box<dyn Error>> {
    let mut request = http::Request::get(PATH).header(ACCEPT, accept);
    if let Some(encoding) = encoding {
        request = request.header(ACCEPT_ENCODING, encoding);
    }
    let mut body = client.send(request.body(Body::empty())?).await?.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |data| data.len());
    }
    Ok(bytes)
}

/// How much a server grows while several clients list at once.
async fn list_at_once(client: &Client, pid: u32) -> Result<u64, Box<dyn Error>> {
    let before = resident(pid)?;
    machine::forget_peak(pid)?;
    try_join_all((0..LISTERS).map(|_| read(client, FORMS[0].1, None))).await?;
    Ok(machine::peak_bytes(pid).ok_or("the server is gone")?.saturating_sub(before))
}

fn resident(pid: u32) -> Result<u64, Box<dyn Error>> {
    Ok(machine::resident_bytes(pid).ok_or("the server is gone")?)
}

impl Kept {
    fn role(&self) -> String {
        match self.leads.as_slice() {
            [] => "that leads nothing".to_owned(),
            leads => format!("with {}", leads.join(" and ")),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let rates = [("pod creates", self.creates), ("status updates", self.updates)];
        for (what, [one, all]) in rates {
            writeln!(
                f,
                "{:<26}{one:>8.0} /s       through all three {all:>8.0} /s",
                format!("{what}, {WRITERS} clients")
            )?;
        }
        writeln!(
            f,
            "{PODS} pods of {} bytes, and as many again; memory for each byte of JSON:",
            self.pod_bytes
        )?;
        for kept in &self.kept {
            writeln!(
                f,
                "  in a server {:<31}{:>5.2} bytes     of the first, with what grows once {:>5.2}",
                kept.role(),
                kept.more,
                kept.first
            )?;
        }
        for list in &self.lists {
            writeln!(
                f,
                "  listed as {:<14}{:>8.1} ms       CPU {:>6.1} ms, {:>6.1} MiB sent, server grows {:>5.1} MiB",
                list.form,
                ms(list.latency),
                ms(list.processor),
                mib(list.bytes as u64),
                mib(list.grown_bytes)
            )?;
        }
        writeln!(
            f,
            "  {LISTERS} clients list at once{:>8.1} MiB that the server grows",
            mib(self.listing_bytes)
        )
    }
}
