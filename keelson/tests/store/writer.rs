//! A client that writes in a loop through a list of members, and remembers what was acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};

use crate::client::Client;
use crate::wait::{Looks, PATIENCE};

/// An acknowledged write.
pub(crate) struct Acknowledged {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) revision: i64,
    pub(crate) begun: Instant,
    pub(crate) at: Instant,
}

/// Everything that was acknowledged, in order.
pub(crate) struct History(Vec<Acknowledged>);

/// A writer at work.
pub(crate) struct Writer {
    stop: watch::Sender<bool>,
    count: watch::Receiver<usize>,
    task: JoinHandle<History>,
}

/// Whether a failed call is worth a try at another member.
fn is_worth_a_retry(status: &Status) -> bool {
    match status.code() {
        // What tonic makes of a connection that breaks under a call depends on the moment.
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => true,
        // A member whose disk is nearly full refuses what others take.
        Code::ResourceExhausted => true,
        _ => false,
    }
}

/// Writes one key through the first member that takes it. A write whose fate is unknown is done again: the key and
/// value are the same.
pub(crate) async fn put(clients: &[Client], key: &str, value: &str) -> i64 {
    let mut turn = 0;
    put_from(clients, &mut turn, key, value).await
}

async fn put_from(clients: &[Client], turn: &mut usize, key: &str, value: &str) -> i64 {
    let mut looks = Looks::within(PATIENCE, key);
    loop {
        looks.next().await;
        match clients[*turn % clients.len()].put(key, value).await {
            Ok(revision) => return revision,
            Err(status) => assert!(is_worth_a_retry(&status), "{key}: {status}"),
        }
        *turn += 1;
    }
}

impl Writer {
    /// Starts writing `PREFIX/0`, `PREFIX/1` and so on. It stays with a member until that fails.
    pub(crate) fn start(clients: Vec<Client>, prefix: &'static str) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (counting, count) = watch::channel(0);
        let task = tokio::spawn(async move {
            let (mut history, mut turn) = (Vec::new(), 0);
            while !*stopped.borrow() {
                let (key, value) =
                    (format!("{prefix}/{}", history.len()), format!("value {}", history.len()));
                let begun = Instant::now();
                let revision = put_from(&clients, &mut turn, &key, &value).await;
                history.push(Acknowledged { key, value, revision, begun, at: Instant::now() });
                counting.send_replace(history.len());
            }
            History(history)
        });
        Self { stop, count, task }
    }

    /// Waits for that many more acknowledged writes.
    pub(crate) async fn goes_on(&mut self, writes: usize) {
        let aim = *self.count.borrow() + writes;
        let reached = timeout(PATIENCE, self.count.wait_for(|count| *count >= aim)).await;
        let is_reached = reached.is_ok_and(|count| count.is_ok());
        assert!(is_reached, "the writer was held up: {} of {aim}", *self.count.borrow());
    }

    /// Stops and tells.
    pub(crate) async fn finish(self) -> History {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}

impl History {
    /// The revision of the last write.
    pub(crate) fn last_revision(&self) -> i64 {
        self.0.last().unwrap().revision
    }

    /// From `moment` until the first write that was begun after it was acknowledged.
    pub(crate) fn first_after(&self, moment: Instant) -> Duration {
        let first = self.0.iter().find(|write| write.begun > moment).unwrap();
        first.at - moment
    }

    /// The longest time without an acknowledgement, of all that end after `moment`.
    pub(crate) fn longest_gap_after(&self, moment: Instant) -> Duration {
        let pairs = self.0.iter().zip(&self.0[1..]).filter(|(_, later)| later.at > moment);
        pairs.map(|(earlier, later)| later.at - earlier.at).max().unwrap()
    }

    /// Fails unless every acknowledged write is in `values`.
    #[track_caller]
    pub(crate) fn assert_all_in(&self, values: &BTreeMap<String, String>) {
        let lost = self.0.iter().filter(|write| values.get(&write.key) != Some(&write.value));
        let lost: Vec<_> = lost.map(|write| (&write.key, write.revision)).collect();
        assert!(lost.is_empty(), "acknowledged, but not there (of {}): {lost:?}", self.0.len());
    }
}
