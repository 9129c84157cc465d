//! The end of a run: the promises to clients are held against the history, and the replicas against the commits.

use std::{collections::BTreeMap, time::Duration};

use keelson_checkers::{
    history::{Commit, Consistency, History, Key, KeyRange, KeyVersion, Revision},
    promise::{self, Outcome},
};
use keelson_workloads::{CallError, Client as _, Finished, RangeRequest, Refusal, Workload};
use tokio::time::{Instant, sleep};

use crate::{
    Node, Report,
    client::SimClient,
    cluster::Cluster,
    ghost::{Broken, Trust},
    invariant::Invariant,
    progress,
};

/// How long a replica may take for the last read: a leader may be lost once more.
const READ_PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts.
const PACE: Duration = Duration::from_millis(20);

/// Judges a run that came to its end.
pub(crate) async fn judge(report: &mut Report, workload: &Workload, cluster: &Cluster, finished: Finished) {
    same_contents(cluster, &finished.history).await;
    report.count_operations(&finished.history);
    if let Err(unsound) = finished.history.validate() {
        report.void = Some(format!("the record is not sound: {unsound}"));
        return;
    }
    for name in workload.promises() {
        let promise = promise::named(name).expect("the table of workloads names promises of the other table");
        let verdict = (promise.check)(&finished.history);
        report.checked += verdict.checked;
        match verdict.outcome {
            Outcome::Kept | Outcome::NotApplicable => {}
            Outcome::Broken(violations) => {
                for violation in violations {
                    report.break_promise(promise.name, format!("{}: {}", violation.class, violation.text));
                }
            }
            Outcome::Undecided(why) => report.void = Some(format!("{}: {why}", promise.name)),
        }
    }
    let all_whole = cluster.nodes().all(|node| cluster.ghost().trust(node) == Trust::Whole);
    // A replica whose disk was damaged may be down for good, and then nobody can be asked there.
    if all_whole && let Some(shortfall) = finished.shortfalls.first() {
        report.void.get_or_insert_with(|| shortfall.clone());
    }
}

/// Every sound replica holds what the commits say. A lease may have ended since the last of them, so what is asked for
/// is the state at its revision.
async fn same_contents(cluster: &Cluster, history: &History) {
    let Some(log) = &history.log else { return };
    let expected = replay(&log.commits);
    for node in progress::sound(cluster) {
        let found = contents(cluster, node, log.last()).await;
        let compared = found.and_then(|found| found.map_or(Ok(()), |found| compare(&expected, &found)));
        if let Err(difference) = compared {
            let text = format!("{node}: {difference}");
            cluster.ghost().report(Broken(Invariant::SameContents, text));
        }
    }
}

fn replay(commits: &[Commit]) -> BTreeMap<Key, KeyVersion> {
    let mut keys = BTreeMap::new();
    for change in commits.iter().flat_map(|commit| &commit.changes) {
        match &change.became {
            Some(version) => drop(keys.insert(change.key.clone(), version.clone())),
            None => drop(keys.remove(&change.key)),
        }
    }
    keys
}

/// What a replica held at a revision; `None`: that is compacted away, because more has happened since.
async fn contents(
    cluster: &Cluster,
    node: Node,
    revision: Revision,
) -> Result<Option<BTreeMap<Key, KeyVersion>>, String> {
    let client = SimClient::new(cluster.clone(), node, node);
    let request = RangeRequest {
        range: KeyRange::all(),
        revision: Some(revision),
        consistency: Consistency::Linearizable,
        limit: None,
    };
    let deadline = Instant::now() + READ_PATIENCE;
    loop {
        match client.range(request.clone()).await {
            Ok(read) => return Ok(Some(read.items.into_iter().collect())),
            Err(CallError::Refused(Refusal::Compacted)) => return Ok(None),
            Err(error) if Instant::now() >= deadline => return Err(error.to_string()),
            // Where nobody serves, and the way takes no time, no time would pass.
            Err(_) => sleep(PACE).await,
        }
    }
}

fn compare(expected: &BTreeMap<Key, KeyVersion>, found: &BTreeMap<Key, KeyVersion>) -> Result<(), String> {
    let keys = expected.keys().chain(found.keys());
    match keys.into_iter().find(|key| expected.get(*key) != found.get(*key)) {
        None => Ok(()),
        Some(key) => {
            Err(format!("{key} is {:?}, and the commits made it {:?}", found.get(key), expected.get(key)))
        }
    }
}
