//! What a server process asks of its surroundings: logging, file descriptors, a runtime, signals.

use std::io;

use clap::ValueEnum;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The environment variable that overrides `--log-level`, with `tracing`'s filter syntax:
/// `info,keelson_store::peer=debug`.
const LOG_ENV: &str = "KEELSON_LOG";

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// What failed.
    #[value(alias = "panic", alias = "fatal", alias = "dpanic")]
    Error,
    /// What needs attention.
    Warn,
    /// What happened once.
    Info,
    /// What happens often.
    Debug,
}

impl LogLevel {
    /// The filter of `tracing` for it. openraft warns of every message that a dead peer does not get, a hundred times a
    /// second, and kube of every answer that is an error: those who ask tell of it themselves, once and in context.
    const fn filter(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info,openraft=error,kube_client=off",
            Self::Debug => "debug",
        }
    }
}

/// Sends logs to standard error, one line per event. `default` holds where `KEELSON_LOG` is not set.
///
/// # Errors
///
/// The text of the variable is no filter, or logging is set up already.
fn start_logging(default: LogLevel) -> Result<(), String> {
    let filter = match std::env::var(LOG_ENV) {
        Ok(directives) => {
            EnvFilter::try_new(&directives).map_err(|error| format!("{LOG_ENV}={directives}: {error}"))?
        }
        Err(_) => EnvFilter::new(default.filter()),
    };
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    logs.try_init().map_err(|error| error.to_string())
}

/// The order in which a server process gets ready before it does anything of its own: logs, cryptography, files.
///
/// # Errors
///
/// As [`start_logging`].
pub(crate) fn prepare(log_level: LogLevel) -> Result<(), String> {
    start_logging(log_level)?;
    install_crypto();
    match raise_open_files() {
        Some(limit) => tracing::debug!(limit, "limit of open files"),
        None => tracing::debug!("open files are not limited"),
    }
    Ok(())
}

/// Makes `ring` the one provider of cryptography, before anything builds a TLS configuration.
pub(crate) fn install_crypto() {
    // It fails only if a provider is installed already, and `ring` is the only one in the binary.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
}

/// Raises the limit of open files as far as allowed: the storage engine and every client hold some. Returns the
/// limit that holds now, if there is one.
fn raise_open_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// A runtime with one thread: the store is fastest without hand-overs between threads.
pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// The signals that ask a process to stop: SIGTERM and SIGINT.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Takes the signals over from their default, which is to end the process at once.
    ///
    /// # Errors
    ///
    /// The handlers could not be installed.
    pub(crate) fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes when the next of them arrives.
    pub(crate) async fn asked(&mut self) {
        let name = tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
    }
}
