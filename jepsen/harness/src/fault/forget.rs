//! Disks that come back with less than they had: empty, or as they were some time ago.
//!
//! A store that lets such a disk vote again can lose what it has acknowledged. One that refuses it is right, and its node
//! is not missed: as with other damage, at most a minority is hit.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::damage::{Part, files, victims};
use super::{Fault, Felt, Hit, Injected, Injection, Since};
use crate::cluster::Cluster;
use crate::failure::{Doing as _, Result};
use crate::tool;

/// Everything is gone.
pub(super) struct Wipe;

/// A copy that was made at the beginning of the fault is put back at its end.
pub(super) struct Rollback;

impl Fault for Wipe {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = victims(cluster, random)?;
            for victim in &victims {
                cluster.kill(*victim).await?;
                cluster.damaged.insert(*victim);
                let folder = cluster.nodes[*victim].disk.data_dir();
                std::fs::remove_dir_all(&folder).doing(folder.display())?;
            }
            Ok(Injected::Until(Hit::seen(victims, "their folders are gone")))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async { cluster.reactions(&since.nodes).await.map(Felt::Since) }.boxed()
    }
}

impl Fault for Rollback {
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection> {
        async {
            let victims = victims(cluster, random)?;
            for victim in &victims {
                cluster.kill(*victim).await?;
                let (folder, copy) = folders(cluster, *victim);
                tool::run(&format!("cp -a --no-target-directory {folder} {copy}")).await?;
                cluster.damaged.insert(*victim);
            }
            cluster.start_all()?;
            Ok(Injected::Until(Hit::of(victims)))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>> {
        async {
            let mut lost = Vec::new();
            for node in 0..cluster.nodes.len() {
                let (folder, copy) = folders(cluster, node);
                if std::fs::exists(&copy).doing(&copy)? {
                    cluster.kill(node).await?;
                    lost.extend((log(&folder)? != log(&copy)?).then(|| cluster.names[node].clone()));
                    tool::run(&format!("rm -rf {folder}")).await?;
                    tool::run(&format!("mv --no-target-directory {copy} {folder}")).await?;
                }
            }
            if lost.is_empty() {
                cluster.start_all()?;
                return Ok(Felt::Nothing("nothing was written that could have been lost".to_owned()));
            }
            let reactions = cluster.reactions(&since.nodes).await?;
            Ok(Felt::Since(format!("{} lost the end of the log; {reactions}", lost.join(", "))))
        }
        .boxed()
    }
}

/// The names and lengths of a log's files.
fn log(data: &str) -> Result<Vec<(Option<OsString>, u64)>> {
    let found = files(Path::new(data), Part::Log).doing(data)?;
    Ok(found.into_iter().map(|(file, length)| (file.file_name().map(OsStr::to_owned), length)).collect())
}

/// A node's data folder, and that of its copy on the same disk.
fn folders(cluster: &Cluster, node: usize) -> (String, String) {
    let [data, copy] = cluster.nodes[node].disk.folders();
    (data.display().to_string(), copy.display().to_string())
}
