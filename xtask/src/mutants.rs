//! `cargo xtask mutants`: proof that the tests find known bugs.
//!
//! In: the table of mutants in `raft-store/core/src/mutant.rs`. Out: for each of them what caught it, with which seed
//! and how fast; a failure if one survives. The simulator hunts first, and real processes after it.
//!
//! Deliberately absent: the simulator and the harness; they are programs of their own, built and started here.

mod hunt;

mod processes;

mod report;

mod simulator;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use keelson_store_core::mutant::Mutant;

use hunt::{End, Hunters};

/// Which mutants are hunted, and for how long.
#[derive(Debug, Args)]
pub(crate) struct MutantsArgs {
    /// Hunt these only, by name.
    #[arg(long, value_name = "NAME")]
    only: Vec<Mutant>,
    /// Seconds that a harness has for each mutant.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    budget: u64,
    /// Hunt so many only: other ones every day.
    #[arg(long, value_name = "N", conflicts_with = "only")]
    rotate: Option<usize>,
    /// The first seed of the simulator.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// Let real processes hunt, without the simulator before them. Needs root.
    #[arg(long)]
    real: bool,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For programs: one JSON array.
    Json,
}

/// Hunts mutants.
///
/// # Errors
///
/// Who was not caught, or why nobody could be hunted.
pub(crate) fn run(args: &MutantsArgs) -> Result<(), String> {
    let chosen = match args.rotate {
        Some(count) => rotate(Mutant::ALL, count, days()),
        None if args.only.is_empty() => Mutant::ALL.to_vec(),
        None => args.only.clone(),
    };
    let hunters = Hunters::new(args.real)?;
    let budget = Duration::from_secs(args.budget);
    let mut hunts = Vec::with_capacity(chosen.len());
    for mutant in chosen {
        let hunt = hunters.hunt(mutant, args.from, budget);
        eprintln!("{}", report::line(&hunt));
        hunts.push(hunt);
    }
    println!(
        "{}",
        match args.output {
            Output::Table => report::table(&hunts),
            Output::Json => report::json(&hunts),
        }
    );
    let uncaught = hunts.iter().filter(|hunt| !matches!(hunt.end, End::Caught(_)));
    let uncaught: Vec<_> = uncaught.map(|hunt| hunt.mutant.name()).collect();
    if uncaught.is_empty() { Ok(()) } else { Err(format!("not caught: {}", uncaught.join(", "))) }
}

/// The `count` mutants whose turn it is, so that successive turns go round the whole table.
fn rotate(all: &[Mutant], count: usize, turn: u64) -> Vec<Mutant> {
    let len = all.len() as u64;
    let start = turn % len * (count as u64 % len) % len;
    let start = usize::try_from(start).expect("less than the length of a table");
    all.iter().cycle().skip(start).take(count.min(all.len())).copied().collect()
}

/// Days since 1970: every one of them is another turn.
fn days() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn successive_turns_go_round_the_whole_table() {
        let all = Mutant::ALL;
        let turns = all.len().div_ceil(3) as u64;
        let hunted: BTreeSet<_> = (40..40 + turns).flat_map(|turn| rotate(all, 3, turn)).collect();
        assert_eq!(hunted.len(), all.len());
    }

    #[test]
    fn nobody_is_hunted_twice_in_one_turn() {
        for count in [0, 1, 3, Mutant::ALL.len(), 1000] {
            let hunted = rotate(Mutant::ALL, count, u64::MAX);
            assert_eq!(hunted.iter().collect::<BTreeSet<_>>().len(), hunted.len());
            assert_eq!(hunted.len(), count.min(Mutant::ALL.len()));
        }
    }
}
