//! The flags of `keelson store`: etcd's names, meanings, environment variables and defaults, text only.
//!
//! Three defaults differ from etcd's: heartbeats and elections are faster, and there is a command instead of
//! a flag where etcd has `--force-new-cluster`.
//!
//! Deliberately absent: checks across flags ([`super::options`] has them), and etcd's flags for what this
//! store does not have ([`super::foreign`]).

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use keelson_store::options::DEFAULT_SNAPSHOT_BYTES_PER_SECOND;

use super::authentication::AuthFlags;
use super::foreign::ForeignFlags;
use crate::endpoint::Endpoint;
use crate::initial_cluster::ClusterState;
use crate::process::LogLevel;
use crate::span::Span;

/// etcd's defaults, for members that name no URLs: plain text, on this machine alone.
pub(crate) const DEFAULT_CLIENT_URL: &str = "http://localhost:2379";
pub(crate) const DEFAULT_PEER_URL: &str = "http://localhost:2380";
/// etcd's, too.
pub(crate) const DEFAULT_TOKEN: &str = "etcd-cluster";

/// The data folder of a member that names none.
pub(crate) fn default_data_dir(name: &str) -> PathBuf {
    PathBuf::from(format!("{name}.etcd"))
}

/// All flags, in the order of the help.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    #[command(flatten)]
    pub(crate) member: MemberFlags,
    #[command(flatten)]
    pub(crate) cluster: ClusterFlags,
    #[command(flatten)]
    pub(crate) client_tls: ClientTlsFlags,
    #[command(flatten)]
    pub(crate) auth: AuthFlags,
    #[command(flatten)]
    pub(crate) peer_tls: PeerTlsFlags,
    #[command(flatten)]
    pub(crate) history: HistoryFlags,
    #[command(flatten)]
    pub(crate) tuning: TuningFlags,
    #[command(flatten)]
    pub(crate) foreign: ForeignFlags,
}

/// Which member this is and where it is reached.
#[derive(Debug, Args)]
#[command(next_help_heading = "Member")]
pub(crate) struct MemberFlags {
    /// This member's name, unique in the cluster.
    #[arg(long, env = "ETCD_NAME", default_value = "default")]
    pub(crate) name: String,
    /// The folder of its data [default: NAME.etcd in the working folder].
    #[arg(long, env = "ETCD_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// etcd's configuration file (YAML). With it, all other flags and variables are ignored, as in etcd.
    // Read before the flags are (`arguments`); here for the help.
    #[arg(long, value_name = "FILE")]
    pub(crate) config_file: Option<PathBuf>,
    /// Where to listen for clients, for instance https://10.0.0.1:2379 [default: http://localhost:2379].
    #[arg(long, env = "ETCD_LISTEN_CLIENT_URLS", value_name = "URLS", value_delimiter = ',')]
    pub(crate) listen_client_urls: Vec<Endpoint>,
    /// Where clients reach it [default: the URLs that it listens on].
    #[arg(long, env = "ETCD_ADVERTISE_CLIENT_URLS", value_name = "URLS", value_delimiter = ',')]
    pub(crate) advertise_client_urls: Vec<Endpoint>,
    /// Where to listen for the other members, for instance https://10.0.0.1:2380 [default:
    /// http://localhost:2380].
    #[arg(long, env = "ETCD_LISTEN_PEER_URLS", value_name = "URLS", value_delimiter = ',')]
    pub(crate) listen_peer_urls: Vec<Endpoint>,
    /// Where to listen for probes and metrics alone; https:// ones show --cert-file and ask as clients' do.
    #[arg(long, env = "ETCD_LISTEN_METRICS_URLS", value_name = "URLS", value_delimiter = ',')]
    pub(crate) listen_metrics_urls: Vec<Endpoint>,
}

impl MemberFlags {
    /// Where its data is.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| default_data_dir(&self.name))
    }
}

/// Which cluster it belongs to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(crate) struct ClusterFlags {
    /// Where the other members reach it [default: the peer URLs that it listens on].
    #[arg(long, env = "ETCD_INITIAL_ADVERTISE_PEER_URLS", value_name = "URLS", value_delimiter = ',')]
    pub(crate) initial_advertise_peer_urls: Vec<Endpoint>,
    /// The first members, as a=https://10.0.0.1:2380,b=https://10.0.0.2:2380 [default: this member alone].
    #[arg(long, env = "ETCD_INITIAL_CLUSTER", value_name = "NAME=URL,...", value_delimiter = ',')]
    pub(crate) initial_cluster: Vec<String>,
    /// Tells clusters apart that would otherwise look alike; the same on all members.
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_TOKEN", default_value = DEFAULT_TOKEN)]
    pub(crate) initial_cluster_token: String,
    /// Whether a member with an empty data folder founds the cluster or joins one.
    #[arg(long, env = "ETCD_INITIAL_CLUSTER_STATE", value_enum, default_value_t = ClusterState::New)]
    pub(crate) initial_cluster_state: ClusterState,
}

/// TLS towards clients.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS towards clients")]
pub(crate) struct ClientTlsFlags {
    /// The certificate shown to clients.
    #[arg(long, env = "ETCD_CERT_FILE", value_name = "FILE")]
    pub(crate) cert_file: Option<PathBuf>,
    /// Its private key.
    #[arg(long, env = "ETCD_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// The authority of the clients' certificates. As in etcd, giving it demands a certificate of every
    /// client.
    #[arg(long, env = "ETCD_TRUSTED_CA_FILE", value_name = "FILE")]
    pub(crate) trusted_ca_file: Option<PathBuf>,
    /// Demand a certificate of every client; needs --trusted-ca-file. While authentication is on, the common name in it is
    /// that of the user, for clients that show no token.
    #[arg(long, env = "ETCD_CLIENT_CERT_AUTH", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(crate) client_cert_auth: Option<bool>,
}

