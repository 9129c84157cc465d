//! Puts the agent together.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, Weak};

use futures_util::FutureExt;
use keelson_controller_runtime::{EventRecorder, Informer};
use keelson_cri::Runtime;
use keelson_node_server::ApiReviews;
use keelson_node_volumes::share_mounts;
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::{Notify, watch};

use super::serving::serving;
use super::workers::Workers;
use super::{Agent, AgentError, Informers, Signals};
use crate::cgroups::Cgroups;
use crate::cni;
use crate::images::pull::Images;
use crate::node::facts::Facts;
use crate::node::health::RuntimeHealth;
use crate::options::Options;
use crate::pod::backoff::Backoff;
use crate::probes::manager::Probes;
use crate::quantity;
use crate::registry::Registry;
use crate::runtime::observer::Observer;
use crate::served::Served;
use crate::shared::Shared;
use crate::source::{ApiSource, Changed};
use crate::status::writer::Statuses;

impl Agent {
    /// An agent that is ready to serve.
    pub(super) async fn new(options: Options) -> Result<Self, AgentError> {
        for folder in [&options.root, &options.pod_logs] {
            let doing = format!("cannot make the folder {}", folder.display());
            fs::create_dir_all(folder).map_err(failed(doing))?;
        }
        let facts = Facts::read(&options.root).map_err(failed("cannot look at the machine"))?;
        let cgroups = prepare_machine(&options, &facts)?;
        let client = options.client.clone();
        let (recorder, recording) =
            EventRecorder::new(client.clone(), "kubelet", Some(options.node_name.clone()));
        let registry = Arc::new(Registry::default());
        let runtime = Runtime::at(&options.runtime_endpoint);
        let reviews = Arc::new(ApiReviews::new(client.clone(), &options.node_name));
        let pods = Arc::new(Served(registry.clone()));
        let (server, listener, certificates) = serving(&options.serving, pods, &runtime, reviews).await?;
        let informers = Informers::new(&client, &options.node_name);
        let signals = Signals {
            health: watch::Sender::new(RuntimeHealth::default()),
            imported: watch::Sender::new(false),
            node_changed: Arc::default(),
            orphans: Arc::new(Notify::new()),
        };
        let parts = Parts { client, recorder, registry, runtime, cgroups };
        let shared = shared(&options, &facts, parts, &informers, &signals);
        Ok(Self {
            options: Arc::new(options),
            facts,
            shared,
            workers: Workers::default(),
            informers,
            signals,
            recording: recording.boxed(),
            server,
            listener,
            certificates,
        })
    }
}

impl Informers {
    fn new(client: &Client, node: &str) -> Self {
        let of_node = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
        let named = watcher::Config::default().fields(&format!("metadata.name={node}"));
        Self {
            pods: Informer::new(Api::all(client.clone()), of_node),
            node: Informer::new(Api::all(client.clone()), named),
            services: Informer::new(Api::all(client.clone()), watcher::Config::default()),
        }
    }
}

struct Parts {
    client: Client,
    recorder: EventRecorder,
    registry: Arc<Registry>,
    runtime: Runtime,
    cgroups: Cgroups,
}

fn shared(
    options: &Options,
    facts: &Facts,
    parts: Parts,
    informers: &Informers,
    signals: &Signals,
) -> Arc<Shared> {
    let Parts { client, recorder, registry, runtime, cgroups } = parts;
    let named_by = registry.clone();
    let on_object = move |changed: &Changed| {
        let records = named_by.all();
        records.iter().filter(|record| changed.is_named_by(&record.pod())).for_each(|it| it.tell_news());
    };
    Arc::new_cyclic(|this: &Weak<Shared>| {
        let this = this.clone();
        let on_verdict = move |uid: &str| {
            let Some(shared) = this.upgrade() else { return };
            if let Some(record) = shared.registry.get(uid) {
                shared.report(&record);
                record.wake();
            }
        };
        Shared {
            node_name: options.node_name.clone(),
            node_addresses: options.node_addresses.clone(),
            root: options.root.clone(),
            pod_logs: options.pod_logs.clone(),
            dns: options.dns.clone(),
            node_memory: i64::try_from(facts.memory_bytes).unwrap_or(i64::MAX),
            node: informers.node.clone(),
            health: signals.health.subscribe(),
            observer: Observer::new(runtime.clone()),
            registry,
            source: ApiSource::new(client.clone(), informers.services.clone(), on_object),
            images: Images::new(runtime.clone(), recorder.clone(), signals.imported.subscribe()),
            probes: Probes::new(runtime.clone(), recorder.clone(), on_verdict),
            statuses: Statuses::new(client.clone(), &informers.pods),
            cgroups,
            restarts: Mutex::new(Backoff::new()),
            client,
            runtime,
            recorder,
        }
    })
}

/// Makes the machine ready for pods.
fn prepare_machine(options: &Options, facts: &Facts) -> Result<Cgroups, AgentError> {
    cni::forward_packets(&options.node_addresses);
    if let Err(error) = share_mounts(&options.root) {
        tracing::warn!(%error, "mounts below the agent's folder are not shared: mountPropagation will not work");
    }
    let cgroups = Cgroups::below(&options.cgroup_root).map_err(failed("cannot find control groups"))?;
    let cpu = i64::from(facts.cpus) * 1000 - quantity::thousandths_of(Some(&options.reserved), "cpu");
    let memory = i64::try_from(facts.memory_bytes).unwrap_or(i64::MAX)
        - quantity::units_of(Some(&options.reserved), "memory");
    cgroups.set_up_classes(cpu, memory).map_err(|error| {
        failed("cannot make control groups: the agent has to be root")(io::Error::other(error))
    })?;
    Ok(cgroups)
}

fn failed(doing: impl Into<String>) -> impl FnOnce(io::Error) -> AgentError {
    let doing = doing.into();
    |source| AgentError::Machine { doing, source }
}
