//! What is measured of a store: THE table of rows, and the order in which they are measured.
//!
//! In: programs, and which rows are wanted. Out: figures. Programs take turns within each round. Rows that only ask questions
//! or write little share one cluster a program; those that fill a disk have one of their own, one program after the other.

use std::{error::Error, time::Duration};

use clap::ValueEnum;

use crate::{
    Options,
    cluster::{Cluster, Program},
    failover,
    figures::{Aim, Figure, Table},
    growth, history, lagging,
    load::{self, Operation},
    watchers,
};

/// A row of the table; some have several figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// From the first process's start to a linearizable read on every member.
    Start,
    /// What members cost that nobody asks anything.
    Idle,
    /// Puts by 1, 100 and 1,000 clients.
    Puts,
    /// What no store on this machine can pass: answers without any work behind them, to 1, 100 and 1,000 clients. What a put
    /// takes beyond that, its members have for log, replication and state.
    Ceiling,
    /// Linearizable reads by 100 clients.
    Gets,
    /// Compare-and-put transactions by 100 clients.
    Txns,
    /// One put, and when the last of 1,000 watchers hears of it.
    Watchers,
    /// Puts while history is compacted away.
    Compaction,
    /// The leader is killed.
    Failover,
    /// Puts while a member that was away gets a snapshot.
    Lagging,
    /// Memory of a member that holds many keys.
    Memory,
    /// How long a member takes to open a large store.
    Open,
}

/// Rows that are measured on one cluster, in rounds.
const IN_ROUNDS: [Row; 5] = [Row::Puts, Row::Ceiling, Row::Gets, Row::Txns, Row::Watchers];

static START: Figure = Figure::new("start to ready, s", 2, Aim::Nothing);
static IDLE_MEMORY: Figure = Figure::new("memory of an idle member, MiB", 1, Aim::Nothing);
static IDLE_CPU: Figure = Figure::new("CPU of an idle member, % of a core", 1, Aim::Nothing);

/// Figures of one load.
struct Load {
    clients: usize,
    rate: Figure,
    cpu: Figure,
    p50: Figure,
    p99: Figure,
}

static PUTS: [Load; 3] = [
    Load {
        clients: 1,
        rate: Figure::new("puts/s, 1 client", 0, Aim::TimesEtcd(1.5)),
        cpu: Figure::new("  CPU of the three members a put, us", 0, Aim::Nothing),
        p50: Figure::new("  p50, ms", 2, Aim::Nothing),
        p99: Figure::new("  p99, ms", 2, Aim::Nothing),
    },
    Load {
        clients: 100,
        rate: Figure::new("puts/s, 100 clients", 0, Aim::TimesEtcd(3.0)),
        cpu: Figure::new("  CPU of the three members a put, us", 1, Aim::Nothing),
        p50: Figure::new("  p50, ms", 2, Aim::Nothing),
        p99: Figure::new("  p99, ms", 2, Aim::Nothing),
    },
    Load {
        clients: 1000,
        rate: Figure::new("puts/s, 1,000 clients", 0, Aim::TimesEtcd(4.0)),
        cpu: Figure::new("  CPU of the three members a put, us", 1, Aim::Nothing),
        p50: Figure::new("  p50, ms", 1, Aim::Nothing),
        p99: Figure::new("  p99, ms", 1, Aim::Nothing),
    },
];

static CEILING: [Load; 3] = [
    Load {
        clients: 1,
        rate: Figure::new("answers without work/s, 1 client", 0, Aim::Nothing),
        cpu: Figure::new("  CPU of the three members an answer, us", 1, Aim::Nothing),
        p50: Figure::new("  p50, ms", 2, Aim::Nothing),
        p99: Figure::new("  p99, ms", 2, Aim::Nothing),
    },
    Load {
        clients: 100,
        rate: Figure::new("answers without work/s, 100 clients", 0, Aim::Nothing),
        cpu: Figure::new("  CPU of the three members an answer, us", 1, Aim::Nothing),
        p50: Figure::new("  p50, ms", 2, Aim::Nothing),
        p99: Figure::new("  p99, ms", 2, Aim::Nothing),
    },
    Load {
        clients: 1000,
        rate: Figure::new("answers without work/s, 1,000 clients", 0, Aim::Nothing),
        cpu: Figure::new("  CPU of the three members an answer, us", 1, Aim::Nothing),
        p50: Figure::new("  p50, ms", 1, Aim::Nothing),
        p99: Figure::new("  p99, ms", 1, Aim::Nothing),
    },
];

static GETS: Load = Load {
    clients: 100,
    rate: Figure::new("linearizable gets/s, 100 clients", 0, Aim::Nothing),
    cpu: Figure::new("  CPU of the three members a get, us", 1, Aim::Nothing),
    p50: Figure::new("  p50, ms", 2, Aim::Nothing),
    p99: Figure::new("  p99, ms", 2, Aim::Nothing),
};
static GETS_PER_CPU_SECOND: Figure =
    Figure::new("linearizable gets a CPU-second of the members", 0, Aim::TimesEtcd(3.0));

static TXNS: Load = Load {
    clients: 100,
    rate: Figure::new("compare-and-put transactions/s, 100 clients", 0, Aim::TimesEtcd(2.0)),
    cpu: Figure::new("  CPU of the three members a transaction, us", 1, Aim::Nothing),
    p50: Figure::new("  p50, ms", 2, Aim::Nothing),
    p99: Figure::new("  p99, ms", 2, Aim::Nothing),
};

