//! The store in one file: saved under load, by either tool, and made a cluster again.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::client::Read;
use crate::cluster::{Cluster, Member};
use crate::process;
use crate::space::incompressible;
use crate::wait::{self, PATIENCE};
use crate::writer::Writer;

/// How far beyond the saved revision a restored cluster begins.
const BUMP: i64 = 1_000_000_000;

#[tokio::test]
async fn a_snapshot_under_load_holds_all_that_was_acknowledged_before() {
    let cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let mut writer = Writer::start(cluster.clients_from(leader), "w");
    writer.goes_on(50).await;
    let before = cluster.members[leader].client.read_all(Read::Linearizable).await.unwrap();
    let file = cluster.folder.path().join("saved");
    let saved = save(&cluster, &file, leader);
    assert!(saved.status.success(), "{saved:?}");
    writer.goes_on(10).await;
    writer.finish().await;
    let held = status(&file);
    assert!(held["revision"].as_i64().unwrap() >= before.revision, "{held}");
    assert!(held["totalKey"].as_u64().unwrap() >= before.values.len() as u64, "{held}");
}

#[tokio::test]
async fn both_tools_save_the_same_and_every_member_serves_it_after_a_restore() {
    let mut cluster = Cluster::start().await;
    for key in ["a", "b", "c"] {
        cluster.members[0].client.put(key, key).await.unwrap();
    }
    let revision = cluster.members[0].client.put("a", "newer").await.unwrap();
    let file = cluster.folder.path().join("saved");
    let saved = save(&cluster, &file, 0);
    assert!(saved.status.success(), "{saved:?}");
    assert!(text(&saved.stdout).contains(&format!("revision {revision}, 3 keys")), "{saved:?}");
    let ours = status(&file);
    if let Some(theirs) = save_with_etcdctl(&cluster) {
        let theirs = status(&theirs);
        assert_eq!((&theirs["hash"], &theirs["totalSize"]), (&ours["hash"], &ours["totalSize"]));
    }

    // The same members with the same flags: only their folders are new.
    for member in 0..3 {
        cluster.members[member].kill();
        std::fs::remove_dir_all(&cluster.members[member].data_dir).unwrap();
        let restored = restore(&cluster.members[member], &cluster, &file);
        assert!(restored.status.success(), "{restored:?}");
        let again = restore(&cluster.members[member], &cluster, &file);
        assert!(text(&again.stderr).contains("is there already"), "{again:?}");
    }
    cluster.members.iter_mut().for_each(Member::start);
    wait::until("three voters", PATIENCE, async || {
        let members = cluster.members[0].client.members().await.ok()?;
        (members.len() == 3 && members.iter().all(|member| !member.is_learner)).then_some(())
    })
    .await;
    for member in &cluster.members {
        let contents = member.client.read_all(Read::Linearizable).await.unwrap();
        assert_eq!(contents.revision, revision + BUMP);
        let values: Vec<_> = contents.values.values().map(String::as_str).collect();
        assert_eq!(values, ["newer", "b", "c"]);
    }
    cluster.members[1].client.put("a", "newest").await.unwrap();
    let again = cluster.folder.path().join("again");
    assert!(save(&cluster, &again, 1).status.success());
    assert_ne!(status(&again)["cluster"], ours["cluster"], "a restored cluster is another one");
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_its_name() {
    let cluster = Cluster::start().await;
    let file = cluster.folder.path().join("saved");
    assert!(save(&cluster, &file, 0).status.success());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let refused =
        process::run(&["store".into(), "snapshot".into(), "status".into(), file.display().to_string()]);
    assert_eq!(refused.status.code(), Some(1));
    let printed = text(&refused.stderr);
    assert!(printed.contains(file.to_str().unwrap()) && printed.contains("it is damaged"), "{printed}");
    let elsewhere = Cluster::prepare(1, &[]);
    let refused = restore(&elsewhere.members[0], &elsewhere, &file);
    assert!(text(&refused.stderr).contains("it is damaged"), "{refused:?}");
    assert!(!elsewhere.members[0].data_dir.exists(), "what has failed leaves nothing");
}

/// Slow enough to be killed meanwhile.
const SLOWLY: [&str; 3] =
    ["--snapshot-bytes-per-second=8000000", "--snapshot-count=100", "--snapshot-catchup-entries=10"];

#[tokio::test]
async fn a_member_that_is_killed_while_it_receives_a_snapshot_goes_on_where_it_was() {
    const KEYS: usize = 60;
    let mut cluster = Cluster::start_with(&SLOWLY).await;
    let (leader, away) = (cluster.leader().await, cluster.follower().await);
    cluster.members[away].kill();
    let large = incompressible(1 << 20);
    for number in 0..KEYS {
        cluster.members[leader].client.put(&format!("large-{number}"), &large).await.unwrap();
    }
    let mut last = 0;
    for _ in 0..300 {
        last = cluster.members[leader].client.put("small", "v").await.unwrap();
    }
    cluster.members[away].start();
    let data_dir = cluster.members[away].data_dir.clone();
    wait::until("the first part is durable", PATIENCE, async || {
        (arrived(&data_dir) > 24 << 20).then_some(())
    })
    .await;
    cluster.members[away].kill();
    cluster.members[away].start();
    let contents = cluster.applied(away, last).await;
    assert_eq!(contents.values.len(), KEYS + 1);
    let printed = cluster.members[away].all_printed();
    assert!(printed.contains("a transfer goes on where it broke off"), "{printed}");
}

/// Bytes of a snapshot that is arriving.
fn arrived(data_dir: &Path) -> u64 {
    let folders = std::fs::read_dir(data_dir).into_iter().flatten().flatten();
    let arriving = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("incoming-"));
    let files = arriving.filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[tokio::test]
async fn a_member_that_backs_up_can_be_taken_back_to_any_revision() {
    let mut cluster = Cluster::prepare(1, &[]);
    let backup = cluster.folder.path().join("backup");
    cluster.members[0].set_flag("--backup-dir", &backup.display().to_string());
    cluster.start_all().await;
    let before = cluster.members[0].client.put("k", "before the mistake").await.unwrap();
    let mistake = cluster.members[0].client.put("k", "the mistake").await.unwrap();
    // What was begun to be written last may be cut short by the kill; what came before it is whole.
    cluster.members[0].client.put("k", "a lament").await.unwrap();
    wait::until("it is written down", PATIENCE, async || {
        let files =
            std::fs::read_dir(&backup).ok()?.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        files.into_iter().any(|file| file.windows(8).any(|part| part == b"a lament")).then_some(())
    })
    .await;
    cluster.members[0].kill();
    std::fs::remove_dir_all(&cluster.members[0].data_dir).unwrap();
    let restored = restore_with(&cluster.members[0], &cluster, &backup, &[format!("--to-revision={before}")]);
    assert!(restored.status.success(), "{restored:?}");
    cluster.start_all().await;
    let contents = cluster.members[0].client.read_all(Read::Linearizable).await.unwrap();
    assert_eq!(contents.values["k"], "before the mistake");
    assert!(contents.revision >= mistake + BUMP, "{}", contents.revision);
}

#[tokio::test]
async fn of_a_cluster_without_a_quorum_one_disk_becomes_a_new_one() {
    let mut cluster = Cluster::start().await;
    let revision = cluster.members[0].client.put("k", "v").await.unwrap();
    for member in 0..3 {
        cluster.applied(member, revision).await;
        cluster.members[member].kill();
    }
    let survivor = &cluster.members[2];
    let recover = |further: &[&str]| {
        // The flags of its unit file, which name all three.
        let mut arguments = survivor.arguments();
        arguments.insert(1, "recover".to_owned());
        arguments.extend(further.iter().map(|flag| (*flag).to_owned()));
        process::run(&arguments)
    };
    let told = recover(&[]);
    assert!(told.status.success(), "{told:?}");
    let printed = text(&told.stdout);
    assert!(printed.contains(&format!("survives at revision {revision}")), "{printed}");
    assert!(printed.contains("Nothing was changed"), "{printed}");
    let done = recover(&["--yes"]);
    assert!(done.status.success(), "{done:?}");

    // What it says comes next, and nothing else.
    assert!(text(&done.stdout).contains("start this member with the flags it always had"), "{done:?}");
    cluster.members[2].start();
    wait::until("the new cluster serves", PATIENCE, async || {
        cluster.members[2].client.put("k", "w").await.ok()
    })
    .await;
    // What is left of the old cluster cannot disturb it, nor form a quorum with it.
    cluster.members[0].start();
    wait::until("the old member is refused", PATIENCE, async || {
        cluster.members[0].process().printed().contains("is not this one").then_some(())
    })
    .await;
    assert_eq!(cluster.members[2].client.members().await.unwrap().len(), 1);
    cluster.members[0].kill();
    for other in 0..2 {
        std::fs::remove_dir_all(&cluster.members[other].data_dir).unwrap();
        cluster.members[other].set_flag("--initial-cluster-state", "existing");
        cluster.members[other].start();
    }
    wait::until("three voters", PATIENCE, async || {
        let members = cluster.members[2].client.members().await.ok()?;
        (members.len() == 3 && members.iter().all(|member| !member.is_learner)).then_some(())
    })
    .await;
    for member in &cluster.members {
        assert_eq!(member.client.read_all(Read::Linearizable).await.unwrap().values["k"], "w");
    }
}

fn save(cluster: &Cluster, file: &Path, from: usize) -> Output {
    let mut arguments = ["store", "snapshot", "save"].map(str::to_owned).to_vec();
    arguments.push(file.display().to_string());
    arguments.extend(cluster.client_flags(&cluster.members[from..=from]));
    process::run(&arguments)
}

/// `None` where it is not installed.
fn save_with_etcdctl(cluster: &Cluster) -> Option<std::path::PathBuf> {
    let file = cluster.folder.path().join("etcdctls");
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(cluster.client_flags(&cluster.members[..1]));
    match command.args(["snapshot", "save"]).arg(&file).output() {
        Err(_) => {
            println!("skipped: etcdctl is not installed");
            None
        }
        Ok(saved) => {
            assert!(saved.status.success(), "{saved:?}");
            Some(file)
        }
    }
}

fn status(file: &Path) -> Value {
    let arguments = ["store", "snapshot", "status", "-o", "json"].map(str::to_owned);
    let output = process::run(&[&arguments[..], &[file.display().to_string()]].concat());
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn restore(member: &Member, cluster: &Cluster, file: &Path) -> Output {
    restore_with(member, cluster, file, &[])
}

fn restore_with(member: &Member, cluster: &Cluster, file: &Path, further: &[String]) -> Output {
    let initial: Vec<_> =
        cluster.members.iter().map(|member| format!("{}={}", member.name, member.peer_url())).collect();
    let mut arguments = ["store", "snapshot", "restore"].map(str::to_owned).to_vec();
    arguments.extend([
        file.display().to_string(),
        format!("--name={}", member.name),
        format!("--data-dir={}", member.data_dir.display()),
        format!("--initial-cluster={}", initial.join(",")),
        format!("--initial-advertise-peer-urls={}", member.peer_url()),
        format!("--advertise-client-urls={}", member.client_url()),
    ]);
    arguments.extend_from_slice(further);
    process::run(&arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
