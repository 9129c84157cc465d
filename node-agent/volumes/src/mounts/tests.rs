//! What a container gets mounted, and every refusal.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{testing::may_mount, volume::Kind};

struct Ground {
    root: tempfile::TempDir,
    folders: PodFolders,
}

impl Ground {
    /// A Pod's folder with an emptyDir, a Secret and a ConfigMap.
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folders = PodFolders::new(root.path(), "u").unwrap();
        for (kind, name) in [(Kind::EmptyDir, "e"), (Kind::Secret, "s")] {
            fs::create_dir_all(folders.volume(kind, name)).unwrap();
        }
        fs::write(root.path().join("hosts"), "127.0.0.1 node\n").unwrap();
        Self { root, folders }
    }

    fn pod(spec: Value, container: &Value) -> Pod {
        let mut spec = spec;
        spec["containers"] = json!([container]);
        spec["volumes"] = json!([
            {"name": "e", "emptyDir": {}},
            {"name": "s", "secret": {"secretName": "s"}},
            {"name": "h", "hostPath": {"path": "/host"}},
            {"name": "late", "configMap": {"name": "late"}},
            {"name": "p", "persistentVolumeClaim": {"claimName": "p"}},
        ]);
        serde_json::from_value(
            json!({"metadata": {"name": "n", "namespace": "ns", "uid": "u"}, "spec": spec}),
        )
        .unwrap()
    }

    fn try_mounts(&self, pod: &Pod, addresses: &[IpAddr], attempt: u32) -> Result<Vec<Mount>, MountError> {
        let variable = |key: &str, value: &str| KeyValue { key: key.into(), value: value.into() };
        mounts(&MountRequest {
            pod,
            container: &pod.spec.as_ref().unwrap().containers[0],
            folders: &self.folders,
            pod_addresses: addresses,
            name: &HostName { name: "n".into(), domain: String::new() },
            environment: &[
                variable("GOOD", "sub"),
                variable("UP", ".."),
                variable("ROOT", "/etc"),
                variable("E", ""),
            ],
            attempt,
            recursive_read_only: false,
            hosts_of_node: &self.root.path().join("hosts"),
        })
    }

    /// Of one volumeMount, without the files that every container has.
    fn one(&self, mount: &Value) -> Result<Mount, String> {
        let pod = Self::pod(
            json!({}),
            &json!({"name": "c", "volumeMounts": [mount], "terminationMessagePath": ""}),
        );
        let mounts = self.try_mounts(&pod, &[], 0).map_err(|error| error.to_string())?;
        assert_eq!(mounts.len(), 1);
        Ok(mounts.into_iter().next().unwrap())
    }
}

#[test]
fn volumes_are_mounted_where_the_container_wants_them() {
    let ground = Ground::new();
    let mount = ground.one(&json!({"name": "e", "mountPath": "data"})).unwrap();
    assert_eq!(mount.container_path, "/data");
    assert_eq!(mount.host_path, ground.folders.volume(Kind::EmptyDir, "e").to_str().unwrap());
    assert!(!mount.readonly);
    let mount = ground.one(&json!({"name": "e", "mountPath": "/data", "readOnly": true})).unwrap();
    assert!(mount.readonly);
    let mount = ground.one(&json!({"name": "s", "mountPath": "/s"})).unwrap();
    assert!(mount.readonly, "nobody writes to a Secret");
    let mount =
        ground.one(&json!({"name": "h", "mountPath": "/h", "mountPropagation": "Bidirectional"})).unwrap();
    assert_eq!((mount.host_path.as_str(), mount.propagation), ("/host", 2));
    let mount =
        ground.one(&json!({"name": "h", "mountPath": "/h", "mountPropagation": "HostToContainer"})).unwrap();
    assert_eq!(mount.propagation, 1);
    let mount = ground.one(&json!({"name": "h", "mountPath": "/h", "subPath": ""})).unwrap();
    assert_eq!(mount.host_path, "/host");
}

