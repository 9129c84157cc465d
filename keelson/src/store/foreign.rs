//! etcd's flags for what this store has not, or has no choice about: THE table of them.
//!
//! In: a flag as it was given. Out: a note that it has no effect and why, or a sentence that refuses it. A
//! flag that is in no table at all is refused by the command line itself. Nothing that somebody asked for is
//! passed over in silence.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

/// One of etcd's flags, and what is to be said about it.
struct Foreign {
    /// Without the dashes.
    flag: &'static str,
    takes: Takes,
    verdict: Verdict,
    /// Why it has no effect, or what to do instead.
    why: &'static str,
}

/// What follows a flag.
#[derive(Clone, Copy)]
enum Takes {
    /// Nothing, or `=true` or `=false`.
    Switch,
    Value,
}

#[derive(Clone, Copy)]
enum Verdict {
    /// It may be given, and changes nothing.
    NoEffect,
    /// What it asks for is so anyway, with one of these values; with any other it is refused.
    Only(&'static [&'static str]),
    /// It asks for what is not there.
    Refused,
}

use Takes::{Switch, Value};
use Verdict::{NoEffect, Only, Refused};

const fn row(flag: &'static str, takes: Takes, verdict: Verdict, why: &'static str) -> Foreign {
    Foreign { flag, takes, verdict, why }
}

const OFF: Verdict = Only(&["false"]);
const ON: Verdict = Only(&["true"]);

const BBOLT: &str = "there is no bbolt here";
const PACE: &str = "history is removed at a pace of its own";
const CHECKS: &str =
    "everything that is read from disk is checked anyway; compare members with `etcdctl endpoint hashkv`";
const DISCOVERY: &str = "name the members in --initial-cluster";
const GATEWAY: &str = "there is no gateway from JSON to gRPC";
const LOGS: &str = "the log goes to standard error; KEELSON_LOG filters it";
const PKI: &str = "`keelson pki init` makes certificates";
const PROXY: &str = "there is no proxy here";
const AUTHORITY: &str =
    "every certificate of the authority is let in: use an authority that signs nothing else";
const REVOCATION: &str =
    "revocation lists are not read: replace the authority, or use short-lived certificates";
const SLOW: &str = "what is slow is in the metrics";
const TRACING: &str = "there is no export of traces";

