//! openraft's runtime: tokio's tasks with seeded randomness, and our clock.

use std::{future::Future, io, time::Duration};

use openraft_rt::{AsyncRuntime, OptionalSend};

use super::{
    Seeded,
    clock::{self, Elapsed, Instant, Sleep, Timeout},
    machine::Hosted,
};

/// Tokio with seeded randomness, on a simulated machine where there is one.
#[derive(Debug)]
pub struct Runtime(Seeded);

impl AsyncRuntime for Runtime {
    type JoinError = <Seeded as AsyncRuntime>::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = <Seeded as AsyncRuntime>::JoinHandle<T>;
    type Sleep = Sleep;
    type Instant = Instant;
    type TimeoutError = Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = Timeout<T>;
    type ThreadLocalRng = <Seeded as AsyncRuntime>::ThreadLocalRng;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        Hosted::spawn(future, Seeded::spawn, |handle| handle.abort_handle())
    }

    fn sleep(duration: Duration) -> Sleep {
        clock::sleep(duration)
    }

    fn sleep_until(deadline: Instant) -> Sleep {
        clock::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(duration: Duration, future: F) -> Timeout<F> {
        clock::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(deadline: Instant, future: F) -> Timeout<F> {
        clock::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        Seeded::is_panic(join_error)
    }

    fn thread_rng() -> Self::ThreadLocalRng {
        Seeded::thread_rng()
    }

    type Mpsc = <Seeded as AsyncRuntime>::Mpsc;
    type Watch = <Seeded as AsyncRuntime>::Watch;
    type Oneshot = <Seeded as AsyncRuntime>::Oneshot;
    type Mutex<T: OptionalSend + 'static> = <Seeded as AsyncRuntime>::Mutex<T>;

    fn new(threads: usize) -> Self {
        Self(Seeded::new(threads))
    }

    fn block_on<F, T>(&mut self, future: F) -> T
    where
        F: Future<Output = T>,
    {
        self.0.block_on(future)
    }

    fn spawn_blocking<F, T>(work: F) -> impl Future<Output = Result<T, io::Error>> + Send
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Seeded::spawn_blocking(work)
    }
}
