//! Begins many alike things so that a failure that would hit all of them hits few.
//!
//! In: how many, and what. Out: how many succeeded, and the first failure. One is tried first, then twice as many in
//! each batch: pods that a quota forbids cost one refused request, not five hundred.

use futures_util::{StreamExt, stream};

use super::IN_FLIGHT;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Started<E> {
    /// How many succeeded.
    pub(crate) succeeded: usize,
    /// The first failure, after which no further batch was begun.
    pub(crate) error: Option<E>,
}

/// Runs `start` for 0, 1, … `count - 1`.
pub(crate) async fn slow_start<E, Fut>(count: usize, start: impl Fn(usize) -> Fut) -> Started<E>
where
    Fut: Future<Output = Result<(), E>>,
{
    let mut begun = 0;
    let mut succeeded = 0;
    let mut batch = 1;
    while begun < count {
        let size = batch.min(count - begun);
        let results: Vec<_> =
            stream::iter(begun..begun + size).map(&start).buffer_unordered(IN_FLIGHT).collect().await;
        begun += size;
        succeeded += results.iter().filter(|result| result.is_ok()).count();
        if let Some(error) = results.into_iter().find_map(Result::err) {
            return Started { succeeded, error: Some(error) };
        }
        batch *= 2;
    }
    Started { succeeded, error: None }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Which were begun, and what came of it, when those of `broken` fail.
    async fn run(count: usize, broken: &[usize]) -> (usize, Started<usize>) {
        let begun = RefCell::new(0);
        let started = slow_start(count, |index| {
            *begun.borrow_mut() += 1;
            let result = if broken.contains(&index) { Err(index) } else { Ok(()) };
            async move { result }
        })
        .await;
        (begun.into_inner(), started)
    }

    #[tokio::test]
    async fn what_always_fails_is_tried_once() {
        let (begun, started) = run(500, &Vec::from_iter(0..500)).await;
        assert_eq!((begun, started), (1, Started { succeeded: 0, error: Some(0) }));
    }

    #[tokio::test]
    async fn batches_double_and_the_one_that_fails_is_the_last() {
        // 0 | 1 2 | 3 4 5 6 | 7 …
        let (begun, started) = run(100, &[4]).await;
        assert_eq!((begun, started), (7, Started { succeeded: 6, error: Some(4) }));
    }

    #[tokio::test]
    async fn what_never_fails_is_done_to_the_last() {
        assert_eq!(run(100, &[]).await, (100, Started { succeeded: 100, error: None }));
        assert_eq!(run(0, &[]).await, (0, Started { succeeded: 0, error: None }));
    }
}