#[test]
fn what_cannot_be_mounted_is_refused_in_upstreams_words() {
    let ground = Ground::new();
    let e = |more: Value| {
        let mut mount = json!({"name": "e", "mountPath": "/e"});
        mount.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mount
    };
    let rro = "failed to resolve recursive read-only mode: volume \"e\" requested recursive read-only mode, but it is";
    for (mount, text) in [
        (
            json!({"name": "x", "mountPath": "/x"}),
            "cannot find volume \"x\" to mount into container \"c\"".to_owned(),
        ),
        (
            json!({"name": "late", "mountPath": "/x"}),
            "cannot find volume \"late\" to mount into container \"c\"".to_owned(),
        ),
        (
            json!({"name": "p", "mountPath": "/x"}),
            "volumes of type persistentVolumeClaim are not supported yet".to_owned(),
        ),
        (e(json!({"subPath": "/a"})), "error SubPath `/a` must not be an absolute path".to_owned()),
        (
            e(json!({"subPath": "a/../b"})),
            "unable to provision SubPath `a/../b`: must not contain '..'".to_owned(),
        ),
        (
            e(json!({"subPathExpr": "$(ROOT)"})),
            "error SubPath `/etc` must not be an absolute path".to_owned(),
        ),
        (
            e(json!({"subPathExpr": "$(UP)/x"})),
            "unable to provision SubPath `../x`: must not contain '..'".to_owned(),
        ),
        (e(json!({"subPathExpr": "$(NONE)-$(E)"})), "missing value for E, NONE".to_owned()),
        (e(json!({"mountPropagation": "Up"})), "invalid MountPropagation mode: \"Up\"".to_owned()),
        (e(json!({"recursiveReadOnly": "Enabled"})), format!("{rro} not read-only")),
        (
            e(json!({"recursiveReadOnly": "Enabled", "readOnly": true})),
            format!("{rro} not supported by the runtime"),
        ),
        (
            e(
                json!({"recursiveReadOnly": "IfPossible", "readOnly": true, "mountPropagation": "HostToContainer"}),
            ),
            format!("{rro} not compatible with propagation \"HostToContainer\""),
        ),
    ] {
        assert_eq!(ground.one(&mount), Err(text));
    }
    let mount = ground.one(&e(json!({"recursiveReadOnly": "IfPossible", "readOnly": true}))).unwrap();
    assert!(!mount.recursive_read_only && mount.readonly);
    assert!(
        recursive_read_only(
            &VolumeMount {
                read_only: Some(true),
                recursive_read_only: Some("Enabled".into()),
                ..VolumeMount::default()
            },
            true
        )
        .unwrap()
    );
}

#[test]
fn a_link_out_of_the_volume_is_refused_without_telling_where_it_led() {
    let ground = Ground::new();
    std::os::unix::fs::symlink("/etc", ground.folders.volume(Kind::EmptyDir, "e").join("link")).unwrap();
    assert_eq!(
        ground.one(&json!({"name": "e", "mountPath": "/e", "subPath": "link/passwd"})),
        Err("failed to prepare subPath for volumeMount \"e\" of container \"c\"".to_owned())
    );
}

#[test]
fn every_container_gets_hosts_and_a_termination_log() {
    let ground = Ground::new();
    let pod = Ground::pod(json!({}), &json!({"name": "c"}));
    let addresses = ["10.1.0.9".parse().unwrap()];
    let mounts = ground.try_mounts(&pod, &addresses, 3).unwrap();
    let paths: Vec<&str> = mounts.iter().map(|mount| mount.container_path.as_str()).collect();
    assert_eq!(paths, ["/etc/hosts", "/dev/termination-log"]);
    let hosts = fs::read_to_string(&mounts[0].host_path).unwrap();
    assert!(hosts.ends_with("10.1.0.9\tn\n"), "{hosts}");
    let log = Path::new(&mounts[1].host_path);
    assert_eq!(log, ground.folders.termination_log("c", 3));
    assert_eq!(fs::metadata(log).unwrap().permissions().mode() & 0o777, 0o666);
    let again = ground.try_mounts(&pod, &["10.1.0.10".parse().unwrap()], 4).unwrap();
    assert!(fs::read_to_string(&again[0].host_path).unwrap().ends_with("10.1.0.10\tn\n"));
}

