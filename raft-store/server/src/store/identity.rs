//! Which replica a disk belongs to.
//!
//! A disk's identity is the replica's Raft id: drawn at random when the disk is new, and never used for
//! another one. A disk that was wiped therefore comes back as a stranger, which no membership names.

use std::{sync::Arc, time::Duration};

use keelson_store_core::{
    engine::{Disk, Engine, Role},
    id::{ClusterId, ReplicaId},
    mutant::{self, Mutant},
};
use openraft_rt::AsyncRuntime as _;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

use crate::{
    error::OpenError,
    log::LogMeta,
    options::{Beginning, InitialMember, Member, StoreOptions},
    peer::{Directory, Identity, Transport},
    record::{OriginPart, OriginRecord},
    runtime::{Runtime, clock::sleep},
    state::is_state,
};

/// Name of the log store.
pub(crate) const LOG_STORE: &str = "log";

/// The log store of a replica.
pub(super) struct OpenLog {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) meta: LogMeta,
    /// How this replica comes into its cluster: what the options say, unless the disk knows better.
    pub(super) beginning: Beginning,
}

/// How long one member may take to say which cluster it is.
const ASK_PATIENCE: Duration = Duration::from_secs(2);
const ASK_PAUSE: Duration = Duration::from_millis(200);
/// Rounds between two lines in the log that say who is missing.
const REMIND_EVERY: u32 = 25;

/// Opens the log store, and binds a new disk to an id and a cluster.
pub(super) async fn establish(
    disk: &dyn Disk,
    transport: &Arc<dyn Transport>,
    options: &StoreOptions,
) -> Result<(Identity, OpenLog), OpenError> {
    let engine = disk.open(LOG_STORE, Role::Log)?;
    let meta = LogMeta::new(engine.clone());
    let name = options.member.name.clone();
    let origin = meta.origin()?;
    let has_begun = origin.is_some() || meta.vote()?.is_some();
    let (replica, cluster) = match (meta.replica()?, meta.cluster()?) {
        (Some(replica), Some(found)) if has_begun => {
            remark_on_flags(found, options, origin.as_ref());
            (replica, found)
        }
        (Some(replica), Some(_)) => (replica, bind(&meta, replica, transport, options).await?),
        (None, _) | (_, None) => {
            refuse_remains(disk)?;
            let replica = if mutant::is(Mutant::VoteAfterWipe) { id_of(&options.member) } else { draw_id() };
            let cluster = bind(&meta, replica, transport, options).await?;
            tracing::info!(name, id = format!("{:x}", replica.get()), "a new replica");
            (replica, cluster)
        }
    };
    let beginning = match origin.map(|origin| origin.part) {
        Some(OriginPart::Joins) => Beginning::Joining,
        // It asks nobody to be taken in again, and is told if it was removed.
        Some(OriginPart::Holds) | None if meta.has_joined()? => Beginning::Joining,
        Some(OriginPart::Holds) | None => options.beginning,
    };
    Ok((Identity { cluster, replica, name }, OpenLog { engine, meta, beginning }))
}

/// Binds a disk to the cluster that the flags say, and to nothing if it is bound so already. Until Raft has begun on it, it
/// has promised nothing to anybody: flags that were wrong at its first start may be corrected.
async fn bind(
    meta: &LogMeta,
    replica: ReplicaId,
    transport: &Arc<dyn Transport>,
    options: &StoreOptions,
) -> Result<ClusterId, OpenError> {
    if options.initial_cluster.iter().all(|member| member.name != options.member.name) {
        return Err(OpenError::NameNotInCluster(options.member.name.clone()));
    }
    let cluster = match options.beginning {
        Beginning::Founding => cluster_id(options, None),
        Beginning::Joining => find_cluster(transport, replica, options).await,
    };
    if meta.cluster()? != Some(cluster) || meta.replica()?.is_none() {
        meta.bind(replica, cluster)?;
    }
    Ok(cluster)
}

/// A disk that has a state without a log is not new: it has lost its log, and whatever it knew of its votes.
fn refuse_remains(disk: &dyn Disk) -> Result<(), OpenError> {
    let state = disk.list()?.into_iter().find(|name| is_state(name));
    state.map_or(Ok(()), |state| Err(OpenError::LogMissing(state)))
}

/// A disk belongs where it belongs, as with etcd: flags that say where a cluster begins count where nothing has begun. Others
/// than those of the first start are told of, for they may be meant.
fn remark_on_flags(found: ClusterId, options: &StoreOptions, origin: Option<&OriginRecord>) {
    if options.beginning == Beginning::Founding && cluster_id(options, origin) != found {
        tracing::warn!(
            cluster = format!("{:016x}", found.get()),
            "--initial-cluster or --initial-cluster-token are not those that this member's cluster began with: they are \
             ignored, for the data folder says which cluster it belongs to"
        );
    }
}

/// The cluster that the other members belong to. Asks until one of them answers.
async fn find_cluster(
    transport: &Arc<dyn Transport>,
    replica: ReplicaId,
    options: &StoreOptions,
) -> ClusterId {
    let nowhere = Identity { cluster: ClusterId::new(0), replica, name: options.member.name.clone() };
    let directory = Directory::new(nowhere, transport.clone());
    let others = || options.initial_cluster.iter().filter(|other| other.name != options.member.name);
    for round in 0_u32.. {
        let mut missing = Vec::new();
        for other in others() {
            match directory.cluster_at(&other.peer_url, ASK_PATIENCE).await {
                Ok(cluster) => return cluster,
                Err(error) => missing.push(format!("{}: {error}", other.name)),
            }
        }
        if round.is_multiple_of(REMIND_EVERY) {
            tracing::info!(missing = missing.join("; "), "waiting for a member of the cluster to join");
        }
        sleep(ASK_PAUSE).await;
    }
    unreachable!("nobody waits for four billion rounds")
}

fn cluster_id(options: &StoreOptions, origin: Option<&OriginRecord>) -> ClusterId {
    cluster_of(&options.initial_cluster, &options.cluster_token, origin)
}

/// The cluster's id, never 0: a digest of what its founders were told, as etcd does it, and of what it was restored
/// from.
pub(crate) fn cluster_of(
    founders: &[InitialMember],
    token: &str,
    origin: Option<&OriginRecord>,
) -> ClusterId {
    let mut founders: Vec<_> = founders.iter().collect();
    founders.sort_by(|a, b| a.name.cmp(&b.name));
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    };
    add(token);
    for founder in founders {
        add(&founder.name);
        add(&founder.peer_url);
    }
    if let Some(origin) = origin {
        digest.update(origin.digest);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let first = digest.first_chunk().expect("32 bytes begin with 8");
    // 0 stands for none in the handshake.
    ClusterId::new(u64::from_be_bytes(*first).max(1))
}

/// Who brings a cluster into being: the first of its members, by name.
pub(crate) fn founder_of(members: &[InitialMember]) -> Option<&str> {
    members.iter().map(|member| member.name.as_str()).min()
}

/// What an id must not be: the same for every disk that a member ever had.
fn id_of(member: &Member) -> ReplicaId {
    ReplicaId::new(member.name.bytes().fold(1, |id, byte| id << 8 | u64::from(byte)))
}

/// A random id. Not 0, which means "nobody".
pub(super) fn draw_id() -> ReplicaId {
    ReplicaId::new(Runtime::thread_rng().random_range(1..=u64::MAX))
}
