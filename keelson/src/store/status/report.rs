//! What the answers mean: one row per member, and what is not well. Pure.

use keelson_proto::etcd::rpc::StatusResponse;
use serde::Serialize;

use super::query::Answer;
use crate::quorum::{self, Replica, Role};
use crate::table::align;

/// The state of the cluster as its members tell it. Its JSON form is a promise to programs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    members: Vec<Row>,
    /// What is not well; empty if all is.
    pub(super) problems: Vec<String>,
}

/// A member. What it did not tell is absent.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    /// The Raft node id in hexadecimal, as etcdctl prints it.
    id: String,
    name: String,
    client_urls: Vec<String>,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    /// The hash of its keys, at the newest revision that all members have.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<u32>,
}

/// The numbers of a member that answered.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct State {
    /// The store's revision as far as this member has applied.
    revision: i64,
    /// The last log entry that it has applied.
    applied_index: u64,
    /// How many log entries it is behind the furthest index that any member calls committed.
    lag: u64,
    term: u64,
    db_bytes: i64,
}

impl Report {
    /// Judges the answers.
    pub(super) fn new(answers: &[Answer]) -> Self {
        let heard = || answers.iter().filter_map(|answer| answer.status.as_ref().ok());
        let committed = heard().map(|status| status.raft_index).max().unwrap_or(0);
        let mut members: Vec<Row> = answers.iter().map(|answer| row(answer, committed)).collect();
        members.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let mut problems = Vec::new();
        for answer in answers {
            match &answer.status {
                Ok(status) => {
                    problems.extend(status.errors.iter().map(|error| format!("{}: {error}", label(answer))));
                }
                Err(reason) => problems.push(format!("{} does not answer: {reason}", label(answer))),
            }
        }
        let replicas: Vec<_> = answers.iter().map(replica).collect();
        problems.extend(divergence(answers));
        problems.extend(quorum::problem(&replicas).map(|problem| problem.to_string()));
        Self { members, problems }
    }

    /// The report as aligned columns, problems below.
    pub(super) fn table(&self) -> String {
        let header =
            ["ID", "NAME", "ROLE", "REVISION", "APPLIED", "LAG", "TERM", "DB SIZE", "HASH", "CLIENT URLS"];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(self.members.iter().map(Row::cells));
        let mut text = align(&rows);
        for problem in &self.problems {
            text += &format!("problem: {problem}\n");
        }
        text
    }
}

/// What to say of members whose keys differ. Only hashes over the same history can be compared.
fn divergence(answers: &[Answer]) -> Option<String> {
    let hashed =
        |answer: &Answer| answer.hash.map(|hash| (hash.hash_revision, hash.compact_revision, hash.hash));
    let differ = |(a, b): (&Answer, &Answer)| {
        let ((revision, a_compacted, a_hash), (_, b_compacted, b_hash)) = (hashed(a)?, hashed(b)?);
        (a_compacted == b_compacted && a_hash != b_hash).then_some(revision)
    };
    let mut pairs =
        answers.iter().enumerate().flat_map(|(at, a)| answers[at + 1..].iter().map(move |b| (a, b)));
    let (a, b, revision) = pairs.find_map(|(a, b)| differ((a, b)).map(|revision| (a, b, revision)))?;
    Some(format!(
        "{} and {} have different keys at revision {revision}: one of them is damaged. Save a snapshot of each, find out \
         which is right, and replace the other",
        label(a),
        label(b)
    ))
}

/// A member as the rules of a quorum see it. etcd's id for no leader is 0.
fn replica(answer: &Answer) -> Replica<u64> {
    let word = match answer.status.as_ref().map(|status| status.leader) {
        Ok(0) => quorum::Answer::Leaderless,
        Ok(leader) => quorum::Answer::Follows(leader),
        Err(_) => quorum::Answer::Silent,
    };
    Replica { id: answer.member.id, voter: !is_learner(answer), answer: word }
}

/// The member itself knows it first.
fn is_learner(answer: &Answer) -> bool {
    answer.status.as_ref().map_or(answer.member.is_learner, |status| status.is_learner)
}

fn label(answer: &Answer) -> String {
    let member = &answer.member;
    if member.name.is_empty() { format!("{:x}", member.id) } else { member.name.clone() }
}

fn row(answer: &Answer, committed: u64) -> Row {
    let member = &answer.member;
    let state = answer.status.as_ref().ok().map(|status| State::new(status, committed));
    Row {
        id: format!("{:x}", member.id),
        name: member.name.clone(),
        client_urls: member.client_ur_ls.clone(),
        role: replica(answer).role(),
        state,
        hash: answer.hash.map(|hash| hash.hash),
    }
}

impl State {
    fn new(status: &StatusResponse, committed: u64) -> Self {
        Self {
            revision: status.header.as_ref().map_or(0, |header| header.revision),
            applied_index: status.raft_applied_index,
            lag: committed.saturating_sub(status.raft_applied_index),
            term: status.raft_term,
            db_bytes: status.db_size,
        }
    }
}

