//! Data folders that a member must not work with: it ends with one sentence that names the file and the cure.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use keelson_proto::etcd::rpc::RangeRequest;
use keelson_proto::etcd::rpc::kv_client::KvClient;

use crate::client::{Contents, Read};
use crate::cluster::{Cluster, free_port};
use crate::process::Process;
use crate::wait::{self, PATIENCE};
use crate::writer::{self, Writer};

#[tokio::test]
async fn flags_of_another_cluster_are_told_of_and_ignored_where_there_is_data() {
    let mut cluster = with_some_data().await;
    for (flag, value, told) in [
        ("--initial-cluster-token", "another", "are not those that this member's cluster began with"),
        ("--initial-cluster", "z=https://127.0.0.9:1", "does not name this member"),
        ("--initial-cluster-state", "existing", "It is ignored: the data folder says"),
    ] {
        cluster.members[0].set_flag(flag, value);
        cluster.start_all().await;
        let printed = cluster.members[0].process().printed();
        assert!(printed.contains(told), "{printed}");
        assert_eq!(cluster.members[0].client.read_all(Read::Linearizable).await.unwrap().values["k"], "19");
        cluster.members[0].kill();
    }
}

#[tokio::test]
async fn a_damaged_log_is_refused() {
    let mut cluster = with_some_data().await;
    let file = newest_log(&cluster.members[0].data_dir.join("log"));
    flip_in_the_middle(&file);
    let arguments = cluster.members[0].arguments();
    let process = cluster.members[0].attempt(&arguments);
    let file = file.display().to_string();
    expect_refusal(process, &[&file, "is damaged", "remove its data folder"]).await;
}

#[tokio::test]
async fn a_data_folder_in_use_is_refused_and_its_member_is_not_disturbed() {
    let mut cluster = with_some_data().await;
    cluster.start_all().await;
    let lock = cluster.members[0].data_dir.join(".lock").display().to_string();
    let member = &mut cluster.members[0];
    let (client_port, peer_port) = (member.client_port, member.peer_port);
    (member.client_port, member.peer_port) = (free_port(), free_port());
    let mut arguments = member.arguments();
    arguments.retain(|argument| !argument.starts_with("--initial-cluster="));
    (member.client_port, member.peer_port) = (client_port, peer_port);
    let process = member.attempt(&arguments);
    expect_refusal(process, &[&lock, "another process", "stop it", "another folder"]).await;
    cluster.members[0].client.put("k", "2").await.unwrap();
}

#[tokio::test]
async fn data_of_another_format_is_refused() {
    for (store, format, cure) in [
        ("log", 9, "newer version; run that version"),
        ("state", 9, "newer version; run that version"),
        ("log", 1, "begin anew"),
    ] {
        let mut cluster = with_some_data().await;
        let found = folder_of_role(&cluster.members[0].data_dir, store);
        let file = found.join("FORMAT");
        let facts = format!("keelson-store format={format} role={store}");
        fs::write(&file, format!("{facts} crc32c={:08x}\n", crc32c::crc32c(facts.as_bytes()))).unwrap();
        let arguments = cluster.members[0].arguments();
        let process = cluster.members[0].attempt(&arguments);
        let file = file.display().to_string();
        expect_refusal(process, &[&file, &format!("has format {format}"), cure]).await;
    }
}

#[tokio::test]
async fn a_wiped_disk_under_its_old_name_does_not_join_and_says_what_to_do() {
    let mut cluster = Cluster::start().await;
    // The first by name is the one that founds a cluster where there is none.
    let wiped = 0;
    let revision = writer::put(&cluster.clients_from(wiped), "k", "kept").await;
    for other in 0..cluster.members.len() {
        cluster.applied(other, revision).await;
    }
    cluster.members[wiped].kill();
    fs::remove_dir_all(&cluster.members[wiped].data_dir).unwrap();

    let arguments = cluster.members[wiped].arguments();
    let process = cluster.members[wiped].attempt(&arguments);
    let words = ["\"a\" is a member with id", "a wiped or foreign disk", "`etcdctl member remove`"];
    expect_refusal(process, &words).await;
    let survivor = cluster.leader().await;
    let log = cluster.members[survivor].process().printed();
    let refusals = log.lines().filter(|line| line.contains(" WARN ") && line.contains("a peer was refused"));
    let wiped_disks = refusals.filter(|line| line.contains("a wiped or foreign disk")).count();
    assert_eq!(wiped_disks, 1, "whoever refuses says so once:\n{log}");
    let client = &cluster.members[survivor].client;
    assert_eq!(client.read_all(Read::Linearizable).await.unwrap().values["k"], "kept");
    client.put("k", "goes on").await.unwrap();
    assert_eq!(client.members().await.unwrap().len(), 3, "the wiped one is still to be removed");
}

