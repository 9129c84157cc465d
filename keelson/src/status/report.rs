//! What the answers mean: servers, leaders, nodes, and what is not well with the next step. Pure.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use serde::Serialize;
use time::OffsetDateTime;

use super::query::{Answer, Answers, Server};
use crate::quorum::{self, Replica, Role};
use crate::table::align;

/// The state of the cluster. Its JSON form is a promise to programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    servers: Vec<ServerRow>,
    leases: Vec<LeaseRow>,
    nodes: Vec<NodeRow>,
    /// What is not well, each with the next step; empty if all is.
    pub(super) problems: Vec<String>,
}

/// A server. What it did not tell is absent.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerRow {
    name: String,
    urls: Vec<String>,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// The numbers of a server that answered.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    ready: bool,
    /// The store's revision as far as this server has applied.
    revision: u64,
    /// How many log entries it is behind the furthest that any server has applied.
    lag: u64,
    term: u64,
    size_bytes: u64,
}

/// Who leads in something.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaseRow {
    name: String,
    holder: String,
    /// Since the holder was last heard of.
    #[serde(skip_serializing_if = "Option::is_none")]
    renewed_seconds_ago: Option<i64>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct NodeRow {
    name: String,
    /// Whether pods run there, as Kubernetes' Ready condition says it: True, False or Unknown.
    ready: String,
}

/// What a node can run short of, by its condition, and what to do.
const SHORTAGES: [(&str, &str); 3] = [
    (
        "DiskPressure",
        "runs short of disk space, so no new pods go there: of the file system of its data folder less is free than \
         its --eviction-hard says (10 % and 5 % of the inodes, unless it was given). Next: free some; it is told five \
         minutes later",
    ),
    (
        "MemoryPressure",
        "runs short of memory, so only pods that tolerate it go there: less is available than its --eviction-hard \
         says (100 MiB, unless it was given). Next: free some; it is told five minutes later",
    ),
    ("PIDPressure", "runs short of process ids, so no new pods go there. Next: look at what runs there"),
];

impl Report {
    /// Judges the answers.
    pub(super) fn new(answers: &Answers, now: OffsetDateTime) -> Self {
        let mut report =
            Self { servers: Vec::new(), leases: Vec::new(), nodes: Vec::new(), problems: Vec::new() };
        report.add_servers(&answers.servers);
        match &answers.leases {
            Ok(leases) => leases.iter().for_each(|lease| report.add_lease(lease, now)),
            Err(reason) => report.problems.push(format!("Leases cannot be read: {reason}")),
        }
        match &answers.nodes {
            Ok(nodes) => nodes.iter().for_each(|node| report.add_node(node)),
            Err(reason) => report.problems.push(format!("nodes cannot be read: {reason}")),
        }
        report
    }

    fn add_servers(&mut self, servers: &[Server]) {
        let heard = || servers.iter().filter_map(|server| server.answer.as_ref().ok());
        let applied = heard().map(|answer| answer.store.applied_index).max().unwrap_or(0);
        self.servers.extend(servers.iter().map(|server| ServerRow::new(server, applied)));
        self.servers.sort_by(|a, b| a.name.cmp(&b.name));
        for Server { member, answer } in servers {
            let name = &member.name;
            match answer {
                Ok(Answer { ready: Ok(()), .. }) => {}
                Ok(Answer { ready: Err(reason), .. }) => {
                    self.problems.push(format!("server {name} is not ready: {}", failed_checks(reason)));
                }
                Err(reason) => self.problems.push(format!(
                    "server {name} does not answer: {reason}. Next: start it again, and look at its log"
                )),
            }
        }
        let replicas: Vec<_> = servers.iter().map(replica).collect();
        self.problems.extend(quorum::problem(&replicas).map(|problem| problem.to_string()));
    }

    fn add_lease(&mut self, lease: &Lease, now: OffsetDateTime) {
        let name = lease.metadata.name.clone().unwrap_or_default();
        let spec = lease.spec.as_ref();
        let holder = spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default();
        let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
        let renewed_seconds_ago = renewed.map(|time| now.unix_timestamp() - time.0.as_second());
        let duration = spec.and_then(|spec| spec.lease_duration_seconds);
        let is_over = renewed_seconds_ago.zip(duration).is_some_and(|(ago, kept)| ago > i64::from(kept));
        if holder.is_empty() || is_over {
            self.problems.push(format!(
                "nobody holds the Lease {name}: its controllers stand still until somebody does. Next: look at the \
                 servers' logs"
            ));
        }
        self.leases.push(LeaseRow { name, holder, renewed_seconds_ago });
    }

