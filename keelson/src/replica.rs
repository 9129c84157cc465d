//! This process's replica of the store, whoever serves it: etcd's API or Kubernetes'.
//!
//! In: a folder, a socket for the peers and their certificates, and the store's options. Out: an open [`Store`].
//!
//! Order: everything that can be wrong on this machine first (certificates, socket, disk), then the cluster.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keelson_store::options::{InitialMember, StoreOptions};
use keelson_store::peer::{PeerTls, TcpTransport, TlsFiles};
use keelson_store::{OpenError, Store};
use keelson_store_core::engine::Disk;
use keelson_store_rocks::{RocksDisk, RocksOptions};

use crate::endpoint::Endpoint;
use crate::process::StopSignals;

/// The files of TLS between replicas, which is always mutual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerFiles {
    /// The certificate that is shown.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
    /// Who signs the members' certificates.
    pub(crate) trusted_authority: PathBuf,
}

/// Listens for peers; without files, in plain text.
pub(crate) async fn listen(address: SocketAddr, files: Option<&PeerFiles>) -> Result<TcpTransport, String> {
    let tls = match files {
        Some(PeerFiles { certificate, key, trusted_authority }) => {
            let files =
                TlsFiles { cert: certificate.clone(), key: key.clone(), ca: trusted_authority.clone() };
            Some(PeerTls::load(&files).map_err(|error| error.to_string())?)
        }
        None => None,
    };
    TcpTransport::bind(address, tls)
        .await
        .map_err(|error| format!("cannot listen on {address} for peers: {error}"))
}

/// Opens the replica in `data_dir`. `None` when the process is asked to stop before that is done: nothing was
/// promised to anybody yet, so there is nothing to hand over.
pub(crate) async fn open(
    data_dir: &Path,
    transport: TcpTransport,
    options: StoreOptions,
    signals: &mut StopSignals,
) -> Result<Option<Store>, Box<dyn Error>> {
    let disk: Arc<dyn Disk> = Arc::new(RocksDisk::new(data_dir.to_owned(), RocksOptions::default())?);
    tokio::select! {
        opened = Store::open(disk, Arc::new(transport), options) => {
            Ok(Some(opened.map_err(|error| explain(data_dir, error))?))
        }
        () = signals.asked() => Ok(None),
    }
}

/// The store knows its disk, not the folder: the operator needs the folder.
fn explain(data_dir: &Path, error: OpenError) -> Box<dyn Error> {
    match error {
        OpenError::Damaged(_)
        | OpenError::NobodyToAsk(_)
        | OpenError::DiskTooSmall { .. }
        | OpenError::RolledBack { .. } => format!("{}: {error}", data_dir.display()).into(),
        other => other.into(),
    }
}

/// The members that found a cluster, as the store wants them.
pub(crate) fn initial_members(members: &[(String, Endpoint)]) -> Vec<InitialMember> {
    let member =
        |(name, url): &(String, Endpoint)| InitialMember { name: name.clone(), peer_url: url.to_string() };
    members.iter().map(member).collect()
}

/// Completes when the process has to end: asked to, which is well, or because its store has.
///
/// # Errors
///
/// The store has failed, and cannot tell any more what is on its disk; a process that starts anew can. Or this member
/// was removed.
pub(crate) async fn ended(store: &Store, signals: &mut StopSignals) -> Result<(), String> {
    tokio::select! {
        () = signals.asked() => Ok(()),
        why = store.failed() => Err(why),
    }
}
