//! What a scenario gets: a client, and namespaces of its own.

use serde_json::{Value, json};

use super::client::Api;
use crate::servers::Servers;
use crate::wait;

/// A running cluster, as one scenario sees it.
pub(crate) struct Cluster<'s> {
    pub(crate) api: Api,
    pub(crate) servers: &'s Servers,
}

/// A namespace that is deleted with this value.
pub(crate) struct Namespace {
    api: Api,
    pub(crate) name: String,
}

impl Cluster<'_> {
    /// A new namespace, with all that upstream's framework waits for.
    pub(crate) fn namespace(&self) -> Namespace {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"generateName": "conformance-", "labels": {"e2e-run": "conformance"}},
        });
        let made = self.api.post("/api/v1/namespaces", &object).ok();
        let namespace = Namespace { api: self.api.clone(), name: name_of(&made).to_owned() };
        for path in ["serviceaccounts/default", "configmaps/kube-root-ca.crt"] {
            wait::until(path, || {
                let answer = self.api.get(&namespace.core(path));
                if answer.code == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
            });
        }
        namespace
    }
}

impl Namespace {
    /// A path of the core group in it.
    pub(crate) fn core(&self, rest: &str) -> String {
        format!("/api/v1/namespaces/{}/{rest}", self.name)
    }

    /// A path of another group in it.
    pub(crate) fn of(&self, group_version: &str, rest: &str) -> String {
        format!("/apis/{group_version}/namespaces/{}/{rest}", self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing depends on it: the servers end soon.
        self.api.delete(&format!("/api/v1/namespaces/{}", self.name));
    }
}

/// An object's name.
#[track_caller]
pub(crate) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

/// The resourceVersion of an object or a list.
#[track_caller]
pub(crate) fn version_of(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

/// The names of a list's items.
#[track_caller]
pub(crate) fn names(list: &Value) -> Vec<&str> {
    items(list).iter().map(name_of).collect()
}

/// A list's items.
#[track_caller]
pub(crate) fn items(list: &Value) -> &[Value] {
    match &list["items"] {
        Value::Null => &[],
        items => items.as_array().unwrap(),
    }
}

/// Waits until a list has so many items.
#[track_caller]
pub(crate) fn until_there_are(api: &Api, path: &str, count: usize) -> Value {
    wait::until(&format!("{count} of {path}"), || {
        let list = api.get(path).ok();
        if items(&list).len() == count { Ok(list) } else { Err(list.to_string()) }
    })
}
