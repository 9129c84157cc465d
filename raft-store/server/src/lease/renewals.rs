//! Renewals in rounds: one question to the leader for all that wait.
//!
//! In: renewals of this replica's clients, each with its deadline. Out: the time that each lease has from now
//! on. Renewals that come in while a round is under way form the next one, so that a replica has one question
//! in flight, whatever the number of its leases.

use std::sync::{Arc, atomic::Ordering};

use keelson_store_core::id::LeaseId;
use tokio::sync::{mpsc, oneshot};

use super::{Leader, Renew};
use crate::{
    error::{LeaseError, ReadError},
    runtime::clock::{Instant, timeout_at},
};

/// Leases in a round at most: some ten KiB in a frame, and well below a millisecond of the leader's time.
const ROUND: usize = 2048;

/// A lease that is to be renewed.
pub(super) struct Renewal {
    id: LeaseId,
    deadline: Instant,
    answer: oneshot::Sender<Result<u32, LeaseError>>,
}

/// Has a lease renewed, and waits for that until the deadline.
pub(super) async fn ask(
    renewals: &mpsc::UnboundedSender<Renewal>,
    id: LeaseId,
    deadline: Instant,
) -> Result<u32, LeaseError> {
    let (answer, answered) = oneshot::channel();
    let stopped = || LeaseError::Read(ReadError::Stopped);
    renewals.send(Renewal { id, deadline, answer }).map_err(|_| stopped())?;
    let late = |_| ReadError::NoQuorum("no quorum confirmed the call in time".to_owned());
    timeout_at(deadline, answered).await.map_err(late)?.map_err(|_| stopped())?
}

/// Renews until nobody can ask any more.
pub(super) async fn run(leader: Arc<Leader>, mut waiting: mpsc::UnboundedReceiver<Renewal>) {
    loop {
        let mut round = Vec::new();
        if waiting.recv_many(&mut round, ROUND).await == 0 {
            return;
        }
        // Whoever has gone away meanwhile wants nothing any more.
        round.retain(|renewal| !renewal.answer.is_closed());
        // Each waits for itself until its own deadline.
        let Some(deadline) = round.iter().map(|renewal| renewal.deadline).max() else { continue };
        let ids = round.iter().map(|renewal| renewal.id).collect();
        let renewed = leader.call(Renew(ids), deadline).await;
        let alive = renewed.iter().flatten().flatten().count();
        leader.state.meters().leases_renewed.fetch_add(alive as u64, Ordering::Relaxed);
        tell(round, renewed);
    }
}

fn tell(round: Vec<Renewal>, renewed: Result<Vec<Option<u32>>, LeaseError>) {
    let answers: Vec<_> = match renewed {
        Ok(renewed) => renewed.into_iter().map(|ttl| ttl.ok_or(LeaseError::NotFound)).collect(),
        Err(failed) => round.iter().map(|_| Err(failed.clone())).collect(),
    };
    for (renewal, answer) in round.into_iter().zip(answers) {
        // Its client may have gone away.
        let _ = renewal.answer.send(answer);
    }
}
