//! A run as a picture: one HTML file that needs nothing else.
//!
//! In: a history and what was found in it. Out: a page with one row per client and per watcher, faults as bands across
//! them, and violations that can be jumped to. The page's script only draws; what is drawn is decided here.

use std::cmp::Reverse;

use keelson_checkers::history::{End, FaultPhase, History, Nanos, Operation, Watch, WatchEvent};
use serde::Serialize;

use crate::verdict::{Finding, Judgement};

/// A page with more becomes too slow to look at; what is left out is said on it.
const MOST_OPERATIONS: usize = 40_000;

const PAGE: &str = include_str!("timeline/page.html");

/// What the page's script draws. Times are microseconds since the run began.
#[derive(Debug, Serialize)]
struct Drawing {
    title: String,
    conclusion: &'static str,
    omitted: usize,
    end: u64,
    rows: Vec<String>,
    /// Row, begin, end or nothing if it has none, kind, words, place in the history.
    operations: Vec<(usize, u64, Option<u64>, Kind, String, usize)>,
    /// Row, moment, words.
    responses: Vec<(usize, u64, String)>,
    bands: Vec<Band>,
    violations: Vec<Mark>,
}

/// How an operation is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Ok,
    Failed,
    Unknown,
}

/// A fault, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Band {
    words: String,
    begin: u64,
    end: u64,
}

/// A violation, and the operations and watch rows that it speaks of.
#[derive(Debug, Serialize)]
struct Mark {
    words: String,
    operations: Vec<u32>,
    rows: Vec<usize>,
}

/// The page.
pub(crate) fn page(history: &History, judgement: &Judgement) -> String {
    let drawing = draw(history, judgement);
    let data = serde_json::to_string(&drawing).expect("a drawing has text keys only");
    // A script ends where its end is written, also inside a text.
    PAGE.replace("DRAWING", &data.replace("</", "<\\/"))
}

fn draw(history: &History, judgement: &Judgement) -> Drawing {
    let violations = || {
        judgement.promises.iter().filter_map(|judged| match &judged.finding {
            Finding::Broken { violations } => Some((judged, violations)),
            Finding::Kept | Finding::Undecided { .. } | Finding::NotApplicable => None,
        })
    };
    let guilty: Vec<u32> =
        violations().flat_map(|(_, all)| all.iter().flat_map(|one| one.operations.clone())).collect();
    let chosen = choose(&history.operations, &guilty, MOST_OPERATIONS);
    let (mut rows, places) = rows(&history.operations, &chosen);
    let watch_rows = &watch_rows(&history.watches, &mut rows);
    let operations = chosen.iter().zip(places).map(|(number, row)| {
        let operation = &history.operations[*number];
        let end = operation.end.at().map(micros);
        (row, micros(operation.invoked), end, kind(&operation.end), words(operation), *number)
    });
    let marks = violations().flat_map(|(judged, all)| {
        all.iter().map(move |one| Mark {
            words: format!("{}: {}: {}", judged.promise, one.class, one.text),
            operations: one.operations.clone(),
            rows: one.watches.iter().filter_map(|watch| watch_rows.get(*watch as usize).copied()).collect(),
        })
    });
    Drawing {
        title: format!("{}, seed {}", judgement.workload, judgement.seed),
        conclusion: judgement.conclusion(),
        omitted: history.operations.len() - chosen.len(),
        end: last_moment(history),
        operations: operations.collect(),
        responses: responses(&history.watches, watch_rows),
        bands: bands(history, last_moment(history)),
        violations: marks.collect(),
        rows,
    }
}

fn micros(at: Nanos) -> u64 {
    at.0 / 1_000
}

fn last_moment(history: &History) -> u64 {
    let operations =
        history.operations.iter().map(|operation| operation.end.at().unwrap_or(operation.invoked));
    let faults = history.faults.iter().map(|event| event.at);
    operations.chain(faults).map(micros).max().unwrap_or(0)
}

/// At most so many operations: those that are guilty, then those that are nearest to the first guilty one.
fn choose(operations: &[Operation], guilty: &[u32], most: usize) -> Vec<usize> {
    let mut chosen: Vec<_> = (0..operations.len()).collect();
    if chosen.len() > most {
        let centre = guilty.iter().filter_map(|place| operations.get(*place as usize)).next();
        let centre = centre.map_or(0, |operation| operation.invoked.0);
        let is_guilty = |place: usize| u32::try_from(place).is_ok_and(|place| guilty.contains(&place));
        chosen
            .sort_by_key(|place| (Reverse(is_guilty(*place)), operations[*place].invoked.0.abs_diff(centre)));
        chosen.truncate(most);
        chosen.sort_unstable();
    }
    chosen.sort_by_key(|place| operations[*place].invoked);
    chosen
}

