//! What an operator types: `keelson store status` and `snapshot`, help, and etcd's configuration file.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::process;

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
    for arguments in [
        &["--help"][..],
        &["store", "--help"],
        &["store", "snapshot", "restore", "--help"],
        &["pki", "--help"],
    ] {
        let help = process::run(&owned(arguments));
        assert_eq!(help.status.code(), Some(0), "{help:?}");
        assert!(text(&help.stdout).contains("Usage: keelson"), "{help:?}");
    }
    let wrong = process::run(&owned(&["store", "--no-such-flag"]));
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    let refused = process::run(&owned(&["store", "-auto-tls"]));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("--auto-tls=true is not possible here"), "{refused:?}");
}

#[test]
fn a_configuration_file_counts_instead_of_flags() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("etcd.yml");
    fs::write(&file, "name: a\nclient-transport-security:\n  auto-tls: true\n").unwrap();
    let flag = format!("--config-file={}", file.display());
    let refused = process::run(&owned(&["store", "--wal-dir=/nowhere", &flag]));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let printed = text(&refused.stderr);
    assert!(printed.contains("--wal-dir is ignored, as etcd does it"), "{printed}");
    assert!(printed.contains("--auto-tls=true is not possible here"), "{printed}");
}

#[test]
fn a_data_folder_of_etcd_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("member/snap")).unwrap();
    let flag = format!("--data-dir={}", folder.path().display());
    let refused = process::run(&owned(&["store", &flag]));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("etcd's own data is in there"), "{refused:?}");
}

fn status(cluster: &Cluster, further: &[&str]) -> Output {
    let mut arguments = owned(&["store", "status"]);
    arguments.extend(cluster.client_flags(&cluster.members));
    arguments.extend(owned(further));
    process::run(&arguments)
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
