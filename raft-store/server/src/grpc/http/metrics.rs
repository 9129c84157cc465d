//! The page of metrics, with etcd's names where the meaning is the same.
//!
//! In: what the replica knows of itself, the calls that were counted, and what the system says of the
//! process. Out: Prometheus' text format.
//!
//! Where etcd means something that is a little different here, the help says so. Deliberately absent: names of etcd for
//! which there is nothing here that means the same (its peers' streams), and those that would have to be counted by reading
//! everything (its number of keys).

use std::{fmt::Write as _, sync::atomic::Ordering};

use keelson_store_core::id::{LogIndex, ReplicaId};

use super::{calls::Calls, process, stations};
use crate::grpc::{Front, maintenance::API_VERSION};

/// The page.
pub(super) fn page(front: &Front, calls: &Calls) -> String {
    let mut page = Page::default();
    replica(&mut page, front, calls);
    stations::stations(&mut page, front.store.meters());
    stations::peers(&mut page, front.store.peer_meters());
    super::calls::grpc(&mut page, calls);
    process::process(&mut page);
    page.0
}

/// Text under way.
#[derive(Default)]
pub(super) struct Page(pub(super) String);

/// What a number is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Page {
    pub(super) fn begin(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        writeln!(self.0, "{name}{labels} {value}").expect("a String grows as needed");
    }

    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl std::fmt::Display) {
        self.begin(name, kind, help);
        self.sample(name, "", value);
    }
}

fn replica(page: &mut Page, front: &Front, calls: &Calls) {
    use Kind::{Counter, Gauge};
    let status = front.store.status();
    let me = status.members.iter().find(|member| member.replica == status.replica);
    let index = |index: Option<LogIndex>| index.map_or(0, LogIndex::get);
    let flag = u8::from;
    let leads = status.leader == Some(status.replica);
    let changes = calls.leader_changes.load(Ordering::Relaxed);
    page.one("etcd_server_has_leader", Gauge, "Whether a leader exists.", flag(status.leader.is_some()));
    page.one("etcd_server_is_leader", Gauge, "Whether this member leads.", flag(leads));
    let learns = me.is_some_and(|me| !me.voter);
    page.one("etcd_server_is_learner", Gauge, "Whether this member is a learner.", flag(learns));
    page.one("etcd_server_leader_changes_seen_total", Counter, "Changes of the leader seen here.", changes);
    let committed = index(status.committed_index);
    page.one(
        "etcd_server_proposals_committed_total",
        Gauge,
        "The last log entry known as committed.",
        committed,
    );
    let (last, applied) = (index(status.last_index), index(status.applied_index));
    page.one("etcd_server_proposals_applied_total", Gauge, "The last log entry applied here.", applied);
    page.one("keelson_store_log_last_index", Gauge, "The last entry of this member's log.", last);
    page.one("keelson_store_term", Gauge, "The current term.", status.term);
    page.begin("etcd_server_id", Gauge, "This member's id, in hexadecimal, as a label.");
    page.sample("etcd_server_id", &format!("server_id=\"{:x}\"", status.replica.get()), 1);
    page.begin("etcd_server_version", Gauge, "The version of the API, as a label.");
    page.sample("etcd_server_version", &format!("server_version=\"{API_VERSION}\""), 1);
    page.begin("etcd_cluster_version", Gauge, "The version of the cluster's API, as a label.");
    let cluster_version = API_VERSION.rsplit_once('.').map_or(API_VERSION, |(minor, _)| minor);
    page.sample("etcd_cluster_version", &format!("cluster_version=\"{cluster_version}\""), 1);
    let health = [
        ("etcd_server_health_success", "Answers of /health that all is well.", &calls.health_successes),
        ("etcd_server_health_failures", "Answers of /health that it is not.", &calls.health_failures),
    ];
    for (name, help, count) in health {
        page.one(name, Counter, help, count.load(Ordering::Relaxed));
    }
    let size = status.size;
    page.one("etcd_mvcc_db_total_size_in_bytes", Gauge, "Bytes of state on disk.", size);
    page.one("etcd_mvcc_db_total_size_in_use_in_bytes", Gauge, "Bytes of state in use.", size);
    // Alerts divide by it: without a quota, the disk is what ends the growth.
    if let Some(quota) = front.quota.or_else(|| front.store.most_bytes()) {
        let help = "The quota for the state; without one, what it can grow to on this disk.";
        page.one("etcd_server_quota_backend_bytes", Gauge, help, quota);
    }
    let (revision, compacted) = (status.revision, status.compacted);
    page.one("etcd_debugging_mvcc_current_revision", Gauge, "The newest revision applied here.", revision);
    page.one(
        "etcd_debugging_mvcc_compact_revision",
        Gauge,
        "The oldest revision that can be read.",
        compacted,
    );
    let doubt = flag(status.doubt.is_some());
    page.one(
        "keelson_store_in_doubt",
        Gauge,
        "Whether members have different states, and nobody can tell which is right.",
        doubt,
    );
    let watchers = front.store.watchers();
    page.one("etcd_debugging_mvcc_watcher_total", Gauge, "Watches on this member.", watchers);
    if leads {
        lags(page, &status);
    }
}

/// How far each other member is behind the leader.
fn lags(page: &mut Page, status: &crate::status::Status) {
    const NAME: &str = "keelson_store_member_lag_entries";
    page.begin(NAME, Kind::Gauge, "Log entries that a member has not acknowledged to its leader.");
    let last = status.last_index.map_or(0, LogIndex::get);
    let others = status.members.iter().filter(|member| member.replica != status.replica);
    for member in others {
        let lag = last.saturating_sub(member.matched.map_or(0, LogIndex::get));
        page.sample(NAME, &format!("to=\"{:x}\"", ReplicaId::get(member.replica)), lag);
    }
}
