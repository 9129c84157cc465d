//! Small builders for the tests of this crate.

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use crate::cgroups::given::Given;
use crate::config::resources;
use crate::runtime::observed::{Instance, InstanceState, Observed, Sandbox, Size};

/// The pod `shop/web` with uid `uid-1` and this spec.
pub(crate) fn pod(spec: Value) -> Pod {
    let metadata = json!({"name": "web", "namespace": "shop", "uid": "uid-1"});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// So many seconds after some moment.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

/// The pod's ready sandbox, made at 0.
pub(crate) fn sandbox(id: &str) -> Sandbox {
    Sandbox {
        id: id.into(),
        attempt: 0,
        is_ready: true,
        created_at: at(0),
        is_host_network: false,
        addresses: vec!["10.244.1.7".into()],
    }
}

/// An instance of a container, made at `created`; the id tells name and time.
pub(crate) fn instance(name: &str, created: i64, state: InstanceState) -> Instance {
    Instance {
        id: format!("{name}-{created}"),
        name: name.into(),
        sandbox: "s".into(),
        created_at: at(created),
        state,
        image: "docker.io/library/busybox:1.36".into(),
        image_ref: "sha256:1111".into(),
        ..Instance::default()
    }
}

/// An instance that runs since it was made, in the size that this container asks for.
pub(crate) fn sized(created: i64, container: &Container) -> Instance {
    let given = Given::exactly(&resources::bounds(container));
    let size = Some(Size { given, told: None });
    Instance { size, ..instance(&container.name, created, running(created)) }
}

/// Started at this moment.
pub(crate) fn running(since: i64) -> InstanceState {
    InstanceState::Running { started_at: at(since) }
}

/// Ran for one second from this moment.
pub(crate) fn exited(started: i64, exit_code: i32) -> InstanceState {
    let reason = if exit_code == 0 { "Completed" } else { "Error" };
    InstanceState::Exited {
        started_at: Some(at(started)),
        finished_at: at(started + 1),
        exit_code,
        reason: reason.into(),
    }
}

/// A pod in the runtime with the sandbox `s`.
pub(crate) fn observed(mut instances: Vec<Instance>) -> Observed {
    instances.sort_by_key(|instance| std::cmp::Reverse(instance.created_at));
    Observed { sandboxes: vec![sandbox("s")], instances }
}
