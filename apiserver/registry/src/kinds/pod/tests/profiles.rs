//! Annotations that name profiles.

use super::*;

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// A pod of this spec and these annotations, as it is made.
fn marked(spec: Value, marks: Value) -> Object {
    let mut object = made(spec);
    object.set(&["metadata", "annotations"], marks);
    Rules.prepare_create(&mut object);
    object
}

#[test]
fn annotations_name_profiles_of_containers() {
    let key = |name: &str| format!("{APP_ARMOR}{name}");
    let object = marked(
        with(json!({})),
        json!({
            key("none"): "localhost/x",
            key("main"): "bogus",
            "seccomp.security.alpha.kubernetes.io/pod": "x",
            "container.seccomp.security.alpha.kubernetes.io/main": "localhost/../x"
        }),
    );
    assert_eq!(
        texts(&Rules.validate(&object)),
        [
            "metadata.annotations.container.seccomp.security.alpha.kubernetes.io/main: Invalid value: \"../x\": must not \
             contain '..'"
                .to_owned(),
            "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"x\": must be a valid seccomp \
             profile"
                .to_owned(),
            format!(
                "metadata.annotations[{}]: Invalid value: \"bogus\": invalid AppArmor profile name: \"bogus\"",
                key("main")
            ),
            format!("metadata.annotations[{}]: Invalid value: \"none\": container not found", key("none")),
        ]
    );
}

#[test]
fn fields_of_new_pods_say_what_their_annotations_say() {
    let key = format!("{APP_ARMOR}main");
    let object = marked(with(json!({})), json!({key.clone(): "localhost/x"}));
    assert_eq!(
        object.0["spec"]["containers"][0]["securityContext"],
        json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "x"}})
    );
    assert_eq!(Rules.validate_create(&object), []);
    let context = json!({"securityContext": {
        "appArmorProfile": {"type": "Localhost", "localhostProfile": "y"}, "seccompProfile": {"type": "Unconfined"}
    }});
    let object = marked(
        with(context),
        json!({key.clone(): "localhost/x", "container.seccomp.security.alpha.kubernetes.io/main": "docker/default"}),
    );
    let place = "spec.containers[0].securityContext";
    assert_eq!(
        texts(&Rules.validate_create(&object)),
        [
            format!(
                "{place}.seccompProfile.type: Forbidden: seccomp type in annotation and field must match"
            ),
            format!(
                "{place}.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match"
            ),
        ]
    );
    let mut spec = with(json!({}));
    spec["securityContext"] = json!({"appArmorProfile": {"type": "Unconfined"}});
    let object = marked(spec, json!({key: "runtime/default"}));
    assert_eq!(
        object.0["spec"]["containers"][0]["securityContext"],
        json!({"appArmorProfile": {"type": "RuntimeDefault"}})
    );
}

#[test]
fn annotations_of_profiles_stay() {
    let key = format!("{APP_ARMOR}main");
    let bare = marked(with(json!({})), json!({}));
    let mut marked = bare.clone();
    marked.set(&["metadata", "annotations"], json!({key.clone(): "unconfined"}));
    assert_eq!(
        texts(&Rules.validate_update(&marked, &bare)),
        [format!("metadata.annotations[{key}]: Forbidden: may not add AppArmor annotations")]
    );
    assert_eq!(
        texts(&Rules.validate_update(&bare, &marked)),
        [format!("metadata.annotations[{key}]: Forbidden: may not remove or update AppArmor annotations")]
    );
    assert_eq!(Rules.validate_update(&marked, &marked), []);
}

#[test]
fn profiles_are_files_of_the_node_or_none() {
    let of = |profiles: Value| wrong(with(json!({"securityContext": profiles})));
    let place = "spec.containers[0].securityContext";
    assert_eq!(
        of(
            json!({"seccompProfile": {"type": "Localhost"}, "appArmorProfile": {"type": "Localhost", "localhostProfile": " "}})
        ),
        [
            format!(
                "{place}.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"
            ),
            format!(
                "{place}.appArmorProfile.localhostProfile: Invalid value: \" \": must not be padded with whitespace"
            ),
        ]
    );
    assert_eq!(
        of(json!({"seccompProfile": {}, "appArmorProfile": {"type": "X", "localhostProfile": "a"}})),
        [
            format!(
                "{place}.seccompProfile.type: Required value: type is required when seccompProfile is set"
            ),
            format!(
                "{place}.appArmorProfile.type: Unsupported value: \"X\": supported values: \"Localhost\", \
                 \"RuntimeDefault\", \"Unconfined\""
            ),
        ]
    );
    assert_eq!(
        of(json!({"appArmorProfile": {"type": "Unconfined", "localhostProfile": "a"}})),
        [format!(
            "{place}.appArmorProfile.localhostProfile: Invalid value: \"a\": can only be set when AppArmor type is Localhost"
        )]
    );
}
