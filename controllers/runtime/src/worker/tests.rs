//! Workers and what becomes of errors and panics.

use std::sync::Mutex;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;

/// Answers with what the test has laid down, one after the other, and tells when it was asked.
struct Scripted {
    answers: Mutex<Vec<Result<Next, Trouble>>>,
    rounds: mpsc::UnboundedSender<Duration>,
    begun: Instant,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no luck")]
    Luck,
    #[error("a bug")]
    Bug,
}

impl Reconcile for Scripted {
    type Key = &'static str;
    type Error = Trouble;

    async fn reconcile(&self, _key: &&'static str) -> Result<Next, Trouble> {
        self.rounds.send(self.begun.elapsed()).unwrap();
        let answer = self.answers.lock().unwrap().remove(0);
        assert!(!matches!(answer, Err(Trouble::Bug)), "a bug");
        answer
    }
}

/// When the rounds began, in milliseconds, if the reconciler answers so.
async fn rounds(answers: Vec<Result<Next, Trouble>>) -> Vec<u128> {
    let count = answers.len();
    let (rounds, mut asked) = mpsc::unbounded_channel();
    let queue = WorkQueue::new("test");
    let reconciler = Scripted { answers: Mutex::new(answers), rounds, begun: Instant::now() };
    let running = tokio::spawn(work("test", queue.clone(), 2, Arc::new(reconciler)));
    queue.add("a");
    let mut times = Vec::new();
    for _ in 0..count {
        times.push(asked.recv().await.unwrap().as_millis());
    }
    running.abort();
    times
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_tried_again_and_success_forgets_the_back_off() {
    let answers = vec![
        Err(Trouble::Luck),
        Err(Trouble::Luck),
        Ok(Next::After(Duration::from_secs(1))),
        Err(Trouble::Luck),
        Ok(Next::Done),
    ];
    // Timers are exact to the millisecond, upwards.
    let times = rounds(answers).await;
    let gaps: Vec<u128> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps[0] >= 5 && gaps[0] < 8, "{gaps:?}");
    assert!(gaps[1] >= 10 && gaps[1] < 13, "{gaps:?}");
    assert!(gaps[2] >= 1000 && gaps[2] < 1003, "{gaps:?}");
    assert!(gaps[3] >= 5 && gaps[3] < 8, "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_reconciler_that_panics_is_asked_again() {
    assert_eq!(rounds(vec![Err(Trouble::Bug), Ok(Next::Done)]).await.len(), 2);
}

#[test]
fn a_conflict_is_found_however_deep_it_lies() {
    #[derive(Debug, thiserror::Error)]
    #[error("writing")]
    struct Writing(#[source] kube::Error);

    let status = kube::core::Status::failure("somebody was faster", "Conflict").with_code(409);
    assert!(is_conflict(&Writing(kube::Error::Api(status.boxed()))));
    let status = kube::core::Status::failure("gone", "NotFound").with_code(404);
    assert!(!is_conflict(&Writing(kube::Error::Api(status.boxed()))));
}
