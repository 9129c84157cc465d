//! One API server: what its chain and its handlers share.
//!
//! In: a store that is open, keys, and options. Out: a [`Server`] that lives as long as the process. There are no
//! globals; whatever a request needs hangs here.

use std::{net::IpAddr, ops::RangeInclusive, sync::Arc, time::Duration};

use keelson_api_registry::cidr::Cidr;
use keelson_store::{Store, runtime};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::{
    allocation::Allocator,
    aside::Aside,
    authn::{Authenticator, KeyError, jwt::TokenKeys, service_account::TokenIssuer, x509::ClientAuthorities},
    authz::{self, Authorizer},
    flow::FlowControl,
    metrics::Metrics,
    nodes::NodeClient,
    storage::ObjectStore,
};
pub use crate::{authn::User, authz::Allowed};

/// The addresses of Services where the operator gives no others; upstream's, too.
const DEFAULT_SERVICE_RANGE: &str = "10.96.0.0/16";

/// An API server.
pub struct Server {
    /// All objects.
    pub objects: ObjectStore,
    /// Who asks.
    pub authenticator: Authenticator,
    /// May they.
    pub authorizer: Authorizer,
    /// Makes service account tokens and recognizes them.
    pub tokens: TokenIssuer,
    /// Chooses ClusterIPs and node ports.
    pub allocator: Allocator,
    /// What the operator decided.
    pub options: ServerOptions,
    pub(crate) aside: Aside,
    pub(crate) flow: FlowControl,
    pub(crate) metrics: Metrics,
    phase: watch::Sender<Phase>,
}

/// Where a server is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It takes requests.
    Serving,
    /// It still takes requests, and says that it is no longer ready.
    Leaving,
    /// It takes no more connections, and whatever runs for long ends.
    Stopping,
}

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The name of this server in the cluster, unique among its peers and the same after a restart.
    pub identity: String,
    /// Where clients in the cluster reach this server.
    pub advertise_address: IpAddr,
    /// The port that belongs to it.
    pub secure_port: u16,
    /// The network of the Services' ClusterIPs: `10.96.0.0/16`.
    pub service_cluster_ip_range: Cidr,
    /// The ports that Services of type NodePort get.
    pub service_node_ports: RangeInclusive<u16>,
    /// The issuer of service account tokens.
    pub service_account_issuer: String,
    /// The audiences for which this API server is meant; tokens for no audience in particular are for them.
    pub api_audiences: Vec<String>,
    /// The authorities whose client certificates are believed, in PEM.
    pub client_ca_pem: String,
    /// How long a request may take that is no watch.
    pub request_timeout: Duration,
    /// How many requests that only read may be under way at once.
    pub max_requests_inflight: usize,
    /// How many requests that change something may be under way at once.
    pub max_mutating_requests_inflight: usize,
    /// How long a server that is asked to stop still takes connections, so that load balancers see that it is no
    /// longer ready, and clients that keep a connection are told with an answer to use it no more.
    pub shutdown_delay: Duration,
    /// How nodes are called. Without it, logs and commands of pods are refused.
    pub node_client: Option<NodeClient>,
    /// What time it is. Not the system's clock in tests alone.
    pub clock: fn() -> OffsetDateTime,
}

/// The keys of service account tokens, in PEM.
#[derive(Clone)]
pub struct ServiceAccountKeys {
    /// The private key that signs: PKCS #8, P-256. The same on all servers of a cluster.
    pub signing: String,
    /// Public keys of earlier signers whose tokens are still good; may be empty.
    pub earlier: String,
}

impl Server {
    /// Makes a server and starts filling its caches.
    ///
    /// Must be called inside [`runtime::seeded`].
    ///
    /// # Errors
    /// A key or certificate cannot be used.
    pub fn open(
        store: Store,
        keys: &ServiceAccountKeys,
        options: ServerOptions,
    ) -> Result<Arc<Self>, KeyError> {
        let authorities = ClientAuthorities::from_pem(&options.client_ca_pem)?;
        let keys = TokenKeys::from_pem(&keys.signing, &keys.earlier)?;
        let issuer = options.service_account_issuer.clone();
        let server = Arc::new(Self {
            objects: ObjectStore::open(store),
            authenticator: Authenticator::new(authorities),
            authorizer: Authorizer::default(),
            allocator: Allocator::new(options.service_cluster_ip_range, options.service_node_ports.clone()),
            tokens: TokenIssuer::new(keys, issuer, options.api_audiences.clone()),
            aside: Aside::new(),
            flow: FlowControl::new(options.max_requests_inflight, options.max_mutating_requests_inflight),
            metrics: Metrics::default(),
            options,
            phase: watch::Sender::new(Phase::Serving),
        });
        let following = server.clone();
        runtime::spawn(async move {
            tokio::select! {
                () = authz::follow::follow(&following.objects, &following.authorizer) => {}
                () = authz::nodes::follow::follow(&following.objects, &following.authorizer.nodes) => {}
                () = following.stopped() => {}
            }
        });
        Ok(server)
    }

    /// What time it is.
    pub fn now(&self) -> OffsetDateTime {
        (self.options.clock)()
    }

    /// Says that the server is about to stop, while it still takes requests: load balancers need time to see it.
    pub fn begin_leave(&self) {
        self.enter(Phase::Leaving);
    }

    /// Ends watches and everything else that runs for long.
    pub fn begin_stop(&self) {
        self.enter(Phase::Stopping);
    }

    /// Where it is in its life.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Whether what runs for long must end.
    pub fn is_stopping(&self) -> bool {
        self.phase() == Phase::Stopping
    }

    /// Completes when [`Self::is_stopping`].
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.reached(Phase::Stopping)
    }

    /// Completes when the server is in that phase or past it.
    pub fn reached(&self, wanted: Phase) -> impl Future<Output = ()> + Send + 'static {
        let mut phase = self.phase.subscribe();
        async move {
            // The sender goes away only with the server, which is a stop, too.
            let _ = phase.wait_for(|phase| *phase >= wanted).await;
        }
    }

    /// A server does not come back from a later phase.
    fn enter(&self, next: Phase) {
        self.phase.send_if_modified(|phase| {
            let is_later = next > *phase;
            *phase = next.max(*phase);
            is_later
        });
    }
}

impl ServerOptions {
    /// Upstream's defaults for everything that has one.
    pub fn new(identity: String, advertise_address: IpAddr, secure_port: u16, client_ca_pem: String) -> Self {
        let issuer = "https://kubernetes.default.svc.cluster.local".to_owned();
        Self {
            identity,
            advertise_address,
            secure_port,
            service_cluster_ip_range: DEFAULT_SERVICE_RANGE.parse().expect("it is a range, a test reads it"),
            service_node_ports: 30_000..=32_767,
            api_audiences: vec![issuer.clone()],
            service_account_issuer: issuer,
            client_ca_pem,
            request_timeout: Duration::from_secs(60),
            max_requests_inflight: 400,
            max_mutating_requests_inflight: 200,
            shutdown_delay: Duration::from_secs(1),
            node_client: None,
            clock: OffsetDateTime::now_utc,
        }
    }
}
