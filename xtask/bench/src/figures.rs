//! What comes out of measuring stores, and what is aimed at.
//!
//! In: samples of named figures, one a round, of one program or two. Out: a table of medians; where both programs were
//! measured, the ratio is taken round by round, because the speed of a shared machine drifts.

use std::fmt;

/// Something that is measured.
#[derive(Debug)]
pub(crate) struct Figure {
    /// With its unit.
    pub(crate) name: &'static str,
    pub(crate) digits: usize,
    pub(crate) aim: Aim,
}

/// What is aimed at.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// At least so many times etcd's figure.
    TimesEtcd(f64),
    /// At most this share of etcd's figure.
    ShareOfEtcd(f64),
    /// At most this, whatever etcd does.
    AtMost(f64),
    /// Nothing: it explains other figures.
    Nothing,
}

impl Figure {
    pub(crate) const fn new(name: &'static str, digits: usize, aim: Aim) -> Self {
        Self { name, digits, aim }
    }
}

/// The name of the program that aims compare with.
pub(crate) const ETCD: &str = "etcd";

/// All figures of a run, in the order in which they were first measured.
#[derive(Debug, Default)]
pub(crate) struct Table {
    programs: Vec<&'static str>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    figure: &'static Figure,
    /// By program, one sample a round.
    samples: Vec<Vec<f64>>,
}

impl Table {
    /// Of these programs, Keelson first.
    pub(crate) fn new(programs: Vec<&'static str>) -> Self {
        Self { programs, lines: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a sample of a program, by its number.
    pub(crate) fn add(&mut self, program: usize, figure: &'static Figure, sample: f64) {
        let found = self.lines.iter().position(|line| std::ptr::eq(line.figure, figure));
        let number = found.unwrap_or_else(|| {
            self.lines.push(Line { figure, samples: vec![Vec::new(); self.programs.len()] });
            self.lines.len() - 1
        });
        self.lines[number].samples[program].push(sample);
    }
}

impl Line {
    /// Keelson's figure as a multiple of etcd's, the median of that over the rounds.
    fn ratio(&self) -> Option<f64> {
        let [ours, theirs] = self.samples.as_slice() else { return None };
        median(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect())
    }

    /// Whether the aim is reached; `None` where there is none, or where it is a multiple of etcd's figure and
    /// something else was measured.
    fn reached(&self, beside: Option<&str>) -> Option<bool> {
        let times_etcd = || self.ratio().filter(|_| beside == Some(ETCD));
        match self.figure.aim {
            Aim::TimesEtcd(times) => Some(times_etcd()? >= times),
            Aim::ShareOfEtcd(share) => Some(times_etcd()? <= share),
            Aim::AtMost(most) => Some(median(self.samples.first()?.clone())? <= most),
            Aim::Nothing => None,
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<58}", "")?;
        self.programs.iter().try_for_each(|program| write!(f, "{program:>12}"))?;
        writeln!(f, "{:>8}  aim", "times")?;
        for line in &self.lines {
            write!(f, "{:<58}", line.figure.name)?;
            for samples in &line.samples {
                match median(samples.clone()) {
                    Some(middle) => write!(f, "{middle:>12.*}", line.figure.digits)?,
                    None => write!(f, "{:>12}", "")?,
                }
            }
            match line.ratio() {
                Some(ratio) => write!(f, "{ratio:>8.2}")?,
                None => write!(f, "{:>8}", "")?,
            }
            let verdict = match line.reached(self.programs.get(1).copied()) {
                Some(true) => ", reached",
                Some(false) => ", MISSED",
                None => "",
            };
            match line.figure.aim {
                Aim::TimesEtcd(times) => writeln!(f, "  at least {times}{verdict}")?,
                Aim::ShareOfEtcd(share) => writeln!(f, "  at most {share:.2}{verdict}")?,
                Aim::AtMost(most) => writeln!(f, "  {most} or less{verdict}")?,
                Aim::Nothing => writeln!(f)?,
            }
        }
        Ok(())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    static RATE: Figure = Figure::new("rate", 0, Aim::TimesEtcd(2.0));
    static PAUSE: Figure = Figure::new("pause", 1, Aim::AtMost(1.0));

    fn table(rates: &[(f64, f64)]) -> Table {
        let mut table = Table::new(vec!["keelson", "etcd"]);
        for (ours, theirs) in rates {
            table.add(0, &RATE, *ours);
            table.add(1, &RATE, *theirs);
        }
        table
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        // The machine was ten times slower in the second round; the ratio of the medians would be 20.
        let table = table(&[(200.0, 100.0), (20.0, 10.0), (210.0, 100.0)]);
        assert_eq!(table.lines[0].ratio(), Some(2.0));
        assert_eq!(table.lines[0].reached(Some(ETCD)), Some(true));
    }

    #[test]
    fn an_aim_is_missed_aloud_and_unknown_without_the_other_program() {
        assert!(table(&[(199.0, 100.0)]).to_string().contains("MISSED"));
        let mut alone = Table::new(vec!["keelson"]);
        alone.add(0, &RATE, 200.0);
        alone.add(0, &PAUSE, 1.5);
        assert_eq!(alone.lines[0].reached(None), None);
        assert_eq!(alone.lines[1].reached(None), Some(false));
    }

    #[test]
    fn beside_another_keelson_there_is_nothing_to_be_a_multiple_of() {
        let table = table(&[(199.0, 100.0)]);
        assert_eq!(table.lines[0].ratio(), Some(1.99));
        assert_eq!(table.lines[0].reached(Some("other")), None);
    }
}
