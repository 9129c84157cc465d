//! Files that changed while their node was down.
//!
//! Damage stays: a node whose disk was damaged may refuse to start, and progress is demanded of the others only. So at
//! most a minority is ever damaged, except by [`Helix`], after which nobody has to start at all. What the damaged nodes
//! say, if they speak, is judged like everything else.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use tokio::time::{Instant, sleep};

use super::{Fault, Felt, Hit, Injected, Injection, Obstacle, Since};
use crate::cluster::{Cluster, PACE, Whom};
use crate::failure::{Doing as _, Result};

const FLIPS: usize = 3;
const LONGEST_CUT: u64 = 1024;
const BLOCK: usize = 512;
/// How many files of a node are damaged at once.
const FILES: usize = 2;
/// How long files are waited for that are not there yet.
const FILES_PATIENCE: Duration = Duration::from_secs(5);

/// Which files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// What is appended and synced.
    Log,
    /// What is made from it.
    State,
}

/// How they change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Some bits flip.
    Flip,
    /// The end is missing.
    Truncate,
}

/// A minority is damaged.
pub(super) struct Damage {
    pub(super) part: Part,
    pub(super) kind: Kind,
}

/// Every node loses every n-th block, and no two nodes the same.
pub(super) struct Helix;

impl Part {
    /// Whether a file, named from the data folder on, is of this part. What the log collects in tables is no state, nor are
    /// snapshots that nobody reads; a state's files of what is not yet in tables are no log.
    fn holds(self, file: &Path) -> bool {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let store = file.iter().next().and_then(|store| store.to_str()).unwrap_or_default();
        match self {
            Self::Log => (store == "log" && ending == "log") || ending == "wal",
            Self::State => {
                let is_live = store.starts_with("state-") || store.starts_with("incoming-");
                (is_live && ending == "sst") || file.ends_with("snap/db")
            }
        }
    }
}

