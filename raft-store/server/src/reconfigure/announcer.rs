//! Tells the cluster where this member's clients reach it, when that is not what the membership says.
//!
//! In: the membership as it changes, and what this member was started with. Out: a change of the membership, asked for until it
//! is in force. As in etcd, the flags of the last start count: a member that was restored, or moved, would else be listed at an
//! address where nobody is.

use std::{sync::Arc, time::Duration};

use keelson_store_core::id::ReplicaId;
use openraft::async_runtime::watch::WatchReceiver as _;

use super::{Change, Reconfigurer};
use crate::{membership, options::Member, runtime::clock::sleep};

/// After an attempt that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs until dropped.
pub(crate) async fn run(reconfigurer: Arc<Reconfigurer>, replica: ReplicaId, member: Member) {
    let raft = reconfigurer.raft.clone();
    let mut who = raft.server_metrics();
    loop {
        let listed = membership::current(&raft).get_node(&replica).map(|listed| listed.client_urls.clone());
        if listed.is_none_or(|listed| listed == member.client_urls) {
            if who.changed().await.is_err() {
                return std::future::pending().await;
            }
            continue;
        }
        let change = Change::Announce { replica, client_urls: member.client_urls.clone() };
        match reconfigurer.run(&change).await {
            Ok(()) => {
                tracing::info!(client_urls = ?member.client_urls, "the cluster knows where clients reach this member")
            }
            Err(error) => {
                tracing::info!(%error, "the cluster does not know yet where clients reach this member")
            }
        }
        sleep(PAUSE).await;
    }
}
