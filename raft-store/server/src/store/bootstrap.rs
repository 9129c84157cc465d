//! How a cluster comes into being.
//!
//! The first of the initial members, by name, asks all others who they are, and writes the first membership.
//! The others wait for it. A disk that is new where the cluster is not is told so by its peers, and stops; one that is
//! to join asks them to be taken in.

use std::{collections::BTreeMap, io, time::Duration};

use keelson_store_core::id::ReplicaId;
use openraft::errors::{InitializeError, RaftError};

use crate::{
    error::OpenError,
    log::LogMeta,
    membership,
    options::{Beginning, InitialMember, Member, StoreOptions},
    peer::Directory,
    reconfigure::{self, Answer, Change},
    runtime::clock::sleep,
    types::Raft,
};

use super::identity::founder_of;

const ASK_PATIENCE: Duration = Duration::from_secs(2);
const ASK_PAUSE: Duration = Duration::from_millis(100);
/// Attempts between two lines in the log that say who is missing.
const REMIND_EVERY: u32 = 50;

/// Returns when this replica belongs to a cluster.
pub(super) async fn run(
    raft: &Raft,
    directory: &Directory,
    log: &LogMeta,
    beginning: Beginning,
    options: &StoreOptions,
) -> Result<(), OpenError> {
    tokio::select! {
        biased;
        begun = begin(raft, directory, log, beginning, options) => begun,
        // A disk that fails meanwhile must not leave a replica that waits for ever.
        why = membership::stopped(raft) => Err(OpenError::Raft(why)),
    }
}

async fn begin(
    raft: &Raft,
    directory: &Directory,
    log: &LogMeta,
    beginning: Beginning,
    options: &StoreOptions,
) -> Result<(), OpenError> {
    match beginning {
        Beginning::Founding => form(raft, directory, options).await,
        Beginning::Joining => join(raft, directory, log, options).await,
    }
}

/// Has this replica taken into the cluster that is there; a no-op where it has been. It asks until it finds itself a
/// member: that it was taken in may be lost with a leader.
async fn join(
    raft: &Raft,
    directory: &Directory,
    log: &LogMeta,
    options: &StoreOptions,
) -> Result<(), OpenError> {
    let replica = directory.me().replica;
    let is_in = || membership::settled(raft).map(|settled| reconfigure::names(&settled, replica));
    if log.has_joined()? {
        // Once Raft answers it says what is on the disk.
        is_initialized(raft).await?;
        // A change that is not committed yet may never be.
        return if is_in() == Some(false) { Err(OpenError::Removed) } else { Ok(()) };
    }
    let member = options.member.clone();
    let change = Change::Join { replica, member, token: options.cluster_token.clone() };
    let mut attempt = 0_u32;
    while is_in() != Some(true) {
        let mut missing = Vec::new();
        for other in options.initial_cluster.iter().filter(|other| other.name != options.member.name) {
            match directory.ask_to_join(&other.peer_url, &change, options.request_timeout).await {
                Ok(reply) => match reconfigure::taken(reply) {
                    Ok(()) => break,
                    Err(Answer::Removed) => return Err(OpenError::Removed),
                    Err(Answer::Refused(reason)) => {
                        return Err(OpenError::Refused { name: other.name.clone(), reason });
                    }
                    Err(Answer::NotNow(why)) => missing.push(format!("{}: {why}", other.name)),
                },
                Err(error) => missing.push(format!("{}: {error}", other.name)),
            }
        }
        if attempt.is_multiple_of(REMIND_EVERY) && !missing.is_empty() {
            tracing::info!(missing = missing.join("; "), "waiting to be taken into the cluster");
        }
        attempt += 1;
        sleep(ASK_PAUSE).await;
    }
    Ok(log.set_joined(replica)?)
}

/// Founds the cluster together with the other first members.
async fn form(raft: &Raft, directory: &Directory, options: &StoreOptions) -> Result<(), OpenError> {
    let me = &options.member.name;
    let founder = founder_of(&options.initial_cluster) == Some(me);
    let mut attempt = 0_u32;
    while !is_initialized(raft).await? {
        let asked = ask_all(directory, options).await?;
        if founder && asked.missing.is_empty() {
            return found(raft, directory, options, asked.answers).await;
        }
        if attempt.is_multiple_of(REMIND_EVERY) {
            let missing = asked.missing.join("; ");
            tracing::info!(missing, founder, "waiting for the cluster to form");
        }
        attempt += 1;
        sleep(ASK_PAUSE).await;
    }
    Ok(())
}

/// What the other initial members said.
struct Asked {
    answers: BTreeMap<ReplicaId, Member>,
    /// Who did not answer, and why.
    missing: Vec<String>,
}

async fn ask_all(directory: &Directory, options: &StoreOptions) -> Result<Asked, OpenError> {
    let mut asked = Asked { answers: BTreeMap::new(), missing: Vec::new() };
    for other in options.initial_cluster.iter().filter(|other| other.name != options.member.name) {
        match directory.identify(&other.peer_url, ASK_PATIENCE).await {
            Ok(peer) => {
                check(other, &peer.identity.name)?;
                asked.answers.insert(peer.identity.replica, peer.member);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                return Err(OpenError::Refused { name: other.name.clone(), reason: error.to_string() });
            }
            Err(error) => asked.missing.push(format!("{}: {error}", other.name)),
        }
    }
    Ok(asked)
}

fn check(expected: &InitialMember, found: &str) -> Result<(), OpenError> {
    if found == expected.name {
        return Ok(());
    }
    let reason = format!("it calls itself {found:?}; correct --initial-cluster or its --name");
    Err(OpenError::Refused { name: expected.name.clone(), reason })
}

async fn found(
    raft: &Raft,
    directory: &Directory,
    options: &StoreOptions,
    others: BTreeMap<ReplicaId, Member>,
) -> Result<(), OpenError> {
    let mut members = others;
    members.insert(directory.me().replica, options.member.clone());
    match raft.initialize(members).await {
        Ok(()) => {
            tracing::info!("the cluster has come into being");
            Ok(())
        }
        // A peer's first message came earlier.
        Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(OpenError::Raft(error.to_string())),
    }
}

async fn is_initialized(raft: &Raft) -> Result<bool, OpenError> {
    raft.is_initialized().await.map_err(|error| OpenError::Raft(error.to_string()))
}
