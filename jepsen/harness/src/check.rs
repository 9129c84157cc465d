//! From a history to a verdict, and to the files that show it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use keelson_checkers::history::History;
use keelson_checkers::minimize::minimize;
use keelson_checkers::promise::{self, PROMISES};
use keelson_checkers::{edn, jsonl};

use crate::exit::Exit;
use crate::failure::{Doing as _, Failure, Result};
use crate::verdict::{self, Finding, Judged, Judgement};
use crate::{folder, timeline};

/// What a run calls what it has recorded.
const HISTORY: &str = "history.jsonl";

/// A long history takes a second per check.
const MOST_CHECKS: usize = 200;

/// Judges a recorded history by every promise.
pub(crate) fn check(path: &Path) -> Result<Exit> {
    if path.is_dir() {
        let folder = path.display();
        return Err(Failure::new(format!(
            "{folder} is a folder: name a history, such as {folder}/{HISTORY}"
        )));
    }
    let file = File::open(path).doing(path.display())?;
    let history = jsonl::read(BufReader::new(file)).doing(path.display())?;
    let judged = verdict::judge(&history, PROMISES.iter().copied());
    print!("{}", judged.table());
    Ok(judged.outcome)
}

/// Writes everything that a run leaves behind, except the logs.
pub(crate) fn write(results: &Path, history: &History, judged: &Judgement) -> Result<()> {
    let mut lines = Vec::new();
    jsonl::write(history, &mut lines).doing("writing the history")?;
    folder::write(results, HISTORY, lines)?;
    let mut lines = Vec::new();
    edn::write(history, &mut lines).doing("writing the history")?;
    folder::write(results, "history.edn", lines)?;
    folder::write(
        results,
        "verdict.json",
        serde_json::to_string_pretty(judged).doing("writing the verdict")?,
    )?;
    folder::write(results, "timeline.html", timeline::page(history, judged))?;
    write_minimal(results, history, judged)
}

/// The smallest history that still breaks the first broken promise.
fn write_minimal(results: &Path, history: &History, judged: &Judgement) -> Result<()> {
    let is_broken = |judged: &&Judged| matches!(judged.finding, Finding::Broken { .. });
    let broken = judged.promises.iter().find(is_broken).and_then(|judged| promise::named(&judged.promise));
    let Some(minimal) = broken.and_then(|promise| minimize(promise, history, MOST_CHECKS)) else {
        return Ok(());
    };
    let mut lines = Vec::new();
    jsonl::write(&minimal.history, &mut lines).doing("writing the smallest history")?;
    folder::write(results, "minimal.jsonl", lines)
}
