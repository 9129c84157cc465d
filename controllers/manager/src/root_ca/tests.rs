//! What the ConfigMap has to be, and the controller against an API of its own.

use serde_json::json;

use super::*;
use crate::fake_api::fake_api;
use crate::namespace::samples::namespace;

fn made() -> ConfigMap {
    match plan("shop", None, "PEM") {
        Action::Create(mut made) => {
            made.metadata.resource_version = Some("7".into());
            made
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_missing_one_is_made_with_the_certificates_and_a_word_of_explanation() {
    let made = serde_json::to_value(made()).unwrap();
    assert_eq!(made["data"], json!({"ca.crt": "PEM"}));
    assert_eq!(made["metadata"]["name"], "kube-root-ca.crt");
    let text = made["metadata"]["annotations"]["kubernetes.io/description"].as_str().unwrap();
    assert!(text.starts_with("Contains a CA bundle"), "{text}");
}

#[test]
fn what_is_right_stays_and_what_was_changed_is_put_right_on_the_version_seen() {
    assert_eq!(plan("shop", Some(&made()), "PEM"), Action::Nothing);
    let mut labelled = made();
    labelled.metadata.labels = Some(BTreeMap::from([("mine".into(), "yes".into())]));
    assert_eq!(plan("shop", Some(&labelled), "PEM"), Action::Nothing, "labels are the user's");
    let mut changed = labelled.clone();
    changed.data = Some(BTreeMap::from([("ca.crt".into(), "forged".into()), ("more".into(), "x".into())]));
    assert_eq!(plan("shop", Some(&changed), "PEM"), Action::Replace(labelled));
    let mut silent = made();
    silent.metadata.annotations = None;
    assert_eq!(plan("shop", Some(&silent), "PEM"), Action::Replace(made()));
    assert!(matches!(plan("shop", Some(&made()), "NEW PEM"), Action::Replace(_)));
}

#[tokio::test(start_paused = true)]
async fn every_active_namespace_has_it_and_gets_it_back() {
    let (client, calls) = fake_api(|_| (200, json!({"metadata": {"name": "kube-root-ca.crt"}})));
    let (context, _) = Context::detached(crate::Options::new("PEM"));
    context.namespaces().apply(namespace("going", "Terminating"));
    context.config_maps_named_kube_root_ca_crt().apply(made());
    let running = tokio::spawn(run(Arc::clone(&context), client));
    context.namespaces().apply(namespace("shop", "Active"));
    let mut changed = made();
    changed.data = None;
    changed.metadata.resource_version = Some("8".into());
    context.config_maps_named_kube_root_ca_crt().apply(changed);
    calls.wait_for(1).await;
    let replacement = &calls.all()[0];
    assert_eq!(replacement.path, "/api/v1/namespaces/shop/configmaps/kube-root-ca.crt");
    assert_eq!(replacement.body["metadata"]["resourceVersion"], "8");
    context.config_maps_named_kube_root_ca_crt().remove(made());
    calls.wait_for(2).await;
    assert_eq!(calls.lines()[1], "POST /api/v1/namespaces/shop/configmaps");
    running.abort();
}
