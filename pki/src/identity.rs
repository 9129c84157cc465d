//! Who has a certificate in the cluster: one table of authorities, one of identities.
//!
//! In: the members of a store, or the servers and nodes of a cluster. Out: an [`Inventory`], pure data. A further
//! component of the cluster is one more row here; nothing else in this crate knows who the identities are.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::name::{Host, MemberName, NameError, NodeName, ServerUrl};

/// A certificate authority. Each has one purpose, so that a certificate made for one cannot be used for another:
/// whoever may ask the store for data may not join its Raft traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authority {
    /// Signs what members of the store show to each other.
    Peer,
    /// Signs what the store shows to its clients, and what they show to it. Only where the store runs alone.
    Client,
    /// Signs what API servers show to their clients. Every client of the cluster trusts it.
    ClusterServer,
    /// Signs what people, components and nodes show to the API servers: it says who they are and which groups
    /// they belong to.
    ClusterClient,
    /// Signs what nodes show to the API servers when these ask them for logs or run commands. Its own, so that no
    /// node can pass for an API server.
    ClusterNode,
}

impl Authority {
    /// The certificate's subject common name.
    #[must_use]
    pub const fn common_name(self) -> &'static str {
        match self {
            Self::Peer => "keelson peer CA",
            Self::Client => "keelson client CA",
            Self::ClusterServer => "keelson cluster server CA",
            Self::ClusterClient => "keelson cluster client CA",
            Self::ClusterNode => "keelson cluster node CA",
        }
    }

    /// The name of its files without extension, relative to the PKI's folder.
    #[must_use]
    pub const fn stem(self) -> &'static str {
        match self {
            Self::Peer => "peer-ca",
            Self::Client => "client-ca",
            Self::ClusterServer => "cluster-server-ca",
            Self::ClusterClient => "cluster-client-ca",
            Self::ClusterNode => "cluster-node-ca",
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
    /// The subject's organization: which group the holder belongs to, if any.
    pub organization: Option<&'static str>,
    /// What it may be used for.
    pub usages: BTreeSet<Usage>,
    /// The names and addresses under which the holder is reached; empty for clients.
    pub hosts: BTreeSet<Host>,
}

/// A member of the store, or a server of the cluster, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name, unique in the cluster; also the name of its folder.
    pub name: MemberName,
    /// Its host names and addresses.
    pub hosts: BTreeSet<Host>,
}

/// A node of the cluster, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name, unique in the cluster; also the name of its files.
    pub name: NodeName,
    /// Host names and addresses beside its name. The API servers go by the name, whatever the address.
    pub hosts: BTreeSet<Host>,
}

/// A key that signs something else than certificates. Its public half lies beside it, for whoever verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The name of its files without extension, relative to the PKI's folder. Unique in a table.
    pub stem: String,
}

/// A kubeconfig file with everything in it that a client of the API needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// The [`Identity::stem`] of who uses it; also the name of the file without its extension.
    pub identity: String,
    /// The name under which it lists that user.
    pub user: String,
    /// Where the API is reached.
    pub server: ServerUrl,
    /// Who signed what the API servers show.
    pub authority: Authority,
}

/// Everything that a folder shall hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Keys with certificates.
    pub identities: Vec<Identity>,
    /// Keys without.
    pub signing_keys: Vec<SigningKey>,
    /// Kubeconfig files of some of the identities.
    pub kubeconfigs: Vec<Kubeconfig>,
    /// Authorities that somebody trusts already, though they have signed nothing yet.
    pub trusted: BTreeSet<Authority>,
}

impl Inventory {
    /// The authorities that have to be there.
    pub(crate) fn authorities(&self) -> BTreeSet<Authority> {
        let signers = self.identities.iter().map(|identity| identity.authority);
        let embedded = self.kubeconfigs.iter().map(|kubeconfig| kubeconfig.authority);
        signers.chain(embedded).chain(self.trusted.iter().copied()).collect()
    }

    /// Everything of both, which must have no stem in common.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.identities.extend(other.identities);
        self.signing_keys.extend(other.signing_keys);
        self.kubeconfigs.extend(other.kubeconfigs);
        self.trusted.extend(other.trusted);
        self
    }
}

/// The organization of members of the store.
pub const MEMBERS: &str = "keelson:store-members";

/// The organization of clients that may do anything with the store.
pub const ADMINISTRATORS: &str = "keelson:store-administrators";

/// The group that may do anything with the API, whatever the roles and bindings say.
pub const MASTERS: &str = "system:masters";

/// The group of all nodes.
pub const NODES: &str = "system:nodes";

/// The key that signs service account tokens.
pub const SERVICE_ACCOUNT: &str = "service-account";

/// The identities of a store with these members: per member one certificate for clients and one for peers, and
/// one client certificate named `root`.
#[must_use]
pub fn store_inventory(members: &[Member]) -> Inventory {
    let mut identities = Vec::new();
    for member in members {
        let stem = |role: &str| format!("members/{}/{role}", member.name);
        identities.push(member.identity(stem("server"), Authority::Client, [Usage::Server].into()));
        identities.push(member.peer_identity(stem("peer")));
    }
    identities.push(Identity::client("clients/root", Authority::Client, "root", Some(ADMINISTRATORS)));
    Inventory { identities, ..Inventory::default() }
}

