//! `keelson pki`: the cluster's certificates in a folder.
//!
//! In: the folder, and the servers and nodes of a cluster or the members of a store. Out: one line per file made
//! or renewed.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use keelson_pki::Report;
use keelson_pki::identity::{Cluster, Inventory, Member, Node, SigningKey, store_inventory};
use keelson_pki::name::ServerUrl;
use keelson_pki::plan::{Key, Step};
use time::OffsetDateTime;

use crate::service_network::ServiceNetwork;

/// The subcommands of `keelson pki`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make what is missing, renew what is about to expire, leave the rest alone.
    ///
    /// With --server: the authorities peer-ca, cluster-server-ca, cluster-client-ca and cluster-node-ca (each .crt and
    /// .key), for each server servers/NAME/serving, servers/NAME/peer and servers/NAME/kubelet-client, for each --node
    /// nodes/NAME/serving, the key service-account (.key and .pub), and client certificates with kubeconfig files:
    /// clients/admin, clients/controller-manager, clients/scheduler, clients/proxy, and nodes/NAME for each --node.
    ///
    /// With --member, for a store that runs alone: peer-ca and client-ca, for each member members/NAME/peer and
    /// members/NAME/server, and the client certificate clients/root.
    ///
    /// Run it again at any time: valid files are kept, and private keys are never overwritten. Keep the .key files
    /// of the authorities off the servers where you can: they are needed only to sign.
    Init(InitArgs),
}

/// The flags of `keelson pki init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder of the certificates; made if absent, readable by its owner alone.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A server and the addresses and names under which it is reached, for instance a=10.0.0.1,a.example.com.
    /// Repeat it for each server.
    #[arg(long = "server", value_name = "NAME=HOST[,HOST...]", required_unless_present = "members")]
    servers: Vec<Member>,
    /// A node of the cluster, and the addresses and names under which it is reached beside its name. Repeat it for
    /// each node.
    #[arg(long = "node", value_name = "NAME[=HOST[,HOST...]]", requires = "servers")]
    nodes: Vec<Node>,
    /// Where kubectl and the components reach the API: the URL in the kubeconfig files. The servers' certificates
    /// name its host, too.
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:6443", requires = "servers")]
    server_url: ServerUrl,
    /// The network of the Services, as in `keelson server`: the servers' certificates name its first address.
    #[arg(long, value_name = "CIDR", default_value = "10.96.0.0/16", requires = "servers")]
    service_cidr: ServiceNetwork,
    /// A member of a store that runs alone (`keelson store`), in the same form as a server.
    #[arg(long = "member", value_name = "NAME=HOST[,HOST...]")]
    members: Vec<Member>,
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self {
            Self::Init(args) => init(&args),
        }
    }
}

fn init(args: &InitArgs) -> Result<ExitCode, Box<dyn Error>> {
    refuse_repetition("--server", args.servers.iter().map(|server| &server.name))?;
    refuse_repetition("--member", args.members.iter().map(|member| &member.name))?;
    refuse_repetition("--node", args.nodes.iter().map(|node| &node.name))?;
    let report = keelson_pki::ensure(&args.dir, &inventory(args), OffsetDateTime::now_utc())?;
    print!("{}", render(&report));
    Ok(ExitCode::SUCCESS)
}

fn refuse_repetition<'a, N>(flag: &str, names: impl Iterator<Item = &'a N>) -> Result<(), String>
where
    N: Ord + Display + 'a,
{
    let mut earlier = BTreeSet::new();
    for name in names {
        if !earlier.insert(name) {
            return Err(format!("{flag} {name} is given twice: write everything about it in one flag"));
        }
    }
    Ok(())
}

fn inventory(args: &InitArgs) -> Inventory {
    let mut inventory = Inventory::default();
    if !args.servers.is_empty() {
        let cluster = Cluster {
            servers: args.servers.clone(),
            nodes: args.nodes.clone(),
            service_ip: args.service_cidr.first(),
            url: args.server_url.clone(),
        };
        inventory = inventory.and(cluster.inventory());
    }
    if !args.members.is_empty() {
        inventory = inventory.and(store_inventory(&args.members));
    }
    inventory
}

