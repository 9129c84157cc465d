//! `--initial-cluster` and `--initial-cluster-state`: the members that found a cluster, or those of the one to join.
//!
//! In: the flags' words, and this member's own name and URLs. Out: name and peer URL of every such member, this one
//! included.

use clap::ValueEnum;
use keelson_store::Beginning;

use crate::endpoint::{Endpoint, EndpointError};

/// What a member with an empty data folder does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClusterState {
    /// Found the cluster with the other first members.
    New,
    /// Join a cluster that runs already, through the members that --initial-cluster names.
    Existing,
}

impl ClusterState {
    /// What the store is told.
    pub(crate) const fn beginning(self) -> Beginning {
        match self {
            Self::New => Beginning::Founding,
            Self::Existing => Beginning::Joining,
        }
    }
}

/// Why the members make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InitialClusterError {
    #[error(
        "--initial-cluster has {0:?}: write each member as NAME=URL, for instance a=https://10.0.0.1:2380"
    )]
    Form(String),
    #[error("--initial-cluster: {0}")]
    Url(EndpointError),
    #[error("--initial-cluster names {0} twice: one peer URL per member")]
    MemberTwice(String),
    #[error("--initial-cluster does not name this member, {name}: add {name}=URL, or correct --name")]
    NotInCluster { name: String },
    #[error(
        "--initial-cluster-state=existing: nobody is named who could take this member in; give at least one member of \
         the running cluster in --initial-cluster, as NAME=URL, beside this one"
    )]
    NobodyToJoin,
    #[error(
        "--initial-cluster has {given} for this member, which is not in {own_flag}: write the same URL in both"
    )]
    OtherUrl { given: Endpoint, own_flag: &'static str },
}

/// Checks the members that are `given`; where none are, the member `name` is alone. `own` are its peer URLs,
/// from the flag `own_flag`.
pub(crate) fn parse(
    name: &str,
    given: &[String],
    own: &[Endpoint],
    own_flag: &'static str,
    state: ClusterState,
) -> Result<Vec<(String, Endpoint)>, InitialClusterError> {
    let members = named(name, given, own, own_flag)?;
    match state {
        ClusterState::Existing if members.len() < 2 => Err(InitialClusterError::NobodyToJoin),
        ClusterState::Existing | ClusterState::New => Ok(members),
    }
}

fn named(
    name: &str,
    given: &[String],
    own: &[Endpoint],
    own_flag: &'static str,
) -> Result<Vec<(String, Endpoint)>, InitialClusterError> {
    if given.is_empty() {
        return Ok(own.first().map(|url| (name.to_owned(), url.clone())).into_iter().collect());
    }
    let mut members: Vec<(String, Endpoint)> = Vec::new();
    for text in given {
        let (member, url) = text.split_once('=').ok_or_else(|| InitialClusterError::Form(text.clone()))?;
        let url = url.parse().map_err(InitialClusterError::Url)?;
        if members.iter().any(|(earlier, _)| earlier == member) {
            return Err(InitialClusterError::MemberTwice(member.to_owned()));
        }
        members.push((member.to_owned(), url));
    }
    match members.iter().find(|(member, _)| member == name) {
        None => Err(InitialClusterError::NotInCluster { name: name.to_owned() }),
        Some((_, url)) if !own.contains(url) => {
            Err(InitialClusterError::OtherUrl { given: url.clone(), own_flag })
        }
        Some(_) => Ok(members),
    }
}
