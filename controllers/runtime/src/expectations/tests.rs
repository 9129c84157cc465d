//! Expectations fulfilled, lapsed and forgotten.

use super::*;

fn key() -> ObjectKey {
    ObjectKey::new("x", "web")
}

#[tokio::test]
async fn a_controller_waits_until_its_cache_shows_what_it_did() {
    let expectations = Expectations::new();
    assert!(expectations.wait(&key()).is_none(), "nothing is expected at first");
    expectations.expect_creations(&key(), 2);
    expectations.expect_deletions(&key(), ["u1".to_owned()]);
    expectations.creation_observed(&key());
    expectations.creation_observed(&key());
    assert!(expectations.wait(&key()).is_some());
    expectations.deletion_observed(&key(), "somebody else");
    assert!(expectations.wait(&key()).is_some());
    expectations.deletion_observed(&key(), "u1");
    assert!(expectations.wait(&key()).is_none());
    assert!(expectations.pending().is_empty());
}

#[tokio::test]
async fn a_deletion_that_is_seen_twice_counts_once() {
    let expectations = Expectations::new();
    expectations.expect_deletions(&key(), ["u1".to_owned(), "u2".to_owned()]);
    expectations.deletion_observed(&key(), "u1");
    expectations.deletion_observed(&key(), "u1");
    assert!(expectations.wait(&key()).is_some());
}

#[tokio::test]
async fn what_nobody_expected_counts_for_nothing() {
    let expectations = Expectations::new();
    expectations.creation_observed(&key());
    expectations.expect_creations(&key(), 1);
    assert!(expectations.wait(&key()).is_some());
    expectations.forget(&key());
    assert!(expectations.wait(&key()).is_none());
    expectations.expect_creations(&key(), 0);
    assert!(expectations.wait(&key()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_lost_delays_by_five_minutes_and_is_not_waited_for_again() {
    let expectations = Expectations::new();
    expectations.expect_creations(&key(), 3);
    let second = Duration::from_secs(1);
    tokio::time::advance(TIMEOUT - second).await;
    assert_eq!(expectations.wait(&key()), Some(second));
    tokio::time::advance(second).await;
    assert_eq!(expectations.wait(&key()), None);
    expectations.expect_creations(&key(), 1);
    expectations.creation_observed(&key());
    assert_eq!(expectations.wait(&key()), None);
}
