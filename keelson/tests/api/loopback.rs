//! Servers on loopback addresses and ports that were free a moment ago.

use std::net::{Ipv4Addr, TcpListener};

use crate::network::Network;
use crate::servers::{Layout, SHARED, Servers};

const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3), Ipv4Addr::new(127, 0, 0, 4)];

/// Ports below those that the system gives to outgoing connections.
const PORTS: std::ops::Range<u16> = 10_000..30_000;

impl Servers {
    /// Starts three servers and waits until all are well.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same, with further flags.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let layout = Layout {
            network: Network::default(),
            addresses: ADDRESSES,
            api_port: free_port(),
            peer_port: free_port(),
            node: "worker".to_owned(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        };
        let mut servers = Self::launch(layout, tempfile::tempdir().unwrap());
        servers.wait_until_well();
        servers
    }
}

/// A port that is free at all addresses.
fn free_port() -> u16 {
    let is_free = |port: &u16| {
        [SHARED].iter().chain(&ADDRESSES).all(|address| TcpListener::bind((*address, *port)).is_ok())
    };
    let mut candidates = std::iter::repeat_with(|| rand::random_range(PORTS)).take(1000);
    candidates.find(is_free).expect("a port is free")
}
