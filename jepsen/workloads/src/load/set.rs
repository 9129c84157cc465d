//! A set that elements are added to and that is read as a whole: what was acknowledged must be there.
//!
//! In: turns. Out: additions and reads, in either layout. Deliberately absent: removal; an element that was lost could
//! then have been removed.

use futures_util::future::{BoxFuture, FutureExt};

use crate::action::set::Layout;
use crate::run::{LastRead, Load, Worker};

/// Additions become rarer as the set grows (to about the square root of so many times the number of turns), since every
/// read, and in one layout every addition, carries all of it.
const GROWTH: u64 = 4000;

/// The workload.
pub(crate) struct Set {
    layout: Layout,
}

impl Set {
    pub(crate) fn in_one_key() -> Box<dyn Load> {
        Box::new(Self { layout: Layout::OneKey })
    }

    pub(crate) fn with_a_key_per_element() -> Box<dyn Load> {
        Box::new(Self { layout: Layout::KeyPerElement })
    }

    async fn client(&self, worker: &mut Worker) {
        let mut added: u64 = 0;
        while worker.turn().await {
            let chance = (GROWTH / (added + 1)).clamp(1, 60);
            if worker.random.percent(chance) {
                if worker.set_add(self.layout).await.is_some() {
                    added += 1;
                }
            } else {
                worker.set_read(self.layout).await;
            }
        }
    }
}

impl Load for Set {
    fn work<'a>(&'a self, worker: &'a mut Worker) -> BoxFuture<'a, ()> {
        self.client(worker).boxed()
    }

    fn last_reads(&self, _operations: u64) -> Vec<LastRead> {
        vec![LastRead::Set(self.layout)]
    }
}
