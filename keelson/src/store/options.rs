//! Flags checked and made plain: what a member is told when it starts.
//!
//! In: [`Flags`], text. Out: [`MemberOptions`], in which every combination makes sense, or an error that
//! names the flag and the cure. Pure: no file is read and no name resolved.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use keelson_store::Beginning;
use keelson_store::export::BackupOptions;
use keelson_store::grpc::AuthOptions;

use super::authentication::AuthFlagError;
use super::flags::{
    self, ClientTlsFlags, ClusterFlags, CompactionMode, Flags, HistoryFlags, MemberFlags, PeerTlsFlags,
    TuningFlags,
};
use super::foreign::ForeignError;
use crate::backup::{self, RetentionWithoutBackup};
use crate::endpoint::{Endpoint, EndpointError, Scheme};
use crate::initial_cluster::{self, InitialClusterError};
use crate::replica::PeerFiles;
use crate::span::Span;

/// What a member of the store is told when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberOptions {
    /// Unique in the cluster.
    pub(crate) name: String,
    /// The folder of its data.
    pub(crate) data_dir: PathBuf,
    /// Where clients reach it.
    pub(crate) client: ClientDoor,
    /// Where the other members reach it.
    pub(crate) peer: PeerDoor,
    /// The first members, this one included: name and peer URL.
    pub(crate) initial_cluster: Vec<(String, Endpoint)>,
    /// Whether a new disk founds the cluster with them or joins it.
    pub(crate) beginning: Beginning,
    /// Tells clusters apart that would otherwise look alike.
    pub(crate) cluster_token: String,
    /// Log entries between two snapshots.
    pub(crate) snapshot_every: u64,
    /// Log entries kept behind a snapshot.
    pub(crate) keep_behind_snapshot: u64,
    /// From here on a write is slow.
    pub(crate) slow_write: Duration,
    /// How fast snapshots are sent to members that lag; 0 for as fast as it goes.
    pub(crate) snapshot_bytes_per_second: u64,
    /// Between two heartbeats.
    pub(crate) heartbeat: Duration,
    /// Shortest wait before an election; the longest is twice this.
    pub(crate) election_timeout: Duration,
    /// Where probes and metrics are asked for, beside the clients' door.
    pub(crate) metrics: MetricsDoor,
    /// How much history is kept.
    pub(crate) compaction: AutoCompaction,
    /// How clients are recognized while authentication is on.
    pub(crate) auth: AuthOptions,
    /// Bytes of state beyond which writes that grow are refused.
    pub(crate) quota: Option<u64>,
    /// Where every change is written down, and for how long it is kept.
    pub(crate) backup: Option<BackupOptions>,
    /// After how long without events a watch reports its progress.
    pub(crate) watch_progress_interval: Duration,
    /// What the operator is told about flags that have no effect, and about defaults that are unsafe
    /// elsewhere.
    pub(crate) notes: Vec<String>,
}

/// Where probes and metrics are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MetricsDoor {
    /// In plain text.
    pub(crate) plain: Vec<SocketAddr>,
    /// Inside the TLS of clients.
    pub(crate) tls: Vec<SocketAddr>,
}

/// How much history is kept without anybody asking for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoCompaction {
    /// All of it.
    Off,
    /// That of the last so long.
    Periodic(Duration),
    /// So many revisions.
    Revisions(u64),
}

/// Where clients come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientDoor {
    /// The sockets to bind.
    pub(crate) listen: Vec<SocketAddr>,
    /// The URLs that clients are told.
    pub(crate) advertise: Vec<Endpoint>,
    /// `None`: plain text, because `http://` was asked for.
    pub(crate) tls: Option<ClientTls>,
}

/// The files of TLS towards clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientTls {
    /// The certificate that is shown.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
    /// Who signs the clients' certificates; clients need none if `None`.
    pub(crate) client_authority: Option<PathBuf>,
}

/// Where the other members come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PeerDoor {
    /// The socket to bind.
    pub(crate) listen: SocketAddr,
    /// The URLs that the other members are told.
    pub(crate) advertise: Vec<Endpoint>,
    /// `None`: plain text, because `http://` was asked for.
    pub(crate) tls: Option<PeerFiles>,
}

