//! Disks that come back with less than they had: empty, or as they were some time ago.
//!
//! A store that lets such a disk vote again can lose what it has acknowledged. One that refuses it is right, and its node
//! is not missed: as with other damage, at most a minority is hit.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use super::damage::{NOBODY, victims};
use super::{Fault, Injected};
use crate::cluster::Cluster;
use crate::failure::{Doing as _, Result};
use crate::tool;

/// Everything is gone.
pub(super) struct Wipe;

/// A copy that was made at the beginning of the fault is put back at its end.
pub(super) struct Rollback;

impl Fault for Wipe {
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
                std::fs::remove_dir_all(&folder).doing(folder.display())?;
            }
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async { cluster.start_all() }.boxed()
    }
}

impl Fault for Rollback {
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
                let (folder, copy) = folders(cluster, *victim);
                tool::run(&format!("cp -a --no-target-directory {folder} {copy}")).await?;
                cluster.damaged.insert(*victim);
            }
            cluster.start_all()?;
            Ok(Injected::Until { targets: cluster.named(&victims) })
        }
        .boxed()
    }

    fn heal<'a>(&'a self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        async {
            for node in 0..cluster.nodes.len() {
                let (folder, copy) = folders(cluster, node);
                if std::fs::exists(&copy).doing(&copy)? {
                    cluster.nodes[node].kill().await?;
                    tool::run(&format!("rm -rf {folder}")).await?;
                    tool::run(&format!("mv --no-target-directory {copy} {folder}")).await?;
                }
            }
            cluster.start_all()
        }
        .boxed()
    }
}

/// A node's data folder, and that of its copy on the same disk.
fn folders(cluster: &Cluster, node: usize) -> (String, String) {
    let [data, copy] = cluster.nodes[node].disk.folders();
    (data.display().to_string(), copy.display().to_string())
}
