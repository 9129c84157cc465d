//! The machine on which a simulated replica runs: its clock, its one thread, and its end.
//!
//! In: a tree of tasks, and what shall befall it. Out: tasks that see the machine's time, that stand still
//! together, and of which nothing runs any more once the machine is killed. In production there is none, and
//! a task does not look for one twice.
//!
//! Deliberately absent: disks and networks, which have seams of their own ([`Disk`], [`Transport`]).
//!
//! [`Disk`]: keelson_store_core::engine::Disk
//! [`Transport`]: crate::peer::Transport

use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use openraft_rt::AsyncRuntime as _;
use pin_project_lite::pin_project;
use rand::RngExt as _;
use tokio::{task::AbortHandle, time::Instant as TrueInstant};

use super::{Seeded, clock::Instant};

/// A clock's pace in millionths of true time.
const TRUE_PACE: u64 = 1_000_000;

thread_local! {
    static CURRENT: RefCell<Option<Machine>> = const { RefCell::new(None) };
}

/// A simulated machine. Clones share it.
#[derive(Clone)]
pub struct Machine {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    clock: Clock,
    gate: Gate,
    /// How long work beside the machine's thread takes, on average.
    aside_takes: Duration,
    /// While that work itself runs.
    is_aside: bool,
    next_task: u64,
    tasks: BTreeMap<u64, AbortHandle>,
    /// Tasks that wait at the gate.
    waiting: BTreeMap<u64, Waker>,
    next_sleeper: u64,
    /// Sleeps that must be told when the clock changes its pace.
    sleepers: BTreeMap<u64, Waker>,
}

/// Local time as a function of true time: a line through one point.
struct Clock {
    truly: TrueInstant,
    locally: TrueInstant,
    pace: u64,
}

/// Whether the machine's thread runs.
enum Gate {
    Open,
    /// A thread that is held up by something slow.
    ShutUntil(TrueInstant),
    /// A process that was stopped.
    Shut,
    /// A machine that is no more.
    Gone,
}

impl Machine {
    /// A machine whose clock runs true. Must be called inside a tokio runtime.
    #[expect(clippy::new_without_default, reason = "a machine that begins now is no default value")]
    pub fn new() -> Self {
        let now = TrueInstant::now();
        let inner = Inner {
            clock: Clock { truly: now, locally: now, pace: TRUE_PACE },
            gate: Gate::Open,
            aside_takes: Duration::ZERO,
            is_aside: false,
            next_task: 0,
            tasks: BTreeMap::new(),
            waiting: BTreeMap::new(),
            next_sleeper: 0,
            sleepers: BTreeMap::new(),
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Runs `future` here, as the root of a tree of tasks whose randomness derives from `seed`.
    pub fn start<F: Future<Output = ()> + Send + 'static>(&self, seed: u64, future: F) {
        let id = self.next_task();
        let hosted =
            Hosted { future: Seeded::scope(seed, future), home: Some(Place { machine: self.clone(), id }) };
        self.keep(id, tokio::spawn(hosted).abort_handle());
    }

    /// From now on the clock runs at `pace` millionths of true time; 0 stops it.
    pub fn set_pace(&self, pace: u64) {
        let mut inner = self.lock();
        let now = TrueInstant::now();
        inner.clock = Clock { truly: now, locally: inner.clock.at(now), pace };
        let sleepers = std::mem::take(&mut inner.sleepers);
        drop(inner);
        sleepers.into_values().for_each(Waker::wake);
    }

    /// Stops the process: none of its tasks runs, its clock and the world go on.
    pub fn pause(&self) {
        let mut inner = self.lock();
        if !matches!(inner.gate, Gate::Gone) {
            inner.gate = Gate::Shut;
        }
    }

    /// Lets the process go on.
    pub fn resume(&self) {
        self.open(|gate| matches!(gate, Gate::Shut));
    }

    /// Holds the machine's thread up for so long, as a slow system call does. Called while work runs aside, it
    /// does nothing: that takes its time by itself.
    pub fn block(&self, time: Duration) {
        let mut inner = self.lock();
        let until = TrueInstant::now() + time;
        let is_longer = match inner.gate {
            Gate::Open => true,
            Gate::ShutUntil(shut) => until > shut,
            Gate::Shut | Gate::Gone => false,
        };
        if inner.is_aside || !is_longer || time.is_zero() {
            return;
        }
        inner.gate = Gate::ShutUntil(until);
        drop(inner);
        let machine = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep_until(until).await;
            machine.open(|gate| matches!(gate, Gate::ShutUntil(shut) if *shut <= until));
        });
    }

    /// From now on work beside the machine's thread takes between nothing and twice as long.
    pub fn set_aside_time(&self, time: Duration) {
        self.lock().aside_takes = time;
    }

    /// Ends everything that runs here. Nothing of it runs after this call, and nothing will.
    pub fn kill(&self) {
        let mut inner = self.lock();
        inner.gate = Gate::Gone;
        let tasks = std::mem::take(&mut inner.tasks);
        inner.waiting.clear();
        drop(inner);
        tasks.into_values().for_each(|task| task.abort());
    }

    /// The machine that the task at hand runs on.
    pub(super) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    pub(super) fn current_now() -> Option<Instant> {
        CURRENT.with_borrow(|current| current.as_ref().map(Self::now))
    }

    pub(super) fn now(&self) -> Instant {
        Instant(self.lock().clock.at(TrueInstant::now()))
    }

    /// When the clock will show `deadline`, if it keeps its pace.
    pub(super) fn true_time(&self, deadline: Instant) -> TrueInstant {
        self.lock().clock.when(deadline.0)
    }

    pub(super) fn pace(&self) -> u64 {
        self.lock().clock.pace
    }

    pub(super) fn sleeper(&self) -> Registration {
        let mut inner = self.lock();
        inner.next_sleeper += 1;
        Registration { machine: self.clone(), id: inner.next_sleeper }
    }

    /// Does work beside the machine's thread, which takes its time while the others go on.
    pub(super) async fn do_aside<T>(&self, work: impl FnOnce() -> T) -> T {
        let longest = self.lock().aside_takes * 2;
        if !longest.is_zero() {
            let micros = u64::try_from(longest.as_micros()).unwrap_or(u64::MAX);
            let takes = Seeded::thread_rng().random_range(0..=micros);
            tokio::time::sleep(Duration::from_micros(takes)).await;
        }
        self.lock().is_aside = true;
        let done = work();
        self.lock().is_aside = false;
        done
    }

    fn next_task(&self) -> u64 {
        let mut inner = self.lock();
        inner.next_task += 1;
        inner.next_task
    }

    fn keep(&self, id: u64, task: AbortHandle) {
        let mut inner = self.lock();
        if matches!(inner.gate, Gate::Gone) {
            task.abort();
        } else {
            inner.tasks.insert(id, task);
        }
    }

    /// Opens the gate, if it is shut in the way that is meant.
    fn open(&self, is_meant: impl Fn(&Gate) -> bool) {
        let mut inner = self.lock();
        if is_meant(&inner.gate) {
            inner.gate = Gate::Open;
            let waiting = std::mem::take(&mut inner.waiting);
            drop(inner);
            waiting.into_values().for_each(Waker::wake);
        }
    }

    /// A poisoned lock is taken all the same: whatever is done under it leaves it consistent.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    fn at(&self, truly: TrueInstant) -> TrueInstant {
        self.locally + scale(truly.saturating_duration_since(self.truly), self.pace, TRUE_PACE)
    }

    fn when(&self, locally: TrueInstant) -> TrueInstant {
        const NEVER: Duration = Duration::from_secs(86_400 * 365);
        let left = locally.saturating_duration_since(self.locally);
        let truly = if self.pace == 0 { NEVER } else { scale(left, TRUE_PACE, self.pace).min(NEVER) };
        self.truly + truly
    }
}