/// What the identities of a cluster depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its servers. Each is a member of the store, too.
    pub servers: Vec<Member>,
    /// Its nodes.
    pub nodes: Vec<Node>,
    /// The `ClusterIP` of the Service `kubernetes`: the first of the Services' network.
    pub service_ip: IpAddr,
    /// Where clients with a kubeconfig file reach the API.
    pub url: ServerUrl,
}

/// People and components of the control plane: name of the files, user, group. Only the administrator is in a
/// group; what components may do, roles and bindings say.
const CLIENTS: [(&str, &str, Option<&str>); 4] = [
    ("admin", "kubernetes-admin", Some(MASTERS)),
    ("controller-manager", "system:kube-controller-manager", None),
    ("scheduler", "system:kube-scheduler", None),
    ("proxy", "system:kube-proxy", None),
];

/// The user as whom API servers ask nodes. Nodes ask the API what it may do, and a bootstrapped binding says that.
pub const KUBELET_CLIENT: &str = "kube-apiserver-kubelet-client";

/// Under which names pods reach the API, besides the Service's address.
const SERVICE_NAMES: [&str; 4] =
    ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];

impl Cluster {
    /// The identities of the cluster: per server one certificate for clients, one for peers and one for its calls to
    /// nodes, one client certificate with a kubeconfig file for each person, component and node, per node one
    /// certificate for those calls, and the service accounts' key.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory {
            signing_keys: vec![SigningKey { stem: SERVICE_ACCOUNT.to_owned() }],
            // Servers want to know whose nodes to believe before there is one.
            trusted: [Authority::ClusterNode].into(),
            ..Inventory::default()
        };
        for server in &self.servers {
            let stem = |role: &str| format!("servers/{}/{role}", server.name);
            inventory.identities.push(self.serving_identity(server, stem("serving")));
            inventory.identities.push(server.peer_identity(stem("peer")));
            let to_nodes =
                Identity::client(&stem("kubelet-client"), Authority::ClusterClient, KUBELET_CLIENT, None);
            inventory.identities.push(to_nodes);
        }
        for (name, user, group) in CLIENTS {
            self.add_client(&mut inventory, format!("clients/{name}"), user, group);
        }
        for node in &self.nodes {
            let (stem, user) = (format!("nodes/{}", node.name), format!("system:node:{}", node.name));
            inventory.identities.push(node.serving_identity(format!("{stem}/serving"), user.clone()));
            self.add_client(&mut inventory, stem, &user, Some(NODES));
        }
        inventory
    }

    fn serving_identity(&self, server: &Member, stem: String) -> Identity {
        let mut identity = server.identity(stem, Authority::ClusterServer, [Usage::Server].into());
        let names = SERVICE_NAMES.into_iter().chain(["localhost"]).map(|name| Host::Dns(name.to_owned()));
        identity.hosts.extend(names);
        identity.hosts.extend([Host::Ip(Ipv4Addr::LOCALHOST.into()), Host::Ip(self.service_ip)]);
        identity.hosts.insert(self.url.host.clone());
        identity
    }

    fn add_client(&self, inventory: &mut Inventory, stem: String, user: &str, group: Option<&'static str>) {
        inventory.identities.push(Identity::client(&stem, Authority::ClusterClient, user, group));
        inventory.kubeconfigs.push(Kubeconfig {
            identity: stem,
            user: user.to_owned(),
            server: self.url.clone(),
            authority: Authority::ClusterServer,
        });
    }
}

impl Identity {
    fn client(stem: &str, authority: Authority, user: &str, organization: Option<&'static str>) -> Self {
        Self {
            stem: stem.to_owned(),
            authority,
            common_name: user.to_owned(),
            organization,
            usages: [Usage::Client].into(),
            hosts: BTreeSet::new(),
        }
    }
}

impl Node {
    fn serving_identity(&self, stem: String, user: String) -> Identity {
        let mut hosts = self.hosts.clone();
        hosts.insert(self.name.host());
        Identity {
            stem,
            authority: Authority::ClusterNode,
            common_name: user,
            organization: Some(NODES),
            usages: [Usage::Server].into(),
            hosts,
        }
    }
}

impl Member {
    fn identity(&self, stem: String, authority: Authority, usages: BTreeSet<Usage>) -> Identity {
        Identity {
            stem,
            authority,
            common_name: self.name.to_string(),
            organization: Some(MEMBERS),
            usages,
            hosts: self.hosts.clone(),
        }
    }

    /// A peer both answers and calls.
    fn peer_identity(&self, stem: String) -> Identity {
        self.identity(stem, Authority::Peer, [Usage::Server, Usage::Client].into())
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

/// The public half of a signing key.
#[must_use]
pub fn public_key_path(dir: &Path, stem: &str) -> PathBuf {
    dir.join(format!("{stem}.pub"))
}

/// The kubeconfig file of the identity with this stem.
#[must_use]
pub fn kubeconfig_path(dir: &Path, stem: &str) -> PathBuf {
    dir.join(format!("{stem}.kubeconfig"))
}

impl FromStr for Member {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (name, hosts) = text.split_once('=').ok_or_else(|| NameError::Form(text.to_owned()))?;
        Ok(Self { name: name.parse()?, hosts: parse_hosts(hosts)? })
    }
}

impl FromStr for Node {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('=') {
            Some((name, hosts)) => Ok(Self { name: name.parse()?, hosts: parse_hosts(hosts)? }),
            None => Ok(Self { name: text.parse()?, hosts: BTreeSet::new() }),
        }
    }
}

fn parse_hosts(text: &str) -> Result<BTreeSet<Host>, NameError> {
    text.split(',').map(Host::from_str).collect()
}
