//! `keelson store replace`: a new machine takes the place of a lost one.
//!
//! Stations: ask the running members who they are → [`plan`] (pure) → remove the lost one → run as a member
//! that joins.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use keelson_proto::etcd::rpc::cluster_client::ClusterClient;
use keelson_proto::etcd::rpc::maintenance_client::MaintenanceClient;
use keelson_proto::etcd::rpc::{Member, MemberListRequest, MemberRemoveRequest, StatusRequest};

use tonic::Code;

use super::connection::{Asked, ClientFiles, ConnectionArgs};
use super::{flags, member};
use crate::endpoint::Endpoint;
use crate::initial_cluster::ClusterState;
use crate::process;

/// The flags of `keelson store replace`.
#[derive(Debug, Args)]
pub(crate) struct ReplaceArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    flags: flags::Flags,
}

/// Why nothing is replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum ReplaceError {
    #[error(
        "{name} answers at {url}: it is not lost. Stop it first, or choose the name of the member that is lost"
    )]
    Alive { name: String, url: String },
    #[error(
        "{0}: the folder is not empty. A machine that still has its data needs no replacement: start it as before; else \
         empty the folder"
    )]
    HasData(String),
    #[error("nobody is left to join: {0} would be the only member. Restore a snapshot instead")]
    Alone(String),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    /// The member to remove; `None` where somebody has done so already.
    remove: Option<u64>,
    /// The members to join through, and this one.
    initial_cluster: Vec<String>,
}

impl ReplaceArgs {
    pub(super) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        process::install_crypto();
        let Self { connection, mut flags } = self;
        let name = flags.member.name.clone();
        let data_dir = flags.member.data_dir();
        if has_data(&data_dir) {
            return Err(ReplaceError::HasData(data_dir.display().to_string()).into());
        }
        let files = connection.files()?;
        let own = own_url(&flags);
        flags.cluster.initial_cluster =
            process::runtime()?.block_on(make_room(&connection, &files, &name, &own))?;
        flags.cluster.initial_cluster_state = ClusterState::Existing;
        member::run(flags)
    }
}

/// Removes the lost member. Returns through whom to join.
async fn make_room(
    connection: &ConnectionArgs,
    files: &ClientFiles,
    name: &str,
    own: &str,
) -> Result<Vec<String>, Box<dyn Error>> {
    let members = connection.first(files, members).await?;
    for lost in members.iter().filter(|member| member.name == name) {
        if let Some(url) = answers(lost, files).await {
            return Err(ReplaceError::Alive { name: name.to_owned(), url }.into());
        }
    }
    let Plan { remove, initial_cluster } = plan(&members, name, own)?;
    if let Some(id) = remove {
        connection.first(files, async |channel| remove_member(channel, id).await).await?;
        println!("{name} with id {id:x} is no member any more; joining in its place");
    }
    Ok(initial_cluster)
}

fn plan(members: &[Member], name: &str, own: &str) -> Result<Plan, ReplaceError> {
    let others = members.iter().filter(|member| member.name != name && !member.name.is_empty());
    let others = others.filter_map(|member| Some(format!("{}={}", member.name, member.peer_ur_ls.first()?)));
    let mut initial_cluster: Vec<_> = others.collect();
    if initial_cluster.is_empty() {
        return Err(ReplaceError::Alone(name.to_owned()));
    }
    initial_cluster.push(format!("{name}={own}"));
    let remove = members.iter().find(|member| member.name == name).map(|member| member.id);
    Ok(Plan { remove, initial_cluster })
}

async fn members(channel: Asked) -> Result<Vec<Member>, String> {
    let list = ClusterClient::new(channel).member_list(MemberListRequest { linearizable: true }).await;
    Ok(list.map_err(|status| status.message().to_owned())?.into_inner().members)
}

/// The URL at which a member still answers.
async fn answers(member: &Member, files: &ClientFiles) -> Option<String> {
    for url in &member.client_ur_ls {
        let Ok(endpoint) = url.parse::<Endpoint>() else { continue };
        let Ok(channel) = files.reach(&endpoint).await else { continue };
        match MaintenanceClient::new(channel).status(StatusRequest {}).await {
            Ok(_) => return Some(url.clone()),
            // It lives, and wants to know who asks.
            Err(status) if status.code() == Code::InvalidArgument => return Some(url.clone()),
            Err(_) => {}
        }
    }
    None
}

async fn remove_member(channel: Asked, id: u64) -> Result<(), String> {
    let removed = ClusterClient::new(channel).member_remove(MemberRemoveRequest { id }).await;
    removed.map(drop).map_err(|status| status.message().to_owned())
}

/// The peer URL that this member will have.
fn own_url(flags: &flags::Flags) -> String {
    let advertised = flags.cluster.initial_advertise_peer_urls.first();
    let own = advertised.or_else(|| flags.member.listen_peer_urls.first());
    own.map_or_else(|| flags::DEFAULT_PEER_URL.to_owned(), ToString::to_string)
}

fn has_data(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, name: &str) -> Member {
        let peer_ur_ls = vec![format!("https://{name}:2380")];
        Member { id, name: name.to_owned(), peer_ur_ls, ..Member::default() }
    }

    #[test]
    fn the_lost_member_goes_and_the_others_are_joined() {
        let members = [member(1, "a"), member(2, "b"), member(3, "c"), member(4, "")];
        let expected = Plan {
            remove: Some(2),
            initial_cluster: ["a=https://a:2380", "c=https://c:2380", "b=https://new:2380"]
                .map(str::to_owned)
                .to_vec(),
        };
        assert_eq!(plan(&members, "b", "https://new:2380"), Ok(expected.clone()));
        let gone = [member(1, "a"), member(3, "c")];
        assert_eq!(plan(&gone, "b", "https://new:2380"), Ok(Plan { remove: None, ..expected }));
    }

    #[test]
    fn the_last_member_cannot_be_replaced() {
        let refused = plan(&[member(1, "a")], "a", "https://new:2380").unwrap_err();
        assert!(refused.to_string().starts_with("nobody is left to join"), "{refused}");
    }
}
