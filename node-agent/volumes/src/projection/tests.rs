//! Every source, what is optional, and every problem in upstream's words.

use serde_json::{Value, json};

use super::*;
use crate::volume::Source;

fn named() -> Named {
    let config_map = json!({"data": {"a": "1", "b": "2"}, "binaryData": {"raw": "/wA="}});
    let secret = json!({"data": {"user": "bWU=", "password": "c2VjcmV0"}});
    let mut named = Named::default();
    named.config_maps.insert("c".into(), Ok(Some(Arc::new(serde_json::from_value(config_map).unwrap()))));
    named.config_maps.insert("gone".into(), Ok(None));
    named.config_maps.insert("away".into(), Err(SourceError::Unavailable("the API is away".into())));
    named.secrets.insert("s".into(), Ok(Some(Arc::new(serde_json::from_value(secret).unwrap()))));
    named.secrets.insert("gone".into(), Ok(None));
    let request: ServiceAccountTokenProjection = serde_json::from_value(json!({"path": "t"})).unwrap();
    named.tokens.insert(TokenRequest::of(&request), Ok("token".into()));
    named
}

fn project_for(mut pod: Value, mut source: Value) -> Result<Files, Problem> {
    source["name"] = json!("v");
    if pod["spec"]["containers"].is_null() {
        pod["spec"]["containers"] = json!([{"name": "main", "resources": {"limits": {"cpu": "2"}}}]);
    }
    pod["metadata"] = json!({"name": "p", "namespace": "ns", "labels": {"z": "1", "a": "2"}});
    let volume = serde_json::from_value(source).unwrap();
    let pod = serde_json::from_value(pod).unwrap();
    files(&Source::of(&volume).unwrap(), &pod, &Node::default(), &named())
}

fn project(source: Value) -> Result<Files, Problem> {
    project_for(json!({}), source)
}

/// `path mode contents`, a file a line.
fn shown(files: &Files) -> Vec<String> {
    files.iter().map(|(path, file)| format!("{path} {:o} {}", file.mode, file.data.escape_ascii())).collect()
}

#[track_caller]
fn expect(source: Value, lines: &[&str]) {
    assert_eq!(shown(&project(source).unwrap()), lines);
}

#[track_caller]
fn refuse(source: Value, text: &str) -> Problem {
    let problem = project(source).unwrap_err();
    assert_eq!(problem.to_string(), text);
    problem
}

#[test]
fn all_keys_become_files_of_the_default_mode() {
    expect(
        json!({"configMap": {"name": "c", "defaultMode": 0o400}}),
        &["a 400 1", "b 400 2", r"raw 400 \xff\x00"],
    );
    expect(json!({"secret": {"secretName": "s"}}), &["password 644 secret", "user 644 me"]);
}

#[test]
fn items_choose_keys_paths_and_modes() {
    let items = json!([{"key": "a", "path": "x//y/./a"}, {"key": "raw", "path": "r", "mode": 0o777}]);
    expect(json!({"configMap": {"name": "c", "items": items}}), &[r"r 777 \xff\x00", "x/y/a 644 1"]);
}

#[test]
fn what_is_missing_is_a_problem_unless_optional() {
    let problem = refuse(json!({"configMap": {"name": "gone"}}), "configmap \"gone\" not found");
    assert!(!problem.is_permanent(), "it may be created");
    refuse(json!({"secret": {"secretName": "gone"}}), "secret \"gone\" not found");
    let items = json!([{"key": "z", "path": "z"}, {"key": "a", "path": "a"}, {"key": "user", "path": "u"}]);
    refuse(
        json!({"configMap": {"name": "c", "items": items}}),
        "configmap references non-existent config key: z",
    );
    refuse(json!({"secret": {"secretName": "s", "items": items}}), "references non-existent secret key: z");
    expect(json!({"configMap": {"name": "gone", "optional": true}}), &[]);
    expect(json!({"configMap": {"name": "c", "optional": true, "items": items}}), &["a 644 1"]);
    expect(json!({"secret": {"secretName": "s", "optional": true, "items": items}}), &["u 644 me"]);
}