    fn add_node(&mut self, node: &Node) {
        let name = node.metadata.name.clone().unwrap_or_default();
        let conditions = || node.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let ready = conditions().find(|condition| condition.type_ == "Ready");
        let is_ready = ready.map_or_else(|| "Unknown".to_owned(), |condition| condition.status.clone());
        if is_ready != "True" {
            let message = ready.and_then(|condition| condition.message.clone()).unwrap_or_default();
            let because = if message.is_empty() { message } else { format!(": {message}") };
            self.problems
                .push(format!("node {name} is not ready{because}. Next: kubectl describe node {name}"));
        }
        let short_of =
            |kind: &str| conditions().any(|condition| condition.type_ == kind && condition.status == "True");
        for (_, shortage) in SHORTAGES.iter().filter(|(kind, _)| short_of(kind)) {
            self.problems.push(format!("node {name} {shortage}"));
        }
        self.nodes.push(NodeRow { name, ready: is_ready });
    }

    /// The report as aligned columns, problems below.
    pub(super) fn table(&self) -> String {
        let mut rows =
            vec![["SERVER", "ROLE", "READY", "REVISION", "LAG", "TERM", "URLS"].map(str::to_owned)];
        rows.extend(self.servers.iter().map(ServerRow::cells));
        let mut text = align(&rows);
        if !self.leases.is_empty() {
            let mut rows = vec![["LEASE", "HOLDER", "RENEWED"].map(str::to_owned)];
            rows.extend(self.leases.iter().map(LeaseRow::cells));
            text += &format!("\n{}", align(&rows));
        }
        if !self.nodes.is_empty() {
            let mut rows = vec![["NODE", "READY"].map(str::to_owned)];
            rows.extend(self.nodes.iter().map(|node| [node.name.clone(), node.ready.clone()]));
            text += &format!("\n{}", align(&rows));
        }
        if !self.problems.is_empty() {
            text.push('\n');
        }
        for problem in &self.problems {
            text += &format!("problem: {problem}\n");
        }
        text
    }
}

/// A server's replica of the store, as the rules of a quorum see it.
fn replica(server: &Server) -> Replica<&str> {
    let answer = match server.answer.as_ref().map(|answer| answer.store.leader.as_deref()) {
        Ok(Some(leader)) => quorum::Answer::Follows(leader),
        Ok(None) => quorum::Answer::Leaderless,
        Err(_) => quorum::Answer::Silent,
    };
    Replica { id: &server.member.replica, voter: server.member.voter, answer }
}

/// The checks that failed, in one line. What passed is of no interest here.
fn failed_checks(text: &str) -> String {
    let failed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("[-]")).collect();
    if failed.is_empty() { text.trim().to_owned() } else { failed.join("; ") }
}

impl ServerRow {
    fn new(server: &Server, furthest: u64) -> Self {
        let Server { member, answer } = server;
        let state = answer.as_ref().ok().map(|answer| State::new(answer, furthest));
        let role = replica(server).role();
        Self { name: member.name.clone(), urls: member.server_urls.clone(), role, state }
    }

    fn cells(&self) -> [String; 7] {
        let told = |of: fn(&State) -> String| self.state.as_ref().map_or_else(|| "-".to_owned(), of);
        [
            self.name.clone(),
            self.role.name().to_owned(),
            told(|state| if state.ready { "yes".to_owned() } else { "no".to_owned() }),
            told(|state| state.revision.to_string()),
            told(|state| state.lag.to_string()),
            told(|state| state.term.to_string()),
            self.urls.join(","),
        ]
    }
}

impl State {
    fn new(answer: &Answer, furthest: u64) -> Self {
        let store = &answer.store;
        Self {
            ready: answer.ready.is_ok(),
            revision: store.revision,
            lag: furthest.saturating_sub(store.applied_index),
            term: store.term,
            size_bytes: store.size_bytes,
        }
    }
}

impl LeaseRow {
    fn cells(&self) -> [String; 3] {
        let renewed = self.renewed_seconds_ago;
        let renewed = renewed.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds}s ago"));
        let holder = if self.holder.is_empty() { "-" } else { &self.holder };
        [self.name.clone(), holder.to_owned(), renewed]
    }
}

#[cfg(test)]
mod tests;
