//! `keelson-sim`: runs seeds, prints what they found.
//!
//! In: which seeds. Out: verdicts, and for each seed that fails the command that repeats it; the exit status is 1 then.
//! Deliberately absent: the simulation itself; that is the library.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, ValueEnum};
use keelson_sim::{Plan, Report, run, shrink};
use keelson_store_core::mutant::{self, UnknownMutant};
use keelson_workloads::Workload;
use serde::Serialize;
use serde_json::json;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// A seed that takes longer than this, in real time, hangs.
const HANGS_AFTER: Duration = Duration::from_secs(300);
/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Runs a whole cluster in one thread, deterministically, and breaks it.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim", bin_name = "cargo xtask sim")]
struct Cli {
    /// Run one seed, and tell everything about it.
    #[arg(long, conflicts_with_all = ["seeds", "from", "time_limit"])]
    seed: Option<u64>,
    /// Find the smallest schedule with which the seed still fails.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// How many seeds to run [default: 100, or as many as the time allows].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed [default: drawn from the time of day, and printed].
    #[arg(long)]
    from: Option<u64>,
    /// Begin no more seeds after so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    time_limit: Option<u64>,
    /// Begin no more seeds after the first that fails.
    #[arg(long, conflicts_with = "seed")]
    until_failure: bool,
    /// Run this workload, whatever the seed would draw.
    #[arg(long)]
    workload: Option<String>,
    /// Switch on a known bug, by name (builds with the feature `mutants`).
    #[arg(long)]
    mutant: Option<String>,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs: one JSON value.
    Json,
}

fn main() -> ExitCode {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::OFF.into()).from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .without_time()
        .init();
    let cli = Cli::parse();
    match prepare(&cli).and_then(|workload| execute(&cli, workload)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::from(2)
        }
    }
}

/// The workload that is asked for, with the mutant switched on.
fn prepare(cli: &Cli) -> Result<Option<&'static Workload>, String> {
    if let Some(name) = &cli.mutant {
        if !mutant::AVAILABLE {
            return Err("--mutant: this program was built without the feature `mutants`".to_owned());
        }
        let mutant = name.parse().map_err(|error: UnknownMutant| format!("--mutant: {error}"))?;
        mutant::choose(Some(mutant));
    }
    let named =
        |name: &String| Workload::named(name).ok_or_else(|| format!("--workload: there is no {name:?}"));
    cli.workload.as_ref().map(named).transpose()
}

fn execute(cli: &Cli, workload: Option<&'static Workload>) -> Result<bool, String> {
    let plan = |seed| match workload {
        Some(workload) => Plan::of(seed).with_workload(workload.name),
        None => Plan::of(seed),
    };
    RUNNING.store(cli.seed.unwrap_or_default(), Ordering::Relaxed);
    // Whoever shrinks runs one seed again and again.
    if !cli.shrink {
        watch_for_hangs();
    }
    Ok(match cli.seed {
        Some(seed) if cli.shrink => shrink_one(cli, &plan(seed)),
        Some(seed) => {
            let report = run(&plan(seed));
            print(cli.output, &report);
            report.passed()
        }
        None => run_many(cli, &plan, seeds(cli)?),
    })
}

/// Which seeds are run, if the time allows. There are no numbers after the last one.
fn seeds(cli: &Cli) -> Result<RangeInclusive<u64>, String> {
    let first = cli.from.unwrap_or_else(seed_of_now);
    let last = match (cli.seeds, cli.time_limit) {
        (None, Some(_)) => Some(u64::MAX),
        (count, _) => first.checked_add(count.unwrap_or(100).saturating_sub(1)),
    };
    let last =
        last.ok_or_else(|| format!("--from {first}: the last seed is {}, so take fewer --seeds", u64::MAX))?;
    Ok(first..=last)
}

fn print(output: Output, report: &Report) {
    match output {
        Output::Text => println!("{report}"),
        Output::Json => println!("{}", json!(report)),
    }
}

fn shrink_one(cli: &Cli, plan: &Plan) -> bool {
    let tell = &mut |plan: &Plan| eprintln!("still fails: {} steps in {:?}", plan.schedule.len(), plan.time);
    match shrink(plan, tell) {
        Some((_, report)) => {
            print(cli.output, &report);
            false
        }
        None => {
            eprintln!("seed {} does not fail", plan.seed);
            true
        }
    }
}

/// A seed that breaks something.
#[derive(Debug, Serialize)]
struct Failure {
    seed: u64,
    broken: BTreeSet<&'static str>,
}

/// What many seeds came to.
#[derive(Default)]
struct Tally {
    seeds: u64,
    virtual_millis: u64,
    events: u64,
    operations: u64,
    /// Faults that struck, by name.
    injected: BTreeMap<&'static str, u64>,
    /// Faults that could not be injected, by name.
    skipped: BTreeMap<&'static str, u64>,
    failing: Vec<Failure>,
    void: Vec<(u64, String)>,
}

