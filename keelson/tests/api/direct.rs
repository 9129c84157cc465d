//! One request to one server, without kubectl's retries and prompts.

use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use kube::{Client, Config, Error};

use crate::servers::Servers;

/// Who asks.
#[derive(Clone, Copy)]
pub(crate) enum Asking {
    /// The cluster's administrator.
    Admin,
    /// Somebody who shows no credentials.
    Nobody,
}

/// What a server answers to GET.
pub(crate) fn get(
    servers: &Servers,
    server: usize,
    asking: Asking,
    path: &str,
) -> Result<String, Box<Status>> {
    answer(servers, server, asking, Request::get(path).body(Vec::new()).unwrap())
}

/// What a server answers to POST of JSON by the administrator.
pub(crate) fn post(
    servers: &Servers,
    server: usize,
    path: &str,
    object: &serde_json::Value,
) -> Result<String, Box<Status>> {
    let request = Request::post(path).header(http::header::CONTENT_TYPE, "application/json");
    answer(servers, server, Asking::Admin, request.body(object.to_string().into_bytes()).unwrap())
}

fn answer(
    servers: &Servers,
    server: usize,
    asking: Asking,
    request: Request<Vec<u8>>,
) -> Result<String, Box<Status>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = config(servers, asking).await;
        config.cluster_url = servers.url(server).parse().unwrap();
        match Client::try_from(config).unwrap().request_text(request).await {
            Ok(text) => Ok(text),
            Err(Error::Api(status)) => Err(status),
            Err(other) => panic!("no answer: {other}"),
        }
    })
}

/// How a client without retries comes to the servers, whichever is alive.
pub(crate) async fn config(servers: &Servers, asking: Asking) -> Config {
    // The first use in this process installs it.
    let _installed_already = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(servers.kubeconfig("clients/admin")).unwrap();
    let mut admin = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    admin.default_retry = false;
    match asking {
        Asking::Admin => admin,
        Asking::Nobody => {
            let mut config = Config::new(admin.cluster_url.clone());
            config.root_cert = admin.root_cert;
            config.default_retry = false;
            config
        }
    }
}