/// Measures the wanted rows.
pub(crate) async fn measure(options: &Options, programs: &[Program]) -> Result<Table, Box<dyn Error>> {
    let mut table = Table::new(programs.iter().map(|program| program.name).collect());
    let wanted = |row: &Row| options.rows.is_empty() || options.rows.contains(row);
    let on_one = |row: &Row| !matches!(row, Row::Memory | Row::Open);
    if Row::value_variants().iter().filter(|row| on_one(row)).any(wanted) {
        let mut clusters = start(options, programs, &mut table).await?;
        on_clusters(options, programs, &mut clusters, &mut table).await?;
    }
    let (memory, open) = (wanted(&Row::Memory), wanted(&Row::Open));
    for (number, program) in programs.iter().enumerate().filter(|_| memory || open) {
        eprintln!("bench: filling three members of {}", program.name);
        let mut cluster = Cluster::start(program, &options.binary).await?;
        if memory {
            growth::memory(&cluster, options.keys, number, &mut table).await?;
        }
        if open {
            let there = if memory { options.keys } else { 0 };
            growth::open(&mut cluster, there, options.open_mib, number, &mut table).await?;
        }
    }
    Ok(table)
}

async fn start(
    options: &Options,
    programs: &[Program],
    table: &mut Table,
) -> Result<Vec<Cluster>, Box<dyn Error>> {
    let mut clusters = Vec::new();
    for (number, program) in programs.iter().enumerate() {
        eprintln!("bench: starting three members of {}", program.name);
        let cluster = Cluster::start(program, &options.binary).await?;
        table.add(number, &START, cluster.ready_after.as_secs_f64());
        clusters.push(cluster);
    }
    Ok(clusters)
}

async fn on_clusters(
    options: &Options,
    programs: &[Program],
    clusters: &mut [Cluster],
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let wanted = |row: Row| options.rows.is_empty() || options.rows.contains(&row);
    let seconds = Duration::from_secs(options.seconds);
    if wanted(Row::Idle) {
        for (number, cluster) in clusters.iter().enumerate() {
            let idle = cluster.idle(seconds).await?;
            table.add(number, &IDLE_MEMORY, idle.resident_bytes as f64 / f64::from(1 << 20));
            table.add(number, &IDLE_CPU, idle.cpu_percent);
        }
    }
    if wanted(Row::Gets) {
        for cluster in &*clusters {
            load::fill(cluster, &cluster.all(), 0..load::KEYS_READ, load::VALUE_BYTES, None).await?;
        }
    }
    for round in 1..=options.rounds {
        for row in IN_ROUNDS.into_iter().filter(|row| wanted(*row)) {
            eprintln!("bench: round {round} of {}: {row:?}", options.rounds);
            in_round(row, clusters, seconds, table).await?;
        }
    }
    if wanted(Row::Compaction) {
        for (number, cluster) in clusters.iter().enumerate() {
            eprintln!("bench: making and dropping history of {}", programs[number].name);
            history::measure(cluster, options.history_mib, seconds, number, table).await?;
        }
    }
    if wanted(Row::Lagging) {
        for (number, cluster) in clusters.iter_mut().enumerate() {
            eprintln!("bench: a member of {} misses what others do", programs[number].name);
            lagging::measure(cluster, options.lag_mib, seconds, number, table).await?;
        }
    }
    if wanted(Row::Failover) {
        for (number, cluster) in clusters.iter_mut().enumerate() {
            eprintln!("bench: killing the leader of {} {} times", programs[number].name, options.kills);
            failover::measure(cluster, options.kills, number, table).await?;
        }
    }
    Ok(())
}

/// One row, on all clusters in turn.
async fn in_round(
    row: Row,
    clusters: &[Cluster],
    seconds: Duration,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    match row {
        Row::Puts => {
            for load in &PUTS {
                for (number, cluster) in clusters.iter().enumerate() {
                    loaded(load, Operation::Put, cluster, seconds, number, table).await?;
                }
            }
        }
        Row::Ceiling => {
            for load in &CEILING {
                for (number, cluster) in clusters.iter().enumerate() {
                    loaded(load, Operation::Look, cluster, seconds, number, table).await?;
                }
            }
        }
        Row::Gets => {
            for (number, cluster) in clusters.iter().enumerate() {
                let cpu = loaded(&GETS, Operation::Get, cluster, seconds, number, table).await?;
                table.add(number, &GETS_PER_CPU_SECOND, 1.0 / cpu.as_secs_f64());
            }
        }
        Row::Txns => {
            for (number, cluster) in clusters.iter().enumerate() {
                loaded(&TXNS, Operation::Update, cluster, seconds, number, table).await?;
            }
        }
        Row::Watchers => {
            for (number, cluster) in clusters.iter().enumerate() {
                watchers::measure(cluster, number, table).await?;
            }
        }
        Row::Start | Row::Idle | Row::Compaction | Row::Lagging | Row::Failover | Row::Memory | Row::Open => {
            unreachable!("{row:?} is not measured in rounds")
        }
    }
    Ok(())
}

/// Puts a load on a cluster; answers what one request costs the members.
async fn loaded(
    load: &'static Load,
    operation: Operation,
    cluster: &Cluster,
    seconds: Duration,
    number: usize,
    table: &mut Table,
) -> Result<Duration, Box<dyn Error>> {
    let point = load::run(cluster, &cluster.all(), operation, load.clients, seconds).await?;
    table.add(number, &load.rate, point.per_second);
    table.add(number, &load.cpu, point.cpu.as_secs_f64() * 1e6);
    table.add(number, &load.p50, point.p50.as_secs_f64() * 1e3);
    table.add(number, &load.p99, point.p99.as_secs_f64() * 1e3);
    Ok(point.cpu)
}