/// Flags that contradict each other or are missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error("{flag}: {source}")]
    Url { flag: &'static str, source: EndpointError },
    #[error("{flag} mixes http:// and https:// URLs: use one of them")]
    MixedSchemes { flag: &'static str },
    #[error(
        "{advertise} must use the same scheme as {listen}: a member cannot be reached at another than it serves"
    )]
    SchemesDiffer { advertise: &'static str, listen: &'static str },
    #[error("{flag} has {url}, which stands for every address: name one at which this member can be reached")]
    Wildcard { flag: &'static str, url: Endpoint },
    #[error(
        "https:// in {urls} needs {flag}: give it (`keelson pki init` makes the files), or use http:// URLs"
    )]
    TlsFileMissing { urls: &'static str, flag: &'static str },
    #[error("{flag} is given, but {urls} are http:// URLs: use https:// URLs, or leave the flag out")]
    TlsFileUnused { urls: &'static str, flag: &'static str },
    #[error(
        "--client-cert-auth needs --trusted-ca-file: give the authority that signs the clients' certificates"
    )]
    ClientAuthorityMissing,
    #[error(
        "--peer-client-cert-auth=false is not possible with https:// peer URLs: members always show each other a \
         certificate. Leave the flag out"
    )]
    PeersWithoutCertificates,
    #[error(transparent)]
    InitialCluster(#[from] InitialClusterError),
    #[error(transparent)]
    Auth(#[from] AuthFlagError),
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    #[error("--auto-compaction-retention {given:?} is no {expected}; 0 switches automatic compaction off")]
    Retention { given: String, expected: &'static str },
    #[error(transparent)]
    Backup(#[from] RetentionWithoutBackup),
    #[error(
        "--listen-metrics-urls has https:// URLs, but --listen-client-urls are http:// ones, so there is no certificate to \
         show: use http:// for both, or https:// for both"
    )]
    MetricsWithoutCertificate,
    #[error("--listen-peer-urls has {0} URLs: give one")]
    SeveralPeerListeners(usize),
    #[error("{flag} is {given}: {rule}")]
    OutOfRange { flag: &'static str, given: u64, rule: &'static str },
}

/// The names of the flags of one door.
struct DoorFlags {
    listen: &'static str,
    advertise: &'static str,
    /// Where it is when nothing is given.
    default: &'static str,
}

const CLIENT_FLAGS: DoorFlags = DoorFlags {
    listen: "--listen-client-urls",
    advertise: "--advertise-client-urls",
    default: flags::DEFAULT_CLIENT_URL,
};

const PEER_FLAGS: DoorFlags = DoorFlags {
    listen: "--listen-peer-urls",
    advertise: "--initial-advertise-peer-urls",
    default: flags::DEFAULT_PEER_URL,
};

impl MemberOptions {
    /// Checks the flags against each other. Where a member is in the data folder already, flags that say how a cluster
    /// begins stop nobody, as with etcd: what is wrong with them is told.
    pub(crate) fn from_flags(flags: Flags, is_new: bool) -> Result<Self, OptionsError> {
        let Flags { member, cluster, client_tls, auth, peer_tls, history, tuning, foreign } = flags;
        let mut notes = foreign.judge()?;
        let MemberFlags {
            name,
            data_dir,
            config_file: _,
            listen_client_urls,
            advertise_client_urls,
            listen_peer_urls,
            listen_metrics_urls,
        } = member;
        let ClusterFlags {
            initial_advertise_peer_urls,
            initial_cluster,
            initial_cluster_token: cluster_token,
            initial_cluster_state,
        } = cluster;
        let auth = auth.options(client_tls.client_cert_auth == Some(true))?;
        let client = client_door(&listen_client_urls, advertise_client_urls, client_tls)?;
        let peer = peer_door(&listen_peer_urls, initial_advertise_peer_urls, peer_tls)?;
        let metrics = metrics_door(&listen_metrics_urls, &client)?;
        notes.extend(defaults(&listen_client_urls, &listen_peer_urls));
        let initial_cluster = initial_cluster::parse(
            &name,
            &initial_cluster,
            &peer.advertise,
            PEER_FLAGS.advertise,
            initial_cluster_state,
        );
        let initial_cluster = match initial_cluster {
            Err(wrong) if !is_new => ignore(&wrong, &mut notes),
            parsed => parsed?,
        };
        let data_dir = data_dir.unwrap_or_else(|| flags::default_data_dir(&name));
        let TuningFlags {
            snapshot_count: snapshot_every,
            snapshot_catchup_entries: keep_behind_snapshot,
            watch_progress_notify_interval,
            ..
        } = tuning;
        let (heartbeat, election_timeout) = clocks(&tuning)?;
        let options = Self {
            name,
            data_dir,
            client,
            peer,
            initial_cluster,
            beginning: initial_cluster_state.beginning(),
            cluster_token,
            snapshot_every,
            keep_behind_snapshot,
            slow_write: tuning.warning_apply_duration,
            snapshot_bytes_per_second: tuning.snapshot_bytes_per_second,
            heartbeat,
            election_timeout,
            metrics,
            compaction: compaction(&history)?,
            auth,
            // As in etcd, a negative quota is none.
            quota: u64::try_from(history.quota_backend_bytes).ok().filter(|quota| *quota > 0),
            backup: backup::options(history.backup_dir, history.backup_retention)?,
            watch_progress_interval: watch_progress_notify_interval.get(),
            notes,
        };
        Ok(options)
    }
}

/// First members that make no sense where they do not count: none, and a note that says why.
fn ignore(wrong: &InitialClusterError, notes: &mut Vec<String>) -> Vec<(String, Endpoint)> {
    notes.push(format!("{wrong}. It is ignored: the data folder says which cluster is this member's"));
    Vec::new()
}

/// What to say about URLs that nobody gave.
fn defaults(client: &[Endpoint], peer: &[Endpoint]) -> Vec<String> {
    let given = [(client, &CLIENT_FLAGS), (peer, &PEER_FLAGS)];
    let note = |(_, flags): (&[Endpoint], &DoorFlags)| {
        format!("{} is not given: {}, in plain text, for this machine alone", flags.listen, flags.default)
    };
    given.into_iter().filter(|(urls, _)| urls.is_empty()).map(note).collect()
}

fn metrics_door(urls: &[Endpoint], client: &ClientDoor) -> Result<MetricsDoor, OptionsError> {
    const FLAG: &str = "--listen-metrics-urls";
    let mut door = MetricsDoor::default();
    for url in urls {
        let address = url.listen_address().map_err(|source| OptionsError::Url { flag: FLAG, source })?;
        match url.scheme {
            Scheme::Http => door.plain.push(address),
            Scheme::Https if client.tls.is_none() => return Err(OptionsError::MetricsWithoutCertificate),
            Scheme::Https => door.tls.push(address),
        }
    }
    Ok(door)
}

/// etcd's rules: a bare number counts hours or revisions.
fn compaction(history: &HistoryFlags) -> Result<AutoCompaction, OptionsError> {
    let given = history.auto_compaction_retention.trim();
    let wrong = |expected| OptionsError::Retention { given: given.to_owned(), expected };
    let number = given.parse::<u32>();
    match (history.auto_compaction_mode, number) {
        (_, Ok(0)) => Ok(AutoCompaction::Off),
        (CompactionMode::Revision, Ok(revisions)) => Ok(AutoCompaction::Revisions(revisions.into())),
        (CompactionMode::Revision, Err(_)) => Err(wrong("number of revisions")),
        (CompactionMode::Periodic, Ok(hours)) => {
            Ok(AutoCompaction::Periodic(Duration::from_secs(u64::from(hours) * 3600)))
        }
        (CompactionMode::Periodic, Err(_)) => {
            let span = given.parse::<Span>().map_err(|_| wrong("span of time, as 30m or 8h"))?;
            Ok(AutoCompaction::Periodic(span.get()))
        }
    }
}

fn client_door(
    listen: &[Endpoint],
    advertise: Vec<Endpoint>,
    tls: ClientTlsFlags,
) -> Result<ClientDoor, OptionsError> {
    let Urls { scheme, listen, advertise } = urls(&CLIENT_FLAGS, listen, advertise)?;
    Ok(ClientDoor { listen, advertise, tls: client_tls_files(tls, scheme)? })
}

fn peer_door(
    listen: &[Endpoint],
    advertise: Vec<Endpoint>,
    tls: PeerTlsFlags,
) -> Result<PeerDoor, OptionsError> {
    let Urls { scheme, listen, advertise } = urls(&PEER_FLAGS, listen, advertise)?;
    match listen[..] {
        [listen] => Ok(PeerDoor { listen, advertise, tls: peer_tls_files(tls, scheme)? }),
        ref several => Err(OptionsError::SeveralPeerListeners(several.len())),
    }
}

/// URLs that agree with each other.
struct Urls {
    scheme: Scheme,
    listen: Vec<SocketAddr>,
    advertise: Vec<Endpoint>,
}

fn urls(flags: &DoorFlags, listen: &[Endpoint], advertise: Vec<Endpoint>) -> Result<Urls, OptionsError> {
    let default = || flags.default.parse().map(|url: Endpoint| vec![url]);
    let by_default = if listen.is_empty() { default() } else { Ok(Vec::new()) };
    let by_default = by_default.map_err(|source| OptionsError::Url { flag: flags.listen, source })?;
    let listen = if listen.is_empty() { &by_default[..] } else { listen };
    let scheme = common_scheme(flags.listen, listen)?.unwrap_or(Scheme::Http);
    let advertise = if advertise.is_empty() { listen.to_vec() } else { advertise };
    if common_scheme(flags.advertise, &advertise)? != Some(scheme) {
        return Err(OptionsError::SchemesDiffer { advertise: flags.advertise, listen: flags.listen });
    }
    if let Some(url) = advertise.iter().find(|url| url.is_wildcard()) {
        return Err(OptionsError::Wildcard { flag: flags.advertise, url: url.clone() });
    }
    let bind = |url: &Endpoint| {
        url.listen_address().map_err(|source| OptionsError::Url { flag: flags.listen, source })
    };
    Ok(Urls { scheme, listen: listen.iter().map(bind).collect::<Result<_, _>>()?, advertise })
}

fn common_scheme(flag: &'static str, urls: &[Endpoint]) -> Result<Option<Scheme>, OptionsError> {
    let Some(first) = urls.first() else { return Ok(None) };
    if urls.iter().all(|url| url.scheme == first.scheme) {
        Ok(Some(first.scheme))
    } else {
        Err(OptionsError::MixedSchemes { flag })
    }
}

fn client_tls_files(flags: ClientTlsFlags, scheme: Scheme) -> Result<Option<ClientTls>, OptionsError> {
    let urls = CLIENT_FLAGS.listen;
    match scheme {
        Scheme::Http => {
            refuse_unused(urls, "--cert-file", flags.cert_file.as_ref())?;
            refuse_unused(urls, "--key-file", flags.key_file.as_ref())?;
            refuse_unused(urls, "--trusted-ca-file", flags.trusted_ca_file.as_ref())?;
            refuse_unused(
                urls,
                "--client-cert-auth",
                flags.client_cert_auth.filter(|demanded| *demanded).as_ref(),
            )?;
            Ok(None)
        }
        Scheme::Https => {
            if flags.client_cert_auth == Some(true) && flags.trusted_ca_file.is_none() {
                return Err(OptionsError::ClientAuthorityMissing);
            }
            Ok(Some(ClientTls {
                certificate: demand(urls, "--cert-file", flags.cert_file)?,
                key: demand(urls, "--key-file", flags.key_file)?,
                client_authority: flags.trusted_ca_file,
            }))
        }
    }
}

fn peer_tls_files(flags: PeerTlsFlags, scheme: Scheme) -> Result<Option<PeerFiles>, OptionsError> {
    let urls = PEER_FLAGS.listen;
    match scheme {
        Scheme::Http => {
            refuse_unused(urls, "--peer-cert-file", flags.peer_cert_file.as_ref())?;
            refuse_unused(urls, "--peer-key-file", flags.peer_key_file.as_ref())?;
            refuse_unused(urls, "--peer-trusted-ca-file", flags.peer_trusted_ca_file.as_ref())?;
            let demanded = flags.peer_client_cert_auth.filter(|demanded| *demanded);
            refuse_unused(urls, "--peer-client-cert-auth", demanded.as_ref())?;
            Ok(None)
        }
        Scheme::Https => {
            if flags.peer_client_cert_auth == Some(false) {
                return Err(OptionsError::PeersWithoutCertificates);
            }
            Ok(Some(PeerFiles {
                certificate: demand(urls, "--peer-cert-file", flags.peer_cert_file)?,
                key: demand(urls, "--peer-key-file", flags.peer_key_file)?,
                trusted_authority: demand(urls, "--peer-trusted-ca-file", flags.peer_trusted_ca_file)?,
            }))
        }
    }
}

fn demand(urls: &'static str, flag: &'static str, file: Option<PathBuf>) -> Result<PathBuf, OptionsError> {
    file.ok_or(OptionsError::TlsFileMissing { urls, flag })
}

fn refuse_unused<T>(urls: &'static str, flag: &'static str, given: Option<&T>) -> Result<(), OptionsError> {
    match given {
        Some(_) => Err(OptionsError::TlsFileUnused { urls, flag }),
        None => Ok(()),
    }
}

fn clocks(tuning: &TuningFlags) -> Result<(Duration, Duration), OptionsError> {
    let (heartbeat, election) = (tuning.heartbeat_interval, tuning.election_timeout);
    let out_of_range = |flag, given, rule| Err(OptionsError::OutOfRange { flag, given, rule });
    if tuning.snapshot_count == 0 {
        return out_of_range("--snapshot-count", 0, "at least 1 is needed");
    }
    if heartbeat == 0 {
        return out_of_range("--heartbeat-interval", 0, "at least 1 ms is needed");
    }
    // etcd's own bound: beyond it a dead leader is not noticed for longer than any client waits.
    if election > 50_000 {
        return out_of_range("--election-timeout", election, "at most 50000 ms is allowed");
    }
    if election < heartbeat.saturating_mul(3) {
        let rule =
            "at least 3 times --heartbeat-interval is needed, so that a lost heartbeat starts no election";
        return out_of_range("--election-timeout", election, rule);
    }
    Ok((Duration::from_millis(heartbeat), Duration::from_millis(election)))
}

#[cfg(test)]
mod tests;
