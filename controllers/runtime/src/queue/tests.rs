//! The queue in time, and against a model.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;

use futures_util::{FutureExt, poll};
use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn a_key_that_is_added_while_it_waits_is_handed_out_once() {
    let queue = WorkQueue::new("test");
    queue.add("a");
    queue.add("b");
    queue.add("a");
    assert_eq!((queue.next().await, queue.next().await), ("a", "b"));
    assert!(queue.next().now_or_never().is_none());
}

#[tokio::test]
async fn a_key_that_is_added_in_work_comes_again_after_that_work() {
    let queue = WorkQueue::new("test");
    queue.add("a");
    let key = queue.next().await;
    queue.add("a");
    queue.add("a");
    assert!(queue.next().now_or_never().is_none(), "never twice at once");
    queue.done(&key);
    assert_eq!(queue.next().await, "a");
    queue.done(&key);
    assert!(queue.next().now_or_never().is_none());
}

#[tokio::test]
async fn everybody_who_waits_gets_a_key() {
    let queue = WorkQueue::new("test");
    let (other, another) = (queue.clone(), queue.clone());
    let (mut first, mut second) = (Box::pin(other.next()), Box::pin(another.next()));
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut second).is_pending());
    queue.add("a");
    queue.add("b");
    assert_eq!((first.await, second.await), ("a", "b"));
}

#[tokio::test]
async fn a_key_is_not_lost_with_a_waiter_who_gives_up() {
    let queue = WorkQueue::new("test");
    let (other, another) = (queue.clone(), queue.clone());
    let (mut patient, mut hasty) = (Box::pin(other.next()), Box::pin(another.next()));
    assert!(poll!(&mut hasty).is_pending());
    assert!(poll!(&mut patient).is_pending());
    queue.add("a");
    drop(hasty);
    assert_eq!(poll!(&mut patient), Poll::Ready("a"));
}

#[tokio::test(start_paused = true)]
async fn a_delayed_key_comes_at_the_earliest_time_asked_for() {
    let queue = WorkQueue::new("test");
    let begun = Instant::now();
    queue.add_after("a", Duration::from_secs(9));
    queue.add_after("a", Duration::from_secs(3));
    queue.add_after("a", Duration::from_secs(6));
    assert!(queue.is_empty());
    assert_eq!(queue.next().await, "a");
    assert_eq!(begun.elapsed().as_secs(), 3);
    queue.done(&"a");
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(queue.next().now_or_never().is_none(), "one time is enough");
}

#[tokio::test(start_paused = true)]
async fn a_key_added_at_once_does_not_take_its_later_time_away() {
    let queue = WorkQueue::new("test");
    queue.add_after("a", Duration::from_secs(3));
    queue.add("a");
    assert_eq!(queue.next().await, "a");
    queue.done(&"a");
    assert_eq!(queue.next().await, "a");
}

#[tokio::test(start_paused = true)]
async fn an_earlier_delay_wakes_those_who_wait_for_a_later_one() {
    let queue = WorkQueue::new("test");
    let begun = Instant::now();
    queue.add_after("late", Duration::from_secs(60));
    let waiting = queue.clone();
    let waiter = tokio::spawn(async move { waiting.next().await });
    tokio::task::yield_now().await;
    queue.add_after("early", Duration::from_secs(1));
    assert_eq!(waiter.await.unwrap(), "early");
    assert_eq!(begun.elapsed().as_secs(), 1);
}

#[tokio::test(start_paused = true)]
async fn failures_double_the_wait_until_they_are_forgotten() {
    let queue = WorkQueue::new("test");
    let mut waits = Vec::new();
    for _ in 0..4 {
        let begun = Instant::now();
        queue.add_rate_limited("a");
        queue.next().await;
        queue.done(&"a");
        waits.push(begun.elapsed().as_millis());
    }
    assert_eq!(waits, [5, 10, 20, 40]);
    assert_eq!(queue.retries(&"a"), 4);
    queue.forget(&"a");
    assert_eq!(queue.retries(&"a"), 0);
    assert_eq!(backoff(0), Duration::from_millis(5));
    assert_eq!(backoff(17), Duration::from_millis(655_360));
    assert_eq!((backoff(18), backoff(u32::MAX)), (LONGEST, LONGEST));
}

#[derive(Clone, Debug)]
enum Op {
    Add(u8),
    AddAfter(u8, u64),
    Take,
    Done(u8),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..5u8).prop_map(Op::Add),
        (0..5u8, 0..30u64).prop_map(|(key, seconds)| Op::AddAfter(key, seconds)),
        Just(Op::Take),
        (0..5u8).prop_map(Op::Done),
        (1..20u64).prop_map(Op::Pass),
    ]
}

/// What the queue promises, without its order: a key is wanted, in work, or both, and has at most one later time.
#[derive(Default)]
struct Model {
    wanted: BTreeSet<u8>,
    working: BTreeSet<u8>,
    later: BTreeMap<u8, u64>,
    now: u64,
}

impl Model {
    fn apply(&mut self, op: &Op, taken: Option<u8>) {
        match op {
            Op::Add(key) | Op::AddAfter(key, 0) => drop(self.wanted.insert(*key)),
            Op::AddAfter(key, seconds) => {
                let at = self.later.entry(*key).or_insert(u64::MAX);
                *at = (*at).min(self.now + seconds);
            }
            Op::Take => {
                let due: Vec<u8> =
                    self.later.iter().filter(|(_, at)| **at <= self.now).map(|it| *it.0).collect();
                for key in due {
                    self.later.remove(&key);
                    self.wanted.insert(key);
                }
                match taken {
                    Some(key) => {
                        assert!(self.wanted.remove(&key), "{key} was handed out though nobody wanted it");
                        assert!(self.working.insert(key), "{key} was handed out twice at once");
                    }
                    None => {
                        assert!(
                            self.wanted.is_subset(&self.working),
                            "a key was held back: {:?}",
                            self.wanted
                        );
                    }
                }
            }
            Op::Done(key) => drop(self.working.remove(key)),
            Op::Pass(seconds) => self.now += seconds,
        }
    }
}

proptest! {
    #[test]
    fn the_queue_keeps_its_promises_whatever_happens(ops in proptest::collection::vec(op(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let queue = WorkQueue::new("test");
            let mut model = Model::default();
            for op in ops {
                let mut taken = None;
                match &op {
                    Op::Add(key) => queue.add(*key),
                    Op::AddAfter(key, seconds) => queue.add_after(*key, Duration::from_secs(*seconds)),
                    Op::Take => taken = queue.next().now_or_never(),
                    Op::Done(key) => queue.done(key),
                    Op::Pass(seconds) => tokio::time::advance(Duration::from_secs(*seconds)).await,
                }
                model.apply(&op, taken);
            }
        });
    }
}
