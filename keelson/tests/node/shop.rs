//! The shop of the README: what a newcomer does with it, from `kubectl apply` to `kubectl delete`.

use std::process::Stdio;

use crate::lab::{Lab, NODE_ADDRESS};
use crate::machine::{self, checkout};
use crate::space::Space;
use crate::wait;

const OPEN: &str = "open from nine to five";

/// Two names of one image, and the name of none.
const IMAGE: &str = "docker.io/library/busybox:1.36";
const OTHER_IMAGE: &str = "busybox:1.36";
const ABSENT_IMAGE: &str = "localhost/absent:1";

#[test]
fn a_newcomers_walk_through_the_shop() {
    if !machine::can_run("shop") {
        return;
    }
    let lab = Lab::start("shop");
    let shop = Space::named(&lab, "shop");
    opens(&shop);
    applied_again_nothing_changes(&shop);
    is_seen(&shop);
    logs(&shop);
    commands_run_in_containers(&shop);
    grows_and_shrinks(&shop);
    gets_another_image_and_the_first_one_back(&shop);
    closes_and_leaves_nothing(&shop);
}

fn apply(shop: &Space<'_>) -> String {
    shop.run(&["apply", "-f", checkout("examples/shop.yaml").to_str().unwrap()]).ok()
}

/// The name of one of the web server's pods.
fn a_pod(shop: &Space<'_>) -> String {
    shop.pods("app", "web").unwrap()[0]["metadata"]["name"].as_str().unwrap().to_owned()
}

fn opens(shop: &Space<'_>) {
    let applied = apply(shop);
    assert_eq!(applied.lines().filter(|line| line.ends_with(" created")).count(), 6, "{applied}");
    let rolled_out = shop.ok("rollout status deployment/web --timeout=60s");
    assert!(rolled_out.contains("deployment \"web\" successfully rolled out"), "{rolled_out}");
    assert_eq!(shop.ok("get deployment web -o jsonpath={.status.readyReplicas}"), "3");
    shop.ok("wait --for=condition=Available deployment/web --timeout=60s");
    shop.ok("wait --for=condition=Complete job/first-customer --timeout=60s");
    // Attempts before there was a ready pod are in it, too.
    let heard = shop.ok("logs job/first-customer");
    let last = heard.lines().last().unwrap();
    assert!(last.starts_with("web-") && last.ends_with(OPEN), "{heard}");
}

/// What the manifest names, each with its version.
fn versions(shop: &Space<'_>) -> String {
    let manifest = checkout("examples/shop.yaml");
    let columns = "custom-columns=KIND:.kind,NAME:.metadata.name,VERSION:.metadata.resourceVersion";
    shop.run(&["get", "-f", manifest.to_str().unwrap(), "-o", columns]).ok()
}

fn applied_again_nothing_changes(shop: &Space<'_>) {
    let before = versions(shop);
    let applied = apply(shop);
    assert!(applied.lines().all(|line| line.ends_with(" unchanged")), "{applied}");
    assert_eq!(versions(shop), before);
}

fn is_seen(shop: &Space<'_>) {
    let all = shop.ok("get all");
    let rows: Vec<String> =
        all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for (start, words) in [
        ("pod/web-", "1/1 Running 0"),
        ("pod/first-customer-", "0/1 Completed 0"),
        ("service/web ", "ClusterIP 10.96."),
        ("deployment.apps/web ", "3/3 3 3"),
        ("replicaset.apps/web-", "3 3 3"),
        ("job.batch/first-customer ", "Complete 1/1"),
    ] {
        let found = rows.iter().any(|row| row.starts_with(start) && row.contains(words));
        assert!(found, "{start} {words} is not in\n{all}");
    }
    let described = shop.ok(&format!("describe pod {}", a_pod(shop)));
    let node = format!("worker/{NODE_ADDRESS}");
    for part in ["Scheduled", "Pulled", "Created", "Started", &node, "Liveness:", "QoS Class:"] {
        assert!(described.contains(part), "{part} is not in\n{described}");
    }
    let described = shop.ok("describe deployment web");
    let counts = "3 desired | 3 updated | 3 total | 3 available | 0 unavailable";
    assert!(described.contains(counts), "{described}");
    let described = shop.ok("describe service web");
    assert_eq!(described.matches(":8080").count(), 3, "{described}");
    let node = shop.ok("describe node");
    assert_eq!(node.lines().filter(|line| line.contains(" web-")).count(), 3, "its pods: {node}");
}

fn logs(shop: &Space<'_>) {
    let probed = shop.ok(&format!("logs {} --tail=1", a_pod(shop)));
    assert!(probed.contains("response:200") && probed.lines().count() == 1, "{probed}");
    assert!(shop.ok("logs deployment/web --timestamps --since=1m").starts_with("20"));
    let count = "for i in 1 2 3; do echo line $i; sleep 0.3; done";
    let run = ["run", "counter", "--image", OTHER_IMAGE, "--restart=Never", "--", "sh", "-c", count];
    shop.run(&run).ok();
    shop.until_pod("counter", "is started", |pod| (pod["status"]["phase"] != "Pending").then_some(()));
    assert_eq!(shop.ok("logs -f counter"), "line 1\nline 2\nline 3\n", "it ends with the container");
    shop.ok("wait --for=jsonpath={.status.phase}=Succeeded pod/counter --timeout=60s");
    shop.ok("delete pod counter");
}

