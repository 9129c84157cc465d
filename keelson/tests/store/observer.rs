//! A watch that goes on at another member when the one that served it is gone, as etcd's clients do.

use keelson_proto::etcd::rpc::WatchResponse;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::Status;

use crate::client::Client;
use crate::wait::{Looks, PATIENCE};

/// What was seen so far.
#[derive(Clone, Default)]
struct Seen {
    /// The revision of every event, in the order of arrival.
    revisions: Vec<i64>,
    /// How often a watch was begun.
    watches: usize,
}

/// A watch of all keys. It ends with this value.
pub(crate) struct Observer {
    seen: watch::Receiver<Seen>,
    task: JoinHandle<()>,
}

impl Observer {
    /// Watches from revision `first` on, beginning at the first client, and returns when that watch is in place.
    pub(crate) async fn start(clients: Vec<Client>, first: i64) -> Self {
        let (seeing, mut seen) = watch::channel(Seen::default());
        let task = tokio::spawn(async move {
            let mut looks = Looks::within(PATIENCE * 4, "the observer is stopped");
            for turn in 0.. {
                looks.next().await;
                // Whatever ended it: the next member goes on where this one stopped.
                let _ = follow(&clients[turn % clients.len()], first, &seeing).await;
            }
        });
        timeout(PATIENCE, seen.wait_for(|seen| seen.watches > 0)).await.unwrap().unwrap();
        Self { seen, task }
    }

    /// Waits until it has seen `last`. Fails unless it saw every revision from `first` to `last` exactly once and in
    /// order; answers how often the watch was begun. Each revision must have been one event.
    pub(crate) async fn saw_each_once(mut self, first: i64, last: i64) -> usize {
        let reached =
            timeout(PATIENCE, self.seen.wait_for(|seen| seen.revisions.last() >= Some(&last))).await;
        let seen = reached.map(|seen| seen.unwrap().clone()).unwrap_or_else(|_| self.seen.borrow().clone());
        let expected: Vec<i64> = (first..=last).collect();
        let fault = seen.revisions.iter().zip(&expected).find(|(seen, expected)| seen != expected);
        assert_eq!(fault, None, "seen and expected, after {} watches", seen.watches);
        assert_eq!(seen.revisions.len(), expected.len(), "after {} watches", seen.watches);
        seen.watches
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Watches at one member until that fails.
async fn follow(client: &Client, first: i64, seeing: &watch::Sender<Seen>) -> Result<(), Status> {
    let next = seeing.borrow().revisions.last().map_or(first, |last| last + 1);
    let mut replies = client.watch_all(next).await?;
    while let Some(WatchResponse { created, canceled, cancel_reason, events, .. }) = replies.message().await?
    {
        assert!(!canceled, "the watch was ended: {cancel_reason}");
        seeing.send_modify(|seen| {
            seen.watches += usize::from(created);
            seen.revisions.extend(events.iter().map(|event| event.kv.as_ref().unwrap().mod_revision));
        });
    }
    Ok(())
}
