//! `keelson-jepsen run`: one workload, some faults, one verdict.
//!
//! In: the command line. Out: a folder with history, verdict, logs and timeline, and for a broken promise the smallest
//! history that still breaks it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keelson_checkers::history::{Bounds, FaultEvent, FaultPhase, Meta, Nanos, Remarks};
use keelson_workloads::{Client, Control, Finished, Fleet, Limits, Recorder, Workload};
use tokio::time::Instant;

use crate::cli::RunArgs;
use crate::client::{GrpcClient, Honesty};
use crate::cluster::{self, Cluster, Crash, Record};
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure, Result};
use crate::fault::{self, Need, Row};
use crate::lab::throttle::Throttle;
use crate::machine::{self, Machine};
use crate::matrix::NONE;
use crate::nemesis::{Ending, Nemesis};
use crate::schedule;
use crate::target::{Program, Target};
use crate::{check, folder, lab, list, verdict};

/// What is left without faults at the end, so that recovery is seen: a third, but not longer than this.
const RECOVERY: Duration = Duration::from_secs(20);
/// Clients that stay with their node, for each node; and clients that go where they are served.
const PINNED_EACH: u32 = 2;
const ROAMING: u32 = 3;
/// Few enough that a node that was away for a moment needs a snapshot.
const SMALL_SNAPSHOT: u32 = 20;
const SHORT_LOG: u32 = 5;
/// How soon a healed cluster must be well: on a machine that is busy with other things.
const SOON: Nanos = Nanos(15_000_000_000);

/// How long after its last possible end a lease may be there, where no fault has been active for its whole time to live:
/// as long as a leader may take to be found, and then the sweep.
const LEASE_EXPIRY: Nanos = Nanos(20_000_000_000);

/// A run that makes sense on this machine.
pub(crate) struct Plan<'a> {
    args: &'a RunArgs,
    workload: &'static Workload,
    rows: Vec<&'static Row>,
    /// Faults that cannot be injected here, and why.
    skipped: Vec<(&'static str, String)>,
    seed: u64,
    keelson: PathBuf,
    program: PathBuf,
    machine: &'a Machine,
}

impl<'a> Plan<'a> {
    /// Checks what was asked for.
    pub(crate) fn new(args: &'a RunArgs, machine: &'a Machine, fresh_seed: u64) -> Result<Self> {
        let workload = Workload::named(&args.workload).ok_or_else(|| {
            Failure::new(format!("there is no workload {:?}; `keelson-jepsen list` names all", args.workload))
        })?;
        let mut asked = Vec::new();
        for name in args.faults.iter().filter(|name| *name != NONE) {
            asked.extend(fault::called(name).map_err(Failure::new)?);
        }
        asked.dedup_by_key(|row| row.name);
        let mut skipped = Vec::new();
        let mut rows = asked;
        rows.retain(|row| {
            let possible = row.possible(machine, args.lab.target);
            possible.map_err(|why| skipped.push((row.name, why))).is_ok()
        });
        let keelson = keelson_binary(args.lab.binary.as_deref())?;
        let program = match args.lab.target {
            Target::Keelson => keelson.clone(),
            Target::Etcd => machine::find("etcd").ok_or_else(|| {
                Failure::new("etcd is not installed. On Debian: apt-get install etcd-server")
            })?,
        };
        let seed = args.seed.unwrap_or(fresh_seed);
        Ok(Self { args, workload, rows, skipped, seed, keelson, program, machine })
    }

    /// Whether it leaves something behind that does not go by itself.
    pub(crate) fn needs_janitor(&self) -> bool {
        self.needs(Need::Throttle)
    }

    fn needs(&self, need: Need) -> bool {
        self.rows.iter().any(|row| row.needs.contains(&need))
    }

    /// Runs it; this process is the first one of a lab. `run` tells it from all others on this machine.
    pub(crate) async fn carry_out(self, run: u64) -> Result<Exit> {
        let name = format!("{}-{}-{}", self.workload.name, self.args.faults.join("+"), self.seed);
        let results = folder::make(self.args.out.as_deref(), &name)?;
        lab::furnish().await?;
        println!(
            "running {} for {} s under {}, seed {}, results in {}",
            self.workload.name,
            self.args.time,
            self.args.faults.join(", "),
            self.seed,
            results.display()
        );
        if let Some(mutant) = &self.args.mutant {
            println!("with the known bug {mutant}");
        }
        let mut cluster = self.start_cluster(&results, run).await?;
        let (Finished { mut history, mut shortfalls, gap }, evidence) = self.drive(&mut cluster).await?;
        shortfalls.extend(gap.map(|gap| gap.to_string()));
        folder::write(&results, "faults.txt", evidence.join("\n") + "\n")?;
        cluster.look()?;
        let crashes = cluster.all_crashes()?.iter().map(Crash::to_string).collect();
        history.remarks = Remarks { crashes, outcasts: cluster.names_away(), shortfalls };
        drop(cluster);
        let judged = verdict::judge(&history, list::promises_of(self.workload));
        check::write(&results, &history, &judged)?;
        println!("\n{}", judged.table());
        println!("{}", results.display());
        Ok(judged.outcome)
    }