const TABLE: &[Foreign] = &[
    row("wal-dir", Value, Refused, "log and state lie in --data-dir together: put that on the faster disk"),
    row("initial-election-tick-advance", Switch, NoEffect, "elections here need no head start"),
    row("listen-client-http-urls", Value, Refused, "HTTP and gRPC share --listen-client-urls"),
    row("max-snapshots", Value, NoEffect, "snapshots are removed when nobody needs them any more"),
    row("max-wals", Value, NoEffect, "logs are removed when nobody needs them any more"),
    row("backend-bbolt-freelist-type", Value, NoEffect, BBOLT),
    row("backend-batch-interval", Value, NoEffect, BBOLT),
    row("backend-batch-limit", Value, NoEffect, BBOLT),
    row("txn-mode-write-with-shared-buffer", Switch, NoEffect, BBOLT),
    row("bootstrap-defrag-threshold-megabytes", Value, NoEffect, "nothing has to be defragmented"),
    row("stop-grpc-service-on-defrag", Switch, NoEffect, "nothing has to be defragmented"),
    row("memory-mlock", Switch, OFF, "keys live on disk, and memory is a cache"),
    row("max-txn-ops", Value, Only(&["128"]), "transactions have at most 128 operations"),
    row("max-request-bytes", Value, Only(&["1572864"]), "requests have at most 1572864 bytes"),
    row("max-concurrent-streams", Value, NoEffect, "a connection has at most 65536 streams"),
    row("max-learners", Value, NoEffect, "learners are not limited"),
    row("grpc-keepalive-min-time", Value, NoEffect, "clients may ask as often as they like"),
    row("grpc-keepalive-interval", Value, NoEffect, "silent clients are asked after 30 s"),
    row("grpc-keepalive-timeout", Value, NoEffect, "silent clients have 20 s to answer"),
    row("socket-reuse-port", Switch, OFF, "a socket is this process's alone"),
    row("socket-reuse-address", Switch, NoEffect, "addresses are reused anyway"),
    row("enable-grpc-gateway", Switch, NoEffect, GATEWAY),
    row("raft-read-timeout", Value, NoEffect, "peers have deadlines of their own"),
    row("raft-write-timeout", Value, NoEffect, "peers have deadlines of their own"),
    row("wait-cluster-ready-timeout", Value, NoEffect, "a member serves when it has joined"),
    row("set-member-localaddr", Switch, OFF, "the system chooses the address that peers see"),
    row("discovery", Value, Refused, DISCOVERY),
    row("discovery-token", Value, Refused, DISCOVERY),
    row("discovery-endpoints", Value, Refused, DISCOVERY),
    row("discovery-srv", Value, Refused, DISCOVERY),
    row("discovery-srv-name", Value, Refused, DISCOVERY),
    row("discovery-fallback", Value, NoEffect, DISCOVERY),
    row("discovery-proxy", Value, Refused, DISCOVERY),
    row("strict-reconfig-check", Switch, ON, "changes that would lose the quorum are always refused"),
    row("pre-vote", Switch, ON, "whoever stands for election asks first whether it could win"),
    row("enable-v2", Switch, OFF, "there is no v2 API"),
    row("enable-v2v3", Value, Refused, "there is no v2 API"),
    row("v2-deprecation", Value, NoEffect, "there is no v2 API"),
    row("feature-gates", Value, Refused, "there are no feature gates"),
    row("client-cert-file", Value, NoEffect, GATEWAY),
    row("client-key-file", Value, NoEffect, GATEWAY),
    row("client-crl-file", Value, Refused, REVOCATION),
    row("client-cert-allowed-hostname", Value, Refused, AUTHORITY),
    row("auto-tls", Switch, OFF, PKI),
    row("peer-auto-tls", Switch, OFF, PKI),
    row("self-signed-cert-validity", Value, NoEffect, PKI),
    row("peer-client-cert-file", Value, Refused, "members show --peer-cert-file also where they connect"),
    row("peer-client-key-file", Value, Refused, "members show --peer-cert-file also where they connect"),
    row("peer-crl-file", Value, Refused, REVOCATION),
    row("peer-cert-allowed-cn", Value, Refused, AUTHORITY),
    row("peer-cert-allowed-hostname", Value, Refused, AUTHORITY),
    row(
        "peer-skip-client-san-verification",
        Switch,
        OFF,
        "members are told by their authority, not by names",
    ),
    row("cipher-suites", Value, Refused, "only suites that are safe are offered"),
    row("tls-min-version", Value, Only(&["TLS1.2"]), "TLS 1.2 and 1.3 are spoken"),
    row("tls-max-version", Value, Only(&["TLS1.3"]), "TLS 1.2 and 1.3 are spoken"),
    row("cors", Value, NoEffect, GATEWAY),
    row("host-whitelist", Value, Only(&["*"]), "host names of requests are not looked at"),
    row("enable-pprof", Switch, OFF, "there is no profiler for Go here"),
    row("metrics", Value, NoEffect, "there is one page of metrics"),
    row("logger", Value, NoEffect, LOGS),
    row("log-format", Value, NoEffect, LOGS),
    row("log-outputs", Value, Only(&["default", "stderr"]), LOGS),
    row("enable-log-rotation", Switch, OFF, LOGS),
    row("log-rotation-config-json", Value, NoEffect, LOGS),
    row("log-package-levels", Value, Refused, LOGS),
    row("debug", Switch, OFF, "use --log-level=debug"),
    row("proxy", Value, Only(&["off"]), PROXY),
    row("proxy-failure-wait", Value, NoEffect, PROXY),
    row("proxy-refresh-interval", Value, NoEffect, PROXY),
    row("proxy-dial-timeout", Value, NoEffect, PROXY),
    row("proxy-write-timeout", Value, NoEffect, PROXY),
    row("proxy-read-timeout", Value, NoEffect, PROXY),
    row("initial-corrupt-check", Switch, NoEffect, CHECKS),
    row("corrupt-check-time", Value, NoEffect, CHECKS),
    row("compact-hash-check-enabled", Switch, NoEffect, CHECKS),
    row("compact-hash-check-time", Value, NoEffect, CHECKS),
    row("enable-lease-checkpoint", Switch, NoEffect, "a lease never ends early because the leader changed"),
    row(
        "enable-lease-checkpoint-persist",
        Switch,
        NoEffect,
        "a lease never ends early because the leader changed",
    ),
    row("compaction-batch-limit", Value, NoEffect, PACE),
    row("compaction-sleep-interval", Value, NoEffect, PACE),
    row("warning-unary-request-duration", Value, NoEffect, SLOW),
    row("enable-distributed-tracing", Switch, OFF, TRACING),
    row("distributed-tracing-address", Value, NoEffect, TRACING),
    row("distributed-tracing-service-name", Value, NoEffect, TRACING),
    row("distributed-tracing-instance-id", Value, NoEffect, TRACING),
    row("distributed-tracing-sampling-rate", Value, NoEffect, TRACING),
    row("force-new-cluster", Switch, OFF, "`keelson store recover` makes a new cluster of what is left"),
    row("unsafe-no-fsync", Switch, OFF, "what was acknowledged is always fsynced"),
];

