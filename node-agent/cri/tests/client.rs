//! The client against a runtime of the tests' own, behind a real unix socket: what was asked arrives, errors are told
//! apart, and the connection comes back after the runtime was away.

// A test stops at the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::{Stream, stream};
use keelson_cri::{Runtime, RuntimeError};
use keelson_proto::cri::v1::runtime_service_server::{RuntimeService, RuntimeServiceServer};
use keelson_proto::cri::v1::{self as cri, ContainerEventResponse, ExecSyncRequest, VersionRequest};
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

/// What the runtime does when it is asked to run a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Answers,
    Refuses(Code),
    Hangs,
}

#[derive(Clone)]
struct Fake {
    manner: Manner,
}

type Answer<T> = Result<Response<T>, Status>;

/// The service: what the tests need, and the calls that they do not make.
macro_rules! service {
    ({ $($own:tt)* } $($name:ident($request:ident) -> $answer:ident;)*) => {
        #[tonic::async_trait]
        impl RuntimeService for Fake {
            $($own)*
            $(async fn $name(&self, _: Request<cri::$request>) -> Answer<cri::$answer> {
                Err(Status::unimplemented(stringify!($name)))
            })*
        }
    };
}

service! {
    {
        type GetContainerEventsStream =
            Pin<Box<dyn Stream<Item = Result<ContainerEventResponse, Status>> + Send>>;

        async fn version(&self, _: Request<VersionRequest>) -> Answer<cri::VersionResponse> {
            let name = "fake".to_owned();
            Ok(Response::new(cri::VersionResponse { runtime_name: name, ..Default::default() }))
        }

        async fn exec_sync(&self, request: Request<ExecSyncRequest>) -> Answer<cri::ExecSyncResponse> {
            match self.manner {
                Manner::Answers => {
                    let request = request.into_inner();
                    let stdout = format!("{} {} {:?}", request.container_id, request.timeout, request.cmd);
                    Ok(Response::new(cri::ExecSyncResponse { stdout: stdout.into(), ..Default::default() }))
                }
                Manner::Refuses(code) => Err(Status::new(code, "no")),
                Manner::Hangs => std::future::pending().await,
            }
        }

        async fn get_container_events(
            &self,
            _: Request<cri::GetEventsRequest>,
        ) -> Answer<Self::GetContainerEventsStream> {
            let event = ContainerEventResponse { container_id: "c".to_owned(), ..Default::default() };
            Ok(Response::new(Box::pin(stream::iter([Ok(event)]))))
        }
    }
    run_pod_sandbox(RunPodSandboxRequest) -> RunPodSandboxResponse;
    stop_pod_sandbox(StopPodSandboxRequest) -> StopPodSandboxResponse;
    remove_pod_sandbox(RemovePodSandboxRequest) -> RemovePodSandboxResponse;
    pod_sandbox_status(PodSandboxStatusRequest) -> PodSandboxStatusResponse;
    list_pod_sandbox(ListPodSandboxRequest) -> ListPodSandboxResponse;
    create_container(CreateContainerRequest) -> CreateContainerResponse;
    start_container(StartContainerRequest) -> StartContainerResponse;
    stop_container(StopContainerRequest) -> StopContainerResponse;
    remove_container(RemoveContainerRequest) -> RemoveContainerResponse;
    list_containers(ListContainersRequest) -> ListContainersResponse;
    container_status(ContainerStatusRequest) -> ContainerStatusResponse;
    update_container_resources(UpdateContainerResourcesRequest) -> UpdateContainerResourcesResponse;
    reopen_container_log(ReopenContainerLogRequest) -> ReopenContainerLogResponse;
    exec(ExecRequest) -> ExecResponse;
    attach(AttachRequest) -> AttachResponse;
    port_forward(PortForwardRequest) -> PortForwardResponse;
    container_stats(ContainerStatsRequest) -> ContainerStatsResponse;
    list_container_stats(ListContainerStatsRequest) -> ListContainerStatsResponse;
    pod_sandbox_stats(PodSandboxStatsRequest) -> PodSandboxStatsResponse;
    list_pod_sandbox_stats(ListPodSandboxStatsRequest) -> ListPodSandboxStatsResponse;
    update_runtime_config(UpdateRuntimeConfigRequest) -> UpdateRuntimeConfigResponse;
    status(StatusRequest) -> StatusResponse;
    checkpoint_container(CheckpointContainerRequest) -> CheckpointContainerResponse;
    list_metric_descriptors(ListMetricDescriptorsRequest) -> ListMetricDescriptorsResponse;
    list_pod_sandbox_metrics(ListPodSandboxMetricsRequest) -> ListPodSandboxMetricsResponse;
    runtime_config(RuntimeConfigRequest) -> RuntimeConfigResponse;
}

/// A folder for a socket, which has to have a short path.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn socket(&self) -> PathBuf {
        self.0.path().join("r.sock")
    }
}

