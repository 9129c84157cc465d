//! What is promised of the pod plan, shown by example.

use serde_json::{Value, json};

use super::*;
use crate::probes::verdicts::Verdict;
use crate::testing::{exited, instance, observed, pod, running, sized};

/// A pod with these init and main containers and this restart policy. A name that ends with `!` is a sidecar.
fn pod_of(policy: &str, init: &[&str], main: &[&str]) -> Pod {
    let init: Vec<Value> = init
        .iter()
        .map(|name| match name.strip_suffix('!') {
            Some(name) => json!({"name": name, "restartPolicy": "Always"}),
            None => json!({"name": name}),
        })
        .collect();
    let main: Vec<Value> = main.iter().map(|name| json!({"name": name})).collect();
    pod(json!({"restartPolicy": policy, "initContainers": init, "containers": main}))
}

fn quiet(pod: &Pod, observed: &Observed) -> Plan {
    plan(pod, observed, &Verdicts::default())
}

/// What `Keep` starts: init and main containers.
fn starts(plan: Plan) -> (Vec<usize>, Vec<usize>) {
    match plan {
        Plan::Keep { start, stop, .. } => {
            assert_eq!(stop, []);
            (start.init, start.main)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_pod_gets_a_sandbox_and_all_its_containers() {
    let pod = pod_of("Always", &[], &["a", "b"]);
    let start = Start { main: vec![0, 1], ..Start::default() };
    assert_eq!(quiet(&pod, &Observed::default()), Plan::Renew { attempt: 0, replaced: None, start });
}

#[test]
fn a_new_pod_with_init_containers_begins_with_the_first() {
    let pod = pod_of("Always", &["i", "j"], &["a"]);
    let start = Start { init: vec![0], ..Start::default() };
    assert_eq!(quiet(&pod, &Observed::default()), Plan::Renew { attempt: 0, replaced: None, start });
}

#[test]
fn a_pod_that_runs_is_left_alone() {
    let pod = pod_of("Always", &["i"], &["a"]);
    let observed = observed(vec![instance("i", 1, exited(1, 0)), instance("a", 3, running(3))]);
    assert_eq!(starts(quiet(&pod, &observed)), (vec![], vec![]));
}

#[test]
fn a_sandbox_that_is_dead_doubled_elsewhere_or_without_an_address_is_replaced() {
    let pod = pod_of("Always", &[], &["a"]);
    let spoil: [fn(&mut Observed); 4] = [
        |it| it.sandboxes[0].is_ready = false,
        |it| it.sandboxes.push(crate::testing::sandbox("t")),
        |it| it.sandboxes[0].is_host_network = true,
        |it| it.sandboxes[0].addresses.clear(),
    ];
    for spoil in spoil {
        let mut observed = observed(vec![instance("a", 1, exited(1, 0))]);
        observed.sandboxes[0].attempt = 4;
        spoil(&mut observed);
        let start = Start { main: vec![0], ..Start::default() };
        let expected = Plan::Renew { attempt: 5, replaced: Some("s".into()), start };
        assert_eq!(quiet(&pod, &observed), expected);
    }
}

#[test]
fn a_sandbox_in_the_nodes_network_needs_no_address() {
    let mut observed = observed(vec![instance("a", 1, running(1))]);
    observed.sandboxes[0].is_host_network = true;
    observed.sandboxes[0].addresses.clear();
    let pod = pod(json!({"hostNetwork": true, "containers": [{"name": "a"}]}));
    assert_eq!(starts(quiet(&pod, &observed)), (vec![], vec![]));
}

#[test]
fn a_pod_that_never_restarts_ends_with_its_sandbox() {
    let mut observed = observed(vec![instance("a", 1, exited(1, 255))]);
    observed.sandboxes[0].is_ready = false;
    assert_eq!(quiet(&pod_of("Never", &[], &["a"]), &observed), Plan::End);
    assert!(matches!(quiet(&pod_of("OnFailure", &[], &["a"]), &observed), Plan::Renew { attempt: 1, .. }));
    // Nothing had run in it: it is made again.
    observed.instances.clear();
    assert!(matches!(quiet(&pod_of("Never", &[], &["a"]), &observed), Plan::Renew { attempt: 1, .. }));
}

#[test]
fn what_has_succeeded_is_not_run_again_in_a_new_sandbox() {
    let mut observed = observed(vec![instance("a", 1, exited(1, 0)), instance("b", 1, exited(1, 1))]);
    observed.sandboxes[0].is_ready = false;
    let plan = quiet(&pod_of("OnFailure", &[], &["a", "b"]), &observed);
    assert!(matches!(plan, Plan::Renew { start: Start { main, .. }, .. } if main == [1]));
    observed.instances.retain(|it| it.name == "a");
    assert_eq!(quiet(&pod_of("OnFailure", &[], &["a"]), &observed), Plan::End);
}

#[test]
fn the_restart_policy_decides_about_main_containers_that_ended() {
    for (policy, exit_code, is_restarted) in [
        ("Always", 0, true),
        ("Always", 1, true),
        ("OnFailure", 0, false),
        ("OnFailure", 1, true),
        ("Never", 0, false),
        ("Never", 1, false),
    ] {
        let plan =
            quiet(&pod_of(policy, &[], &["a"]), &observed(vec![instance("a", 1, exited(1, exit_code))]));
        match is_restarted {
            true => assert_eq!(starts(plan), (vec![], vec![0]), "{policy} {exit_code}"),
            false => assert_eq!(plan, Plan::End, "{policy} {exit_code}"),
        }
    }
}

#[test]
fn one_container_that_runs_keeps_the_pod_alive() {
    let observed = observed(vec![instance("a", 1, exited(1, 0)), instance("b", 1, running(1))]);
    assert_eq!(starts(quiet(&pod_of("Never", &[], &["a", "b"]), &observed)), (vec![], vec![]));
}

#[test]
fn a_container_that_is_made_or_lost_is_started() {
    let pod = pod_of("Never", &[], &["a"]);
    assert_eq!(
        starts(quiet(&pod, &observed(vec![instance("a", 1, InstanceState::Created)]))),
        (vec![], vec![0])
    );
    match quiet(&pod, &observed(vec![instance("a", 1, InstanceState::Unknown)])) {
        Plan::Keep { stop, start, .. } => {
            assert_eq!(stop.len(), 1);
            assert_eq!(stop[0].message, "Container is in \"unknown\" state, try killing it before restart");
            assert_eq!(start.main, [0]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_probe_stops_a_container_which_the_policy_restarts() {
    for (kind, word, why) in
        [(Kind::Liveness, "liveness", Why::Liveness), (Kind::Startup, "startup", Why::Startup)]
    {
        let mut verdicts = Verdicts::default();
        verdicts.set(kind, "a-1", Verdict::Failure);
        let observed = observed(vec![instance("a", 1, running(1)), instance("b", 1, running(1))]);
        for (policy, suffix, main) in [("Always", ", will be restarted", vec![0]), ("Never", "", vec![])] {
            let plan = plan(&pod_of(policy, &[], &["a", "b"]), &observed, &verdicts);
            let message = format!("Container a failed {word} probe{suffix}");
            let stop = vec![Stop { id: "a-1".into(), container: "a".into(), message, why }];
            let start = Start { main, ..Start::default() };
            assert_eq!(plan, Plan::Keep { sandbox: "s".into(), stop, resize: Vec::new(), start });
        }
    }
}

#[test]
fn another_image_means_another_container_whatever_the_policy() {
    let mut old = instance("a", 1, running(1));
    old.marks.hash = "0".into();
    match quiet(&pod_of("Never", &[], &["a"]), &observed(vec![old])) {
        Plan::Keep { stop, start, .. } => {
            assert_eq!(stop[0].message, "Container a definition changed, will be restarted");
            assert_eq!(start.main, [0]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn init_containers_run_one_after_the_other() {
    let pod = pod_of("Always", &["i", "j"], &["a"]);
    for (instances, expected) in [
        (vec![], (vec![0], vec![])),
        (vec![instance("i", 1, running(1))], (vec![], vec![])),
        (vec![instance("i", 1, InstanceState::Created)], (vec![0], vec![])),
        (vec![instance("i", 1, exited(1, 0))], (vec![1], vec![])),
        (vec![instance("i", 1, exited(1, 1))], (vec![0], vec![])),
        (vec![instance("i", 1, exited(1, 0)), instance("j", 2, running(2))], (vec![], vec![])),
        (vec![instance("i", 1, exited(1, 0)), instance("j", 2, exited(2, 1))], (vec![1], vec![])),
        (vec![instance("i", 1, exited(1, 0)), instance("j", 2, exited(2, 0))], (vec![], vec![0])),
        // The first one's instance was removed meanwhile.
        (vec![instance("j", 2, exited(2, 0))], (vec![], vec![0])),
    ] {
        let observed = observed(instances);
        assert_eq!(starts(quiet(&pod, &observed)), expected, "{:?}", observed.instances);
    }
}

#[test]
fn init_containers_are_not_run_again_once_a_main_container_was_made() {
    let pod = pod_of("Always", &["i", "j"], &["a", "b"]);
    let observed = observed(vec![instance("a", 3, running(3))]);
    assert_eq!(starts(quiet(&pod, &observed)), (vec![], vec![1]));
}

#[test]
fn in_a_new_sandbox_init_containers_run_again() {
    let mut observed = observed(vec![instance("i", 1, exited(1, 0)), instance("a", 2, exited(2, 1))]);
    observed.sandboxes.insert(0, crate::testing::sandbox("t"));
    observed.sandboxes[1].is_ready = false;
    assert_eq!(starts(quiet(&pod_of("Always", &["i"], &["a"]), &observed)), (vec![0], vec![]));
}

#[test]
fn an_init_container_that_fails_ends_a_pod_that_never_restarts() {
    let pod = pod_of("Never", &["i"], &["a"]);
    assert_eq!(quiet(&pod, &observed(vec![instance("i", 1, exited(1, 1))])), Plan::End);
    assert_eq!(quiet(&pod, &observed(vec![instance("i", 1, InstanceState::Unknown)])), Plan::End);
}

#[test]
fn an_init_container_with_rules_about_exit_codes_is_tried_again_by_them() {
    let rule = json!([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]);
    let init = json!([{"name": "i", "restartPolicy": "Never", "restartPolicyRules": rule}]);
    let pod = pod(json!({"restartPolicy": "Never", "initContainers": init, "containers": [{"name": "a"}]}));
    let ended = |exit_code| observed(vec![instance("i", 1, exited(1, exit_code))]);
    assert_eq!(starts(quiet(&pod, &ended(42))), (vec![0], vec![]));
    assert_eq!(quiet(&pod, &ended(1)), Plan::End);
}

#[test]
fn the_next_container_begins_when_a_sidecar_runs() {
    let pod = pod_of("Always", &["s!", "i", "t!"], &["a"]);
    for (instances, expected) in [
        (vec![instance("s", 1, running(1))], (vec![1], vec![])),
        (vec![instance("s", 1, running(1)), instance("i", 2, running(2))], (vec![], vec![])),
        (vec![instance("s", 1, running(1)), instance("i", 2, exited(2, 0))], (vec![2], vec![])),
        (
            vec![instance("s", 1, running(1)), instance("i", 2, exited(2, 0)), instance("t", 3, running(3))],
            (vec![], vec![0]),
        ),
        // A sidecar that ended comes back, while the container after it goes on.
        (vec![instance("s", 1, exited(1, 0)), instance("i", 2, running(2))], (vec![0], vec![])),
        (
            vec![
                instance("s", 1, exited(1, 1)),
                instance("t", 3, exited(3, 0)),
                instance("a", 4, running(4)),
            ],
            (vec![0, 2], vec![]),
        ),
        // One whose instance was removed comes back, too.
        (vec![instance("a", 4, running(4))], (vec![0, 2], vec![])),
    ] {
        let observed = observed(instances);
        assert_eq!(starts(quiet(&pod, &observed)), expected, "{:?}", observed.instances);
    }
}

#[test]
fn a_sidecar_with_a_startup_probe_is_waited_for() {
    let pod = pod(json!({
        "initContainers": [{"name": "s", "restartPolicy": "Always", "startupProbe": {}, "livenessProbe": {}}],
        "containers": [{"name": "a"}],
    }));
    let observed = observed(vec![instance("s", 1, running(1))]);
    let mut verdicts = Verdicts::default();
    assert_eq!(starts(plan(&pod, &observed, &verdicts)), (vec![], vec![]));
    verdicts.set(Kind::Startup, "s-1", Verdict::Unknown);
    assert_eq!(starts(plan(&pod, &observed, &verdicts)), (vec![], vec![]));
    verdicts.set(Kind::Startup, "s-1", Verdict::Success);
    assert_eq!(starts(plan(&pod, &observed, &verdicts)), (vec![], vec![0]));
    for (kind, message) in [
        (Kind::Liveness, "Init container s failed liveness probe"),
        (Kind::Startup, "Init container s failed startup probe"),
    ] {
        let mut verdicts = verdicts.clone();
        verdicts.set(kind, "s-1", Verdict::Failure);
        match plan(&pod, &observed, &verdicts) {
            Plan::Keep { stop, start, .. } => {
                assert_eq!(stop[0].message, message);
                assert_eq!(start.init, [0]);
                // A liveness probe does not hold up what comes after.
                assert_eq!(start.main.is_empty(), kind == Kind::Startup);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn sidecars_alone_do_not_keep_a_pod_alive() {
    let pod = pod_of("Never", &["s!"], &["a"]);
    let observed = observed(vec![instance("s", 1, running(1)), instance("a", 2, exited(2, 0))]);
    assert_eq!(quiet(&pod, &observed), Plan::End);
}

#[test]
fn ephemeral_containers_run_once_even_before_the_pod_is_initialized() {
    let pod = pod(json!({"initContainers": [{"name": "i"}], "containers": [{"name": "a"}],
        "ephemeralContainers": [{"name": "e"}, {"name": "f"}]}));
    let observed = observed(vec![instance("i", 1, running(1)), instance("e", 2, exited(2, 1))]);
    match quiet(&pod, &observed) {
        Plan::Keep { start, .. } => assert_eq!(start, Start { ephemeral: vec![1], ..Start::default() }),
        other => panic!("{other:?}"),
    }
}

/// A sidecar `s` and a container `a`, which ask for so much CPU, and are restarted for more of it or not.
fn pod_asking(cpu: &str, policy: &str) -> Pod {
    let container = |name: &str| {
        json!({
            "name": name, "restartPolicy": if name == "s" { Some("Always") } else { None },
            "resources": {"requests": {"cpu": cpu}},
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": policy}],
        })
    };
    pod(json!({"initContainers": [container("s")], "containers": [container("a")]}))
}

#[test]
fn a_container_that_runs_gets_the_size_that_it_asks_for_once() {
    let (before, after) = (pod_asking("100m", "NotRequired"), pod_asking("200m", "NotRequired"));
    let mut observed =
        observed(spec::long_running(&before).zip([1, 2]).map(|(it, at)| sized(at, it)).collect());
    let resize = |plan| match plan {
        Plan::Keep { stop, resize, start, .. } => {
            assert_eq!((stop, start), (vec![], Start::default()));
            resize.into_iter().map(|it| it.id).collect::<Vec<String>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(resize(quiet(&before, &observed)), Vec::<String>::new());
    assert_eq!(resize(quiet(&after, &observed)), ["s-1", "a-2"]);
    // Whatever the kernel makes of it, the runtime was told.
    for instance in &mut observed.instances {
        let bounds = crate::config::resources::bounds(spec::container(&after, &instance.name).unwrap());
        instance.size.as_mut().unwrap().told = Some(bounds);
    }
    assert_eq!(resize(quiet(&after, &observed)), Vec::<String>::new());
    observed.instances.iter_mut().for_each(|instance| instance.size = None);
    assert_eq!(resize(quiet(&after, &observed)), Vec::<String>::new(), "nobody knows what it has");
}

#[test]
fn a_container_whose_policy_says_so_is_restarted_for_another_size() {
    let (before, after) = (pod_asking("100m", "RestartContainer"), pod_asking("200m", "RestartContainer"));
    let observed = observed(spec::long_running(&before).zip([1, 2]).map(|(it, at)| sized(at, it)).collect());
    let Plan::Keep { stop, resize, start, .. } = quiet(&after, &observed) else { panic!("it runs") };
    let messages: Vec<&str> = stop.iter().map(|stop| stop.message.as_str()).collect();
    assert_eq!(messages, ["Container s resize requires restart", "Container a resize requires restart"]);
    assert_eq!((resize, start), (vec![], Start { init: vec![0], main: vec![0], ..Start::default() }));
}