/// The files of a data folder that are worth damaging, with their lengths, in a fixed order. A node that runs may remove
/// files meanwhile.
pub(super) fn files(data: &Path, part: Part) -> io::Result<Vec<(PathBuf, u64)>> {
    let (mut found, mut folders) = (Vec::new(), vec![data.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in present(fs::read_dir(&folder))?.into_iter().flatten() {
            let path = path?.path();
            let Some(metadata) = present(fs::symlink_metadata(&path))? else { continue };
            if metadata.is_dir() {
                folders.push(path);
            } else if metadata.len() > 0 && part.holds(path.strip_prefix(data).unwrap_or(&path)) {
                found.push((path, metadata.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn present<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Answers whether anything has changed.
fn damage(path: &Path, kind: Kind, random: &mut StdRng) -> io::Result<bool> {
    let bytes = fs::read(path)?;
    // What was only reserved is no loss.
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return Ok(false) };
    let file = File::options().write(true).open(path)?;
    match kind {
        Kind::Flip => {
            for _ in 0..FLIPS {
                let place = random.random_range(0..=last);
                let flipped = bytes[place] ^ (1 << random.random_range(0..8));
                file.write_all_at(&[flipped], place as u64)?;
            }
        }
        Kind::Truncate => {
            let cut = random.random_range(1..=LONGEST_CUT);
            file.set_len((last as u64 + 1).saturating_sub(cut))?;
        }
    }
    file.sync_all()?;
    Ok(true)
}

/// Zeroes block `turn` of every `of` blocks.
fn lose_blocks(path: &Path, turn: usize, of: usize) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    for block in bytes.chunks_mut(BLOCK).skip(turn).step_by(of) {
        block.fill(0);
    }
    fs::write(path, bytes)
}

/// Others until a minority is damaged or away; then the same ones again. Whoever does not run would feel nothing.
pub(super) fn victims(cluster: &Cluster, random: &mut StdRng) -> std::result::Result<Vec<usize>, Obstacle> {
    let (damaged, mut sound): (Vec<_>, Vec<_>) =
        cluster.at_home().into_iter().partition(|node| cluster.damaged.contains(node));
    sound.shuffle(random);
    let missing = cluster.nodes.len() - sound.len();
    let room = cluster.minority().saturating_sub(missing);
    let mut victims = if room == 0 { damaged } else { sound.into_iter().take(room).collect() };
    if victims.is_empty() {
        return Err(Obstacle::not_now("no node can be done without"));
    }
    victims.retain(|node| cluster.nodes[*node].runs());
    if victims.is_empty() {
        return Err(Obstacle::not_now("who could be done without is dead already"));
    }
    Ok(victims)
}

/// Waits until a node has files of a part, or a while: what is made from the log comes to disk with a snapshot only.
async fn wait_for_files(folder: &Path, part: Part) -> Result<()> {
    let deadline = Instant::now() + FILES_PATIENCE;
    while files(folder, part).doing(folder.display())?.is_empty() && Instant::now() < deadline {
        sleep(PACE).await;
    }
    Ok(())
}

/// The file's name from its data folder on.
fn short<'a>(file: &'a Path, data: &Path) -> std::path::Display<'a> {
    file.strip_prefix(data).unwrap_or(file).display()
}

impl Fault for Damage {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let (mut hit, mut seen) = (Vec::new(), Vec::new());
            for victim in victims(cluster, random)? {
                let folder = cluster.nodes[victim].disk.data_dir();
                wait_for_files(&folder, self.part).await?;
                cluster.kill(victim).await?;
                let mut files = files(&folder, self.part).doing(folder.display())?;
                files.shuffle(random);
                let before = seen.len();
                for (file, _) in files.iter().take(FILES) {
                    if damage(file, self.kind, random).doing(file.display())? {
                        seen.push(format!("{} of {}", short(file, &folder), cluster.names[victim]));
                    }
                }
                if seen.len() > before {
                    cluster.damaged.insert(victim);
                    hit.push(victim);
                }
            }
            if hit.is_empty() {
                cluster.start_all()?;
                return Err(Obstacle::not_now("there is no such file yet"));
            }
            Ok(Injected::Until(Hit::seen(hit, format!("changed {}", seen.join(", ")))))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { cluster.reactions(&since.nodes).await.map(Felt::Since) }.boxed()
    }
}

impl Fault for Helix {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let running = cluster.pick(Whom::All, random).await?;
            let (count, mut changed) = (cluster.nodes.len(), 0);
            for node in 0..count {
                cluster.kill(node).await?;
            }
            for (turn, node) in cluster.nodes.iter().enumerate() {
                let folder = node.disk.data_dir();
                for part in [Part::Log, Part::State] {
                    for (file, _) in files(&folder, part).doing(folder.display())? {
                        lose_blocks(&file, turn, count).doing(file.display())?;
                        changed += 1;
                    }
                }
            }
            cluster.damaged.extend(0..count);
            Ok(Injected::Until(Hit::seen(running, format!("{changed} files have lost blocks"))))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { cluster.reactions(&since.nodes).await.map(Felt::Since) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn files_are_found_by_what_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let log = make("log/000004.log", "x");
        make("log/LOG", "x");
        make("log/000005.sst", "x");
        make("snapshot-1-2/000005.sst", "x");
        make("state-0/000009.log", "x");
        make("state-0/000011.sst", "");
        let state = make("state-0/000007.sst", "xyz");
        let db = make("member/snap/db", "x");
        let wal = make("member/wal/0-0.wal", "x");
        assert_eq!(files(folder.path(), Part::Log).unwrap(), [(log, 1), (wal, 1)]);
        assert_eq!(files(folder.path(), Part::State).unwrap(), [(db, 1), (state, 3)]);
        assert_eq!(files(&folder.path().join("nowhere"), Part::Log).unwrap(), []);
    }

    #[test]
    fn damage_hits_what_was_written_and_not_what_was_reserved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let whole: Vec<u8> = std::iter::repeat_n(7, 100).chain(std::iter::repeat_n(0, 5_000)).collect();
        for seed in 0..20 {
            let mut random = StdRng::seed_from_u64(seed);
            fs::write(&path, &whole).unwrap();
            assert!(damage(&path, Kind::Flip, &mut random).unwrap());
            let flipped = fs::read(&path).unwrap();
            assert_eq!(flipped.len(), whole.len());
            assert_ne!(flipped[..100], whole[..100]);
            assert_eq!(flipped[100..], whole[100..]);
            fs::write(&path, &whole).unwrap();
            damage(&path, Kind::Truncate, &mut random).unwrap();
            assert!(fs::read(&path).unwrap().len() < 100);
            fs::write(&path, [0; 100]).unwrap();
            assert!(!damage(&path, Kind::Flip, &mut random).unwrap(), "there is nothing yet");
        }
    }

    #[test]
    fn a_helix_takes_every_block_from_one_node_only() {
        let folder = tempfile::tempdir().unwrap();
        let whole = vec![1_u8; BLOCK * 7 + 3];
        let lost: Vec<Vec<u8>> = (0..3)
            .map(|turn| {
                let path = folder.path().join(turn.to_string());
                fs::write(&path, &whole).unwrap();
                lose_blocks(&path, turn, 3).unwrap();
                fs::read(&path).unwrap()
            })
            .collect();
        for place in 0..whole.len() {
            let zeroes = lost.iter().filter(|bytes| bytes[place] == 0).count();
            assert_eq!(zeroes, 1, "byte {place}");
        }
    }
}
