//! Who makes room for whom.

use super::*;
use crate::cycle::Attempt;
use crate::testing::{Cluster, MakeNode, MakePod};

fn room(name: &str) -> MakeNode {
    MakeNode::named(name).capacity("4", "8Gi")
}

fn on(node: &str, name: &str, cpu: &str, priority: i32) -> MakePod {
    MakePod::named(name).container(cpu, "1Gi").priority(priority).node(node)
}

/// The node and the victims of a pod that asks for `cpu`, or the message.
fn plan_for(nodes: &[&str], pods: Vec<MakePod>, pod: MakePod) -> Result<(String, Vec<String>), String> {
    let mut cluster = Cluster::new(nodes.iter().map(|name| room(name)));
    pods.into_iter().for_each(|pod| cluster.pod(pod));
    cluster.pod(pod);
    match cluster.attempt() {
        Some(Attempt::Failed(failure)) => match failure.nomination {
            Nomination::For(Preemption { node, victims }) => {
                Ok((node.to_string(), victims.iter().map(|victim| victim.key.name.clone()).collect()))
            }
            Nomination::Keep | Nomination::Clear => Err(failure.message),
        },
        other => panic!("it was to find no node: {other:?}"),
    }
}

fn urgent(cpu: &str) -> MakePod {
    MakePod::named("urgent").container(cpu, "1Gi").priority(100)
}

#[test]
fn as_few_as_possible_leave_and_the_least_important_first() {
    let pods = vec![
        on("a", "low", "1", 1),
        on("a", "lower", "1", 0),
        on("a", "high", "1", 50),
        on("a", "equal", "1", 100),
    ];
    let plan = plan_for(&["a"], pods.clone(), urgent("1"));
    assert_eq!(plan, Ok(("a".to_owned(), vec!["lower".to_owned()])));
    let plan = plan_for(&["a"], pods.clone(), urgent("2"));
    assert_eq!(plan, Ok(("a".to_owned(), vec!["low".to_owned(), "lower".to_owned()])));
    let message = plan_for(&["a"], pods, urgent("4")).expect_err("an equal one stays");
    assert!(message.ends_with("preemption: 0/1 nodes are available: 1 Insufficient cpu."), "{message}");
}

#[test]
fn one_that_is_reprieved_by_another_that_leaves_stays() {
    // The large one alone makes enough room, and is less important than the small one.
    let pods = vec![on("a", "large", "3", 1), on("a", "small", "1", 2)];
    assert_eq!(plan_for(&["a"], pods, urgent("3")), Ok(("a".to_owned(), vec!["large".to_owned()])));
}

#[test]
fn the_node_whose_victims_matter_least_is_taken() {
    let choose = |pods| plan_for(&["a", "b"], pods, urgent("4")).map(|(node, _)| node);
    let b = Ok("b".to_owned());
    assert_eq!(choose(vec![on("a", "p", "4", 2), on("b", "q", "4", 1)]), b, "the highest priority");
    assert_eq!(
        choose(vec![
            on("a", "p", "2", 2),
            on("a", "p2", "2", 2),
            on("b", "q", "2", 2),
            on("b", "q2", "2", 1)
        ]),
        b,
        "the sum"
    );
    assert_eq!(
        choose(vec![on("a", "p", "2", 2), on("a", "p2", "2", -1), on("b", "q", "4", 2)]),
        b,
        "the number, however little each matters"
    );
    assert_eq!(
        choose(vec![on("a", "p", "4", 2).started(10), on("b", "q", "4", 2).started(20)]),
        b,
        "who has run the shortest"
    );
}

#[test]
fn among_equals_the_one_that_has_run_longest_stays() {
    let pods = vec![on("a", "young", "2", 1).started(20), on("a", "old", "2", 1).started(10)];
    assert_eq!(plan_for(&["a"], pods, urgent("2")), Ok(("a".to_owned(), vec!["young".to_owned()])));
}

#[test]
fn what_removing_pods_does_not_change_is_said_to_be_so() {
    let message = plan_for(&["a"], vec![on("a", "p", "4", 1)], urgent("5")).expect_err("it is too large");
    assert_eq!(
        message,
        "0/1 nodes are available: 1 Insufficient cpu. \
         preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    let never = urgent("4").never_preempting();
    let message = plan_for(&["a"], vec![on("a", "p", "4", 1)], never).expect_err("it does not want to");
    assert_eq!(
        message,
        "0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    );
}

#[test]
fn a_pod_whose_victims_are_on_their_way_waits_for_them() {
    let victim = on("a", "p", "4", 1).deleted().condition("DisruptionTarget", "True", PREEMPTED);
    let message = plan_for(&["a", "b"], vec![victim, on("b", "q", "4", 1)], urgent("4").nominated("a"));
    let message = message.expect_err("it waits");
    assert!(
        message.ends_with("preemption: not eligible due to a terminating pod on the nominated node."),
        "{message}"
    );
    let other = on("a", "p", "4", 1).deleted();
    let plan = plan_for(&["a"], vec![other], urgent("4").nominated("a"));
    assert_eq!(plan, Ok(("a".to_owned(), vec!["p".to_owned()])), "it leaves for another reason");
}

#[test]
fn a_port_is_room_too() {
    let holder = on("a", "p", "1", 1).host_port("TCP", "", 80);
    let pods = vec![holder, on("a", "bystander", "1", 0)];
    let plan = plan_for(&["a"], pods, urgent("1").host_port("TCP", "", 80));
    assert_eq!(plan, Ok(("a".to_owned(), vec!["p".to_owned()])));
}