/// Rows' names, and each operation's row: a process takes over the row of one that has ended at the same replica.
fn rows(operations: &[Operation], chosen: &[usize]) -> (Vec<String>, Vec<usize>) {
    struct Row<'a> {
        process: u32,
        replica: Option<&'a str>,
        free: Option<Nanos>,
    }
    let mut rows: Vec<Row<'_>> = Vec::new();
    let mut places = Vec::new();
    for operation in chosen.iter().map(|place| &operations[*place]) {
        let (process, replica) = (operation.process.0, operation.replica.as_deref());
        let own = rows.iter().position(|row| row.process == process);
        let heir = || {
            rows.iter().position(|row| {
                row.replica == replica && row.free.is_some_and(|free| free <= operation.invoked)
            })
        };
        let place = own.or_else(heir).unwrap_or_else(|| {
            rows.push(Row { process, replica, free: None });
            rows.len() - 1
        });
        // Who answers may take the row; who was never answered leaves it at once.
        rows[place].free = operation.end.at().or(Some(operation.invoked));
        rows[place].process = process;
        places.push(place);
    }
    let name = |row: &Row<'_>| match row.replica {
        Some(replica) => format!("client at {replica}"),
        None => "client".to_owned(),
    };
    (rows.iter().map(name).collect(), places)
}

fn kind(end: &End) -> Kind {
    match end {
        End::Ok { .. } => Kind::Ok,
        End::Failed { .. } => Kind::Failed,
        End::Unknown { .. } => Kind::Unknown,
    }
}

fn words(operation: &Operation) -> String {
    let end = match &operation.end {
        End::Ok { returned, .. } => plain(returned),
        End::Failed { why, .. } => format!("failed: {why}"),
        End::Unknown { why, .. } => format!("unknown: {why}"),
    };
    format!("process {}: {} → {end}", operation.process.0, plain(&operation.call))
}

/// A value as people read it: its JSON, without the quotation marks.
fn plain(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default().replace('"', "")
}

/// The row of each watch, of new ones behind `rows`: a watch stands in the row of the one that it goes on from.
fn watch_rows(watches: &[Watch], rows: &mut Vec<String>) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::new();
    for (number, watch) in watches.iter().enumerate() {
        let earlier = watch.resumed_from.and_then(|earlier| places.get(earlier.0 as usize).copied());
        places.push(earlier.unwrap_or_else(|| {
            rows.push(format!("watch {number} and on"));
            rows.len() - 1
        }));
    }
    places
}

fn responses(watches: &[Watch], rows: &[usize]) -> Vec<(usize, u64, String)> {
    let of = |(number, watch): (usize, &Watch)| {
        let (row, replica) = (rows[number], watch.replica.as_deref().unwrap_or("any"));
        let opened = format!("watch {number} is opened at {replica}, from revision {}", watch.start);
        let answers = watch.responses.iter().map(move |response| {
            let said = match &response.what {
                WatchEvent::Events(events) => plain(events),
                other @ (WatchEvent::Created
                | WatchEvent::Progress
                | WatchEvent::Canceled { .. }
                | WatchEvent::Broken(_)) => plain(other),
            };
            (
                row,
                micros(response.at),
                format!("watch {number}, revision {}: {said}", response.header_revision),
            )
        });
        std::iter::once((row, micros(watch.opened), opened)).chain(answers).collect::<Vec<_>>()
    };
    watches.iter().enumerate().flat_map(of).collect()
}

fn bands(history: &History, end: u64) -> Vec<Band> {
    let mut bands: Vec<(String, Band)> = Vec::new();
    for event in &history.faults {
        let at = micros(event.at);
        let targets = event.targets.join(", ");
        let mut band = |words: String, end: u64| {
            bands.push((event.fault.clone(), Band { words, begin: at, end }));
        };
        match &event.phase {
            FaultPhase::Began => band(format!("{} of {targets}", event.fault), end),
            FaultPhase::Struck => band(format!("{} of {targets}", event.fault), at),
            FaultPhase::Healed => band("all is healed".to_owned(), at),
            FaultPhase::LeaderSeen(leader) => band(format!("{leader} leads"), at),
            FaultPhase::Ended => {
                let open =
                    bands.iter_mut().rev().find(|(fault, band)| *fault == event.fault && band.end == end);
                if let Some((_, band)) = open {
                    band.end = at;
                }
            }
            FaultPhase::Skipped(_) => {}
        }
    }
    bands.into_iter().map(|(_, band)| band).collect()
}

#[cfg(test)]
mod tests;
