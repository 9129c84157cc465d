//! When a stream must end although its client would go on.
//!
//! In: the server's wish to stop; and, where the client asks for it with etcd's `hasleader` header, the time
//! without a leader. Out: the status that ends the stream. Both send the client to another member, where it
//! resumes: a stream that just fell silent would keep it here.

use std::{future::Future, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::time::{MissedTickBehavior, interval};
use tonic::{Status, metadata::MetadataMap};

use super::{Front, error};

/// The header with which etcd's clients say that they want no stream from a member without a leader.
const REQUIRE_LEADER: &str = "hasleader";
/// How often it is looked at, only on streams that ask for it. Nothing is fetched: the replica knows.
const LEADER_CHECK: Duration = Duration::from_secs(1);
/// After so many looks without a leader in a row the stream ends; an election takes less.
const LEADERLESS_CHECKS: u32 = 3;

/// Completes when a stream with this metadata must end, and says how.
pub(super) fn of_stream(front: Front, metadata: &MetadataMap) -> impl Future<Output = Status> + use<> {
    let requires_leader = metadata.get(REQUIRE_LEADER).is_some_and(|value| value == "true");
    async move {
        tokio::select! {
            () = front.stopping() => error::stopped(),
            () = leaderless(&front), if requires_leader => error::no_leader(),
        }
    }
}

/// The answers until the stream must end.
pub(super) fn until<T>(
    ended: impl Future<Output = Status>,
    answers: impl Stream<Item = Result<T, Status>>,
) -> impl Stream<Item = Result<T, Status>> {
    let going = Some((Box::pin(ended), Box::pin(answers)));
    stream::unfold(going, async |going| {
        let (mut ended, mut answers) = going?;
        tokio::select! {
            biased;
            status = &mut ended => Some((Err(status), None)),
            answer = answers.next() => answer.map(|answer| (answer, Some((ended, answers)))),
        }
    })
}

async fn leaderless(front: &Front) {
    let mut checks = interval(LEADER_CHECK);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut without = 0;
    while without < LEADERLESS_CHECKS {
        checks.tick().await;
        without = if front.store.status().leader.is_none() { without + 1 } else { 0 };
    }
}
