//! `keelson store snapshot restore`: from a file to the data folder of a member of a new cluster.
//!
//! The folder gets its name only when all is in it and was read back. `recover` ends in the same way:
//! [`TargetArgs`].

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use keelson_store::Member;
use keelson_store::export::{self, RestoreOptions, Restored, Source, Summary, Until};
use keelson_store_core::engine::Disk;
use keelson_store_core::id::{ReplicaId, Revision};
use keelson_store_rocks::{RocksDisk, RocksOptions};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::open;
use crate::endpoint::Endpoint;
use crate::initial_cluster::{self, ClusterState, InitialClusterError};
use crate::replica;
use crate::store::flags::{self, ClusterFlags, MemberFlags};

/// What --bump-revision is where nobody says: more than any store writes in a day.
pub(crate) const BUMP_REVISION: u64 = 1_000_000_000;

/// The flags of `keelson store snapshot restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A snapshot file, or a folder of --backup-dir.
    from: PathBuf,
    #[command(flatten)]
    target: TargetArgs,
    /// Of a folder: go back to this revision instead of the last one.
    #[arg(long, value_name = "REVISION", conflicts_with = "to_time")]
    to_revision: Option<u64>,
    /// Of a folder: go back to the last revision before this time, as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    to_time: Option<String>,
}

/// The member to be and its cluster: etcdutl's flags, and the client URLs that members are to show.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    /// The member's name.
    #[arg(long, default_value = "default")]
    name: String,
    /// The member's data folder [default: NAME.etcd in the working folder].
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
    /// How far beyond the file's revision the cluster begins: more than was written since the file was saved,
    /// so that no client sees a revision again. All older revisions are compacted.
    #[arg(long, value_name = "REVISIONS", default_value_t = BUMP_REVISION)]
    bump_revision: u64,
    /// As etcdutl's; here older revisions are always marked as compacted.
    #[arg(long)]
    mark_compacted: bool,
}

impl RestoreArgs {
    pub(super) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        let data_dir = self.target.data_dir();
        if data_dir.exists() {
            return Err(format!("{} is there already: restore into a new folder", data_dir.display()).into());
        }
        let restored = self.target.restore(&self.from, self.until()?, &data_dir)?;
        println!("{}", report(&restored, &data_dir));
        Ok(ExitCode::SUCCESS)
    }

    fn until(&self) -> Result<Until, String> {
        let until = match (self.to_revision, &self.to_time) {
            (Some(revision), _) => Until::Revision(Revision::new(revision)),
            (None, Some(time)) => Until::Time(unix_ms(time)?),
            (None, None) => return Ok(Until::End),
        };
        if self.from.is_dir() {
            return Ok(until);
        }
        let path = self.from.display();
        Err(format!("{path} is one moment: --to-revision and --to-time need a folder of --backup-dir"))
    }
}

/// A time on the command line, in milliseconds since 1970.
fn unix_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("--to-time {text:?}: write it as 2026-01-31T12:00:00Z");
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| wrong())?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).map_err(|_| wrong())
}

impl TargetArgs {
    /// The one member with which a new cluster begins, out of the flags that it had in its old one: of the members that
    /// those name only this one counts.
    pub(crate) fn alone(
        member: &MemberFlags,
        cluster: &ClusterFlags,
        bump_revision: u64,
    ) -> Result<Self, InitialClusterError> {
        let listed = named_as(&member.name, &cluster.initial_cluster)?;
        let first = |urls: [&[Endpoint]; 3], default: &str| {
            let given = urls.into_iter().find(|urls| !urls.is_empty()).map(<[Endpoint]>::to_vec);
            given.unwrap_or_else(|| vec![default.parse().expect("a default is a URL")])
        };
        let (advertised, listened) = (&cluster.initial_advertise_peer_urls, &member.listen_peer_urls);
        let clients = [&member.advertise_client_urls[..], &member.listen_client_urls, &[]];
        Ok(Self {
            name: member.name.clone(),
            data_dir: member.data_dir.clone(),
            initial_cluster: Vec::new(),
            initial_cluster_token: cluster.initial_cluster_token.clone(),
            initial_advertise_peer_urls: first(
                [advertised, listed.as_slice(), listened],
                flags::DEFAULT_PEER_URL,
            ),
            advertise_client_urls: first(clients, flags::DEFAULT_CLIENT_URL),
            bump_revision,
            mark_compacted: false,
        })
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| flags::default_data_dir(&self.name))
    }

    /// Makes `folder`, which is not there, of a file or a backup.
    pub(crate) fn restore(
        &self,
        from: &Path,
        until: Until,
        folder: &Path,
    ) -> Result<Restored, Box<dyn Error>> {
        let options = self.options()?;
        let unfinished = unfinished(folder);
        clear(&unfinished)?;
        let restored = fill(from, until, &unfinished, &options).inspect_err(|_| {
            // What is left of it is cleared away by the next attempt at the latest.
            let _ = clear(&unfinished);
        })?;
        fs::rename(&unfinished, folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(restored)
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
}

/// The URL that `--initial-cluster` has for a member; `None` where the flag is not given.
fn named_as(name: &str, given: &[String]) -> Result<Option<Endpoint>, InitialClusterError> {
    let own = given.iter().find_map(|text| text.split_once('=').filter(|(member, _)| *member == name));
    match own {
        Some((_, url)) => url.parse().map(Some).map_err(InitialClusterError::Url),
        None if given.is_empty() => Ok(None),
        None => Err(InitialClusterError::NotInCluster { name: name.to_owned() }),
    }
}

fn fill(
    from: &Path,
    until: Until,
    folder: &Path,
    options: &RestoreOptions,
) -> Result<Restored, Box<dyn Error>> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", from.display());
    let disk: Arc<dyn Disk> = Arc::new(RocksDisk::new(folder.to_owned(), RocksOptions::default())?);
    if !from.is_dir() {
        let mut snapshot = open(from)?;
        let restored = export::restore(&disk, Source::snapshot(&mut snapshot), options);
        return Ok(restored.map_err(|error| named(&error))?);
    }
    let route = export::route(from, until).map_err(|error| named(&error))?;
    let (mut snapshot, mut journal) = (open(&route.base)?, open(&route.journal)?);
    let journal = Some(&mut journal as &mut dyn std::io::Read);
    let source = Source { snapshot: &mut snapshot, journal, until, newest: route.newest };
    Ok(export::restore(&disk, source, options).map_err(|error| named(&error))?)
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

pub(crate) fn report(restored: &Restored, folder: &Path) -> String {
    let folder = folder.display();
    let about = |summary: &Summary| {
        format!(
            "cluster {:x} begins at revision {} with what there was at revision {}",
            summary.cluster.get(),
            summary.revision,
            summary.at
        )
    };
    match restored {
        Restored::Holds(summary) => {
            let totals = summary.contents.totals;
            let (keys, leases) = (totals.keys, totals.leases);
            format!("{folder} holds {keys} keys and {leases} leases: {}", about(summary))
        }
        Restored::Joins(summary) => {
            format!("{folder} gets everything from the first member when both run: {}", about(summary))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_has_them() {
        assert_eq!(unix_ms("1970-01-01T00:00:01.5Z"), Ok(1500));
        assert_eq!(unix_ms("2023-11-14T23:13:20+01:00"), Ok(1_700_000_000_000));
        for wrong in ["", "yesterday", "2023-11-14", "1969-12-31T00:00:00Z"] {
            assert!(unix_ms(wrong).unwrap_err().contains("write it as"), "{wrong}");
        }
    }
}
