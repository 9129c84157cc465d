//! `keelson store snapshot restore`: from a file to the data folder of a member of a new cluster.
//!
//! The folder gets its name only when all is in it and was read back.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use keelson_store::Member;
use keelson_store::export::{self, RestoreOptions, Restored, Summary};
use keelson_store_core::engine::Disk;
use keelson_store_core::id::ReplicaId;
use keelson_store_rocks::{RocksDisk, RocksOptions};

use super::open;
use crate::endpoint::Endpoint;
use crate::initial_cluster::{self, ClusterState};
use crate::replica;
use crate::store::flags;

/// The flags of `keelson store snapshot restore`: those of etcdutl, and the client URLs that members are to show.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The file.
    file: PathBuf,
    /// The member's name.
    #[arg(long, default_value = "default")]
    name: String,
    /// The folder to make, which must not be there [default: NAME.etcd in the working folder].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The members of the new cluster [default: this member alone].
    #[arg(long, value_name = "NAME=URL,...", value_delimiter = ',')]
    initial_cluster: Vec<String>,
    /// Tells clusters apart that would otherwise look alike; the same on all members.
    #[arg(long, default_value = flags::DEFAULT_TOKEN)]
    initial_cluster_token: String,
    /// Where the other members reach this one.
    #[arg(long, value_name = "URLS", value_delimiter = ',', default_value = flags::DEFAULT_PEER_URL)]
    initial_advertise_peer_urls: Vec<Endpoint>,
    /// Where clients reach it.
    #[arg(long, value_name = "URLS", value_delimiter = ',', default_value = flags::DEFAULT_CLIENT_URL)]
    advertise_client_urls: Vec<Endpoint>,
    /// How far beyond the file's revision the cluster begins: more than was written since the file was saved, so that
    /// no client sees a revision again. All older revisions are compacted.
    #[arg(long, value_name = "REVISIONS", default_value_t = 1_000_000_000)]
    bump_revision: u64,
    /// As etcdutl's; here older revisions are always marked as compacted.
    #[arg(long)]
    mark_compacted: bool,
}

impl RestoreArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let data_dir = self.data_dir.clone().unwrap_or_else(|| flags::default_data_dir(&self.name));
        let options = self.options()?;
        if data_dir.exists() {
            return Err(format!("{} is there already: restore into a new folder", data_dir.display()).into());
        }
        let unfinished = unfinished(&data_dir);
        clear(&unfinished)?;
        let restored = self.fill(&unfinished, &options).inspect_err(|_| {
            // What is left of it is cleared away by the next attempt at the latest.
            let _ = clear(&unfinished);
        })?;
        fs::rename(&unfinished, &data_dir).map_err(|error| format!("{}: {error}", data_dir.display()))?;
        println!("{}", report(&restored, &data_dir));
        Ok(ExitCode::SUCCESS)
    }

    fn options(&self) -> Result<RestoreOptions, Box<dyn Error>> {
        let text = |urls: &[Endpoint]| urls.iter().map(ToString::to_string).collect();
        let members = initial_cluster::parse(
            &self.name,
            &self.initial_cluster,
            &self.initial_advertise_peer_urls,
            "--initial-advertise-peer-urls",
            ClusterState::New,
        )?;
        if self.bump_revision == 0 {
            let why =
                "--bump-revision 0: clients would see revisions again that they have seen. Give at least 1";
            return Err(why.into());
        }
        Ok(RestoreOptions {
            member: Member {
                name: self.name.clone(),
                peer_urls: text(&self.initial_advertise_peer_urls),
                client_urls: text(&self.advertise_client_urls),
                ..Member::default()
            },
            replica: ReplicaId::new(rand::random_range(1..=u64::MAX)),
            initial_cluster: replica::initial_members(&members),
            cluster_token: self.initial_cluster_token.clone(),
            bump: self.bump_revision,
        })
    }

    fn fill(&self, folder: &Path, options: &RestoreOptions) -> Result<Restored, Box<dyn Error>> {
        let file = open(&self.file)?;
        let disk: Arc<dyn Disk> = Arc::new(RocksDisk::new(folder.to_owned(), RocksOptions::default())?);
        Ok(export::restore(&disk, file, options)
            .map_err(|error| format!("{}: {error}", self.file.display()))?)
    }
}

/// The name of a folder that is not whole yet.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".restoring");
    name.into()
}

fn clear(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn report(restored: &Restored, folder: &Path) -> String {
    let folder = folder.display();
    let about = |summary: &Summary| {
        let totals = summary.contents.totals;
        format!(
            "cluster {:x} begins at revision {} with {} keys and {} leases of revision {}",
            summary.cluster.get(),
            summary.revision,
            totals.keys,
            totals.leases,
            summary.contents.head.revision
        )
    };
    match restored {
        Restored::Holds(summary) => format!("{folder} holds everything: {}", about(summary)),
        Restored::Joins(summary) => {
            format!("{folder} gets everything from the first member when both run: {}", about(summary))
        }
    }
}