    async fn start_cluster(&self, results: &Path, run: u64) -> Result<Cluster> {
        let needs = |need| self.needs(need);
        let faketime = if needs(Need::FakeTime) { self.machine.faketime().ok() } else { None };
        let throttle = if needs(Need::Throttle) {
            let version = self.machine.block_cgroups().map_err(Failure::new)?;
            Some(Throttle::join(version, run)?)
        } else {
            None
        };
        let program = Program {
            target: self.args.lab.target,
            file: self.program.clone(),
            snapshot_count: needs(Need::SmallSnapshots).then_some(SMALL_SNAPSHOT),
            catchup_entries: needs(Need::ShortLog).then_some(SHORT_LOG),
            faketime: faketime.map(Path::to_owned),
            mutant: self.args.mutant.clone(),
        };
        let nodes = self.args.lab.nodes;
        let delay_means = self.machine.delay().ok();
        let keelson = &self.keelson;
        Cluster::start(cluster::Plan { program, nodes, keelson, throttle, delay_means, results }).await
    }

    /// Clients and faults at the same time, until stock is taken. Answers also what has shown that faults were felt.
    async fn drive(&self, cluster: &mut Cluster) -> Result<(Finished, Vec<String>)> {
        let time = Duration::from_secs(self.args.time);
        let started = Instant::now();
        let clock = move || Nanos(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let recorder = Arc::new(Recorder::new(self.meta(&cluster.names), clock));
        let clients = self.clients(cluster);
        let replicas: Vec<_> = clients.iter().map(|client| client.clone() as Arc<dyn Client>).collect();
        let fleet = Fleet::of(&replicas, PINNED_EACH, ROAMING);
        let mut limits = Limits { time, ..Limits::default() };
        limits.rate = self.args.lab.rate.unwrap_or(limits.rate);
        let control = Control::new();
        let steps = schedule::plan(&self.rows, time - RECOVERY.min(time / 3), self.seed);
        let record =
            Record { recorder: recorder.clone(), control: control.clone(), clients: clients.clone() };
        cluster.record = Some(record);
        let mut nemesis = Nemesis::new(cluster, &clients, started, self.seed);
        let breaking = async {
            match nemesis.run(&steps).await? {
                Ending::Lost => return Ok(()),
                Ending::Healed => control.heal(),
            }
            match nemesis.watch().await? {}
        };
        let load = keelson_workloads::run(self.workload, &fleet, self.seed, limits, &recorder, &control);
        let mut finished = tokio::select! {
            finished = load => finished.doing("running the workload")?,
            lost = breaking => lost.map(|()| without_stock(&recorder))?,
        };
        let (events, evidence) = nemesis.into_events();
        finished.history.faults = self.skipped_events().chain(events).collect();
        Ok((finished, evidence))
    }

    fn clients(&self, cluster: &Cluster) -> Vec<Arc<GrpcClient>> {
        let honesty = if self.args.stale_reads { Honesty::Stale } else { Honesty::Honest };
        let nodes = cluster.names.iter().zip(&cluster.connections);
        nodes
            .map(|(name, connection)| {
                let channel = connection.channel.clone();
                Arc::new(GrpcClient::new(name.clone(), channel, self.args.lab.target, honesty))
            })
            .collect()
    }

    fn meta(&self, nodes: &[String]) -> Meta {
        let faults = self.rows.iter().map(|row| row.name).chain(self.skipped.iter().map(|(name, _)| *name));
        let bounds = Bounds {
            leader: Some(SOON),
            first_write: Some(SOON),
            watch_catch_up: Some(SOON),
            lease_expiry: Some(LEASE_EXPIRY),
            ..Bounds::default()
        };
        Meta {
            workload: self.workload.name.to_owned(),
            seed: self.seed,
            faults: faults.map(str::to_owned).collect(),
            nodes: nodes.to_vec(),
            bounds,
            not_promised: self.args.lab.target.not_promised(),
            ..Meta::default()
        }
    }

    fn skipped_events(&self) -> impl Iterator<Item = FaultEvent> {
        self.skipped.iter().map(|(fault, why)| FaultEvent {
            at: Nanos(0),
            fault: (*fault).to_owned(),
            targets: Vec::new(),
            phase: FaultPhase::Skipped(why.clone()),
        })
    }
}

/// What is known of a run whose store nobody can ask any more.
fn without_stock(recorder: &Recorder) -> Finished {
    let shortfall = "too many disks are damaged for the store to serve again: no stock was taken, and what was \
                     committed is not known";
    Finished { history: recorder.so_far(), shortfalls: vec![shortfall.to_owned()], gap: None }
}

/// The binary that was named, or the one beside this program.
fn keelson_binary(named: Option<&Path>) -> Result<PathBuf> {
    let file = match named {
        Some(file) => file.to_owned(),
        None => std::env::current_exe().doing("finding this program's file")?.with_file_name("keelson"),
    };
    if file.is_file() {
        return std::path::absolute(&file).doing(file.display());
    }
    let cure = "build it with `cargo build -p keelson`, or name another with --binary";
    Err(Failure::new(format!("there is no keelson binary at {}: {cure}", file.display())))
}
