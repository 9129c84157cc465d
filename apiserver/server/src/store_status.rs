//! `/keelson/v1/store`: how the store is doing, as the replica in this server knows it.
//!
//! In: the store's status. Out: a JSON document for `keelson status` and other tools. Nobody is asked for it, so
//! it is there also when there is no quorum.
//!
//! Upstream has no such path: there, the store is another product.

use keelson_store::status::{MemberStatus, Status};
use serde::{Deserialize, Serialize};

/// Where it is.
pub const PATH: &str = "/keelson/v1/store";

/// One replica's view of itself and its cluster. Ids are hexadecimal: JSON's numbers do not hold 64 bits everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreStatus {
    /// The cluster's id.
    pub cluster: String,
    /// This replica's id.
    pub replica: String,
    /// The leader's id; absent while none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// The current term.
    pub term: u64,
    /// The last entry of this replica's log.
    pub last_index: u64,
    /// The last entry that it has applied.
    pub applied_index: u64,
    /// The revision after that.
    pub revision: u64,
    /// Older revisions are gone.
    pub compacted_revision: u64,
    /// Bytes of state on disk, roughly.
    pub size_bytes: u64,
    /// All replicas.
    pub members: Vec<StoreMember>,
}

/// One replica.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoreMember {
    /// Its id.
    pub replica: String,
    /// The name of its server.
    pub name: String,
    /// Whether it votes.
    pub voter: bool,
    /// Where its server serves the API.
    pub server_urls: Vec<String>,
    /// Where other replicas reach it.
    pub peer_urls: Vec<String>,
}

impl From<Status> for StoreStatus {
    fn from(status: Status) -> Self {
        Self {
            cluster: hexadecimal(status.cluster.get()),
            replica: hexadecimal(status.replica.get()),
            leader: status.leader.map(|leader| hexadecimal(leader.get())),
            term: status.term.get(),
            last_index: status.last_index.map_or(0, |index| index.get()),
            applied_index: status.applied_index.map_or(0, |index| index.get()),
            revision: status.revision.get(),
            compacted_revision: status.compacted.get(),
            size_bytes: status.size,
            members: status.members.into_iter().map(StoreMember::from).collect(),
        }
    }
}

impl From<MemberStatus> for StoreMember {
    fn from(status: MemberStatus) -> Self {
        let MemberStatus { replica, member, voter, matched: _ } = status;
        let replica = hexadecimal(replica.get());
        Self {
            replica,
            name: member.name,
            voter,
            server_urls: member.client_urls,
            peer_urls: member.peer_urls,
        }
    }
}

fn hexadecimal(id: u64) -> String {
    format!("{id:x}")
}
