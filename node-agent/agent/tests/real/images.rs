//! Images that are not there.

use serde_json::json;

use crate::api::container;
use crate::lab::Lab;

#[test]
fn an_image_that_may_not_be_pulled_or_cannot_is_told_and_tried_again() {
    let Some(lab) = Lab::ready("an_image_that_may_not_be_pulled_or_cannot_is_told_and_tried_again") else {
        return;
    };
    let spec = |policy: &str| json!({"containers": [{"name": "a", "image": "registry.invalid/nobody:1", "imagePullPolicy": policy}]});
    lab.api.run("never", spec("Never"));
    lab.api.run("absent", spec("IfNotPresent"));
    lab.api.run("garbage", json!({"containers": [{"name": "a", "image": "No Such Image"}]}));
    let waiting = |name: &str, reason: &str| {
        let pod = lab.api.until_pod(&format!("{name} waits with {reason}"), name, |pod| {
            container(pod, "a")["state"]["waiting"]["reason"] == reason
        });
        container(&pod, "a")["state"]["waiting"]["message"].as_str().unwrap().to_owned()
    };
    let message = waiting("never", "ErrImageNeverPull");
    assert_eq!(
        message,
        "Container image \"registry.invalid/nobody:1\" is not present with pull policy of Never"
    );
    waiting("garbage", "InvalidImageName");
    waiting("absent", "ErrImagePull");
    let message = waiting("absent", "ImagePullBackOff");
    let expected = "Back-off pulling image \"registry.invalid/nobody:1\": ErrImagePull: ";
    assert!(message.starts_with(expected), "{message}");
    assert_eq!(lab.api.until_event("absent", "Pulling"), "Pulling image \"registry.invalid/nobody:1\"");
    assert_eq!(
        lab.api.until_event("absent", "BackOff"),
        "Back-off pulling image \"registry.invalid/nobody:1\""
    );
    let message = lab.api.until_event("absent", "Failed");
    assert!(
        message.starts_with("Failed to pull image \"registry.invalid/nobody:1\": rpc error: code = "),
        "{message}"
    );
    lab.api.until_told("absent", "Failed", "Error: ErrImagePull");
    lab.api.until_told("absent", "Failed", "Error: ImagePullBackOff");
    let paths: Vec<String> = lab.api.events("absent").into_iter().map(|(.., path)| path).collect();
    assert!(paths.iter().all(|path| path == "spec.containers{a}"), "{paths:?}");
    // A pod that waits for an image ends like any other.
    for name in ["never", "absent", "garbage"] {
        lab.api.delete(name, 1);
        lab.api.until_gone(name);
    }
}