#[test]
fn a_pod_without_volumes_gets_its_files_too() {
    let ground = Ground::new();
    fs::remove_dir_all(ground.folders.pod()).unwrap();
    let pod = Ground::pod(json!({}), &json!({"name": "c"}));
    let mounts = ground.try_mounts(&pod, &["10.1.0.9".parse().unwrap()], 0).unwrap();
    assert!(mounts.iter().all(|mount| Path::new(&mount.host_path).is_file()), "{mounts:?}");
}

#[test]
fn hosts_are_left_out_where_they_do_not_belong() {
    let ground = Ground::new();
    let container = json!({"name": "c", "terminationMessagePath": "/dev/x"});
    let pod = Ground::pod(json!({}), &container);
    let mounts = ground.try_mounts(&pod, &[], 0).unwrap();
    assert_eq!(mounts.len(), 1, "the pod has no address yet");
    assert_eq!(mounts[0].container_path, "/dev/x");
    let pod = Ground::pod(json!({"hostNetwork": true}), &container);
    let mounts = ground.try_mounts(&pod, &[], 0).unwrap();
    let hosts = fs::read_to_string(&mounts[0].host_path).unwrap();
    assert_eq!(hosts, "# Kubernetes-managed hosts file (host network).\n127.0.0.1 node\n");
    let own = json!([{"name": "h", "mountPath": "/etc/hosts"}]);
    let pod = Ground::pod(json!({}), &json!({"name": "c", "volumeMounts": own}));
    let mounts = ground.try_mounts(&pod, &["10.1.0.9".parse().unwrap()], 0).unwrap();
    assert_eq!(mounts.iter().filter(|mount| mount.container_path == "/etc/hosts").count(), 1);
    assert_eq!(mounts[0].host_path, "/host");
}

#[test]
fn a_part_of_a_volume_is_bound_where_only_the_agent_writes() {
    if !may_mount("a_part_of_a_volume_is_bound_where_only_the_agent_writes") {
        return;
    }
    let ground = Ground::new();
    let mount = ground.one(&json!({"name": "e", "mountPath": "/e", "subPathExpr": "x/$(GOOD)"})).unwrap();
    let host_path = PathBuf::from(&mount.host_path);
    assert_eq!(host_path, ground.folders.subpath("e", "c", 0));
    fs::write(host_path.join("f"), "").unwrap();
    let found = ground.folders.volume(Kind::EmptyDir, "e").join("x/sub/f").exists();
    subpath::release(&host_path, rustix::mount::UnmountFlags::empty()).unwrap();
    assert!(found);
}

proptest! {
    #[test]
    fn no_sub_path_that_is_taken_steps_back(path in "[a./]{0,12}", expression in "[a./]{0,4}[$][(](UP|GOOD|ROOT)[)][a./]{0,4}") {
        let environment = [("UP", ".."), ("GOOD", "x"), ("ROOT", "/etc")]
            .map(|(key, value)| KeyValue { key: key.into(), value: value.into() });
        for mount in [
            VolumeMount { sub_path: Some(path), ..VolumeMount::default() },
            VolumeMount { sub_path_expr: Some(expression), ..VolumeMount::default() },
        ] {
            if let Ok(Some(inside)) = sub_path(&mount, &environment) {
                prop_assert!(!inside.starts_with('/') && inside.split('/').all(|part| part != ".."), "{}", inside);
            }
        }
    }
}
