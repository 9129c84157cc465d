//! What tests of this crate stand on: a store of one replica, in memory, a server over it, and calls to it.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt;
use keelson_api_registry::{
    object::Object,
    request::{RequestInfo, Target},
    resources::{self, ResourceInfo},
};
use keelson_store::{
    Member, Store, StoreOptions,
    options::{InitialMember, Timing},
    peer::{Accepted, Duplex, Pending, Transport},
    runtime,
};
use keelson_store_core::engine::mem::MemDisk;
use serde_json::json;

use crate::{
    answer::Response,
    handlers::Call,
    server::{Server, ServerOptions, ServiceAccountKeys, User},
};

pub(crate) mod listening;
pub(crate) mod node;

/// Beyond it a test has failed, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs a test against a store that nobody has written to.
pub(crate) fn with_store(test: impl AsyncFnOnce(Store)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let test = runtime::seeded(7, async {
        let url = "memory://alone".to_owned();
        let member = Member {
            name: "alone".into(),
            peer_urls: vec![url.clone()],
            client_urls: vec![],
            ..Member::default()
        };
        let founders = vec![InitialMember { name: "alone".into(), peer_url: url }];
        let mut options = StoreOptions::new(member, founders, "test".to_owned());
        // Nobody else stands for election, so there is nothing to wait for.
        options.timing = Timing {
            heartbeat: Duration::from_millis(10),
            election_min: Duration::from_millis(20),
            election_max: Duration::from_millis(40),
        };
        let store = Store::open(Arc::new(MemDisk::new()), Arc::new(Hermit), options).await.unwrap();
        test(store.clone()).await;
        store.shutdown().await;
    });
    runtime.block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test takes too long") });
}

/// A call that the chain let pass, of an administrator.
pub(crate) fn call(server: &Server, method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Call {
    let method: Method = method.parse().unwrap();
    let info = RequestInfo::parse(&method, &uri.parse().unwrap()).unwrap();
    let Target::Resource(request) = info.target.clone() else { panic!("{uri} is no resource") };
    let header = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
    };
    let headers: HeaderMap = headers.iter().map(header).collect();
    let user =
        User { name: "admin".into(), uid: String::new(), groups: Vec::new(), extra: Default::default() };
    let body = Bytes::copy_from_slice(body.as_bytes());
    let allowed = server.authorizer.public();
    Call { request, info, user, headers, body, allowed, now: server.now(), upgrade: None }
}

/// The whole body of a response.
pub(crate) async fn body(response: Response) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A network without anybody else.
struct Hermit;

impl Transport for Hermit {
    fn dial<'a>(&'a self, _url: &'a str) -> Pending<'a, io::Result<Box<dyn Duplex>>> {
        Box::pin(async { Err(io::Error::new(io::ErrorKind::ConnectionRefused, "there is nobody")) })
    }

    fn accept(&self) -> Pending<'_, io::Result<Accepted>> {
        Box::pin(std::future::pending())
    }
}

/// The entry for config maps.
pub(crate) fn config_maps() -> &'static ResourceInfo {
    resources::find("", "v1", "configmaps").unwrap()
}

/// A config map with labels and data.
pub(crate) fn config_map(namespace: &str, name: &str, labels: &[(&str, &str)], data: &str) -> Object {
    let labels: serde_json::Map<String, serde_json::Value> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    let mut object = Object(json!({
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("uid-{name}")},
        "data": {"value": data},
    }));
    if !labels.is_empty() {
        object.set(&["metadata", "labels"], labels);
    }
    object
}

/// A server over a store that nobody has written to, and the authority that it believes.
pub(crate) struct Site {
    pub(crate) server: Arc<Server>,
    pub(crate) authority: Authority,
}

/// An authority that signs client certificates.
pub(crate) type Authority = rcgen::CertifiedIssuer<'static, rcgen::KeyPair>;

/// Runs a test against a server whose caches are filled.
pub(crate) fn with_server(test: impl AsyncFnOnce(Site)) {
    with_server_of(|_| (), test);
}

/// The same with other options.
pub(crate) fn with_server_of(decide: impl FnOnce(&mut ServerOptions), test: impl AsyncFnOnce(Site)) {
    with_store(async |store| {
        let site = site_of(store, decide);
        let server = site.server.clone();
        eventually(|| server.objects.warming().is_empty()).await;
        test(site).await;
        server.begin_stop();
    });
}

/// A server over a store, whose caches are still to be filled.
pub(crate) fn site(store: Store) -> Site {
    site_of(store, |_| ())
}

fn site_of(store: Store, decide: impl FnOnce(&mut ServerOptions)) -> Site {
    let authority = authority();
    let address = std::net::Ipv4Addr::LOCALHOST.into();
    let mut options = ServerOptions::new("test".to_owned(), address, 6443, authority.pem());
    options.shutdown_delay = Duration::ZERO;
    decide(&mut options);
    let signing = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let keys = ServiceAccountKeys { signing, earlier: String::new() };
    Site { server: Server::open(store, &keys, options).unwrap(), authority }
}

/// Lets everything else run until a condition holds.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

/// An authority that is valid now.
pub(crate) fn authority() -> Authority {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "test CA");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap()
}

/// A client certificate for a user, and its key.
pub(crate) fn client_certificate(
    authority: &Authority,
    name: &str,
    groups: &[&str],
) -> (rcgen::Certificate, rcgen::KeyPair) {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    for group in groups {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, *group);
    }
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let key = rcgen::KeyPair::generate().unwrap();
    (params.signed_by(&key, authority).unwrap(), key)
}