impl Row {
    fn cells(&self) -> [String; 10] {
        let number = |of: fn(&State) -> String| self.state.as_ref().map_or_else(|| "-".to_owned(), of);
        [
            self.id.clone(),
            self.name.clone(),
            self.role.name().to_owned(),
            number(|state| state.revision.to_string()),
            number(|state| state.applied_index.to_string()),
            number(|state| state.lag.to_string()),
            number(|state| state.term.to_string()),
            number(|state| format!("{:.1} MiB", mebibytes(state.db_bytes))),
            self.hash.map_or_else(|| "-".to_owned(), |hash| format!("{hash:08x}")),
            self.client_urls.join(","),
        ]
    }
}

/// Rounding above 2^53 bytes does not show in one decimal.
#[allow(clippy::cast_precision_loss)]
fn mebibytes(bytes: i64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use keelson_proto::etcd::rpc::{HashKvResponse, Member, ResponseHeader};

    use super::*;

    fn answer(id: u64, name: &str, status: Result<StatusResponse, String>) -> Answer {
        let client_ur_ls = vec![format!("https://{name}:2379")];
        let member = Member { id, name: name.to_owned(), client_ur_ls, ..Member::default() };
        Answer { member, status, hash: None }
    }

    fn hashed(answer: Answer, hash: u32, compact_revision: i64) -> Answer {
        let hash = HashKvResponse { hash, compact_revision, hash_revision: 7, ..HashKvResponse::default() };
        Answer { hash: Some(hash), ..answer }
    }

    fn status(leader: u64, applied: u64) -> StatusResponse {
        StatusResponse {
            header: Some(ResponseHeader { revision: 7, ..ResponseHeader::default() }),
            leader,
            raft_index: applied,
            raft_applied_index: applied,
            raft_term: 3,
            db_size: 3 << 19,
            ..StatusResponse::default()
        }
    }

    #[test]
    fn a_healthy_cluster_as_a_table() {
        let report = Report::new(&[
            hashed(answer(0xb, "b", Ok(status(0xa, 40))), 0xfeed, 3),
            hashed(answer(0xa, "a", Ok(status(0xa, 42))), 0xfeed, 3),
        ]);
        assert_eq!(
            report.table(),
            "ID  NAME  ROLE      REVISION  APPLIED  LAG  TERM  DB SIZE  HASH      CLIENT URLS\n\
             a   a     leader    7         42       0    3     1.5 MiB  0000feed  https://a:2379\n\
             b   b     follower  7         40       2    3     1.5 MiB  0000feed  https://b:2379\n"
        );
        assert!(report.problems.is_empty());
    }

    #[test]
    fn hashes_that_differ_are_a_problem_only_over_the_same_history() {
        let two = |compacted| {
            Report::new(&[
                hashed(answer(0xa, "a", Ok(status(0xa, 1))), 1, 3),
                hashed(answer(0xb, "b", Ok(status(0xa, 1))), 2, compacted),
            ])
        };
        assert!(two(3).problems[0].starts_with("a and b have different keys at revision 7"));
        assert!(two(4).problems.is_empty());
    }

    #[test]
    fn a_dead_member_and_an_alarm_are_problems() {
        let alarmed = StatusResponse { errors: vec!["the disk is full".to_owned()], ..status(0xa, 42) };
        let report = Report::new(&[
            answer(0xa, "a", Ok(alarmed)),
            answer(0xb, "b", Err("connection refused".to_owned())),
        ]);
        assert_eq!(report.problems[..2], ["a: the disk is full", "b does not answer: connection refused"]);
        assert!(report.problems[2].starts_with("only 1 of 2 voters answer"), "{:?}", report.problems);
        let table = report.table();
        assert!(table.contains("b   b     unreachable  -"), "{table}");
        assert!(table.contains("\nproblem: b does not answer: connection refused\n"), "{table}");
    }

    #[test]
    fn no_leader_or_two_are_problems() {
        let none = Report::new(&[answer(0xa, "a", Ok(status(0, 1)))]);
        assert!(none.problems[0].starts_with("the store has no leader"));
        let two = Report::new(&[answer(0xa, "a", Ok(status(0xa, 1))), answer(0xb, "b", Ok(status(0xb, 1)))]);
        assert!(two.problems[0].starts_with("the replicas name different leaders"));
        let old = Report::new(&[answer(0xa, "a", Ok(status(0, 1))), answer(0xb, "b", Ok(status(0xa, 1)))]);
        assert!(old.problems[0].starts_with("nobody leads the store yet"), "{:?}", old.problems);
    }

    #[test]
    fn the_json_form_leaves_out_what_is_not_known() {
        let learner = StatusResponse { is_learner: true, ..status(0xa, 9) };
        let report = Report::new(&[answer(0xa, "a", Ok(learner)), answer(0xb, "b", Err("gone".to_owned()))]);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["members"][0]["role"], "learner");
        assert_eq!(json["members"][0]["state"]["appliedIndex"], 9);
        assert_eq!(json["members"][1]["role"], "unreachable");
        assert_eq!(json["members"][1].get("state"), None);
        assert_eq!(json["problems"][0], "b does not answer: gone");
    }
}