#[test]
fn an_object_that_nobody_knows_of_is_not_taken_for_absent() {
    let problem = project(json!({"configMap": {"name": "away", "optional": true}})).unwrap_err();
    assert!(matches!(problem, Problem::Source(SourceError::Unavailable(_))), "{problem:?}");
}

#[test]
fn the_downward_api_writes_fields_and_resources() {
    let items = json!([
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "d/name", "mode": 0o600, "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu", "divisor": "1m"}},
    ]);
    expect(
        json!({"downwardAPI": {"items": items}}),
        &["cpu 644 2000", "d/name 600 p", r#"labels 644 a=\"2\"\nz=\"1\""#],
    );
    let items = json!([
        {"path": "x", "fieldRef": {"fieldPath": "spec.x"}},
        {"path": "y", "resourceFieldRef": {"containerName": "none", "resource": "limits.cpu"}},
    ]);
    refuse(
        json!({"downwardAPI": {"items": items}}),
        "[unsupported fieldPath: spec.x, container none not found]",
    );
}

#[test]
fn a_projected_volume_joins_its_sources_and_the_last_one_wins() {
    let sources = json!([
        {"configMap": {"name": "c", "items": [{"key": "a", "path": "same"}, {"key": "b", "path": "b"}]}},
        {"secret": {"name": "s", "items": [{"key": "user", "path": "./same", "mode": 0o400}]}},
        {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        {"serviceAccountToken": {"path": "t"}},
        {"configMap": {"name": "gone", "optional": true}},
    ]);
    expect(
        json!({"projected": {"sources": sources, "defaultMode": 0o440}}),
        &["b 440 2", "name 440 p", "same 400 me", "t 440 token"],
    );
    expect(json!({"projected": {"sources": []}}), &[]);
}

#[test]
fn a_projected_volume_tells_all_that_is_wrong() {
    let sources = json!([{"configMap": {"name": "gone"}}, {"secret": {"name": "gone"}}]);
    let problem = refuse(
        json!({"projected": {"sources": sources}}),
        "[configmap \"gone\" not found, secret \"gone\" not found]",
    );
    assert!(!problem.is_permanent());
    for (kind, source) in [
        ("clusterTrustBundle", json!({"path": "p"})),
        ("podCertificate", json!({"signerName": "s", "keyType": "ED25519"})),
    ] {
        let problem = refuse(
            json!({"projected": {"sources": [{kind: source}]}}),
            &format!("projected volume sources of type {kind} are not supported yet"),
        );
        assert!(problem.is_permanent());
    }
}

#[test]
fn a_token_is_for_the_pods_user_or_group_alone_if_it_has_one() {
    let token = |spec: Value| {
        let source = json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}});
        let files = project_for(json!({"spec": spec}), source).unwrap();
        (files["t"].mode, files["t"].owner)
    };
    assert_eq!(token(json!({})), (0o644, None));
    assert_eq!(token(json!({"securityContext": {"runAsUser": 1000}})), (0o600, Some(1000)));
    assert_eq!(token(json!({"securityContext": {"fsGroup": 2000}})), (0o600, None));
    let two = json!([{"name": "a", "securityContext": {"runAsUser": 1}}, {"name": "b", "securityContext": {"runAsUser": 2}}]);
    assert_eq!(token(json!({"containers": two})), (0o644, None));
}

#[test]
fn paths_that_lead_out_or_into_files_are_refused_for_good() {
    for (path, text) in [
        ("../a", "invalid path: must not contain '..': ../a"),
        ("/a", "invalid path: must be relative path: /a"),
        ("..data", "invalid path: must not start with '..': ..data"),
    ] {
        let items = json!([{"key": "a", "path": path}]);
        assert!(refuse(json!({"configMap": {"name": "c", "items": items}}), text).is_permanent());
        let items = json!([{"path": path, "fieldRef": {"fieldPath": "metadata.name"}}]);
        assert!(refuse(json!({"downwardAPI": {"items": items}}), text).is_permanent());
        let sources = json!([{"serviceAccountToken": {"path": path}}]);
        refuse(json!({"projected": {"sources": sources}}), text);
    }
    let items = json!([{"key": "a", "path": "x"}, {"key": "b", "path": "x/y"}]);
    refuse(json!({"configMap": {"name": "c", "items": items}}), "invalid path: x/y lies below the file x");
}
