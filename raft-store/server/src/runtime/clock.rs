//! The only clock of a replica: monotonic, and its machine's own.
//!
//! In: durations and instants. Out: the same as tokio's clock gives, unless the task runs on a simulated
//! [`Machine`]: then its time, which may run fast or slow, or change its pace while somebody sleeps.
//!
//! Deliberately absent: wall time. Nothing in the store depends on it.

use std::{
    future::Future,
    ops::{Add, AddAssign, Sub, SubAssign},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time as tokio_time;

use super::machine::{Machine, Registration};

/// A moment on the clock of the machine that this task runs on. Those of different machines cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub(super) tokio_time::Instant);

/// The time was over first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline has passed")]
pub struct Elapsed;

/// A sleep longer than this is as good as one without end; beyond it, sums of instants could overflow.
const LONGEST: Duration = Duration::from_secs(86_400 * 365 * 30);

impl Instant {
    /// Now.
    pub fn now() -> Self {
        Machine::current_now().unwrap_or_else(|| Self(tokio_time::Instant::now()))
    }

    /// The time since then; zero if it lies in the future.
    pub fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }

    /// The time from `earlier` to this moment; zero if it is the later one.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration.min(LONGEST))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

impl openraft_rt::Instant for Instant {
    fn now() -> Self {
        Self::now()
    }
}

/// Completes after so long.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Completes at that moment.
pub fn sleep_until(deadline: Instant) -> Sleep {
    let by = match Machine::current() {
        None => SleepBy::True { sleep: tokio_time::sleep_until(deadline.0) },
        Some(machine) => SleepBy::Machine {
            sleep: tokio_time::sleep_until(machine.true_time(deadline)),
            sleeper: Sleeper { pace: machine.pace(), registration: machine.sleeper(), machine, deadline },
        },
    };
    Sleep { by }
}

/// Runs `future`, but not for longer than so long.
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    timeout_at(Instant::now() + duration, future)
}

/// Runs `future`, but not past that moment.
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    let by = match Machine::current() {
        None => TimeoutBy::True { timeout: tokio_time::timeout_at(deadline.0, future) },
        Some(_) => TimeoutBy::Machine { future, sleep: sleep_until(deadline) },
    };
    Timeout { by }
}

/// What is to be known about a sleep on a simulated machine.
struct Sleeper {
    machine: Machine,
    deadline: Instant,
    /// The pace of the clock that the tokio sleep was made for.
    pace: u64,
    /// Wakes it when the pace changes.
    registration: Registration,
}

pin_project! {
    /// See [`sleep`].
    #[must_use = "nothing sleeps until it is awaited"]
    pub struct Sleep {
        #[pin]
        by: SleepBy,
    }
}

pin_project! {
    #[project = SleepState]
    enum SleepBy {
        /// Tokio's clock.
        True {
            #[pin]
            sleep: tokio_time::Sleep,
        },
        /// A simulated machine's.
        Machine {
            #[pin]
            sleep: tokio_time::Sleep,
            sleeper: Sleeper,
        },
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().by.project() {
            SleepState::True { sleep } => sleep.poll(cx),
            SleepState::Machine { sleep, sleeper } => sleeper.poll(sleep, cx),
        }
    }
}

impl Sleeper {
    fn poll(&mut self, mut sleep: Pin<&mut tokio_time::Sleep>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.machine.now() >= self.deadline {
                return Poll::Ready(());
            }
            let pace = self.machine.pace();
            if pace != self.pace {
                self.pace = pace;
                sleep.as_mut().reset(self.machine.true_time(self.deadline));
            }
            self.registration.wake_on_change(cx);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            // The true time was rounded: once more, a little later.
            sleep.as_mut().reset(tokio_time::Instant::now() + Duration::from_millis(1));
        }
    }
}

pin_project! {
    /// See [`timeout`].
    #[must_use = "nothing runs until it is awaited"]
    pub struct Timeout<F> {
        #[pin]
        by: TimeoutBy<F>,
    }
}

pin_project! {
    #[project = TimeoutState]
    enum TimeoutBy<F> {
        /// Tokio's clock.
        True {
            #[pin]
            timeout: tokio_time::Timeout<F>,
        },
        /// A simulated machine's.
        Machine {
            #[pin]
            future: F,
            #[pin]
            sleep: Sleep,
        },
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().by.project() {
            TimeoutState::True { timeout } => timeout.poll(cx).map_err(|_| Elapsed),
            TimeoutState::Machine { future, sleep } => match future.poll(cx) {
                Poll::Ready(output) => Poll::Ready(Ok(output)),
                Poll::Pending => sleep.poll(cx).map(|()| Err(Elapsed)),
            },
        }
    }
}
