//! Asks the servers over HTTPS.
//!
//! In: a kubeconfig file. Out: every server with its answer, or the reason why it has none; the Leases; the nodes. Or a
//! server that is removed.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use keelson_apiserver::{
    store_members,
    store_status::{self, StoreMember, StoreStatus},
};
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::error_chain::chain;

/// For connecting, and again for each answer: longer than an election, short enough to wait for.
const PATIENCE: Duration = Duration::from_secs(3);

/// For a removal, which two memberships confirm.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(30);

/// Where components keep the Leases by which they elect leaders.
const LEASES: &str = "kube-system";

/// Leases by which API servers say that they are there; who serves is known better from the store.
const NOT_OF_API_SERVERS: &str = "!apiserver.kubernetes.io/identity";

/// What was heard. Where nothing was, the reason.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) servers: Vec<Server>,
    pub(crate) leases: Result<Vec<Lease>, String>,
    pub(crate) nodes: Result<Vec<Node>, String>,
}

/// A server and what it said.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) member: StoreMember,
    pub(crate) answer: Result<Answer, String>,
}

/// What a server says about itself.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) store: StoreStatus,
    /// Whether requests may be sent to it; if not, why.
    pub(crate) ready: Result<(), String>,
}

/// Nobody could name the servers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("cannot use the kubeconfig file: {0}. Name one with --kubeconfig or KUBECONFIG")]
    Kubeconfig(String),
    #[error("no server answers at {url}: {reason}. Check that the servers run, and look at their logs")]
    NobodyAnswers { url: http::Uri, reason: String },
}

/// A server was not removed, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("nothing has changed: {0}")]
    Refused(String),
    #[error("whether it is removed is not known: {0}. Next: keelson status, which lists the servers")]
    Unknown(String),
}

/// Learns the servers from whichever answers at the kubeconfig's URL, then asks all of them at once.
pub(crate) async fn ask_all(kubeconfig: Option<&Path>) -> Result<Answers, AskError> {
    let config = read_config(kubeconfig).await?;
    let nobody = |reason| AskError::NobodyAnswers { url: config.cluster_url.clone(), reason };
    let client = client(config.clone()).map_err(nobody)?;
    let status = store_status(&client).await.map_err(nobody)?;
    let servers = join_all(status.members.into_iter().map(|member| ask(member, &config))).await;
    let leases = Api::<Lease>::namespaced(client.clone(), LEASES);
    let nodes = Api::<Node>::all(client);
    let elections = ListParams::default().labels(NOT_OF_API_SERVERS);
    let listed = |error: kube::Error| chain(&error);
    Ok(Answers {
        servers,
        leases: leases.list(&elections).await.map(|list| list.items).map_err(listed),
        nodes: nodes.list(&ListParams::default()).await.map(|list| list.items).map_err(listed),
    })
}

/// Removes a server from the cluster, through whichever answers at the kubeconfig's URL.
pub(crate) async fn remove(kubeconfig: Option<&Path>, name: &str) -> Result<(), RemoveError> {
    let mut config = read_config(kubeconfig).await?;
    config.read_timeout = Some(REMOVAL_PATIENCE);
    let client = client(config).map_err(RemoveError::Refused)?;
    let path = format!("{}{name}", store_members::PREFIX);
    let request = http::Request::delete(path).body(Vec::new());
    let request = request.map_err(|error| RemoveError::Refused(error.to_string()))?;
    match client.request_text(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 504 => {
            Err(RemoveError::Unknown(status.message.clone()))
        }
        Err(kube::Error::Api(status)) => Err(RemoveError::Refused(status.message.clone())),
        Err(error) => Err(RemoveError::Unknown(chain(&error))),
    }
}

async fn read_config(kubeconfig: Option<&Path>) -> Result<Config, AskError> {
    let options = KubeConfigOptions::default();
    let config = match kubeconfig {
        Some(path) => match Kubeconfig::read_from(path) {
            Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
            Err(error) => Err(error),
        },
        None => Config::from_kubeconfig(&options).await,
    };
    let mut config = config.map_err(|error| AskError::Kubeconfig(chain(&error)))?;
    config.connect_timeout = Some(PATIENCE);
    config.read_timeout = Some(PATIENCE);
    // What is wanted is how things are now.
    config.default_retry = false;
    Ok(config)
}

fn client(config: Config) -> Result<Client, String> {
    Client::try_from(config).map_err(|error| chain(&error))
}

async fn ask(member: StoreMember, config: &Config) -> Server {
    let mut answer = Err("it has not started yet".to_owned());
    for url in &member.server_urls {
        answer = ask_at(url, config).await.map_err(|reason| format!("{url}: {reason}"));
        if answer.is_ok() {
            break;
        }
    }
    Server { member, answer }
}

async fn ask_at(url: &str, config: &Config) -> Result<Answer, String> {
    let cluster_url = url.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let mut config = config.clone();
    config.cluster_url = cluster_url;
    let client = client(config)?;
    let store = store_status(&client).await?;
    let ready = get(&client, "/readyz").await.map(drop);
    Ok(Answer { store, ready })
}

async fn store_status(client: &Client) -> Result<StoreStatus, String> {
    let text = get(client, store_status::PATH).await?;
    serde_json::from_str(&text).map_err(|error| format!("its status is malformed ({error})"))
}

async fn get(client: &Client, path: &str) -> Result<String, String> {
    let request = http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    match client.request_text(request).await {
        Ok(text) => Ok(text),
        Err(kube::Error::Api(status)) => Err(status.message.clone()),
        Err(error) => Err(chain(&error)),
    }
}
