//! What people and programs get to see for given answers.

use keelson_apiserver::store_status::{StoreMember, StoreStatus};
use serde_json::json;

use super::*;

fn server(name: &str, answer: Result<Answer, String>) -> Server {
    let member = StoreMember {
        replica: format!("id-{name}"),
        name: name.to_owned(),
        voter: true,
        server_urls: vec![format!("https://{name}:6443")],
        peer_urls: Vec::new(),
    };
    Server { member, answer }
}

fn answer(leader: &str, applied_index: u64) -> Answer {
    let leader = Some(format!("id-{leader}"));
    Answer {
        store: StoreStatus { leader, applied_index, revision: 7, term: 3, ..StoreStatus::default() },
        ready: Ok(()),
    }
}

fn answers(servers: Vec<Server>) -> Answers {
    Answers { servers, leases: Ok(Vec::new()), nodes: Ok(Vec::new()) }
}

fn three_well() -> Vec<Server> {
    vec![server("b", Ok(answer("a", 40))), server("a", Ok(answer("a", 42))), server("c", Ok(answer("a", 42)))]
}

fn lease(holder: &str, renewed: &str) -> Lease {
    let lease = json!({
        "metadata": {"name": "kube-scheduler"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed},
    });
    serde_json::from_value(lease).unwrap()
}

fn node(ready: &str) -> Node {
    let condition = json!({"type": "Ready", "status": ready, "message": "the runtime is down"});
    serde_json::from_value(json!({"metadata": {"name": "n"}, "status": {"conditions": [condition]}})).unwrap()
}

fn now() -> OffsetDateTime {
    time::macros::datetime!(2026-01-02 03:04:05 UTC)
}

#[test]
fn a_healthy_cluster_as_a_table() {
    let answers = Answers {
        leases: Ok(vec![lease("a_1", "2026-01-02T03:04:03.000000Z")]),
        nodes: Ok(vec![node("True")]),
        ..answers(three_well())
    };
    let report = Report::new(&answers, now());
    assert_eq!(
        report.table(),
        "SERVER  ROLE      READY  REVISION  LAG  TERM  URLS\n\
         a       leader    yes    7         0    3     https://a:6443\n\
         b       follower  yes    7         2    3     https://b:6443\n\
         c       follower  yes    7         0    3     https://c:6443\n\
         \n\
         LEASE           HOLDER  RENEWED\n\
         kube-scheduler  a_1     2s ago\n\
         \n\
         NODE  READY\n\
         n     True\n"
    );
    assert_eq!(report.problems, [""; 0]);
}

#[test]
fn a_dead_server_and_one_that_is_not_ready_are_problems() {
    let mut servers = three_well();
    servers[1].answer.as_mut().unwrap().ready =
        Err("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed".to_owned());
    servers[2].answer = Err("connection refused".to_owned());
    let report = Report::new(&answers(servers), now());
    assert_eq!(
        report.problems,
        [
            "server a is not ready: etcd failed: reason withheld",
            "server c does not answer: connection refused. Next: start it again, and look at its log",
        ]
    );
    assert!(report.table().contains("c       unreachable  -"), "{}", report.table());
    assert!(report.table().contains("a       leader       no"), "{}", report.table());
}

#[test]
fn a_minority_no_leader_and_two_leaders_are_problems() {
    let gone = || Err("gone".to_owned());
    let minority = vec![server("a", Ok(answer("a", 1))), server("b", gone()), server("c", gone())];
    let report = Report::new(&answers(minority), now());
    assert!(report.problems[2].starts_with("only 1 of 3 voters answer"), "{:?}", report.problems);

    let mut leaderless = three_well();
    for server in &mut leaderless {
        server.answer.as_mut().unwrap().store.leader = None;
    }
    let report = Report::new(&answers(leaderless), now());
    assert!(report.problems[0].starts_with("the store has no leader"), "{:?}", report.problems);

    let mut restarted = three_well();
    for server in &mut restarted {
        let leader = &mut server.answer.as_mut().unwrap().store.leader;
        *leader = leader.take().filter(|leader| *leader != server.member.replica);
    }
    let report = Report::new(&answers(restarted), now());
    assert!(report.problems[0].starts_with("nobody leads the store yet"), "{:?}", report.problems);

    let mut torn = three_well();
    torn[0].answer = Ok(answer("b", 40));
    let report = Report::new(&answers(torn), now());
    assert!(report.problems[0].starts_with("the replicas name different leaders"), "{:?}", report.problems);
}

#[test]
fn a_lease_that_ran_out_or_is_nobodys_is_a_problem() {
    for lost in [lease("a_1", "2026-01-02T03:03:00.000000Z"), lease("", "2026-01-02T03:04:05.000000Z")] {
        let report = Report::new(&Answers { leases: Ok(vec![lost]), ..answers(three_well()) }, now());
        assert!(
            report.problems[0].starts_with("nobody holds the Lease kube-scheduler"),
            "{:?}",
            report.problems
        );
    }
}

#[test]
fn a_node_that_is_not_ready_is_a_problem_and_says_why() {
    let report = Report::new(&Answers { nodes: Ok(vec![node("False")]), ..answers(three_well()) }, now());
    let expected = "node n is not ready: the runtime is down. Next: kubectl describe node n";
    assert_eq!(report.problems, [expected]);
    let silent: Node = serde_json::from_value(json!({"metadata": {"name": "n"}})).unwrap();
    let report = Report::new(&Answers { nodes: Ok(vec![silent]), ..answers(three_well()) }, now());
    assert_eq!(report.problems, ["node n is not ready. Next: kubectl describe node n"]);
}

#[test]
fn what_cannot_be_read_is_a_problem_and_not_an_empty_list() {
    let unread =
        Answers { leases: Err("timeout".into()), nodes: Err("timeout".into()), ..answers(three_well()) };
    let report = Report::new(&unread, now());
    assert_eq!(report.problems, ["Leases cannot be read: timeout", "nodes cannot be read: timeout"]);
}

#[test]
fn the_json_form_leaves_out_what_is_not_known() {
    let servers = vec![server("a", Ok(answer("a", 9))), server("b", Err("gone".to_owned()))];
    let json = serde_json::to_value(Report::new(&answers(servers), now())).unwrap();
    assert_eq!(json["servers"][0]["role"], "leader");
    assert_eq!(json["servers"][0]["state"]["revision"], 7);
    assert_eq!(json["servers"][1]["role"], "unreachable");
    assert_eq!(json["servers"][1].get("state"), None);
}

#[test]
fn a_node_that_takes_no_pods_because_it_is_short_of_something_is_a_problem() {
    let conditions = json!([{"type": "DiskPressure", "status": "True"}, {"type": "MemoryPressure", "status": "False"},
        {"type": "Ready", "status": "True"}]);
    let node = json!({"metadata": {"name": "n"}, "status": {"conditions": conditions}});
    let answers = Answers { nodes: Ok(vec![serde_json::from_value(node).unwrap()]), ..answers(three_well()) };
    let problems = Report::new(&answers, now()).problems;
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].starts_with("node n runs short of disk space, so no new pods go there"),
        "{problems:?}"
    );
}
