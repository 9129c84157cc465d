//! A Pod's volumes from their first contents on: changes, failures, tokens, what is immutable.

use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};
use time::{Duration, macros::datetime};

use super::*;
use crate::{mount_table::MountTable, tear_down::tear_down, testing::Objects};

const START: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

struct Ground {
    root: tempfile::TempDir,
    objects: Objects,
    pod: Pod,
    volumes: PodVolumes,
}

impl Ground {
    fn new(volumes: Value) -> Self {
        Self::with(volumes, json!({}))
    }

    fn with(volumes: Value, mut spec: Value) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mount = |volume: &Value| {
            let name = volume["name"].as_str().unwrap();
            json!({"name": name, "mountPath": format!("/{name}")})
        };
        let mounts: Vec<Value> = volumes.as_array().unwrap().iter().map(mount).collect();
        spec["containers"] = json!([{"name": "c", "volumeMounts": mounts}]);
        spec["volumes"] = volumes;
        let pod = json!({"metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"a": "1"}}, "spec": spec});
        let objects = Objects::at(START);
        objects.put_config_map("c", json!({"data": {"k": "1"}}));
        objects.put_secret("s", json!({"data": {"k": "Mg=="}}));
        let volumes = PodVolumes::new(PodFolders::new(root.path(), "u").unwrap());
        Self { root, objects, pod: serde_json::from_value(pod).unwrap(), volumes }
    }

    async fn set_up(&mut self) -> Result<Option<OffsetDateTime>, VolumeErrors> {
        self.volumes.set_up(&self.pod, &self.objects, &Node::default(), START).await
    }

    async fn refresh(&mut self, now: OffsetDateTime) -> Refreshed {
        self.objects.set_time(now);
        self.volumes.refresh(&self.pod, &self.objects, &Node::default(), now).await
    }

    /// The text of a file, `secret/s/k` for `volumes/kubernetes.io~secret/s/k`.
    fn text(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.volumes.folders().volumes().join(format!("kubernetes.io~{path}"))
    }
}

impl Drop for Ground {
    /// Unmounts what a test that failed has left.
    fn drop(&mut self) {
        let root = self.root.path().canonicalize().unwrap();
        for point in MountTable::read().unwrap().below(&root) {
            let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

fn texts(errors: &[VolumeError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn every_kind_is_set_up_and_torn_down() {
    let projected = json!([
        {"configMap": {"name": "c", "items": [{"key": "k", "path": "conf/k"}]}},
        {"serviceAccountToken": {"path": "token"}},
    ]);
    let mut ground = Ground::new(json!([
        {"name": "empty", "emptyDir": {}},
        {"name": "map", "configMap": {"name": "c"}},
        {"name": "secret", "secret": {"secretName": "s"}},
        {"name": "down", "downwardAPI": {"items": [{"path": "n", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"name": "all", "projected": {"sources": projected}},
        {"name": "host", "hostPath": {"path": "/", "type": "Directory"}},
    ]));
    let next = ground.set_up().await.unwrap();
    assert_eq!(next, Some(START + Duration::minutes(48)));
    for (path, text) in [
        ("configmap/map/k", "1"),
        ("secret/secret/k", "2"),
        ("downward-api/down/n", "p"),
        ("projected/all/conf/k", "1"),
        ("projected/all/token", "token-0-for-api"),
    ] {
        assert_eq!(ground.text(path).as_deref(), Some(text), "{path}");
    }
    assert!(ground.path("empty-dir/empty").is_dir());
    assert_eq!(fs::metadata(ground.volumes.folders().pod()).unwrap().mode() & 0o7777, 0o750);
    fs::write(ground.path("empty-dir/empty/kept"), "").unwrap();
    ground.set_up().await.unwrap();
    assert!(ground.path("empty-dir/empty/kept").exists(), "again changes nothing");
    tear_down(ground.volumes.folders()).await.unwrap();
    assert!(!ground.volumes.folders().pod().exists());
}

#[tokio::test(flavor = "current_thread")]
async fn secrets_lie_in_memory_or_where_only_the_agent_may_enter() {
    let mut ground = Ground::new(json!([{"name": "v", "secret": {"secretName": "s", "defaultMode": 0o444}}]));
    ground.set_up().await.unwrap();
    ground.set_up().await.unwrap();
    let in_memory = crate::tmpfs::is_mounted(&ground.path("secret/v")).unwrap();
    let above = fs::metadata(ground.path("secret")).unwrap().mode() & 0o7777;
    match in_memory {
        true => {
            let real = ground.path("secret/v").canonicalize().unwrap();
            assert_eq!(MountTable::read().unwrap().below(&real).len(), 1, "mounted once");
        }
        false => assert_eq!(above, 0o700),
    }
    assert_eq!(fs::metadata(ground.path("secret/v/k")).unwrap().mode() & 0o7777, 0o444);
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_missing_is_told_and_the_rest_is_there() {
    let mut ground = Ground::new(json!([
        {"name": "a", "configMap": {"name": "absent"}},
        {"name": "b", "configMap": {"name": "c"}},
        {"name": "n", "nfs": {"server": "s", "path": "/"}},
    ]));
    let errors = ground.set_up().await.unwrap_err();
    assert_eq!(
        texts(&errors.0),
        [
            "MountVolume.SetUp failed for volume \"a\" : configmap \"absent\" not found",
            "MountVolume.SetUp failed for volume \"n\" : volumes of type nfs are not supported yet",
        ]
    );
    assert!(!errors.0[0].problem.is_permanent() && errors.0[1].problem.is_permanent());
    assert_eq!(ground.text("configmap/b/k").as_deref(), Some("1"));
    assert!(!ground.path("configmap/a").exists(), "nothing is made for what cannot be filled");
    ground.objects.put_config_map("absent", json!({"data": {"k": "late"}}));
    assert_eq!(ground.set_up().await.unwrap_err().0.len(), 1);
    assert_eq!(ground.text("configmap/a/k").as_deref(), Some("late"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_volume_that_no_container_uses_is_not_set_up() {
    let mut ground = Ground::new(json!([{"name": "v", "configMap": {"name": "c"}}]));
    let unused = json!({"name": "w", "configMap": {"name": "absent"}});
    let volumes = ground.pod.spec.as_mut().unwrap().volumes.as_mut().unwrap();
    volumes.push(serde_json::from_value(unused).unwrap());
    ground.set_up().await.unwrap();
    assert!(!ground.path("configmap/w").exists());
}

#[tokio::test(flavor = "current_thread")]
async fn a_refresh_brings_changes_and_tells_which() {
    let mut ground = Ground::new(json!([
        {"name": "v", "configMap": {"name": "c"}},
        {"name": "w", "secret": {"secretName": "s"}},
        {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "e", "emptyDir": {}},
    ]));
    ground.set_up().await.unwrap();
    let refreshed = ground.refresh(START).await;
    assert_eq!((refreshed.changed, refreshed.next), (Vec::new(), None));
    ground.objects.put_config_map("c", json!({"data": {"other": "2"}}));
    ground.pod.metadata.labels = Some([("a".to_owned(), "2".to_owned())].into());
    let refreshed = ground.refresh(START).await;
    assert_eq!(refreshed.changed, ["d", "v"]);
    assert_eq!(ground.text("configmap/v/other").as_deref(), Some("2"));
    assert_eq!(ground.text("configmap/v/k"), None);
    assert_eq!(ground.text("downward-api/d/l").as_deref(), Some("a=\"2\""));
}

#[tokio::test(flavor = "current_thread")]
async fn an_api_that_is_away_leaves_the_former_contents() {
    let mut ground = Ground::new(json!([{"name": "v", "configMap": {"name": "c", "optional": true}}]));
    ground.set_up().await.unwrap();
    ground.objects.fail();
    let refreshed = ground.refresh(START).await;
    assert_eq!(texts(&refreshed.errors), ["MountVolume.SetUp failed for volume \"v\" : the API is away"]);
    assert_eq!(ground.text("configmap/v/k").as_deref(), Some("1"));
}

#[tokio::test(flavor = "current_thread")]
async fn what_is_immutable_never_changes_for_a_pod() {
    let mut ground = Ground::new(json!([
        {"name": "v", "configMap": {"name": "c"}},
        {"name": "w", "secret": {"secretName": "s"}},
    ]));
    ground.objects.put_config_map("c", json!({"immutable": true, "data": {"k": "first"}}));
    ground.objects.put_secret("s", json!({"immutable": true, "data": {"k": "Zmlyc3Q="}}));
    ground.set_up().await.unwrap();
    // Deleted, and created anew with other contents.
    ground.objects.put_config_map("c", json!({"data": {"k": "second"}}));
    ground.objects.put_secret("s", json!({"data": {"k": "c2Vjb25k"}}));
    assert_eq!(ground.refresh(START).await.changed, [""; 0]);
    assert_eq!(ground.text("configmap/v/k").as_deref(), Some("first"));
    assert_eq!(ground.text("secret/w/k").as_deref(), Some("first"));
}

#[tokio::test(flavor = "current_thread")]
async fn tokens_are_renewed_in_time_and_shared_by_equal_requests() {
    let token = |audience: &str| json!({"serviceAccountToken": {"path": "t", "audience": audience}});
    let mut ground = Ground::new(json!([
        {"name": "v", "projected": {"sources": [token("")]}},
        {"name": "w", "projected": {"sources": [token("")]}},
        {"name": "x", "projected": {"sources": [token("vault")]}},
    ]));
    ground.set_up().await.unwrap();
    assert_eq!(ground.objects.tokens(), 2);
    assert_eq!(ground.text("projected/x/t").as_deref(), Some("token-1-for-vault"));
    let due = START + Duration::minutes(48);
    assert_eq!(ground.refresh(due - Duration::SECOND).await.changed, [""; 0]);
    let refreshed = ground.refresh(due).await;
    assert_eq!(refreshed.changed, ["v", "w", "x"]);
    assert_eq!(refreshed.next, Some(due + Duration::minutes(48)));
    assert_eq!(ground.text("projected/v/t").as_deref(), Some("token-2-for-api"));
}

#[tokio::test(flavor = "current_thread")]
async fn the_group_of_the_pod_owns_its_volumes() {
    if !crate::testing::may_chown("the_group_of_the_pod_owns_its_volumes") {
        return;
    }
    let volumes = json!([
        {"name": "e", "emptyDir": {}},
        {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
        {"name": "m", "configMap": {"name": "c", "defaultMode": 0o400}},
    ]);
    let mut ground = Ground::with(volumes, json!({"securityContext": {"fsGroup": 4711, "runAsUser": 1234}}));
    ground.set_up().await.unwrap();
    let look = |path: &str| {
        let metadata = fs::metadata(ground.path(path)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    assert_eq!(look("empty-dir/e"), (0, 4711, 0o2777));
    assert_eq!(look("projected/v/t"), (1234, 4711, 0o640));
    assert_eq!(look("configmap/m/k"), (0, 4711, 0o440));
    assert_eq!(look("configmap/m"), (0, 4711, 0o2777));
    assert_eq!(ground.refresh(START).await.changed, [""; 0]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_volume_has_folders_for_what_is_mounted_inside_it() {
    let mut ground =
        Ground::new(json!([{"name": "v", "configMap": {"name": "c"}}, {"name": "e", "emptyDir": {}}]));
    let inner = json!({"name": "e", "mountPath": "/v/inner/deep"});
    let container = &mut ground.pod.spec.as_mut().unwrap().containers[0];
    container.volume_mounts.as_mut().unwrap().push(serde_json::from_value(inner).unwrap());
    ground.set_up().await.unwrap();
    assert!(ground.path("configmap/v/inner/deep").is_dir());
    ground.objects.put_config_map("c", json!({"data": {"x": "2"}}));
    ground.refresh(START).await;
    assert!(ground.path("configmap/v/inner/deep").is_dir(), "a change leaves it");
    assert_eq!(ground.text("configmap/v/x").as_deref(), Some("2"));
}
