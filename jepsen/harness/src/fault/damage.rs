//! Files that changed while their node was down.
//!
//! Damage stays: a node whose disk was damaged may refuse to start, and progress is demanded of the others only. So at
//! most a minority is ever damaged, except by [`Helix`], after which nobody has to start at all. What the damaged nodes
//! say, if they speak, is judged like everything else.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::{Fault, Injected};
use crate::cluster::{Cluster, Whom};
use crate::failure::{Doing as _, Result};

const FLIPS: usize = 3;
const LONGEST_CUT: u64 = 1024;
const BLOCK: usize = 512;

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
    /// RocksDB's endings, and etcd's.
    fn holds(self, file: &Path) -> bool {
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match self {
            Self::Log => ending == "log" || ending == "wal",
            Self::State => ending == "sst" || file.ends_with("snap/db"),
        }
    }
}

/// The files of a data folder that are worth damaging, in a fixed order.
fn files(folder: &Path, part: Part) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            found.extend(files(&path, part)?);
        } else if part.holds(&path) && fs::metadata(&path)?.len() > 0 {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn damage(path: &Path, kind: Kind, random: &mut StdRng) -> io::Result<()> {
    let bytes = fs::read(path)?;
    // What was only reserved is no loss.
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return Ok(()) };
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
    file.sync_all()
}

/// Zeroes block `turn` of every `of` blocks.
fn lose_blocks(path: &Path, turn: usize, of: usize) -> io::Result<()> {
    let mut bytes = fs::read(path)?;
    for block in bytes.chunks_mut(BLOCK).skip(turn).step_by(of) {
        block.fill(0);
    }
    fs::write(path, bytes)
}

/// Why there are no victims.
pub(super) const NOBODY: &str = "no node can be done without";

/// Others until a minority is damaged or away; then the same ones again.
pub(super) fn victims(cluster: &Cluster, random: &mut StdRng) -> Vec<usize> {
    let (damaged, mut sound): (Vec<_>, Vec<_>) =
        cluster.at_home().into_iter().partition(|node| cluster.damaged.contains(node));
    sound.shuffle(random);
    let missing = cluster.nodes.len() - sound.len();
    let room = cluster.minority().saturating_sub(missing);
    if room == 0 { damaged } else { sound.into_iter().take(room).collect() }
}

impl Fault for Damage {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let victims = victims(cluster, random);
            if victims.is_empty() {
                return Ok(Injected::NotNow(NOBODY.to_owned()));
            }
            for victim in &victims {
                cluster.nodes[*victim].kill().await?;
                cluster.damaged.insert(*victim);
                let folder = cluster.nodes[*victim].disk.data_dir();
                let mut files = files(&folder, self.part).doing(folder.display())?;
                files.shuffle(random);
                for file in files.iter().take(2) {
                    damage(file, self.kind, random).doing(file.display())?;
                }
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { cluster.start_all() }.boxed()
    }
}

impl Fault for Helix {
    fn inject<'a>(
        &'a self,
        cluster: &'a mut Cluster,
        random: &'a mut StdRng,
    ) -> BoxFuture<'a, Result<Injected>> {
        async {
            let running = cluster.pick(Whom::All, random).await;
            for node in &mut cluster.nodes {
                node.kill().await?;
            }
            let count = cluster.nodes.len();
            for (turn, node) in cluster.nodes.iter().enumerate() {
                let folder = node.disk.data_dir();
                for part in [Part::Log, Part::State] {
                    for file in files(&folder, part).doing(folder.display())? {
                        lose_blocks(&file, turn, count).doing(file.display())?;
                    }
                }
            }
            cluster.damaged.extend(0..count);
            Ok(Injected::Until { targets: cluster.named(&running) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { cluster.start_all() }.boxed()
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
        make("state/000009.log", "");
        let state = make("state/000007.sst", "x");
        let db = make("member/snap/db", "x");
        assert_eq!(files(folder.path(), Part::Log).unwrap(), [log]);
        assert_eq!(files(folder.path(), Part::State).unwrap(), [db, state]);
    }

    #[test]
    fn damage_hits_what_was_written_and_not_what_was_reserved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let whole: Vec<u8> = std::iter::repeat_n(7, 100).chain(std::iter::repeat_n(0, 5_000)).collect();
        for seed in 0..20 {
            let mut random = StdRng::seed_from_u64(seed);
            fs::write(&path, &whole).unwrap();
            damage(&path, Kind::Flip, &mut random).unwrap();
            let flipped = fs::read(&path).unwrap();
            assert_eq!(flipped.len(), whole.len());
            assert_ne!(flipped[..100], whole[..100]);
            assert_eq!(flipped[100..], whole[100..]);
            fs::write(&path, &whole).unwrap();
            damage(&path, Kind::Truncate, &mut random).unwrap();
            assert!(fs::read(&path).unwrap().len() < 100);
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
