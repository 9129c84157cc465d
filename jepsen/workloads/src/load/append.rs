//! Lists that transactions append to and read: the workload in which every anomaly of isolation can be told.
//!
//! In: turns. Out: transactions of one to four parts over a few lists, as in Jepsen's suite for etcd. Deliberately absent:
//! deletes; a list that was deleted tells nothing of who appended to it.

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Consistency, MicroOp};

use super::Window;
use crate::run::{LastRead, Load, Worker};

const LISTS: Window = Window::new("list", 5, 150);

/// The workload.
pub(crate) struct Append;

impl Append {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn client(worker: &mut Worker) {
    while worker.turn().await {
        let parts = parts(worker);
        // What a guarded write was read from may be old: then the guard does not hold.
        let prior = match worker.random.percent(20) {
            true => Consistency::Serializable,
            false => Consistency::Linearizable,
        };
        worker.lists(parts, prior).await;
    }
}

fn parts(worker: &mut Worker) -> Vec<MicroOp> {
    let operations = worker.shared.operations();
    let count = worker.random.between(1, 4);
    let part = |_| {
        let key = LISTS.key(&mut worker.random, operations);
        match worker.random.percent(50) {
            true => MicroOp::Append { key, element: worker.shared.unique() },
            false => MicroOp::ReadList { key },
        }
    };
    (0..count).map(part).collect()
}

impl Load for Append {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        client(worker).boxed()
    }

    fn last_reads(&self, operations: u64) -> Vec<LastRead> {
        let lists: Vec<_> = LISTS.all(operations).collect();
        lists.chunks(8).map(|lists| LastRead::Lists(lists.to_vec())).collect()
    }
}
