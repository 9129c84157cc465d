//! The words that an operator writes: hosts, names, URLs.
//!
//! In: text. Out: values that are safe in a certificate, as a file name and in a kubeconfig file, or a
//! [`NameError`] that says what is wrong.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::ServerName;

/// A DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A DNS name in lower case.
    Dns(String),
}

/// Why a text is no name of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Neither an IP address nor a DNS name.
    #[error("{0:?} is neither an IP address nor a DNS name")]
    Host(String),
    /// Cannot be the name of a folder.
    #[error(
        "{0:?} cannot be a member's name: use letters, digits, '-', '_' and '.', beginning with a letter or digit"
    )]
    Member(String),
    /// Cannot be the name of a node.
    #[error(
        "{0:?} cannot be a node's name: use lower-case letters, digits, '-' and '.', beginning and ending with a \
         letter or digit, at most 63 between two dots"
    )]
    Node(String),
    /// Not of the form `NAME=HOST[,HOST…]`.
    #[error("{0:?} is not of the form NAME=HOST[,HOST...], for instance a=127.0.0.1")]
    Form(String),
    /// Not of the form `https://HOST:PORT`.
    #[error("{0:?} is not of the form https://HOST:PORT")]
    Url(String),
}

impl FromStr for Host {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match ServerName::try_from(text) {
            Ok(ServerName::IpAddress(address)) => Ok(Self::Ip(address.into())),
            Ok(ServerName::DnsName(name)) => Ok(Self::Dns(name.as_ref().to_ascii_lowercase())),
            Ok(_) | Err(_) => Err(NameError::Host(text.to_owned())),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Dns(name) => f.write_str(name),
        }
    }
}

/// The name of a member of the store or of a server: safe as the name of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberName(String);

impl FromStr for MemberName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let begins_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if begins_well && text.len() <= 63 && text.chars().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Member(text.to_owned()))
        }
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a node of the cluster: a DNS subdomain as Kubernetes wants one, which is safe as a file name, too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName(String);

impl NodeName {
    /// The node by its name, as a certificate names it.
    pub(crate) fn host(&self) -> Host {
        self.0.parse().expect("a name that is no host is refused when it is parsed")
    }
}

impl FromStr for NodeName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_label = |label: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !label.is_empty() && label.chars().all(plain) && !label.starts_with('-') && !label.ends_with('-')
        };
        // Its serving certificate names the node as a host.
        if text.len() <= 253 && text.split('.').all(is_label) && text.parse::<Host>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::Node(text.to_owned()))
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where clients reach the API: `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// The host, which the servers' certificates have to name.
    pub host: Host,
    /// The port.
    pub port: u16,
}

impl FromStr for ServerUrl {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let malformed = || NameError::Url(text.to_owned());
        let rest = text.strip_prefix("https://").ok_or_else(malformed)?;
        let (host, port) = rest.strip_suffix('/').unwrap_or(rest).rsplit_once(':').ok_or_else(malformed)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host: Host = bracketed.unwrap_or(host).parse().map_err(|_| malformed())?;
        let is_v6 = matches!(host, Host::Ip(IpAddr::V6(_)));
        // A port is written in digits: Rust's parser would take "+6443", too.
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_v6 != bracketed.is_some() || !is_number {
            return Err(malformed());
        }
        Ok(Self { host, port: port.parse().map_err(|_| malformed())? })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(f, "https://[{address}]:{}", self.port),
            host @ (Host::Ip(IpAddr::V4(_)) | Host::Dns(_)) => write!(f, "https://{host}:{}", self.port),
        }
    }
}