fn run_many(cli: &Cli, plan: &dyn Fn(u64) -> Plan, seeds: RangeInclusive<u64>) -> bool {
    let first = *seeds.start();
    let limit = cli.time_limit.map(Duration::from_secs);
    eprintln!("seeds from {first} on");
    let (began, mut told, mut tally) = (Instant::now(), Instant::now(), Tally::default());
    for seed in seeds {
        let is_over = limit.is_some_and(|limit| began.elapsed() >= limit);
        if is_over || (cli.until_failure && !tally.failing.is_empty()) {
            break;
        }
        RUNNING.store(seed, Ordering::Relaxed);
        tally.add(&run(&plan(seed)), cli);
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("{}", tally.text(began.elapsed()));
        }
    }
    match cli.output {
        Output::Text => println!("{}", tally.text(began.elapsed())),
        Output::Json => println!("{}", tally.json(first, began.elapsed())),
    }
    // Where no seed was run nothing was shown.
    tally.seeds > 0 && tally.failing.is_empty() && tally.void.is_empty()
}

impl Tally {
    fn add(&mut self, report: &Report, cli: &Cli) {
        let counts = &report.counts;
        self.seeds += 1;
        self.virtual_millis += counts.virtual_millis;
        self.events += counts.events;
        self.operations += counts.answered + counts.failed + counts.unknown;
        for (sum, counted) in [(&mut self.injected, &counts.injected), (&mut self.skipped, &counts.skipped)] {
            counted.iter().for_each(|(fault, count)| *sum.entry(fault).or_default() += count);
        }
        if !report.violations.is_empty() {
            let broken = report.violations.iter().map(|violation| violation.broken).collect();
            self.failing.push(Failure { seed: report.seed, broken });
        } else if let Some(why) = &report.void {
            self.void.push((report.seed, why.clone()));
        }
        if report.passed() {
            return;
        }
        eprintln!("seed {}: {}", report.seed, report.verdict());
        for violation in report.violations.iter().take(3) {
            eprintln!("  {}: {}", violation.broken, violation.text);
        }
        let option = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!(" --{name} {value}")).unwrap_or_default()
        };
        let (workload, mutant) = (option("workload", &cli.workload), option("mutant", &cli.mutant));
        eprintln!("  again: cargo xtask sim --seed {}{workload}{mutant}", report.seed);
    }

    fn speed(&self, took: Duration) -> u64 {
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.virtual_millis / millis.max(1)
    }

    fn faults(&self) -> u64 {
        self.injected.values().sum()
    }

    fn text(&self, took: Duration) -> String {
        let Self { seeds, virtual_millis, operations, failing, void, .. } = self;
        let faults = self.faults();
        let failing: Vec<_> = failing.iter().map(|failure| failure.seed).collect();
        format!(
            "{seeds} seeds, {} virtual s in {} s ({}x), {operations} operations, {faults} faults: \
             {} failing {failing:?}, {} void",
            virtual_millis / 1000,
            took.as_secs(),
            self.speed(took),
            failing.len(),
            void.len()
        )
    }

    fn json(&self, first: u64, took: Duration) -> serde_json::Value {
        json!({
            "from": first,
            "seeds": self.seeds,
            "virtual_seconds": self.virtual_millis / 1000,
            "real_seconds": took.as_secs_f64(),
            "times_real_time": self.speed(took),
            "events": self.events,
            "operations": self.operations,
            "simulated_hours": self.virtual_millis as f64 / 3_600_000.0,
            "simulated_hours_per_real_hour": self.virtual_millis as f64 / 1000.0 / took.as_secs_f64().max(0.001),
            "faults": self.faults(),
            "injected": self.injected,
            "skipped": self.skipped,
            "failing": self.failing,
            "first_failure": self.failing.first(),
            "void": self.void,
        })
    }
}

/// The seed that runs.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Ends the process, loudly, when one seed takes for ever: a loop without a step of time in it.
fn watch_for_hangs() {
    std::thread::spawn(|| {
        let (mut seed, mut since) = (RUNNING.load(Ordering::Relaxed), Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = RUNNING.load(Ordering::Relaxed);
            if now != seed {
                (seed, since) = (now, Instant::now());
            } else if since.elapsed() > HANGS_AFTER {
                eprintln!("seed {seed} hangs; again: cargo xtask sim --seed {seed}");
                std::process::exit(3);
            }
        }
    });
}

fn seed_of_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Result<RangeInclusive<u64>, String> {
        let words = ["keelson-sim"].into_iter().chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.to_string()).and_then(|cli| seeds(&cli))
    }

    #[test]
    fn no_seed_is_never_a_pass_and_there_is_none_after_the_last() {
        assert_eq!(told("--from 5 --seeds 3"), Ok(5..=7));
        assert_eq!(told("--from 5"), Ok(5..=104));
        assert_eq!(told("--from 5 --time-limit 9"), Ok(5..=u64::MAX));
        assert_eq!(told("--from 18446744073709551614 --seeds 2"), Ok(u64::MAX - 1..=u64::MAX));
        assert!(told("--from 18446744073709551614 --seeds 3").unwrap_err().contains("take fewer --seeds"));
        assert!(told("--seeds 0").unwrap_err().contains("--seeds"));
        assert!(told("--time-limit 0").unwrap_err().contains("--time-limit"));
    }
}
