//! Who has a certificate in the cluster: one table of authorities, one of identities.
//!
//! In: the members of the store. Out: [`Identity`] values, pure data. A further component of the cluster is one
//! more row here; nothing else in this crate knows who the identities are.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustls_pki_types::ServerName;

/// A certificate authority. Each has one purpose, so that a certificate made for one cannot be used for another:
/// whoever may ask the store for data may not join its Raft traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authority {
    /// Signs what members of the store show to each other.
    Peer,
    /// Signs what the store shows to its clients, and what they show to it.
    Client,
}

impl Authority {
    /// The certificate's subject common name.
    #[must_use]
    pub const fn common_name(self) -> &'static str {
        match self {
            Self::Peer => "keelson peer CA",
            Self::Client => "keelson client CA",
        }
    }

    /// The name of its files without extension, relative to the PKI's folder.
    #[must_use]
    pub const fn stem(self) -> &'static str {
        match self {
            Self::Peer => "peer-ca",
            Self::Client => "client-ca",
        }
    }
}

/// What a certificate may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Usage {
    /// Prove a server's name to its clients.
    Server,
    /// Prove a client's name to a server.
    Client,
}

/// One key and certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The name of its files without extension, relative to the PKI's folder. Unique in a table.
    pub stem: String,
    /// Who signs it.
    pub authority: Authority,
    /// The subject's common name: who the holder is.
    pub common_name: String,
    /// The subject's organization: which group the holder belongs to.
    pub organization: &'static str,
    /// What it may be used for.
    pub usages: BTreeSet<Usage>,
    /// The names and addresses under which the holder is reached; empty for clients.
    pub hosts: BTreeSet<Host>,
}

/// A member of the store and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, unique in the cluster; also the name of its folder.
    pub name: MemberName,
    /// Its host names and addresses.
    pub hosts: BTreeSet<Host>,
}

/// The organization of members of the store.
pub const MEMBERS: &str = "keelson:store-members";

/// The organization of clients that may do anything with the store.
pub const ADMINISTRATORS: &str = "keelson:store-administrators";

/// The identities of a store with these members: per member one certificate for clients and one for peers, and
/// one client certificate named `root`.
#[must_use]
pub fn store_identities(members: &[Member]) -> Vec<Identity> {
    let mut identities = Vec::new();
    for member in members {
        identities.push(member.identity("server", Authority::Client, [Usage::Server].into()));
        identities.push(member.identity("peer", Authority::Peer, [Usage::Server, Usage::Client].into()));
    }
    identities.push(Identity {
        stem: "clients/root".to_owned(),
        authority: Authority::Client,
        common_name: "root".to_owned(),
        organization: ADMINISTRATORS,
        usages: [Usage::Client].into(),
        hosts: BTreeSet::new(),
    });
    identities
}

impl Member {
    fn identity(&self, role: &str, authority: Authority, usages: BTreeSet<Usage>) -> Identity {
        Identity {
            stem: format!("members/{}/{role}", self.name),
            authority,
            common_name: self.name.to_string(),
            organization: MEMBERS,
            usages,
            hosts: self.hosts.clone(),
        }
    }
}

/// The certificate file that belongs to a stem.
#[must_use]
pub fn certificate_path(dir: &Path, stem: &str) -> PathBuf {
    dir.join(format!("{stem}.crt"))
}

/// The private key file that belongs to a stem.
#[must_use]
pub fn key_path(dir: &Path, stem: &str) -> PathBuf {
    dir.join(format!("{stem}.key"))
}

/// A DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A DNS name in lower case.
    Dns(String),
}

/// Why a text is not a [`Host`], a [`MemberName`] or a [`Member`].
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
    /// Not of the form `NAME=HOST[,HOST…]`.
    #[error("{0:?} is not of the form NAME=HOST[,HOST...], for instance a=127.0.0.1")]
    Form(String),
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

/// The name of a member of the store: safe as the name of a folder.
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

impl FromStr for Member {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, hosts) = text.split_once('=').ok_or_else(|| NameError::Form(text.to_owned()))?;
        let hosts = hosts.split(',').map(Host::from_str).collect::<Result<_, _>>()?;
        Ok(Self { name: name.parse()?, hosts })
    }
}