/// TLS between members.
#[derive(Debug, Args)]
#[command(next_help_heading = "TLS between members")]
pub(crate) struct PeerTlsFlags {
    /// The certificate shown to other members, both when they connect and when this one does.
    #[arg(long, env = "ETCD_PEER_CERT_FILE", value_name = "FILE")]
    pub(crate) peer_cert_file: Option<PathBuf>,
    /// Its private key.
    #[arg(long, env = "ETCD_PEER_KEY_FILE", value_name = "FILE")]
    pub(crate) peer_key_file: Option<PathBuf>,
    /// The authority of the members' certificates.
    #[arg(long, env = "ETCD_PEER_TRUSTED_CA_FILE", value_name = "FILE")]
    pub(crate) peer_trusted_ca_file: Option<PathBuf>,
    /// Demand a certificate of every member that connects. With https:// peer URLs this is always so.
    #[arg(long, env = "ETCD_PEER_CLIENT_CERT_AUTH", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub(crate) peer_client_cert_auth: Option<bool>,
}

/// How much history is kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "History")]
pub(crate) struct HistoryFlags {
    /// What --auto-compaction-retention counts: time or revisions.
    #[arg(long, env = "ETCD_AUTO_COMPACTION_MODE", value_enum, default_value_t = CompactionMode::Periodic)]
    pub(crate) auto_compaction_mode: CompactionMode,
    /// How much history is kept: hours or a span of time as 30m, or a number of revisions. 0 keeps all that
    /// is not compacted by hand.
    #[arg(long, env = "ETCD_AUTO_COMPACTION_RETENTION", value_name = "TIME|REVISIONS", default_value = "0")]
    pub(crate) auto_compaction_retention: String,
    /// Bytes of state beyond which writes that grow are refused; deletes and small updates go on. 0: no
    /// limit. etcd's own default is 2 GiB.
    #[arg(
        long,
        env = "ETCD_QUOTA_BACKEND_BYTES",
        value_name = "BYTES",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    pub(crate) quota_backend_bytes: i64,
    /// A folder, this member's alone, into which every change is written as it comes, so that `keelson store
    /// snapshot restore` can go back to any moment.
    #[arg(long, env = "KEELSON_STORE_BACKUP_DIR", value_name = "DIR")]
    pub(crate) backup_dir: Option<PathBuf>,
    /// How far back --backup-dir must lead, for instance 168h; files that only lead further back are removed
    /// [default: none ever is].
    #[arg(long, env = "KEELSON_STORE_BACKUP_RETENTION", value_name = "TIME")]
    pub(crate) backup_retention: Option<Span>,
}

/// What history is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompactionMode {
    /// Time.
    Periodic,
    /// Revisions.
    Revision,
}

/// Clocks, snapshots and logging.
#[derive(Debug, Args)]
#[command(next_help_heading = "Tuning")]
pub(crate) struct TuningFlags {
    /// Log entries between two snapshots.
    #[arg(long, env = "ETCD_SNAPSHOT_COUNT", value_name = "ENTRIES", default_value_t = 100_000)]
    pub(crate) snapshot_count: u64,
    /// Log entries kept behind a snapshot, so that a member that was away briefly needs no snapshot.
    #[arg(long, env = "ETCD_SNAPSHOT_CATCHUP_ENTRIES", value_name = "ENTRIES", default_value_t = 10_000)]
    pub(crate) snapshot_catchup_entries: u64,
    /// Bytes per second that this member sends of snapshots to members that lag far behind, all together. 0: as
    /// fast as it goes.
    #[arg(
        long,
        env = "KEELSON_STORE_SNAPSHOT_BYTES_PER_SECOND",
        value_name = "BYTES",
        default_value_t = DEFAULT_SNAPSHOT_BYTES_PER_SECOND
    )]
    pub(crate) snapshot_bytes_per_second: u64,
    /// Milliseconds between the leader's heartbeats.
    #[arg(long, env = "ETCD_HEARTBEAT_INTERVAL", value_name = "MS", default_value_t = 75)]
    pub(crate) heartbeat_interval: u64,
    /// Milliseconds without a heartbeat before an election; the wait is random between once and twice this.
    #[arg(long, env = "ETCD_ELECTION_TIMEOUT", value_name = "MS", default_value_t = 225)]
    pub(crate) election_timeout: u64,
    /// After how long without events a watch that asked for progress reports gets one: 10m, 30s.
    #[arg(long, env = "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL", value_name = "TIME", default_value = "10m")]
    pub(crate) watch_progress_notify_interval: Span,
    /// From here on a write is slow, and the log says where its time went: 100ms, 1s.
    #[arg(
        long,
        env = "ETCD_WARNING_APPLY_DURATION",
        value_name = "TIME",
        default_value = "100ms",
        value_parser = short_time
    )]
    pub(crate) warning_apply_duration: Duration,
    /// How much to log: error, warn, info, debug or trace. KEELSON_LOG, where set, has more say: for instance
    /// info,keelson_store::peer=debug.
    #[arg(long, env = "ETCD_LOG_LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
}

/// A span of time that may be shorter than a second.
fn short_time(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").and_then(|count| count.parse().ok()).map(Duration::from_millis);
    match millis.filter(|millis| !millis.is_zero()) {
        Some(millis) => Ok(millis),
        None => text.parse::<Span>().map(Span::get),
    }
}
