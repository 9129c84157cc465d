//! The table.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{api, cluster::Program, load::Point, machine, pods, processes::Idle, proof};

/// All figures of a run.
pub(crate) struct Report {
    programs: Vec<(&'static str, String, Figures)>,
    /// Of three API servers.
    pub(crate) api: Option<api::Figures>,
    /// Of a cluster with a node.
    pub(crate) pods: Option<pods::Figures>,
    /// Of checkers and simulation.
    pub(crate) proof: Option<proof::Figures>,
}

/// What was measured of one program.
#[derive(Default)]
pub(crate) struct Figures {
    pub(crate) start: Option<Duration>,
    pub(crate) idle: Option<Idle>,
    /// By number of clients, one point per round.
    pub(crate) puts: BTreeMap<usize, Vec<Point>>,
    pub(crate) failovers: Vec<Duration>,
}

impl Report {
    pub(crate) fn new(programs: &[Program]) -> Self {
        let row = |program: &Program| (program.name, program.version.clone(), Figures::default());
        Self { programs: programs.iter().map(row).collect(), api: None, pods: None, proof: None }
    }

    /// The figures of a program.
    ///
    /// # Panics
    /// When the report was not made with it.
    pub(crate) fn figures(&mut self, program: &Program) -> &mut Figures {
        let found = self.programs.iter_mut().find(|(name, ..)| *name == program.name);
        found.map(|(.., figures)| figures).expect("the report was made with this program")
    }

    /// Per round, how many times as many puts the first program did as the second; the median of that.
    fn ratio(&self, clients: usize) -> Option<f64> {
        let [(_, _, ours), (_, _, theirs)] = self.programs.as_slice() else { return None };
        let rounds = ours.puts.get(&clients)?.iter().zip(theirs.puts.get(&clients)?);
        median(rounds.map(|(ours, theirs)| ours.per_second / theirs.per_second).collect())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        writeln!(f, "machine:  {}", machine::describe())?;
        writeln!(f, "command:  keelson-bench {}", arguments.join(" "))?;
        for (name, version, _) in &self.programs {
            writeln!(f, "version:  {name}: {version}")?;
        }
        if self.programs.iter().any(|(.., figures)| !figures.puts.is_empty()) {
            writeln!(
                f,
                "\nthree members on this machine, mutual TLS, fsync on, values of 256 bytes, medians\n"
            )?;
        }
        for (name, _, figures) in self.programs.iter().filter(|(.., figures)| !figures.puts.is_empty()) {
            figures.write(f, name)?;
        }
        for clients in self.programs.first().into_iter().flat_map(|(.., figures)| figures.puts.keys()) {
            if let Some(ratio) = self.ratio(*clients) {
                writeln!(f, "puts/s at {clients:>4} clients: {ratio:.2} times etcd, round by round")?;
            }
        }
        if let Some(api) = &self.api {
            write!(f, "\nthree API servers on this machine, controllers and scheduler included\n\n{api}")?;
        }
        if let Some(pods) = &self.pods {
            write!(f, "\na node, beside the servers of `make up`\n\n{pods}")?;
        }
        if let Some(proof) = &self.proof {
            write!(f, "\nthe proof: the slowest history of each check, of 100,000 operations\n\n{proof}")?;
        }
        Ok(())
    }
}

impl Figures {
    fn write(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        if let Some(start) = self.start {
            writeln!(f, "{name:<8} start to ready         {:>8.2} s", start.as_secs_f64())?;
        }
        if let Some(idle) = self.idle {
            writeln!(
                f,
                "{name:<8} idle memory, a member  {:>8.1} MiB",
                idle.resident_bytes as f64 / 1048576.0
            )?;
            writeln!(f, "{name:<8} idle CPU, a member     {:>8.1} % of a core", idle.cpu_percent)?;
        }
        for (clients, points) in &self.puts {
            let of = |figure: fn(&Point) -> f64| median(points.iter().map(figure).collect()).unwrap_or(0.0);
            writeln!(
                f,
                "{name:<8} {clients:>4} clients           {:>8.0} puts/s   p50 {:>7.2} ms   p99 {:>7.2} ms",
                of(|point| point.per_second),
                of(|point| point.p50.as_secs_f64() * 1e3),
                of(|point| point.p99.as_secs_f64() * 1e3),
            )?;
        }
        let mut gaps: Vec<_> = self.failovers.iter().map(Duration::as_secs_f64).collect();
        gaps.sort_by(f64::total_cmp);
        if let (Some(worst), Some(middle)) = (gaps.last().copied(), median(gaps.clone())) {
            writeln!(
                f,
                "{name:<8} leader killed to next write {middle:.2} s, worst of {}: {worst:.2} s",
                gaps.len()
            )?;
        }
        writeln!(f)
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
