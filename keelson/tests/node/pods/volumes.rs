//! Files in containers, and where they come from.

use crate::space::Space;
use crate::wait;

const FOLLOWING: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: page}
data: {title: first, extra: more}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Pod
metadata: {name: reader, labels: {colour: red}}
spec:
  volumes:
  - {name: page, configMap: {name: page}}
  - {name: part, configMap: {name: page, items: [{key: title, path: deep/title}], defaultMode: 0640}}
  - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
  - name: self
    downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
  - name: mixed
    projected:
      sources:
      - {configMap: {name: page, items: [{key: extra, path: extra}]}}
      - {secret: {name: keys}}
      - {downwardAPI: {items: [{path: name, fieldRef: {fieldPath: metadata.name}}]}}
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    volumeMounts:
    - {name: page, mountPath: /page}
    - {name: page, mountPath: /alone, subPath: title}
    - {name: part, mountPath: /part}
    - {name: keys, mountPath: /keys}
    - {name: self, mountPath: /self}
    - {name: mixed, mountPath: /mixed}
"#;

pub(super) fn files_follow_their_objects(space: &Space<'_>) {
    space.apply(FOLLOWING);
    space.until_ready("reader");
    let cat = |path: &str| space.shell("reader", &format!("cat {path}"));
    assert_eq!(cat("/page/title /part/deep/title /alone"), "firstfirstfirst");
    assert_eq!(space.shell("reader", "ls /part"), "deep\n");
    assert_eq!(space.shell("reader", "stat -Lc %a /part/deep/title /keys/password"), "640\n400\n");
    assert_eq!(cat("/keys/password /mixed/password /mixed/extra /mixed/name"), "s3crets3cretmorereader");
    assert_eq!(cat("/self/labels"), "colour=\"red\"");
    let refused = space.exec("reader", &["touch", "/keys/other"]);
    assert!(refused.err.contains("Read-only file system"), "{refused:?}");
    assert!(
        space.shell("reader", "grep ' /keys ' /proc/mounts").contains("tmpfs"),
        "secrets stay off the disk"
    );

    space.run(&["patch", "configmap", "page", "--patch", r#"{"data":{"title":"second"}}"#]).ok();
    space.run(&["patch", "secret", "keys", "--patch", r#"{"stringData":{"password":"changed"}}"#]).ok();
    space.ok("label pod reader colour=blue --overwrite");
    wait::until("the changes arrive", || {
        let seen = cat("/page/title /part/deep/title /keys/password /mixed/password /self/labels");
        if seen == "secondsecondchangedchangedcolour=\"blue\"" { Ok(()) } else { Err(seen) }
    });
    assert_eq!(cat("/alone"), "first", "a single file stays as it was");
}

const LOCAL: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: user}
spec:
  volumes:
  - {name: disk, emptyDir: {}}
  - {name: memory, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
  - {name: node, hostPath: {path: FOLDER, type: DirectoryOrCreate}}
  - {name: file, hostPath: {path: FOLDER/new, type: FileOrCreate}}
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "echo again >> /disk/runs; until [ -f /memory/stop ]; do sleep 0.1; done; rm /memory/*"]
    env: [{name: PLACE, value: there}]
    volumeMounts:
    - {name: disk, mountPath: /disk}
    - {name: disk, mountPath: /part, subPathExpr: "sub/$(PLACE)"}
    - {name: memory, mountPath: /memory}
    - {name: node, mountPath: /node}
    - {name: node, mountPath: /read-only, readOnly: true}
    - {name: file, mountPath: /file}
---
apiVersion: v1
kind: Pod
metadata: {name: mistaken}
spec:
  volumes: [{name: node, hostPath: {path: FOLDER/absent, type: Directory}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    volumeMounts: [{name: node, mountPath: /node}]
"#;

pub(super) fn of_the_node(space: &Space<'_>) {
    let folder = space.lab.servers.file("of-the-node");
    space.apply(&LOCAL.replace("FOLDER", folder.to_str().unwrap()));
    space.until_ready("user");
    assert!(space.shell("user", "grep ' /memory ' /proc/mounts").contains("tmpfs"));
    let full = space.exec("user", &["dd", "if=/dev/zero", "of=/memory/large", "bs=64k", "count=32"]);
    assert!(full.err.contains("No space left on device"), "{full:?}");
    space.shell("user", "echo from the pod > /node/note; echo deep > /part/note; echo file > /file");
    assert_eq!(std::fs::read_to_string(folder.join("note")).unwrap(), "from the pod\n");
    assert_eq!(std::fs::read_to_string(folder.join("new")).unwrap(), "file\n");
    assert_eq!(space.shell("user", "cat /read-only/note /disk/sub/there/note"), "from the pod\ndeep\n");
    let refused = space.exec("user", &["touch", "/read-only/other"]);
    assert!(refused.err.contains("Read-only file system"), "{refused:?}");
    let failed = space.until_event("mistaken", "FailedMount");
    assert!(failed.starts_with("MountVolume.SetUp failed for volume \"node\" : hostPath "), "{failed}");

    // The container's end is not the volume's.
    space.shell("user", "rm /memory/large; touch /memory/stop");
    space.until_restarted("user", 1);
    assert_eq!(space.shell("user", "cat /disk/runs"), "again\nagain\n");

    // The pod's end is not that of the node's own files.
    space.ok("delete pod user --grace-period=1");
    assert_eq!(std::fs::read_to_string(folder.join("note")).unwrap(), "from the pod\n");
}
