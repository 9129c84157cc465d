//! What an operator types: `keelson store status`, help, and etcd's own `etcdctl`.

use std::io::ErrorKind;
use std::process::{Command, Output};

use serde_json::Value;

use crate::cluster::Cluster;
use crate::process;
use crate::wait::{self, PATIENCE};

#[tokio::test]
async fn status_says_who_leads_and_exits_with_0_only_if_all_is_well() {
    let mut cluster = Cluster::start().await;
    cluster.members[0].client.put("k", "").await.unwrap();
    let leader = cluster.leader().await;

    let well = status(&cluster, &[]);
    assert_eq!(well.status.code(), Some(0), "{well:?}");
    let table = text(&well.stdout);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.starts_with("ID "), "{table}");
    assert_eq!(table.matches(" follower ").count(), 2, "{table}");
    let row = table.lines().find(|line| line.contains(" leader ")).unwrap();
    assert!(row.contains(&format!(" {} ", cluster.members[leader].name)), "{table}");

    cluster.members[leader].kill();
    cluster.leader().await;
    let unwell = status(&cluster, &[]);
    assert_eq!(unwell.status.code(), Some(1), "{unwell:?}");
    let problem = format!("problem: {} does not answer: ", cluster.members[leader].name);
    assert!(text(&unwell.stdout).contains(&problem), "{unwell:?}");
    assert!(text(&unwell.stdout).contains(" unreachable "), "{unwell:?}");
}

#[tokio::test]
async fn status_in_json_is_for_programs() {
    let mut cluster = Cluster::start().await;
    let revision = cluster.members[0].client.put("k", "").await.unwrap();
    for member in 0..3 {
        cluster.applied(member, revision).await;
    }
    let leader = cluster.leader().await;

    let well = json(&status(&cluster, &["-o", "json"]), 0);
    assert_eq!(well["problems"], Value::Array(Vec::new()));
    let members = well["members"].as_array().unwrap();
    assert_eq!(members.iter().map(|member| &member["name"]).collect::<Vec<_>>(), ["a", "b", "c"]);
    for (index, member) in members.iter().enumerate() {
        assert_eq!(member["role"], if index == leader { "leader" } else { "follower" }, "{well}");
        assert_eq!(member["state"]["revision"], revision, "{well}");
        assert_eq!(member["clientUrls"][0], cluster.members[index].client_url(), "{well}");
    }

    cluster.members[leader].kill();
    let unwell = json(&status(&cluster, &["-o", "json"]), 1);
    assert_eq!(unwell["members"][leader]["role"], "unreachable", "{unwell}");
    assert!(!unwell["problems"].as_array().unwrap().is_empty(), "{unwell}");
}

#[tokio::test]
async fn status_of_a_cluster_that_is_down_fails_with_the_reasons() {
    let cluster = Cluster::prepare(3, &[]);
    let down = status(&cluster, &[]);
    assert_eq!(down.status.code(), Some(1), "{down:?}");
    let printed = text(&down.stderr);
    assert!(printed.starts_with("keelson: no endpoint answers:"), "{printed}");
    for member in &cluster.members {
        assert!(printed.contains(&format!("{}: ", member.client_url())), "{printed}");
    }
}

#[test]
fn help_runs_and_wrong_use_exits_with_2() {
    for arguments in
        [&["--help"][..], &["store", "--help"], &["store", "status", "--help"], &["pki", "--help"]]
    {
        let help = process::run(&owned(arguments));
        assert_eq!(help.status.code(), Some(0), "{help:?}");
        assert!(text(&help.stdout).contains("Usage: keelson"), "{help:?}");
    }
    let wrong = process::run(&owned(&["store", "--no-such-flag"]));
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let incomplete = process::run(&owned(&["store"]));
    assert_eq!(incomplete.status.code(), Some(1), "{incomplete:?}");
    assert!(text(&incomplete.stderr).contains("--listen-client-urls is missing: give it"), "{incomplete:?}");
}

#[tokio::test]
async fn etcdctl_works_on_it_as_on_etcd() {
    match Command::new("etcdctl").arg("version").env("ETCDCTL_API", "3").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: etcdctl is not installed");
            return;
        }
        version => println!("{}", text(&version.unwrap().stdout)),
    }
    let mut cluster = Cluster::start().await;
    assert_eq!(etcdctl(&cluster, &["put", "hello", "world"]), "OK\n");
    assert_eq!(etcdctl(&cluster, &["get", "hello"]), "hello\nworld\n");
    let members = etcdctl(&cluster, &["member", "list"]);
    assert_eq!(members.matches(", started, ").count(), 3, "{members}");
    let states = etcdctl(&cluster, &["endpoint", "status"]);
    assert_eq!(states.lines().count(), 3, "{states}");
    assert_eq!(states.matches(", true, false, ").count(), 1, "one of them leads: {states}");
    let keys = etcdctl(&cluster, &["get", "--prefix", "", "--keys-only"]);
    assert_eq!(keys, "hello\n\n");
    assert_eq!(etcdctl(&cluster, &["del", "hello"]), "1\n");

    let leader = cluster.leader().await;
    cluster.members[leader].kill();
    wait::until("etcdctl writes through those that are left", PATIENCE, async || {
        let put = run_etcdctl(&cluster, &["put", "after", "all"]);
        put.status.success().then_some(())
    })
    .await;
    assert_eq!(etcdctl(&cluster, &["get", "after"]), "after\nall\n");
}

fn status(cluster: &Cluster, further: &[&str]) -> Output {
    let file = |path: &str| cluster.pki.file(path).display().to_string();
    let mut arguments = owned(&["store", "status", "--endpoints", &endpoints(cluster)]);
    arguments.extend(["--cacert".to_owned(), file("client-ca.crt")]);
    arguments.extend(["--cert".to_owned(), file("clients/root.crt")]);
    arguments.extend(["--key".to_owned(), file("clients/root.key")]);
    arguments.extend(owned(further));
    process::run(&arguments)
}

fn etcdctl(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = run_etcdctl(cluster, arguments);
    assert!(output.status.success(), "etcdctl {arguments:?}: {output:?}");
    text(&output.stdout)
}

fn run_etcdctl(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").arg("--endpoints").arg(endpoints(cluster));
    command.arg("--cacert").arg(cluster.pki.file("client-ca.crt"));
    command.arg("--cert").arg(cluster.pki.file("clients/root.crt"));
    command.arg("--key").arg(cluster.pki.file("clients/root.key"));
    command.args(arguments).output().unwrap()
}

fn endpoints(cluster: &Cluster) -> String {
    cluster.members.iter().map(|member| member.client_url()).collect::<Vec<_>>().join(",")
}

fn json(output: &Output, code: i32) -> Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
