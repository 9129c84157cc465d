//! Registers in transactions: each reads and writes several, all in one request.
//!
//! In: turns. Out: transactions of one to four parts; no register is written twice in one, since the store forbids that.
//! Deliberately absent: guards; the store runs a transaction as one.

use futures_util::future::{BoxFuture, FutureExt};
use keelson_checkers::history::{Key, MicroOp};

use super::Window;
use crate::run::{LastRead, Load, Worker};

const REGISTERS: Window = Window::new("wr", 4, 200);

/// The workload.
pub(crate) struct Wr;

impl Wr {
    pub(crate) fn load() -> Box<dyn Load> {
        Box::new(Self)
    }
}

async fn client(worker: &mut Worker) {
    while worker.turn().await {
        let operations = worker.shared.operations();
        let count = worker.random.between(1, 4);
        let mut parts: Vec<MicroOp> = Vec::new();
        for _ in 0..count {
            let key = REGISTERS.key(&mut worker.random, operations);
            let part = match worker.random.percent(50) && !is_written(&parts, &key) {
                true => MicroOp::Put { key, value: worker.unique() },
                false => MicroOp::Get { key },
            };
            parts.push(part);
        }
        worker.registers(parts).await;
    }
}

fn is_written(parts: &[MicroOp], key: &Key) -> bool {
    parts.iter().any(|part| part.key() == key && matches!(part, MicroOp::Put { .. }))
}

impl Load for Wr {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        client(worker).boxed()
    }

    fn last_reads(&self, operations: u64) -> Vec<LastRead> {
        let registers: Vec<Key> = REGISTERS.all(operations).collect();
        registers.chunks(16).map(|registers| LastRead::Registers(registers.to_vec())).collect()
    }
}