impl Foreign {
    /// What is to be said when it is given with this value.
    fn judge(&self, value: &str) -> Result<String, ForeignError> {
        let refused = || ForeignError { flag: format!("--{}={value}", self.flag), why: self.why };
        let noted = Ok(format!("--{} has no effect: {}", self.flag, self.why));
        match self.verdict {
            // What is empty asks for nothing.
            _ if value.is_empty() => noted,
            NoEffect => noted,
            Only(values) if values.contains(&value) => noted,
            Only(_) | Refused => Err(refused()),
        }
    }
}

/// Whether a flag stands in the table.
pub(super) fn is_foreign(flag: &str) -> bool {
    TABLE.iter().any(|row| row.flag == flag)
}

/// A flag of etcd's that asks for what is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} is not possible here: {why}. Leave it out")]
pub(crate) struct ForeignError {
    flag: String,
    why: &'static str,
}

/// The flags of the table that were given, with their values.
#[derive(Clone, Debug, Default)]
pub(crate) struct ForeignFlags(Vec<(String, String)>);

impl ForeignFlags {
    /// What is to be said about each.
    ///
    /// # Errors
    /// The first that is refused.
    pub(crate) fn judge(&self) -> Result<Vec<String>, ForeignError> {
        let judge = |(name, value): &(String, String)| {
            let row = TABLE.iter().find(|row| row.flag == name);
            row.map(|row| row.judge(value))
        };
        self.0.iter().filter_map(judge).collect()
    }
}

impl Args for ForeignFlags {
    fn augment_args(command: Command) -> Command {
        command.args(TABLE.iter().map(|row| {
            let arg = Arg::new(row.flag).long(row.flag).hide(true).value_name("VALUE");
            match row.takes {
                Value => arg.num_args(1),
                Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
            }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ForeignFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = TABLE.iter().filter_map(|row| {
            let value = matches.get_one::<String>(row.flag)?.clone();
            Some((row.flag.to_owned(), value))
        });
        Ok(Self(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn judged(name: &str, value: &str) -> Result<Vec<String>, String> {
        ForeignFlags(vec![(name.to_owned(), value.to_owned())]).judge().map_err(|error| error.to_string())
    }

    #[test]
    fn no_flag_stands_twice_in_the_table() {
        let names: BTreeSet<_> = TABLE.iter().map(|row| row.flag).collect();
        assert_eq!(names.len(), TABLE.len());
    }

    #[test]
    fn what_is_so_anyway_may_be_asked_for_and_nothing_else() {
        assert_eq!(judged("pre-vote", "true").unwrap().len(), 1);
        let refused = judged("pre-vote", "false").unwrap_err();
        assert_eq!(
            refused,
            "--pre-vote=false is not possible here: whoever stands for election asks first whether it could win. \
             Leave it out"
        );
        assert!(judged("wal-dir", "/fast").unwrap_err().contains("--data-dir"));
        assert_eq!(judged("wal-dir", "").unwrap().len(), 1, "an empty value asks for nothing");
        assert!(judged("force-new-cluster", "true").unwrap_err().contains("`keelson store recover`"));
        let noted = judged("compaction-batch-limit", "1000").unwrap();
        assert_eq!(noted, [format!("--compaction-batch-limit has no effect: {PACE}")]);
    }
}
