//! The way to the API servers: a port on loopback that leads to one of them.
//!
//! In: the URLs of the servers. Out: [`Forwarder::url`], where clients connect as they would to a server; bytes are
//! handed on as they are, so that TLS goes from end to end. The server that is used answers `/readyz`; when it stops to,
//! another one is taken and the connections to the old one are cut, so that clients notice at once. Deliberately absent:
//! spreading one client's requests over servers, and any knowledge of what is said.

mod health;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use rand::seq::SliceRandom;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub use self::health::BadAuthorities;
use self::health::Health;

/// How often the server in use is asked.
const CHECK_PERIOD: Duration = Duration::from_secs(1);

/// How long a server may take to say that it is ready, or to take a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pause after a connection could not be taken for want of resources.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no forwarder.
#[derive(Debug, thiserror::Error)]
pub enum ForwarderError {
    /// No server, or one whose URL names no host.
    #[error("{0:?} does not name an API server: write https://HOST:PORT")]
    Server(String),
    /// What servers are believed by cannot be used.
    #[error(transparent)]
    Authorities(#[from] BadAuthorities),
    /// The machine gives no port.
    #[error("cannot listen on loopback")]
    Listen(#[source] io::Error),
}

/// A server's host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Server {
    host: String,
    port: u16,
}

/// Forwards connections on a port of loopback to a server that is ready.
pub struct Forwarder {
    listener: TcpListener,
    url: Uri,
    servers: Vec<Server>,
    health: Health,
    /// Which server is used. Each new value is another choice: connections of the one before are cut.
    chosen: watch::Sender<usize>,
}

impl Forwarder {
    /// Listens; nothing is forwarded before it [`run`](Self::run)s. `authorities`: PEM of those who sign what servers
    /// show.
    pub async fn bind(servers: &[Uri], authorities: &str) -> Result<Self, ForwarderError> {
        let mut servers = servers.iter().map(server).collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(ForwarderError::Server(String::new()));
        }
        // Every node begins with another one.
        servers.shuffle(&mut rand::rng());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(ForwarderError::Listen)?;
        let address = listener.local_addr().map_err(ForwarderError::Listen)?;
        let url = format!("https://{address}").parse().expect("an address with a port is an authority");
        let health = Health::new(authorities)?;
        Ok(Self { listener, url, servers, health, chosen: watch::Sender::new(0) })
    }

    /// Where clients connect.
    pub fn url(&self) -> Uri {
        self.url.clone()
    }

    /// Forwards until dropped.
    pub async fn run(self) -> Infallible {
        let servers: Arc<[Server]> = self.servers.into();
        tokio::select! {
            never = accept(&self.listener, &servers, &self.chosen) => never,
            never = choose(&servers, &self.health, &self.chosen) => never,
        }
    }
}

fn server(url: &Uri) -> Result<Server, ForwarderError> {
    let host = url.host().ok_or_else(|| ForwarderError::Server(url.to_string()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Server { host, port: url.port_u16().unwrap_or(443) })
}

/// Keeps the choice a good one.
async fn choose(servers: &[Server], health: &Health, chosen: &watch::Sender<usize>) -> Infallible {
    let mut ticks = tokio::time::interval(CHECK_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let current = *chosen.borrow();
        if is_ready(health, &servers[current]).await {
            continue;
        }
        for next in others(current, servers.len()) {
            if is_ready(health, &servers[next]).await {
                tracing::info!(from = %servers[current], to = %servers[next], "changing to another API server");
                chosen.send_replace(next);
                break;
            }
        }
    }
}

async fn is_ready(health: &Health, server: &Server) -> bool {
    let asked = tokio::time::timeout(PATIENCE, health.ask(server)).await;
    match asked {
        Ok(Ok(())) => true,
        Ok(Err(why)) => {
            tracing::debug!(%server, %why, "the API server is not ready");
            false
        }
        Err(_) => {
            tracing::debug!(%server, "the API server does not answer");
            false
        }
    }
}

/// All but one, beginning after it.
fn others(current: usize, count: usize) -> impl Iterator<Item = usize> {
    (1..count).map(move |step| (current + step) % count)
}

async fn accept(
    listener: &TcpListener,
    servers: &Arc<[Server]>,
    chosen: &watch::Sender<usize>,
) -> Infallible {
    loop {
        match listener.accept().await {
            Ok((client, _)) => drop(tokio::spawn(forward(client, servers.clone(), chosen.clone()))),
            Err(error) => {
                tracing::warn!(%error, "cannot take connections to the API");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Hands bytes on between a client and the server of the moment, until one of them ends or another server is chosen.
async fn forward(mut client: TcpStream, servers: Arc<[Server]>, chosen: watch::Sender<usize>) {
    let mut choice = chosen.subscribe();
    let first = *choice.borrow_and_update();
    let Some((at, mut server)) = connect(&servers, first).await else { return };
    if at != first {
        // This one takes connections and the chosen one does not: no need to wait for the next check.
        chosen.send_if_modified(|current| *current == first && std::mem::replace(current, at) != at);
        choice.borrow_and_update();
    }
    let set = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    if let Err(error) = set {
        tracing::debug!(%error, "a connection to the API is gone");
        return;
    }
    tokio::select! {
        // How a connection ends is for its ends to judge.
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        // The sender lives in this task, so this means another choice.
        _ = choice.changed() => {}
    }
}

/// A connection to the server at `first`, or to the next one that takes one.
async fn connect(servers: &[Server], first: usize) -> Option<(usize, TcpStream)> {
    for at in std::iter::once(first).chain(others(first, servers.len())) {
        let Server { host, port } = &servers[at];
        if let Ok(Ok(stream)) =
            tokio::time::timeout(PATIENCE, TcpStream::connect((host.as_str(), *port))).await
        {
            return Some((at, stream));
        }
    }
    None
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.parse() {
            Ok(ip) => SocketAddr::new(ip, self.port).fmt(f),
            Err(_) => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests;
