//! A process that is killed: what it had synced is there, and the log has no hole.
//!
//! The test starts itself again as the process to be killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

const FOLDER: &str = "KEELSON_TEST_KILL_FOLDER";

/// Writes and syncs until killed, saying after each sync how many entries are durable.
fn write_until_killed(dir: &Path) -> ! {
    let disk = disk_in(dir);
    let log = disk.open("log", Role::Log).unwrap();
    let state = disk.open("state", Role::State).unwrap();
    for number in 0_u64.. {
        for (engine, families) in
            [(&log, [Family::LogMeta, Family::LogEntries]), (&state, [Family::Meta, Family::Keys])]
        {
            let mut batch = Batch::default();
            families.iter().for_each(|family| batch.put(*family, number.to_be_bytes().to_vec(), "v"));
            engine.write(batch).unwrap();
        }
        if number % 8 == 7 {
            log.sync().unwrap();
            state.sync().unwrap();
            println!("synced {}", number + 1);
        }
    }
    unreachable!("there are more numbers than time")
}

fn start_writer(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::kill::synced_data_survives_a_kill", "--nocapture"])
        .env(FOLDER, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Number of entries, which must be the first ones.
fn count(engine: &dyn Engine, family: Family) -> u64 {
    let mut cursor = engine.cursor(family);
    cursor.seek(b"").unwrap();
    let mut count = 0_u64;
    while let Some((key, _)) = cursor.entry() {
        assert_eq!(key, count.to_be_bytes(), "an entry is missing in the middle");
        count += 1;
        cursor.next().unwrap();
    }
    count
}

#[test]
fn synced_data_survives_a_kill() {
    if let Some(dir) = std::env::var_os(FOLDER) {
        write_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = start_writer(dir.path());
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let synced = lines
        .filter_map(|line| line.unwrap().strip_prefix("synced ")?.parse::<u64>().ok())
        .find(|synced| *synced >= 80);
    child.kill().unwrap();
    child.wait().unwrap();

    let synced = synced.expect("the writer said that it had synced");
    let disk = disk_in(dir.path());
    let log = disk.open("log", Role::Log).unwrap();
    let state = disk.open("state", Role::State).unwrap();
    for (engine, families) in
        [(&log, [Family::LogMeta, Family::LogEntries]), (&state, [Family::Meta, Family::Keys])]
    {
        let [one, other] = families.map(|family| count(&**engine, family));
        assert!(one >= synced, "{one} entries are left and {synced} were synced");
        assert_eq!(one, other, "families come back from one moment");
    }
}
