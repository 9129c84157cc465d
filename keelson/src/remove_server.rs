//! `keelson remove-server`: a server that is lost, or is not wanted any more, leaves the cluster for good.
//!
//! Stations: flags → who answers → a server that does removes it → what to do next, on standard output.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::process;
use crate::status::query::{self, Server};

/// The flags of `keelson remove-server`.
#[derive(Debug, Args)]
pub(crate) struct RemoveServerArgs {
    /// The name of the server, as `keelson status` prints it. It must not run.
    name: String,
    /// The kubeconfig file to use [default: those that KUBECONFIG names, else ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Why a server stays.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Unfit {
    #[error("no server is called {0:?}; there are: {1}")]
    Unknown(String, String),
    #[error("{0} runs: stop it first, if that is the one that you mean")]
    Running(String),
}

impl RemoveServerArgs {
    /// Removes it.
    pub(crate) fn run(&self) -> Result<ExitCode, Box<dyn Error>> {
        process::install_crypto();
        let Self { name, kubeconfig } = self;
        process::runtime()?.block_on(async {
            let answers = query::ask_all(kubeconfig.as_deref()).await?;
            check(name, &answers.servers)?;
            query::remove(kubeconfig.as_deref(), name).await?;
            Ok::<_, Box<dyn Error>>(())
        })?;
        println!(
            "{name} is no server of this cluster any more, and its disk never will be. To have one of that name again: \
             start it with an empty --data-dir and --initial-cluster-state=existing"
        );
        Ok(ExitCode::SUCCESS)
    }
}

fn check(name: &str, servers: &[Server]) -> Result<(), Unfit> {
    match servers.iter().find(|server| server.member.name == name) {
        Some(Server { answer: Err(_), .. }) => Ok(()),
        Some(Server { answer: Ok(_), .. }) => Err(Unfit::Running(name.to_owned())),
        None => {
            let mut names: Vec<_> = servers.iter().map(|server| server.member.name.as_str()).collect();
            names.sort_unstable();
            Err(Unfit::Unknown(name.to_owned(), names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use keelson_apiserver::store_status::{StoreMember, StoreStatus};

    use super::*;
    use crate::status::query::Answer;

    fn server(name: &str, runs: bool) -> Server {
        let member = StoreMember { name: name.to_owned(), ..StoreMember::default() };
        let answer = Answer { store: StoreStatus::default(), ready: Ok(()) };
        Server { member, answer: runs.then_some(answer).ok_or_else(|| "silent".to_owned()) }
    }

    #[test]
    fn only_a_server_that_does_not_run_is_removed() {
        let servers = [server("b", true), server("a", false)];
        assert_eq!(check("a", &servers), Ok(()));
        assert_eq!(check("b", &servers), Err(Unfit::Running("b".to_owned())));
        assert_eq!(check("c", &servers), Err(Unfit::Unknown("c".to_owned(), "a, b".to_owned())));
    }
}