/// A runtime that runs. When this is dropped it is gone, with its connections.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().map(JoinHandle::join).transpose().unwrap();
    }
}

/// Serves at `socket` from now on.
fn serve(socket: &Path, manner: Manner) -> Running {
    let _ = std::fs::remove_file(socket);
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let incoming = stream::unfold(UnixListener::from_std(listener).unwrap(), async |listener| {
                let stream = listener.accept().await.map(|(stream, _)| stream);
                Some((stream, listener))
            });
            let service = RuntimeServiceServer::new(Fake { manner });
            let serving = Server::builder().add_service(service).serve_with_incoming(Box::pin(incoming));
            tokio::select! {
                served = serving => served.unwrap(),
                _ = stopped => {}
            }
        });
    });
    Running { stop: Some(stop), thread: Some(thread) }
}

fn command() -> Vec<String> {
    vec!["true".to_owned()]
}

#[tokio::test]
async fn what_is_asked_arrives_and_what_is_answered_comes_back() {
    let place = Place::new();
    let _server = serve(&place.socket(), Manner::Answers);
    let runtime = Runtime::at(&place.socket());
    assert_eq!(runtime.version().await.unwrap().runtime_name, "fake");
    let answer = runtime.exec_sync("c1", command(), Duration::from_secs(7)).await.unwrap();
    assert_eq!(answer.stdout, r#"c1 7 ["true"]"#);
}

#[tokio::test]
async fn a_time_that_a_pod_has_chosen_may_be_as_long_as_can_be_written() {
    let place = Place::new();
    let _server = serve(&place.socket(), Manner::Answers);
    let runtime = Runtime::at(&place.socket());
    let longest = Duration::from_secs(i64::MAX.unsigned_abs());
    let answer = runtime.exec_sync("c1", command(), longest).await.unwrap();
    assert_eq!(answer.stdout, r#"c1 3153600000 ["true"]"#, "in nanoseconds it fits into 64 bits");
    assert!(runtime.stop_container("c1", longest).await.unwrap_err().is_unimplemented());
}

#[tokio::test]
async fn an_error_of_the_runtime_is_a_refusal() {
    let place = Place::new();
    let _server = serve(&place.socket(), Manner::Refuses(Code::NotFound));
    let runtime = Runtime::at(&place.socket());
    let error = runtime.exec_sync("c1", command(), Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error, RuntimeError::Refused { code: Code::NotFound, description: "no".to_owned() });
    assert!(runtime.status().await.unwrap_err().is_unimplemented());
}

#[tokio::test]
async fn a_runtime_that_says_that_time_ran_out_leaves_the_fate_open() {
    let place = Place::new();
    let _server = serve(&place.socket(), Manner::Refuses(Code::DeadlineExceeded));
    let runtime = Runtime::at(&place.socket());
    let error = runtime.exec_sync("c1", command(), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, RuntimeError::TimedOut { call: "ExecSync", .. }) && error.is_unknown());
}

#[tokio::test(start_paused = true)]
async fn a_runtime_that_hangs_is_given_up() {
    let place = Place::new();
    let _server = serve(&place.socket(), Manner::Hangs);
    let runtime = Runtime::at(&place.socket());
    let begin = tokio::time::Instant::now();
    let error = runtime.exec_sync("c1", command(), Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(error, RuntimeError::TimedOut { .. }), "{error}");
    assert!(begin.elapsed() > Duration::from_secs(120), "not before it had time to come round");
}

#[tokio::test]
async fn without_a_runtime_nothing_is_done_and_when_it_comes_the_same_client_reaches_it() {
    let place = Place::new();
    let runtime = Runtime::at(&place.socket());
    let error = runtime.version().await.unwrap_err();
    assert!(error.is_unreachable() && !error.is_unknown(), "{error}");
    let server = serve(&place.socket(), Manner::Answers);
    assert!(runtime.version().await.is_ok());
    // It goes away and another one comes at the same place.
    drop(server);
    let _server = serve(&place.socket(), Manner::Answers);
    let reached = async {
        // The first calls may meet the old connection.
        while runtime.version().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_leaves_the_fate_open() {
    let place = Place::new();
    let server = serve(&place.socket(), Manner::Hangs);
    let runtime = Runtime::at(&place.socket());
    runtime.version().await.unwrap();
    let call = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.exec_sync("c1", command(), Duration::from_secs(60)).await }
    });
    // The call is under way when its answer shows that the connection serves others, too.
    runtime.version().await.unwrap();
    drop(server);
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is_unknown(), "{error}");
}

#[tokio::test]
async fn events_come_until_the_runtime_ends_the_stream() {
    let place = Place::new();
    let _server = serve(&place.socket(), Manner::Answers);
    let runtime = Runtime::at(&place.socket());
    let mut events = runtime.events().await.unwrap();
    assert_eq!(events.next().await.unwrap().map(|event| event.container_id).as_deref(), Some("c"));
    assert_eq!(events.next().await.unwrap(), None);
}