/// `duration * by / of`, rounded up.
fn scale(duration: Duration, by: u64, of: u64) -> Duration {
    if by == of {
        return duration;
    }
    let nanos = (duration.as_nanos() * u128::from(by)).div_ceil(u128::from(of));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A sleep's place among those that a new pace wakes.
pub(super) struct Registration {
    machine: Machine,
    id: u64,
}

impl Registration {
    pub(super) fn wake_on_change(&self, cx: &Context<'_>) {
        self.machine.lock().sleepers.insert(self.id, cx.waker().clone());
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.machine.lock().sleepers.remove(&self.id);
    }
}

/// A task's place on its machine; given up with the task.
pub(super) struct Place {
    machine: Machine,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.machine.lock();
        inner.tasks.remove(&self.id);
        inner.waiting.remove(&self.id);
    }
}

pin_project! {
    /// A task that runs where its parent does.
    pub(super) struct Hosted<F> {
        #[pin]
        future: F,
        home: Option<Place>,
    }
}

impl<F: Future> Hosted<F> {
    /// Makes a task of `future` on the machine at hand, and starts it by `spawn`.
    pub(super) fn spawn<H>(
        future: F,
        spawn: impl FnOnce(Self) -> H,
        handle: impl FnOnce(&H) -> AbortHandle,
    ) -> H {
        let Some(machine) = Machine::current() else { return spawn(Self { future, home: None }) };
        let id = machine.next_task();
        let spawned = spawn(Self { future, home: Some(Place { machine: machine.clone(), id }) });
        machine.keep(id, handle(&spawned));
        spawned
    }
}

impl<F: Future> Future for Hosted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.home {
            None => this.future.poll(cx),
            Some(home) => home.poll(this.future, cx),
        }
    }
}

impl Place {
    fn poll<F: Future>(&self, future: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut inner = self.machine.lock();
            match inner.gate {
                Gate::Open => {}
                Gate::ShutUntil(_) | Gate::Shut => {
                    inner.waiting.insert(self.id, cx.waker().clone());
                    return Poll::Pending;
                }
                Gate::Gone => return Poll::Pending,
            }
        }
        let _entered = Entered::enter(self.machine.clone());
        future.poll(cx)
    }
}

/// As long as it lives, its machine is the one at hand.
struct Entered {
    before: Option<Machine>,
}

impl Entered {
    fn enter(machine: Machine) -> Self {
        Self { before: CURRENT.replace(Some(machine)) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

#[cfg(test)]
mod tests;
