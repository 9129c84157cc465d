//! The runtime's client with a real containerd: what the agent relies on.

use std::time::Duration;

use keelson_cri::RuntimeError;
use serde_json::json;

use crate::api::container;
use crate::lab::Lab;
use crate::wait;

#[test]
fn the_runtime_says_who_it_is_and_what_it_lacks() {
    let Some(lab) = Lab::new("the_runtime_says_who_it_is_and_what_it_lacks") else { return };
    lab.ask(async |runtime| {
        assert_eq!(runtime.version().await.unwrap().runtime_name, "containerd");
        let conditions = runtime.status().await.unwrap().status.unwrap().conditions;
        let network = conditions.iter().find(|it| it.r#type == "NetworkReady").unwrap();
        assert!(!network.status && network.reason == "NetworkPluginNotReady", "{network:?}");
        assert!(runtime.container_status("nobody").await.unwrap_err().is_not_found());
        // Stopping and removing what is not there is done already.
        runtime.stop_pod_sandbox("nobody").await.unwrap();
        runtime.remove_pod_sandbox("nobody").await.unwrap();
        runtime.remove_container("nobody").await.unwrap();
        assert!(runtime.image_status("docker.io/library/nobody:1").await.unwrap().is_none());
        assert!(!runtime.image_fs_info().await.unwrap().image_filesystems.is_empty());
    });
    lab.kill_containerd();
    wait::until_true("the runtime cannot be reached", || {
        lab.ask(async |runtime| runtime.version().await.is_err_and(|error| error.is_unreachable()))
    });
}

#[test]
fn commands_end_or_run_out_of_time() {
    let Some(lab) = Lab::ready("commands_end_or_run_out_of_time") else { return };
    lab.api.run(
        "web",
        json!({"containers": [{"name": "a", "image": "busybox:1.36", "command": ["sleep", "1000"]}]}),
    );
    let pod = lab.api.until_ready("web");
    let id = container(&pod, "a")["containerID"]
        .as_str()
        .unwrap()
        .strip_prefix("containerd://")
        .unwrap()
        .to_owned();
    let run = |command: &[&str], timeout| {
        let command: Vec<String> = command.iter().map(ToString::to_string).collect();
        lab.ask(async |runtime| runtime.exec_sync(&id, command, Duration::from_secs(timeout)).await)
    };
    let answer = run(&["sh", "-c", "echo out; echo err >&2; exit 3"], 10).unwrap();
    assert_eq!((answer.exit_code, &answer.stdout[..], &answer.stderr[..]), (3, &b"out\n"[..], &b"err\n"[..]));
    assert!(matches!(run(&["sleep", "100"], 1), Err(RuntimeError::TimedOut { .. })));
    assert!(matches!(run(&["/nobody"], 10), Err(RuntimeError::Refused { .. })));
    let urls = lab.ask(async |runtime| {
        let stats = runtime.container_stats(&id).await.unwrap();
        assert_eq!(stats.attributes.unwrap().id, id);
        let exec = keelson_proto::cri::v1::ExecRequest {
            container_id: id.clone(),
            cmd: vec!["true".to_owned()],
            stdout: true,
            ..Default::default()
        };
        runtime.exec(exec).await.unwrap()
    });
    assert!(urls.starts_with("http://127.0.0.1:"), "{urls}");
}
