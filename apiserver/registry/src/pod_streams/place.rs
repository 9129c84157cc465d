//! Where a node's own API is.

use crate::{object::Object, status::ApiError};

/// The port of a node that names none; upstream's.
const DEFAULT_PORT: u16 = 10_250;

/// Which of a node's addresses is tried; upstream's names in the order that installers use.
const PREFERENCE: [&str; 5] = ["InternalIP", "ExternalIP", "InternalDNS", "ExternalDNS", "Hostname"];

/// Where a node's own API is, and whom to expect there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// The node's name, which its certificate has to bear: an address can be claimed by whoever writes the Node.
    pub name: String,
    /// An address or a host name.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl NodePlace {
    /// What a Node says of itself.
    ///
    /// # Errors
    /// 500 where it names no address.
    pub fn of(node: &Object) -> Result<Self, ApiError> {
        let addresses = node.list(&["status", "addresses"]);
        let of_kind = |kind: &&str| {
            let found = addresses.iter().find(|address| address["type"] == **kind)?;
            found["address"].as_str().filter(|text| !text.is_empty())
        };
        let Some(host) = PREFERENCE.iter().find_map(of_kind) else {
            return Err(ApiError::internal(format!(
                "no preferred addresses found; known addresses of node {:?}: {}",
                node.name(),
                serde_json::Value::from(addresses)
            )));
        };
        let port = node.integer(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"]);
        let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
        Ok(Self { name: node.name().to_owned(), host: host.to_owned(), port: port.unwrap_or(DEFAULT_PORT) })
    }

    /// `10.0.0.7:10250`, `[fd00::7]:10250`.
    pub fn authority(&self) -> String {
        match self.host.parse() {
            Ok(std::net::IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            Ok(std::net::IpAddr::V4(_)) | Err(_) => format!("{}:{}", self.host, self.port),
        }
    }
}
