//! Which replica a disk belongs to.
//!
//! A disk's identity is the replica's Raft id: drawn at random when the disk is new, and never used for
//! another one. A disk that was wiped therefore comes back as a stranger, which no membership names.

use std::sync::Arc;

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
    options::{Member, StoreOptions},
    peer::Identity,
    runtime::Runtime,
};

/// Name of the log store.
const LOG_STORE: &str = "log";

/// The log store of a replica.
pub(super) struct OpenLog {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) meta: LogMeta,
}

/// Opens the log store, and binds a new disk to an id and a cluster.
pub(super) fn establish(disk: &dyn Disk, options: &StoreOptions) -> Result<(Identity, OpenLog), OpenError> {
    let named = options.initial_cluster.iter().any(|member| member.name == options.member.name);
    if !named {
        return Err(OpenError::NameNotInCluster(options.member.name.clone()));
    }
    let engine = disk.open(LOG_STORE, Role::Log)?;
    let meta = LogMeta::new(engine.clone());
    let expected = cluster_id(options);
    let replica = match (meta.replica()?, meta.cluster()?) {
        (Some(replica), Some(found)) if found == expected => replica,
        (Some(_), Some(found)) => {
            return Err(OpenError::ForeignCluster { found: found.get(), expected: expected.get() });
        }
        (None, _) | (_, None) => {
            let replica = if mutant::is(Mutant::VoteAfterWipe) { id_of(&options.member) } else { draw_id() };
            meta.bind(replica, expected)?;
            tracing::info!(name = options.member.name, id = format!("{:x}", replica.get()), "a new replica");
            replica
        }
    };
    let me = Identity { cluster: expected, replica, name: options.member.name.clone() };
    Ok((me, OpenLog { engine, meta }))
}

/// The cluster's id: a digest of what its founders were told, as etcd does it.
fn cluster_id(options: &StoreOptions) -> ClusterId {
    let mut founders: Vec<_> = options.initial_cluster.iter().collect();
    founders.sort_by(|a, b| a.name.cmp(&b.name));
    let mut digest = Sha256::new();
    let mut add = |text: &str| {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text.as_bytes());
    };
    add(&options.cluster_token);
    for founder in founders {
        add(&founder.name);
        add(&founder.peer_url);
    }
    let digest: [u8; 32] = digest.finalize().into();
    let first = digest.first_chunk().expect("32 bytes begin with 8");
    ClusterId::new(u64::from_be_bytes(*first))
}

/// What an id must not be: the same for every disk that a member ever had.
fn id_of(member: &Member) -> ReplicaId {
    ReplicaId::new(member.name.bytes().fold(1, |id, byte| id << 8 | u64::from(byte)))
}

/// A random id. Not 0, which means "nobody".
fn draw_id() -> ReplicaId {
    ReplicaId::new(Runtime::thread_rng().random_range(1..=u64::MAX))
}