fn render(report: &Report) -> String {
    let mut text = String::new();
    for step in &report.done {
        text += &match step {
            Step::Protect(path) => format!("protected {}: others could read it\n", path.display()),
            Step::MakeAuthority(authority, _key) => format!("made {}.crt, an authority\n", authority.stem()),
            Step::Issue(identity, _key, reason) => format!("made {}.crt: {reason}\n", identity.stem),
            Step::Publish(SigningKey { stem }, Key::New) => {
                format!("made {stem}.key and {stem}.pub: there was none\n")
            }
            Step::Publish(SigningKey { stem }, Key::Present) => {
                format!("made {stem}.pub from {stem}.key: it was absent or another key's\n")
            }
            Step::WriteKubeconfig(kubeconfig, reason) => {
                format!("made {}.kubeconfig: {reason}\n", kubeconfig.identity)
            }
        };
    }
    for (path, end) in &report.expiring {
        text += &format!("warning: {} expires on {}; replace it in good time\n", path.display(), end.date());
    }
    if text.is_empty() { "all certificates are in place and valid\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: InitArgs,
    }

    fn args(text: &str) -> Result<InitArgs, clap::Error> {
        Line::try_parse_from(["init", "--dir", "pki"].into_iter().chain(text.split_whitespace()))
            .map(|line| line.args)
    }

    fn made(dir: &std::path::Path, text: &str) -> String {
        let inventory = inventory(&args(text).unwrap());
        render(&keelson_pki::ensure(dir, &inventory, OffsetDateTime::now_utc()).unwrap())
    }

    #[test]
    fn the_first_run_lists_what_it_made_and_the_second_has_nothing_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let flags = "--member a=127.0.0.1 --server s=127.0.0.2 --node n";
        let first = made(dir.path(), flags);
        for line in [
            "made peer-ca.crt, an authority\n",
            "made members/a/server.crt: there was none\n",
            "made servers/s/serving.crt: there was none\n",
            "made service-account.key and service-account.pub: there was none\n",
            "made nodes/n.kubeconfig: there was none\n",
            "made nodes/n/serving.crt: there was none\n",
            "made servers/s/kubelet-client.crt: there was none\n",
        ] {
            assert!(first.contains(line), "{line} is not in {first}");
        }
        assert_eq!(made(dir.path(), flags), "all certificates are in place and valid\n");
    }

    #[test]
    fn the_url_and_the_services_network_are_in_the_servers_certificates() {
        let args =
            args("--server s=127.0.0.2 --server-url https://api.example:443 --service-cidr 10.0.0.0/24");
        let inventory = inventory(&args.unwrap());
        let serving =
            inventory.identities.iter().find(|identity| identity.stem == "servers/s/serving").unwrap();
        for host in ["api.example", "10.0.0.1", "127.0.0.2", "127.0.0.1"] {
            assert!(serving.hosts.contains(&host.parse().unwrap()), "{host}");
        }
    }

    #[test]
    fn a_store_alone_gets_nothing_of_a_cluster_and_the_other_way_round() {
        let store = inventory(&args("--member a=127.0.0.1").unwrap());
        assert_eq!((store.identities.len(), store.kubeconfigs.len(), store.signing_keys.len()), (3, 0, 0));
        let cluster = inventory(&args("--server a=127.0.0.1").unwrap());
        assert!(cluster.identities.iter().all(|identity| !identity.stem.starts_with("members")));
    }

    #[test]
    fn names_given_twice_are_refused() {
        for flag in [
            "--member a=127.0.0.1 --member a=127.0.0.2",
            "--server a=h --server a=g",
            "--server s=h --node a=h --node a",
        ] {
            let dir = tempfile::tempdir().unwrap();
            let args = InitArgs { dir: dir.path().join("pki"), ..args(flag).unwrap() };
            let error = init(&args).unwrap_err();
            assert!(error.to_string().contains(" a is given twice"), "{error}");
            assert!(!dir.path().join("pki").exists());
        }
    }

    #[test]
    fn flags_that_belong_together_are_demanded_together() {
        assert!(args("").is_err());
        assert!(args("--member a=h --node n").is_err());
        assert!(args("--server a=h --service-cidr 10.96.0.1/16").is_err());
    }
}
