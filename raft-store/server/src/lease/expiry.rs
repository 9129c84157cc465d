//! Revokes leases whose time has passed, at a pace that leaves room for writers.
//!
//! Many may end at once: a part of a cluster that goes away takes the leases of all its clients along. What is
//! late by seconds harms nobody, for a lease whose time has passed cannot be renewed any more; a store that
//! takes no writes meanwhile would.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use keelson_store_core::{
    command::Command,
    engine::EngineError,
    id::{LeaseId, Term},
    lease,
};

use super::RETRY_PAUSE;
use crate::{
    membership,
    propose::Proposals,
    runtime::clock::{Instant, sleep},
    state::SharedState,
    types::Raft,
};

/// Leases revoked in one go at most,
const BATCH_LEASES: usize = 64;
/// and keys that go with them, but for a single lease that has more: a few milliseconds of applying.
const BATCH_KEYS: usize = 512;
/// The longest pause after a batch. It is as long as the batch took: half of the time belongs to others.
const MAX_PAUSE: Duration = Duration::from_millis(100);
/// How long a deadline that lies beyond any wait is waited for.
const LONG: Duration = Duration::from_secs(3600);

/// Follows leadership and revokes leases whose time has passed, as long as this replica leads. Runs until
/// dropped.
pub(crate) async fn expire(raft: Raft, state: Arc<SharedState>, proposals: Arc<Proposals>) {
    let mut leading: Option<Term> = None;
    loop {
        let (term, leads) = membership::leadership(&raft);
        let leads_in = leads.then_some(term);
        if leads_in != leading {
            leading = take_over_or_let_go(&state, leads_in);
            if leading != leads_in {
                sleep(RETRY_PAUSE).await;
                continue;
            }
        }
        let due = next_batch(&state);
        if due.is_empty() {
            wait(&raft, &state, leading).await;
            continue;
        }
        let began = Instant::now();
        state.meters().leases_expired.fetch_add(due.len() as u64, Ordering::Relaxed);
        let commands = due.iter().map(|id| Command::LeaseRevoke(*id)).collect();
        let revoke = async {
            let revoked = proposals.decide_if_leading(&state.own_caller(), commands).await;
            take_back(&state, due, &revoked).await;
            sleep(began.elapsed().min(MAX_PAUSE)).await;
        };
        tokio::select! {
            biased;
            () = revoke => {}
            // The timetable is another term's: it must not answer renewals until it is made anew.
            () = membership::leadership_changed(&raft, leading) => {}
        }
    }
}

/// The leases to revoke next: those that have been due for longest.
fn next_batch(state: &SharedState) -> Vec<LeaseId> {
    let mut due = state.lessor().due(state.now(), BATCH_LEASES);
    let fitting = count_fitting(state, &due).unwrap_or_else(|error| {
        tracing::warn!(%error, "the keys of leases cannot be counted; the leases are revoked all the same");
        due.len()
    });
    let left = due.split_off(fitting);
    left.into_iter().for_each(|id| state.lessor().retry(id));
    due
}

/// How many of the leases, one at least, have few enough keys together.
fn count_fitting(state: &SharedState, due: &[LeaseId]) -> Result<usize, EngineError> {
    if due.len() < 2 {
        return Ok(due.len());
    }
    let view = state.view()?;
    let mut keys = 0;
    for (number, id) in due.iter().enumerate() {
        keys += lease::first_keys(view.read(), *id, BATCH_KEYS)?.len();
        if keys > BATCH_KEYS {
            return Ok(number.max(1));
        }
    }
    Ok(due.len())
}

/// Hands out again, a little later, what could not be revoked.
async fn take_back(state: &SharedState, due: Vec<LeaseId>, revoked: &[bool]) {
    let left: Vec<_> = due.into_iter().zip(revoked).filter(|(_, revoked)| !**revoked).collect();
    if left.is_empty() {
        return;
    }
    sleep(RETRY_PAUSE).await;
    left.into_iter().for_each(|(id, _)| state.lessor().retry(id));
}

fn take_over_or_let_go(state: &SharedState, leads_in: Option<Term>) -> Option<Term> {
    let Some(term) = leads_in else {
        state.lessor().demote();
        return None;
    };
    // What is not applied yet reaches the lessor as it is applied.
    match state.view().and_then(|view| lease::all(view.read())) {
        Ok(leases) => {
            state.lessor().promote(state.now(), leases);
            Some(term)
        }
        Err(error) => {
            tracing::error!(%error, "the leases cannot be read; they are kept until that succeeds");
            state.lessor().demote();
            None
        }
    }
}

/// Waits until a deadline passes, a lease comes or goes, or leadership changes.
async fn wait(raft: &Raft, state: &SharedState, leading: Option<Term>) {
    let next = state.lessor().next_deadline();
    let pause = next.map_or(LONG, |at| Duration::from_millis(at.get().saturating_sub(state.now().get())));
    tokio::select! {
        () = sleep(pause.max(Duration::from_millis(1))) => {}
        () = state.leases_changed().notified() => {}
        () = membership::leadership_changed(raft, leading) => {}
    }
}
