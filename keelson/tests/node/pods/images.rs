//! Images that cannot be had. Those that can: every other scenario, from archives.

use crate::space::Space;

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: absent}
spec:
  containers: [{name: main, image: "localhost/absent:1"}]
---
apiVersion: v1
kind: Pod
metadata: {name: never-pulled}
spec:
  containers: [{name: main, image: "localhost/absent:1", imagePullPolicy: Never}]
---
apiVersion: v1
kind: Pod
metadata: {name: no-name}
spec:
  containers: [{name: main, image: "Not/A/Name:::"}]
"#;

pub(super) fn images_that_are_not_there(space: &Space<'_>) {
    space.apply(PODS);
    let message = space.until_waiting("absent", "ErrImagePull");
    assert!(message.contains("localhost/absent:1"), "{message}");
    let message = space.until_waiting("absent", "ImagePullBackOff");
    assert!(message.starts_with("Back-off pulling image \"localhost/absent:1\""), "{message}");
    assert_eq!(space.until_event("absent", "Pulling"), "Pulling image \"localhost/absent:1\"");
    let message = space.until_waiting("never-pulled", "ErrImageNeverPull");
    assert_eq!(message, "Container image \"localhost/absent:1\" is not present with pull policy of Never");
    space.until_waiting("no-name", "InvalidImageName");
    for pod in ["absent", "never-pulled", "no-name"] {
        assert_eq!(space.pod(pod).unwrap()["status"]["phase"], "Pending");
    }
    space.run(&["set", "image", "pod/absent", "main=busybox:1.36"]).ok();
    space.ok("wait --for=jsonpath={.status.containerStatuses[0].image} pod/absent --timeout=60s");
    // Without a command of its own and without input, a shell ends at once.
    space.until_pod("absent", "its container ran", |pod| {
        let ended = &pod["status"]["containerStatuses"][0]["lastState"]["terminated"];
        (ended["exitCode"] == 0).then_some(())
    });
}