fn commands_run_in_containers(shop: &Space<'_>) {
    let pod = a_pod(shop);
    assert_eq!(shop.shell(&pod, "cat /www/who"), format!("{pod} {OPEN}\n"));
    assert_eq!(shop.shell(&pod, "echo $PIN"), "4711\n");
    let failed = shop.exec(&pod, &["sh", "-c", "echo lost >&2; exit 7"]);
    assert!(!failed.succeeded, "{failed:?}");
    assert_eq!(failed.err, "lost\ncommand terminated with exit code 7\n");
    // The end of the input arrives, or these would never return.
    let input = |command: &[&str], text: &str| {
        shop.run_with(&[&["exec", "-i", &pod, "--"], command].concat(), text).ok()
    };
    assert_eq!(input(&["cat"], "x\n"), "x\n");
    let much = "0123456789abcdef".repeat(1 << 16);
    assert_eq!(input(&["cat"], &much), much);
    assert_eq!(terminal(shop, &format!("exec -it {pod} -- tty")), "/dev/pts/0\r\n");
}

/// What kubectl prints at a terminal.
fn terminal(shop: &Space<'_>, line: &str) -> String {
    let kubeconfig = shop.lab.servers.kubeconfig("clients/admin");
    let line = format!("kubectl --kubeconfig={} -n {} {line}", kubeconfig.display(), shop.name);
    let mut script = shop.lab.servers.network().command("script");
    script.env("HOME", shop.lab.servers.file("home")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = script.args(["--quiet", "--return", "--command", &line, "/dev/null"]).spawn().unwrap();
    // Open to the end: the end of its input would be a character at the terminal, which the container may echo.
    let _input = script.stdin.take();
    let output = script.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn grows_and_shrinks(shop: &Space<'_>) {
    let watch =
        shop.follow("get pods -l app=web --watch-only -o custom-columns=STATUS:.status.phase --no-headers");
    shop.ok("scale deployment web --replicas=4");
    shop.ok("rollout status deployment/web --timeout=60s");
    let mut phases = Vec::new();
    while phases.last().is_none_or(|phase| phase != "Running") {
        phases.push(watch.next());
    }
    assert_eq!(phases[0], "Pending", "{phases:?}");
    shop.ok("scale deployment web --replicas=2");
    wait::until("two pods are left", || {
        let pods = shop.pods("app", "web")?;
        if pods.len() == 2 { Ok(()) } else { Err(format!("{} pods", pods.len())) }
    });
    shop.ok("scale deployment web --replicas=3");
    shop.ok("rollout status deployment/web --timeout=60s");
}

fn image(shop: &Space<'_>) -> String {
    shop.ok("get deployment web -o jsonpath={.spec.template.spec.containers[0].image}")
}

fn gets_another_image_and_the_first_one_back(shop: &Space<'_>) {
    shop.ok(&format!("set image deployment/web httpd={OTHER_IMAGE}"));
    shop.ok("rollout status deployment/web --timeout=120s");
    shop.ok(&format!("set image deployment/web httpd={ABSENT_IMAGE}"));
    wait::until("the image is missed", || {
        let pods = shop.pods("app", "web")?;
        let reasons =
            pods.iter().map(|pod| &pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]);
        let reasons: Vec<_> = reasons.collect();
        let is_missed =
            reasons.iter().any(|reason| *reason == "ErrImagePull" || *reason == "ImagePullBackOff");
        if is_missed { Ok(()) } else { Err(format!("{reasons:?}")) }
    });
    assert_eq!(
        shop.ok("get deployment web -o jsonpath={.status.availableReplicas}"),
        "3",
        "the old ones stay"
    );
    shop.ok("rollout undo deployment/web");
    shop.ok("rollout status deployment/web --timeout=120s");
    assert_eq!(image(shop), OTHER_IMAGE);
    let history = shop.ok("rollout history deployment/web");
    assert!(history.lines().any(|line| line.starts_with('4')), "{history}");
    shop.ok("rollout undo deployment/web --to-revision=1");
    shop.ok("rollout status deployment/web --timeout=120s");
    assert_eq!(image(shop), IMAGE);
}

fn closes_and_leaves_nothing(shop: &Space<'_>) {
    for (kind, found) in shop.lab.remains() {
        assert!(!found.is_empty(), "no {kind} are found while there are pods");
    }
    let deleted = shop.lab.admin.ok("delete namespace shop --timeout=100s");
    assert_eq!(deleted, "namespace \"shop\" deleted\n");
    let gone = shop.lab.admin.fails("get namespace shop");
    assert!(gone.contains("namespaces \"shop\" not found"), "{gone}");
    shop.lab.nothing_remains();
}
