//! What befalls a machine, and what its tasks notice.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::runtime::{Offload, clock, spawn};

const STEP: Duration = Duration::from_millis(10);

/// Counts the steps of a task, and of its child, on a machine.
fn count_steps(machine: &Machine) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counted = count.clone();
    machine.start(1, async move {
        spawn(async move {
            loop {
                clock::sleep(STEP).await;
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
    });
    count
}

async fn wait(steps: u32) {
    // A little later than the tasks.
    tokio::time::sleep(STEP * steps + STEP / 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_machine_stands_still_and_goes_on_where_it_was() {
    let machine = Machine::new();
    let count = count_steps(&machine);
    wait(3).await;
    assert_eq!(count.load(Ordering::Relaxed), 3);
    machine.pause();
    wait(10).await;
    assert_eq!(count.load(Ordering::Relaxed), 3);
    machine.resume();
    wait(2).await;
    let after = count.load(Ordering::Relaxed);
    assert!((5..=6).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn nothing_runs_on_a_machine_that_was_killed() {
    let machine = Machine::new();
    let count = count_steps(&machine);
    wait(3).await;
    machine.kill();
    let late = count_steps(&machine);
    wait(10).await;
    assert_eq!((count.load(Ordering::Relaxed), late.load(Ordering::Relaxed)), (3, 0));
    assert_eq!(Arc::strong_count(&count), 1, "its tasks are gone, with all that they held");
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_holds_up_the_whole_machine_and_only_for_its_time() {
    let machine = Machine::new();
    let count = count_steps(&machine);
    machine.block(STEP * 5);
    wait(4).await;
    assert_eq!(count.load(Ordering::Relaxed), 0);
    wait(4).await;
    assert!(count.load(Ordering::Relaxed) > 0);
}

#[tokio::test(start_paused = true)]
async fn work_aside_holds_nobody_up_and_takes_its_time() {
    let machine = Machine::new();
    let count = count_steps(&machine);
    machine.set_aside_time(STEP * 100);
    let (done, took) = tokio::sync::oneshot::channel();
    machine.start(2, async move {
        let began = clock::Instant::now();
        Offload::Inline.run(|| ()).await.unwrap();
        let _ = done.send(began.elapsed());
    });
    let took = took.await.unwrap();
    assert!(took > STEP * 2, "{took:?}");
    let steps = took.as_millis() / STEP.as_millis();
    assert!(u128::from(count.load(Ordering::Relaxed)) >= steps - 1);
}

#[tokio::test(start_paused = true)]
async fn a_clock_runs_at_its_own_pace_also_for_those_who_sleep_already() {
    let machine = Machine::new();
    let count = count_steps(&machine);
    machine.set_pace(2 * TRUE_PACE);
    wait(10).await;
    let fast = count.load(Ordering::Relaxed);
    assert!((19..=21).contains(&fast), "{fast}");
    machine.set_pace(0);
    wait(100).await;
    let stopped = count.load(Ordering::Relaxed);
    assert!(stopped <= fast + 1, "{stopped}");
    machine.set_pace(TRUE_PACE);
    wait(10).await;
    let again = count.load(Ordering::Relaxed) - stopped;
    assert!((9..=11).contains(&again), "{again}");
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_machine_time_is_true() {
    let (mine, truly) = (clock::Instant::now(), TrueInstant::now());
    clock::sleep(STEP).await;
    assert_eq!(mine.elapsed(), truly.elapsed());
    assert_eq!(clock::timeout(STEP, std::future::pending::<()>()).await, Err(clock::Elapsed));
}