#[tokio::test]
async fn a_member_whose_state_and_snapshot_are_damaged_says_so_and_is_refilled_by_the_others() {
    let (mut cluster, damaged) = with_tables_on_a_follower().await;
    cluster.members[damaged].kill();
    damage_tables(&cluster.members[damaged].data_dir);
    let found = whole_again(&mut cluster, damaged).await;
    assert_eq!(found.values["k19"], "199");
    let printed = cluster.members[damaged].all_printed();
    assert!(
        printed.contains("is damaged") && printed.contains("refilled with a peer's snapshot"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_member_that_finds_damage_while_it_runs_starts_again_by_itself() {
    /// More than the cache of blocks holds, so that reads come to the disk.
    const VALUES: usize = 60;
    let mut cluster = Cluster::start_with(&["--snapshot-count=20"]).await;
    let damaged = cluster.follower().await;
    let client = cluster.members[damaged].client.clone();
    let value = "v".repeat(700 << 10);
    for write in 0..VALUES {
        writer::put(&cluster.clients_from(damaged), &format!("k{write}"), &format!("{write}{value}")).await;
    }
    damage_tables(&cluster.members[damaged].data_dir);
    let mut kv = KvClient::new(client.channel().clone()).max_decoding_message_size(8 << 20);
    wait::until("it has started again", PATIENCE, async || {
        for write in 0..VALUES {
            let key = format!("k{write}").into();
            // What is read is what is found to be damaged.
            let _ = kv.range(RangeRequest { key, serializable: true, ..RangeRequest::default() }).await;
        }
        assert_eq!(cluster.members[damaged].process().ended(), None, "it has ended");
        let printed = cluster.members[damaged].process().printed();
        (printed.contains("this member starts again by itself") && printed.contains("made anew"))
            .then_some(())
    })
    .await;
    wait::until("it serves", PATIENCE, async || client.put("after", "x").await.ok()).await;
}

#[tokio::test]
async fn a_member_with_a_damaged_entry_says_so_and_is_refilled_by_the_others() {
    let mut cluster = Cluster::start().await;
    let damaged = cluster.follower().await;
    let value = "x".repeat(16 << 10);
    let mut revision = 0;
    for key in ["a", "b", "c"] {
        revision = writer::put(&cluster.clients_from(damaged), key, &value).await;
    }
    cluster.applied(damaged, revision).await;
    cluster.members[damaged].kill();
    // Most of the file are the three values.
    flip_in_the_middle(&newest_log(&cluster.members[damaged].data_dir.join("log")));
    let found = whole_again(&mut cluster, damaged).await;
    assert_eq!(found.values["b"], value);
    let printed = cluster.members[damaged].all_printed();
    assert!(
        printed.contains("is damaged") && printed.contains("refilled with a peer's snapshot"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_disk_that_was_rolled_back_harms_nobody_else() {
    let mut cluster = Cluster::start().await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let third = (0..3).find(|index| ![leader, follower].contains(index)).unwrap();
    let revision = writer::put(&cluster.clients_from(leader), "k", "old").await;
    cluster.applied(follower, revision).await;
    cluster.members[follower].kill();
    let (data, backup) = (cluster.members[follower].data_dir.clone(), cluster.folder.path().join("backup"));
    copy_folder(&data, &backup);
    cluster.start_all().await;
    // Acknowledged by the leader and the follower alone.
    cluster.members[third].kill();
    let mut writer = Writer::start(cluster.clients_from(leader), "w");
    writer.goes_on(50).await;
    cluster.members[follower].kill();
    cluster.members[third].start();
    writer.goes_on(50).await;
    let history = writer.finish().await;
    cluster.applied(third, history.last_revision()).await;

    fs::remove_dir_all(&data).unwrap();
    fs::rename(&backup, &data).unwrap();
    cluster.members[follower].start();
    let client = cluster.members[follower].client.clone();
    wait::until("the one that was rolled back has met the others", PATIENCE, async || {
        let is_over = cluster.members[follower].process().ended().is_some();
        let has_caught_up = client.read_all(Read::Serializable).await;
        let has_caught_up = has_caught_up.is_ok_and(|found| found.revision >= history.last_revision());
        let others_ended = [leader, third].map(|other| cluster.members[other].process().ended());
        assert_eq!(others_ended, [None, None], "the leader and the third: a stranger's disk ended them");
        (is_over || has_caught_up).then_some(())
    })
    .await;
    let contents = cluster.members[third].client.read_all(Read::Linearizable).await.unwrap();
    history.assert_all_in(&contents.values);
}

/// One member, killed after it has acknowledged some writes.
async fn with_some_data() -> Cluster {
    let mut cluster = Cluster::prepare(1, &[]);
    cluster.start_all().await;
    for write in 0..20 {
        cluster.members[0].client.put("k", &write.to_string()).await.unwrap();
    }
    cluster.members[0].kill();
    cluster
}

/// Three members, and one of them that does not lead and has written its state out.
async fn with_tables_on_a_follower() -> (Cluster, usize) {
    let cluster = Cluster::start_with(&["--snapshot-count=50"]).await;
    let follower = cluster.follower().await;
    let mut revision = 0;
    for write in 0..200 {
        let key = format!("k{}", write % 20);
        revision = writer::put(&cluster.clients_from(follower), &key, &write.to_string()).await;
    }
    cluster.applied(follower, revision).await;
    (cluster, follower)
}

/// Flips bits in each table of a member.
fn damage_tables(data_dir: &Path) {
    let tables = tables(data_dir);
    assert!(!tables.is_empty(), "a snapshot writes the state out");
    for table in tables {
        let mut bytes = fs::read(&table).unwrap();
        // The first blocks are the records. A running member has the end of the file in memory.
        bytes.iter_mut().skip(10).step_by(64 << 10).for_each(|byte| *byte ^= 1);
        fs::write(&table, bytes).unwrap();
    }
}

/// Starts a damaged member, and waits until it serves what the others have, which takes nobody to start it again.
async fn whole_again(cluster: &mut Cluster, damaged: usize) -> Contents {
    cluster.members[damaged].start();
    let client = cluster.members[damaged].client.clone();
    wait::until("the damaged member is whole", PATIENCE, async || {
        assert_eq!(cluster.members[damaged].process().ended(), None, "it has ended");
        client.read_all(Read::Linearizable).await.ok()
    })
    .await
}

fn flip_in_the_middle(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[written / 2] ^= 1;
    fs::write(file, bytes).unwrap();
}

/// The tables of a member's state, and of its snapshots; one name of each, for a snapshot shares those that it can.
fn tables(data_dir: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path());
    let states = folders.filter(|folder| folder.is_dir() && !folder.ends_with("log"));
    let files = states.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    let tables = files.filter(|file| file.extension().is_some_and(|extension| extension == "sst"));
    let by_inode = tables.map(|table| (fs::metadata(&table).unwrap().ino(), table));
    by_inode.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// The newest segment of a log.
fn newest_log(store: &Path) -> PathBuf {
    let files = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).max().unwrap()
}

/// The store in a data folder whose `FORMAT` names the role. That of the state has no fixed name.
fn folder_of_role(data_dir: &Path, role: &str) -> PathBuf {
    let role = format!("role={role} ");
    let folders = fs::read_dir(data_dir).unwrap().map(|entry| entry.unwrap().path());
    let format = |folder: &Path| fs::read_to_string(folder.join("FORMAT")).unwrap_or_default();
    folders.into_iter().find(|folder| format(folder).contains(&role)).unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The process must end as failed, with one last line that says all of `words`.
async fn expect_refusal(process: Process, words: &[&str]) {
    let (status, printed): (ExitStatus, String) = process.exit(PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{printed}");
    let sentence = printed.lines().last().unwrap();
    assert!(sentence.starts_with("keelson: "), "{printed}");
    assert!(!printed.contains("panicked"), "{printed}");
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
}
