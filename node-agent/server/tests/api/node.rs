//! A node whose pods are made up.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use futures_util::future::BoxFuture;
use k8s_openapi::api::core::v1::Pod;
use keelson_node_server::{
    Access, Container, Containers, Decision, Identity, Pods, Renewal, ReviewError, Reviews, RuntimeFailure,
    Server, User,
};
use keelson_proto::cri::v1::{AttachRequest, ExecRequest, PodSandboxStats, PortForwardRequest};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::json;
use tokio::{net::TcpListener, sync::oneshot};

/// An authority.
pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

/// A node that serves.
pub(crate) struct Node {
    /// Where.
    pub(crate) address: SocketAddr,
    /// Who signed what it shows.
    pub(crate) authority: Authority,
    /// Whose client certificates it believes.
    pub(crate) clients: Authority,
    /// Gives it another certificate.
    renewal: Renewal,
    /// Ends it.
    pub(crate) stop: oneshot::Sender<()>,
}

pub(crate) fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of a client, and its key.
pub(crate) fn client_certificate(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "testers");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}

impl Node {
    /// Starts a node with the pod `web` in `shop`, whose container `app` runs.
    pub(crate) async fn start(containers: Arc<dyn Containers>) -> Self {
        Self::with(containers, Arc::new(OnePod::named("web", "app", "id"))).await
    }

    pub(crate) async fn with(containers: Arc<dyn Containers>, pods: Arc<dyn Pods>) -> Self {
        let (authority, clients) = (authority(), authority());
        let (certificate, key) = serving_certificate(&authority);
        let identity = Identity { certificate: &certificate, key: &key, client_authorities: &clients.pem() };
        let server = Server::new(&identity, pods, containers, Arc::new(Judge)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let renewal = server.renewal();
        tokio::spawn(server.serve(listener, async { drop::<Result<(), _>>(stopped.await) }));
        Self { address, authority, clients, renewal, stop }
    }

    /// Gives the node a certificate of another authority while it serves.
    pub(crate) fn renew(&mut self) {
        self.authority = authority();
        let (certificate, key) = serving_certificate(&self.authority);
        let clients = self.clients.pem();
        let replace = |key: &str| {
            let identity = Identity { certificate: &certificate, key, client_authorities: &clients };
            self.renewal.replace(&identity)
        };
        replace(&key).unwrap();
        replace("no key").unwrap_err();
    }
}

/// What the node shows, and its key; in PEM.
fn serving_certificate(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["n1".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "system:node:n1");
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// Lets `root` do everything, and `monitor`, which may also come with a token, look at metrics and health.
struct Judge;

impl Reviews for Judge {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Option<User>, ReviewError>> {
        let user = match token {
            "unknown" => Err(ReviewError("the API is away".into())),
            "monitor" => Ok(Some(User { name: "monitor".into(), ..User::default() })),
            _ => Ok(None),
        };
        Box::pin(async { user })
    }

    fn allowed<'a>(
        &'a self,
        user: &'a User,
        access: &'a Access,
    ) -> BoxFuture<'a, Result<Decision, ReviewError>> {
        let may = match user.name.as_str() {
            "root" => user.groups == ["testers"],
            // Whoever may only look at everything.
            "looker" => access.verb == "get",
            "monitor" => matches!(access.subresource, "metrics" | "healthz"),
            _ => false,
        };
        Box::pin(async move { Ok(if may { Decision::Allowed } else { Decision::Denied("no".into()) }) })
    }
}

/// The only pod of a node.
pub(crate) struct OnePod(Arc<Pod>);

impl OnePod {
    pub(crate) fn named(name: &str, container: &str, id: &str) -> Self {
        let status = json!({
            "name": container, "containerID": format!("containerd://{id}"), "state": {"running": {}},
            "ready": true, "restartCount": 0, "image": "", "imageID": "",
        });
        let waiting = json!({
            "name": "waiting", "state": {"waiting": {"reason": "ContainerCreating"}},
            "ready": false, "restartCount": 0, "image": "", "imageID": "",
        });
        let pod = json!({
            "metadata": {"name": name, "namespace": "shop", "uid": "u"},
            "spec": {"containers": [{"name": container}, {"name": "waiting"}]},
            "status": {"containerStatuses": [status, waiting]},
        });
        Self(Arc::new(serde_json::from_value(pod).unwrap()))
    }
}

impl Pods for OnePod {
    fn find(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let metadata = &self.0.metadata;
        let is_it =
            metadata.namespace.as_deref() == Some(namespace) && metadata.name.as_deref() == Some(name);
        is_it.then(|| self.0.clone())
    }

    fn list(&self) -> Vec<Arc<Pod>> {
        vec![self.0.clone()]
    }

    fn metrics(&self) -> String {
        "kubelet_running_pods 1\n".to_owned()
    }
}

/// A runtime that gives out these URLs, by the word that is asked for: a command's first, `attach`, or a port.
#[derive(Default)]
pub(crate) struct Urls {
    pub(crate) urls: HashMap<String, String>,
    /// The log of every container.
    pub(crate) log: PathBuf,
    pub(crate) is_running: Mutex<bool>,
    /// What was asked.
    pub(crate) asked: Mutex<Vec<String>>,
}

type Answer<T> = Result<T, RuntimeFailure>;

impl Urls {
    fn url(&self, word: &str, asked: String) -> BoxFuture<'_, Answer<String>> {
        self.asked.lock().unwrap().push(asked);
        let missing = || RuntimeFailure(format!("there is no {word}"));
        let url = self.urls.get(word).cloned().ok_or_else(missing);
        Box::pin(async { url })
    }
}

impl Containers for Urls {
    fn container<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Answer<Option<Container>>> {
        let is_running = *self.is_running.lock().unwrap();
        let container = Container { log_path: self.log.clone(), is_running };
        Box::pin(async { Ok(Some(container)) })
    }

    fn ready_sandbox<'a>(&'a self, pod_uid: &'a str) -> BoxFuture<'a, Answer<Option<String>>> {
        Box::pin(async move { Ok((pod_uid == "u").then(|| "sandbox".to_owned())) })
    }

    fn stats(&self) -> BoxFuture<'_, Answer<Vec<PodSandboxStats>>> {
        Box::pin(async { Ok(vec![PodSandboxStats::default()]) })
    }

    fn exec(&self, request: ExecRequest) -> BoxFuture<'_, Answer<String>> {
        self.url(&request.cmd[0].clone(), format!("{request:?}"))
    }

    fn attach(&self, request: AttachRequest) -> BoxFuture<'_, Answer<String>> {
        self.url("attach", format!("{request:?}"))
    }

    fn port_forward(&self, request: PortForwardRequest) -> BoxFuture<'_, Answer<String>> {
        self.url("ports", format!("{request:?}"))
    }
}
