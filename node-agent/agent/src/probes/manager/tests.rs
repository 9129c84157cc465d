//! What is promised of the probes manager, shown by example.

use std::path::Path;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;
use crate::testing::{instance, observed, pod};

/// Probes whose changes are received.
fn probes() -> (Probes, mpsc::UnboundedReceiver<String>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (recorder, _) = EventRecorder::detached();
    let runtime = Runtime::at(Path::new("/nonexistent/containerd.sock"));
    let probes = Probes::new(runtime, recorder, move |uid: &str| drop(sender.send(uid.to_owned())));
    (probes, receiver)
}

fn pod_with(probes: Value) -> Arc<Pod> {
    let mut container = json!({"name": "a"});
    container.as_object_mut().unwrap().extend(probes.as_object().unwrap().clone());
    Arc::new(pod(json!({"containers": [container]})))
}

fn runs() -> Observed {
    let mut observed =
        observed(vec![instance("a", 1, InstanceState::Running { started_at: Timestamp::now() })]);
    observed.sandboxes[0].addresses = vec!["127.0.0.1".into()];
    observed
}

fn view<'a>(pod: &'a Arc<Pod>, observed: &'a Observed, told: &'a PodStatus) -> View<'a> {
    View { pod, observed, told, is_ending: false, node_address: "127.0.0.1" }
}

#[tokio::test]
async fn a_container_that_answers_becomes_ready_and_one_that_stops_to_does_not_stay_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pod = pod_with(
        json!({"readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 1}}),
    );
    let (probes, mut changes) = probes();
    let (observed, told) = (runs(), PodStatus::default());
    probes.follow(view(&pod, &observed, &told));
    let verdict = || probes.verdicts("uid-1").get(Kind::Readiness, "a-1");
    assert_eq!(verdict(), Some(Verdict::Failure));
    assert_eq!(changes.recv().await.as_deref(), Some("uid-1"));
    assert_eq!(verdict(), Some(Verdict::Success));
    drop(listener);
    changes.recv().await.unwrap();
    assert_eq!(verdict(), Some(Verdict::Failure));
    // It is gone, and so is what was known about it.
    probes.follow(view(&pod, &Observed::default(), &told));
    assert_eq!(verdict(), None);
}

#[tokio::test]
async fn a_container_that_was_only_just_started_is_not_asked_whether_it_lives() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let probe = json!({"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": 1});
    let pod = pod_with(json!({"livenessProbe": probe}));
    let (probes, mut changes) = probes();
    let begin = tokio::time::Instant::now();
    probes.follow(view(&pod, &runs(), &PodStatus::default()));
    changes.recv().await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(probes.verdicts("uid-1").get(Kind::Liveness, "a-1"), Some(Verdict::Failure));
}

#[tokio::test]
async fn a_clock_that_is_set_back_stops_no_probe() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let pod = pod_with(json!({"readinessProbe": {"tcpSocket": {"port": port}}}));
    let (probes, mut changes) = probes();
    let mut observed = runs();
    let tomorrow = Timestamp::now() + k8s_openapi::jiff::SignedDuration::from_hours(24);
    observed.instances[0].state = InstanceState::Running { started_at: tomorrow };
    probes.follow(view(&pod, &observed, &PodStatus::default()));
    changes.recv().await.unwrap();
    assert_eq!(probes.verdicts("uid-1").get(Kind::Readiness, "a-1"), Some(Verdict::Success));
}

#[tokio::test]
async fn readiness_waits_for_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let probe = json!({"tcpSocket": {"port": port}});
    let pod = pod_with(json!({"startupProbe": probe, "readinessProbe": probe}));
    let (probes, mut changes) = probes();
    let (observed, told) = (runs(), PodStatus::default());
    probes.follow(view(&pod, &observed, &told));
    changes.recv().await.unwrap();
    let verdicts = probes.verdicts("uid-1");
    assert_eq!(verdicts.get(Kind::Startup, "a-1"), Some(Verdict::Success));
    assert_eq!(verdicts.get(Kind::Readiness, "a-1"), Some(Verdict::Failure));
    changes.recv().await.unwrap();
    assert_eq!(probes.verdicts("uid-1").get(Kind::Readiness, "a-1"), Some(Verdict::Success));
}

#[tokio::test]
async fn what_an_earlier_agent_found_out_holds_until_there_is_an_answer() {
    let probe = json!({"exec": {"command": ["x"]}, "initialDelaySeconds": 3600});
    let pod = pod_with(json!({"startupProbe": probe, "readinessProbe": probe, "livenessProbe": probe}));
    let told: PodStatus = serde_json::from_value(json!({"containerStatuses": [{"name": "a", "ready": true,
        "started": true, "containerID": "containerd://a-1", "image": "", "imageID": "", "restartCount": 0}]}))
    .unwrap();
    let observed = runs();
    let (first, _changes) = probes();
    first.follow(view(&pod, &observed, &told));
    for kind in [Kind::Startup, Kind::Readiness, Kind::Liveness] {
        assert_eq!(first.verdicts("uid-1").get(kind, "a-1"), Some(Verdict::Success), "{kind:?}");
    }
    // Of another instance nothing is known.
    let mut told = told;
    told.container_statuses.as_mut().unwrap()[0].container_id = Some("containerd://old".into());
    let (second, _changes) = probes();
    second.follow(view(&pod, &observed, &told));
    assert_eq!(second.verdicts("uid-1").get(Kind::Readiness, "a-1"), Some(Verdict::Failure));
}

#[tokio::test]
async fn a_pod_that_ends_is_asked_for_nothing_but_readiness() {
    let probe = json!({"exec": {"command": ["x"]}, "initialDelaySeconds": 3600});
    let pod = pod_with(json!({"readinessProbe": probe, "livenessProbe": probe}));
    let (probes, _changes) = probes();
    let (observed, told) = (runs(), PodStatus::default());
    probes.follow(View { is_ending: true, ..view(&pod, &observed, &told) });
    let verdicts = probes.verdicts("uid-1");
    assert_eq!(verdicts.get(Kind::Liveness, "a-1"), None);
    assert_eq!(verdicts.get(Kind::Readiness, "a-1"), Some(Verdict::Failure));
    probes.forget("uid-1");
    assert_eq!(probes.verdicts("uid-1"), Verdicts::default());
}
