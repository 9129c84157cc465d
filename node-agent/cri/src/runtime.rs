//! The connection, and the calls about the runtime itself.
//!
//! In: the path of a unix socket. Out: [`Runtime`], whose connection is made by the first call that needs it and
//! again after it broke. Nothing is retried.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keelson_proto::cri::v1::image_service_client::ImageServiceClient;
use keelson_proto::cri::v1::runtime_service_client::RuntimeServiceClient;
use keelson_proto::cri::v1::{
    RuntimeConfig, StatusRequest, StatusResponse, UpdateRuntimeConfigRequest, VersionRequest, VersionResponse,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::RuntimeError;

/// How long a call may take that says nothing else: upstream's `runtimeRequestTimeout`.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

/// A pod may say any number of seconds; more than this is as good as for ever. It still fits where runtimes keep a time
/// in nanoseconds, and into the head of a request.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The largest answer that is accepted: lists on a full node. Upstream's `maxMsgSize`.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A container runtime. Clones share one connection.
#[derive(Clone, Debug)]
pub struct Runtime {
    endpoint: Arc<str>,
    channel: Channel,
}

impl Runtime {
    /// The runtime behind a unix socket. Must be called inside a tokio runtime; connects when first asked.
    pub fn at(socket: &Path) -> Self {
        let endpoint: Arc<str> = socket.to_string_lossy().into();
        let channel = Endpoint::from_shared(format!("unix://{endpoint}"))
            .expect("a text that begins with unix: is taken as a path, whatever follows")
            .connect_lazy();
        Self { endpoint, channel }
    }

    /// The path of the socket.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Which runtime this is.
    pub async fn version(&self) -> Result<VersionResponse, RuntimeError> {
        let request = VersionRequest { version: "0.1.0".to_owned() };
        self.runtime("Version", DEADLINE, request, async |mut c, r| c.version(r).await).await
    }

    /// Whether the runtime and its network are ready, and which handlers it has.
    pub async fn status(&self) -> Result<StatusResponse, RuntimeError> {
        let request = StatusRequest { verbose: false };
        self.runtime("Status", DEADLINE, request, async |mut c, r| c.status(r).await).await
    }

    /// Tells the runtime the node's range of pod addresses.
    pub async fn update_runtime_config(&self, config: RuntimeConfig) -> Result<(), RuntimeError> {
        let request = UpdateRuntimeConfigRequest { runtime_config: Some(config) };
        self.runtime("UpdateRuntimeConfig", DEADLINE, request, async |mut c, r| {
            c.update_runtime_config(r).await
        })
        .await
        .map(drop)
    }

    /// One call of the runtime service.
    pub(crate) async fn runtime<Q, A>(
        &self,
        name: &'static str,
        deadline: Duration,
        request: Q,
        send: impl AsyncFnOnce(RuntimeServiceClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, RuntimeError> {
        self.bounded(name, deadline, send(self.runtime_client(), timed(request, deadline))).await
    }

    /// One call of the image service.
    pub(crate) async fn image<Q, A>(
        &self,
        name: &'static str,
        deadline: Duration,
        request: Q,
        send: impl AsyncFnOnce(ImageServiceClient<Channel>, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, RuntimeError> {
        let client = ImageServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER);
        self.bounded(name, deadline, send(client, timed(request, deadline))).await
    }

    pub(crate) fn runtime_client(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// The deadline travels with the request, so that the runtime gives up as well; the clock here is for a runtime
    /// that hangs.
    async fn bounded<A>(
        &self,
        name: &'static str,
        deadline: Duration,
        answer: impl Future<Output = Result<Response<A>, Status>>,
    ) -> Result<A, RuntimeError> {
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(RuntimeError::of(&self.endpoint, name, &status)),
            Err(_) => Err(RuntimeError::no_answer(name, deadline)),
        }
    }
}

fn timed<Q>(request: Q, deadline: Duration) -> Request<Q> {
    let mut request = Request::new(request);
    request.set_timeout(deadline.min(FOR_EVER));
    request
}

/// Whole seconds, as requests carry a time that somebody else has chosen.
pub(crate) fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.min(FOR_EVER).as_secs()).unwrap_or(i64::MAX)
}
