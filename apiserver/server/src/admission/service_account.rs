//! Every pod acts as a service account, and gets its token.
//!
//! In: a new pod. Out: the same pod with an account, with the account's pull secrets, and with a volume that holds a
//! token, the cluster's CA and the namespace, mounted where clients look for them.
//!
//! Source: `plugin/pkg/admission/serviceaccount` of Kubernetes.

use std::{sync::Arc, time::Duration};

use keelson_api_registry::{object::Object, status::ApiError};
use serde_json::{Value, json};

use super::{Attributes, MIRROR, Mutate, Validate, Verdict, known};
use crate::{cache::CachedObject, write::identity::random_suffix};

/// The account of pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

/// Where clients look for their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How long a token lives, in seconds. Seven more than an hour tell such tokens from those that were asked for.
const TOKEN_SECONDS: i64 = 3607;

/// `0644`.
const FILE_MODE: i64 = 420;

/// How long to wait for the default account of a namespace that is just being set up.
const PATIENCE: Duration = Duration::from_millis(1500);

/// The admission step.
pub(super) struct ServiceAccount;

impl Mutate for ServiceAccount {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.creates_pod()
    }

    fn mutate<'a>(&'a self, write: &'a Attributes<'a>, pod: &'a mut Object) -> Verdict<'a> {
        Box::pin(async move {
            if is_mirror(pod) {
                return Ok(());
            }
            if pod.text(&["spec", "serviceAccountName"]).is_empty() {
                pod.set(&["spec", "serviceAccountName"], DEFAULT_ACCOUNT);
            }
            let name = pod.text(&["spec", "serviceAccountName"]).to_owned();
            // The older name of the same field, which clients still read.
            pod.set(&["spec", "serviceAccount"], name.as_str());
            let account = find(write, &name).await?;
            equip(pod, &account);
            Ok(())
        })
    }
}

impl Validate for ServiceAccount {
    fn concerns(&self, write: &Attributes<'_>) -> bool {
        write.creates_pod()
    }

    fn validate<'a>(&'a self, write: &'a Attributes<'a>, pod: Option<&'a Object>) -> Verdict<'a> {
        let why = pod.filter(|pod| is_mirror(pod)).and_then(unfit_for_mirror);
        Box::pin(std::future::ready(why.map_or(Ok(()), |why| Err(write.forbidden(why)))))
    }
}

fn is_mirror(pod: &Object) -> bool {
    pod.get(&["metadata", "annotations", MIRROR]).is_some()
}

/// Why a pod cannot be a mirror: what it mirrors was started without the API, and so can have nothing from it.
fn unfit_for_mirror(pod: &Object) -> Option<&'static str> {
    let volumes = || pod.list(&["spec", "volumes"]).iter();
    let sources = |volume: &Value| volume["projected"]["sources"].as_array().cloned().unwrap_or_default();
    if !pod.text(&["spec", "serviceAccountName"]).is_empty() {
        Some("a mirror pod may not reference service accounts")
    } else if volumes().any(|volume| volume.get("secret").is_some_and(|secret| !secret.is_null())) {
        Some("a mirror pod may not reference secrets")
    } else if volumes().flat_map(sources).any(|source| source.get("serviceAccountToken").is_some()) {
        Some("a mirror pod may not use ServiceAccountToken volume projections")
    } else {
        None
    }
}

/// Gives a pod what its account has for it.
fn equip(pod: &mut Object, account: &Object) {
    const PULL_SECRETS: [&str; 2] = ["spec", "imagePullSecrets"];
    if wants_token(pod, account) {
        mount_token(pod);
    }
    let secrets = account.list(&["imagePullSecrets"]);
    if pod.list(&PULL_SECRETS).is_empty() && !secrets.is_empty() {
        pod.set(&PULL_SECRETS, secrets);
    }
}

fn wants_token(pod: &Object, account: &Object) -> bool {
    let own = pod.get(&["spec", "automountServiceAccountToken"]);
    let wish = own.or_else(|| account.get(&["automountServiceAccountToken"]));
    wish.and_then(Value::as_bool).unwrap_or(true)
}

/// Mounts the token in every container that has nothing else in its place.
fn mount_token(pod: &mut Object) {
    let volume = format!("kube-api-access-{}", random_suffix());
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        // Only what is there: a slot would be made where there is none.
        if pod.get(&["spec", list]).is_none() {
            continue;
        }
        let Some(Value::Array(containers)) = pod.slot(&["spec", list]) else { continue };
        for container in containers.iter_mut().filter(|container| !is_taken(container)) {
            let mount = json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH});
            push(container, "volumeMounts", mount);
            mounted = true;
        }
    }
    if mounted && let Some(spec) = pod.slot(&["spec"]) {
        push(spec, "volumes", token_volume(&volume));
    }
}

fn is_taken(container: &Value) -> bool {
    let mounts = container["volumeMounts"].as_array();
    mounts.is_some_and(|mounts| mounts.iter().any(|mount| mount["mountPath"] == MOUNT_PATH))
}

/// Appends to a list of an object, which is made where it is absent.
fn push(object: &mut Value, list: &str, item: Value) {
    match object.get_mut(list).and_then(Value::as_array_mut) {
        Some(items) => items.push(item),
        None => object[list] = json!([item]),
    }
}

fn token_volume(name: &str) -> Value {
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
        ]}},
    ]);
    json!({"name": name, "projected": {"defaultMode": FILE_MODE, "sources": sources}})
}

/// The account that a pod names. The default one is waited for: in a new namespace it is about to be made.
async fn find(write: &Attributes<'_>, name: &str) -> Result<Object, ApiError> {
    let accounts = known("", "serviceaccounts");
    let objects = &write.server.objects;
    let cached = || objects.cached_object(accounts, write.namespace, name);
    if let Some(account) = cached() {
        return Ok(account.object());
    }
    // The cache may be behind somebody who has just made the account.
    if let Some(account) = objects.get(accounts, write.namespace, name).await? {
        return Ok(account.object);
    }
    let awaited = match name {
        DEFAULT_ACCOUNT => appears(objects.changed(accounts), cached).await,
        _ => None,
    };
    awaited.map(|account| account.object()).ok_or_else(|| {
        let namespace = write.namespace;
        write.forbidden(format_args!(
            "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
        ))
    })
}

/// Waits, not for long, until an account appears.
async fn appears<T>(
    mut changes: tokio::sync::watch::Receiver<T>,
    cached: impl Fn() -> Option<Arc<CachedObject>>,
) -> Option<Arc<CachedObject>> {
    let wait = async {
        loop {
            // Marked as seen before the look, so that a change after it ends the wait.
            changes.mark_unchanged();
            if let Some(account) = cached() {
                return Some(account);
            }
            changes.changed().await.ok()?;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.ok().flatten()
}

#[cfg(test)]
mod tests;
