//! The runtime on which a replica lives, and the only doors out of it.
//!
//! Everything runs on one current-thread runtime per process (measured: a multi-thread runtime costs 30 to
//! 40 % of the throughput here). Tasks are spawned through [`spawn`], which hands each child a seed of its
//! own, so that a simulated replica repeats itself exactly. Time comes from [`clock`] alone. Work that would
//! hold the thread for long goes through [`Offload`], which is inline under simulation. Under simulation, too,
//! a replica's tasks run on a [`Machine`], which can stand still, die, or have a clock that is wrong.

use std::{future::Future, pin::Pin};

use openraft_rt::{AsyncRuntime as _, deterministic_rng::DeterministicRng};
use openraft_rt_tokio::TokioRuntime;
use tokio::sync::{mpsc, oneshot};

pub mod clock;

mod adapter;
mod machine;

pub use adapter::Runtime;
pub use machine::Machine;

/// Tokio with seeded randomness.
type Seeded = DeterministicRng<TokioRuntime>;

/// Runs `future` as the root of a tree of tasks whose randomness all derives from `seed`.
///
/// A store must be opened inside such a scope; the tasks that it spawns inherit it.
pub async fn seeded<F: Future>(seed: u64, future: F) -> F::Output {
    Seeded::scope(seed, future).await
}

/// Spawns a task that inherits this one's seed. Must be called inside [`seeded`].
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Runtime::spawn(future)
}

/// The way into a store's tree of tasks for callers who are not in it: other runtimes, other seeds.
#[derive(Clone)]
pub(crate) struct Home {
    visitors: mpsc::UnboundedSender<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Home {
    /// Opens the door. Must be called inside [`seeded`].
    pub(crate) fn open() -> Self {
        let (visitors, mut arriving) = mpsc::unbounded_channel();
        spawn(async move {
            while let Some(visitor) = arriving.recv().await {
                spawn(visitor);
            }
        });
        Self { visitors }
    }

    /// Runs a future as a task of the tree. `None` when the tree ends before the future does.
    pub(crate) async fn run<T, F>(&self, future: F) -> Option<T>
    where
        F: Future<Output = T> + Send + 'static,
        T: Send + 'static,
    {
        let (done, result) = oneshot::channel();
        let visitor = Box::pin(async move {
            // Whoever asked may have gone away.
            let _ = done.send(future.await);
        });
        self.visitors.send(visitor).ok()?;
        result.await.ok()
    }
}

/// How much nicer than the rest is what nobody waits for.
const BEHIND: i32 = 19;

/// Where work goes that blocks for more than a fraction of a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// To a thread of its own: production.
    Thread,
    /// Nowhere, it runs inline: simulation. On a [`Machine`] it takes its time all the same.
    Inline,
}

impl Offload {
    /// Runs `work` and hands back what it returns. `Err` only if the work panicked.
    pub async fn run<T, F>(self, work: F) -> Result<T, tokio::task::JoinError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match self {
            Self::Thread => tokio::task::spawn_blocking(work).await,
            Self::Inline => Ok(match Machine::current() {
                Some(machine) => machine.do_aside(work).await,
                None => work(),
            }),
        }
    }

    /// The same for work that takes a processor for seconds: it gives way to everything else in the process.
    pub(crate) async fn run_behind<T, F>(self, work: F) -> Result<T, tokio::task::JoinError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        match self {
            Self::Thread => self.run(|| behind(work)).await,
            Self::Inline => self.run(work).await,
        }
    }
}

/// Runs `work` on a thread of its own, which is over afterwards: nobody may take a lower priority back.
fn behind<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Linux has it for a thread. Without it the work is only less polite.
            let _ = rustix::process::nice(BEHIND);
            work()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    /// Nothing is nicer.
    const MOST: i32 = 19;

    #[tokio::test]
    async fn what_runs_behind_is_nicer_than_the_rest_and_its_panics_are_told() {
        let nice = || getpriority_process(None).unwrap();
        let own = nice();
        assert_eq!(Offload::Thread.run_behind(nice).await.unwrap(), (own + BEHIND).min(MOST));
        assert_eq!(
            Offload::Thread.run(nice).await.unwrap(),
            own,
            "the thread that waited for it stays as it was"
        );
        let panicked: Result<(), _> = Offload::Thread.run_behind(|| panic!("on purpose")).await;
        assert!(panicked.is_err_and(|error| error.is_panic()));
    }
}
