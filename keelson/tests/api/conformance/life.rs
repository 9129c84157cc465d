//! The life that many of upstream's tests lead an object of a kind through: found in discovery, made, read, listed,
//! watched, changed in every way, with its status, and deleted, alone and with others.

use serde_json::{Value, json};

use super::client::{Answer, Api};
use super::cluster::{Cluster, items, name_of, until_there_are, version_of};
use crate::wait;

/// The label by which a life finds its own objects.
const LABEL: &str = "special-label";

/// A kind, and what its objects go through.
pub(crate) struct Life<'a> {
    /// `apps/v1`; `v1` for the core group.
    pub(crate) group_version: &'a str,
    pub(crate) plural: &'a str,
    /// Of objects in a namespace: which.
    pub(crate) namespace: Option<&'a str>,
    pub(crate) kind: &'a str,
    /// All but `apiVersion`, `kind` and labels; `metadata.name` where names are not free.
    pub(crate) sample: Value,
    /// A change of the object, as a merge patch.
    pub(crate) change: Value,
    /// A status, as a merge patch, for kinds that have one.
    pub(crate) status: Option<Value>,
}

/// Kinds whose metadata a write of the status leaves as it was.
const KEEPS_METADATA: [&str; 8] = [
    "devicetaintrules",
    "flowschemas",
    "podcertificaterequests",
    "prioritylevelconfigurations",
    "resourceclaims",
    "storageversionmigrations",
    "validatingadmissionpolicies",
    "volumeattachments",
];

impl Life<'_> {
    fn root(&self) -> String {
        match self.group_version {
            "v1" => "/api/v1".to_owned(),
            other => format!("/apis/{other}"),
        }
    }

    pub(crate) fn path(&self) -> String {
        match self.namespace {
            Some(namespace) => format!("{}/namespaces/{namespace}/{}", self.root(), self.plural),
            None => format!("{}/{}", self.root(), self.plural),
        }
    }

    fn own(&self, parameters: &str) -> String {
        format!("{}?labelSelector={LABEL}%3D{}{parameters}", self.path(), self.mark())
    }

    /// What tells its objects from those of other lives.
    fn mark(&self) -> String {
        let with = if self.status.is_some() { "-with-status" } else { "" };
        self.namespace.map_or_else(|| format!("{}{with}", self.plural), str::to_owned)
    }

    /// An object to be made, number so and so of its kind.
    fn object(&self, number: usize) -> Value {
        let mut object = self.sample.clone();
        object["apiVersion"] = self.group_version.into();
        object["kind"] = self.kind.into();
        object["metadata"]["labels"][LABEL] = self.mark().into();
        match object["metadata"]["name"].as_str() {
            Some(name) => object["metadata"]["name"] = name.replace('#', &number.to_string()).into(),
            None => object["metadata"]["generateName"] = "e2e-example-".into(),
        }
        object
    }

    /// All of it.
    pub(crate) fn live(&self, cluster: &Cluster<'_>) {
        let api = &cluster.api;
        self.is_discovered(api);
        let mut watch = api.watch(&self.own(&format!("&resourceVersion={}", self.version(api))));
        let made: Vec<Value> =
            (1..=3).map(|number| api.post(&self.path(), &self.object(number)).ok()).collect();
        for object in &made {
            assert_eq!(name_of(&watch.expect("ADDED")), name_of(object));
        }
        let one = format!("{}/{}", self.path(), name_of(&made[0]));
        let read = api.get(&one).ok();
        assert_eq!(read["metadata"]["uid"], made[0]["metadata"]["uid"]);
        self.lists(api, 3);
        self.changes(api, &one);
        let changed =
            watch.until("MODIFIED", |object| object["metadata"]["annotations"]["updated"] == "true");
        assert_eq!(changed["metadata"]["annotations"]["patched"], "true");
        if let Some(status) = &self.status {
            self.has_status(api, &one, status);
        }
        self.ends(api, &one);
        let gone = watch.until("DELETED", |object| name_of(object) == name_of(&made[0]));
        assert!(newer(&gone, &made[0]));
    }

    fn version(&self, api: &Api) -> String {
        version_of(&api.get(&self.own("")).ok()).to_owned()
    }

    /// In the list of groups, of the group's versions and of the version's resources.
    fn is_discovered(&self, api: &Api) {
        if let Some((group, version)) = self.group_version.split_once('/') {
            let groups = api.in_json().get("/apis").ok();
            let found = groups["groups"].as_array().unwrap().iter().find(|it| it["name"] == group).unwrap();
            let versions = found["versions"].as_array().unwrap();
            assert!(versions.iter().any(|it| it["version"] == version), "{found}");
            let group = api.in_json().get(&format!("/apis/{group}")).ok();
            assert_eq!(group["versions"].to_string(), found["versions"].to_string());
        }
        let resources = api.in_json().get(&self.root()).ok();
        let has = |name: &str| resources["resources"].as_array().unwrap().iter().any(|it| it["name"] == name);
        assert!(has(self.plural), "{resources}");
        assert!(self.status.is_none() || has(&format!("{}/status", self.plural)), "{resources}");
    }

    /// Its own by their label, also in all namespaces.
    fn lists(&self, api: &Api, count: usize) {
        assert_eq!(items(&api.get(&self.own("")).ok()).len(), count);
        if let Some(namespace) = self.namespace {
            let everywhere = format!("{}/{}?labelSelector={LABEL}%3D{namespace}", self.root(), self.plural);
            assert_eq!(items(&api.get(&everywhere).ok()).len(), count);
        }
    }

    /// A patch, another one, and a replacement.
    fn changes(&self, api: &Api, one: &str) {
        let patch = json!({"metadata": {"annotations": {"patched": "true"}}});
        let patched = api.merge(one, &patch).ok();
        assert_eq!(patched["metadata"]["annotations"]["patched"], "true");
        let changed = api.merge(one, &self.change).ok();
        contains(&changed, &self.change);
        let strategic = api.strategic(one, &json!({"metadata": {"annotations": {"strategic": "true"}}})).ok();
        assert_eq!(strategic["metadata"]["annotations"]["patched"], "true");
        assert!(newer(&strategic, &patched));
        let mut object = api.get(one).ok();
        object["metadata"]["annotations"]["updated"] = "true".into();
        named(&mut object, self);
        let updated = api.put(one, &object).ok();
        assert!(newer(&updated, &strategic));
        api.put(one, &object).refused(409);
    }

    /// What is said of its state is kept apart from what is wanted of it.
    fn has_status(&self, api: &Api, one: &str, status: &Value) {
        let path = format!("{one}/status");
        let told = if KEEPS_METADATA.contains(&self.plural) { Value::Null } else { "true".into() };
        let mut patch = status.clone();
        patch["metadata"] = json!({"annotations": {"patchedstatus": "true"}});
        let patched = api.merge(&path, &patch).ok();
        contains(&patched, status);
        assert_eq!(patched["metadata"]["annotations"]["patchedstatus"], told);
        let mut object = api.get(&path).ok();
        contains(&object, status);
        object["metadata"]["annotations"]["updatedstatus"] = "true".into();
        named(&mut object, self);
        let updated = api.put(&path, &object).ok();
        assert_eq!(updated["metadata"]["annotations"]["updatedstatus"], told);
        let mut without = api.get(one).ok();
        contains(&without, status);
        named(&mut without, self);
        without.as_object_mut().unwrap().remove("status");
        contains(&api.put(one, &without).ok(), status);
    }

    /// One, then the rest.
    fn ends(&self, api: &Api, one: &str) {
        api.delete(one).ok();
        until_there_are(api, &self.own(""), 2);
        let missing = api.get(one).refused(404);
        assert!(missing.ends_with("not found"), "{missing}");
        api.delete(&self.own("")).ok();
        until_there_are(api, &self.own(""), 0);
    }

    /// What upstream's suite does to kinds whose tests are made of one table (`TestResource`): every sort of patch, on the
    /// object and on its status, each on an object made anew; informers see all of it.
    pub(crate) fn as_resource(&self, cluster: &Cluster<'_>) {
        let api = &cluster.api;
        self.is_discovered(api);
        let mut watch = api.watch(
            &self.own("&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"),
        );
        let bookmark = watch.expect("BOOKMARK");
        assert_eq!(bookmark["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
        let strict = format!("{}?fieldValidation=Strict", self.path());
        let made = api.post(&strict, &self.object(1)).ok();
        assert_eq!(made["metadata"]["labels"][LABEL], self.mark());
        assert_eq!(version_of(&watch.expect("ADDED")), version_of(&made));
        let one = format!("{}/{}", self.path(), name_of(&made));
        assert_eq!(version_of(&api.get(&one).ok()), version_of(&made));
        self.changes(api, &one);
        watch.until("MODIFIED", |object| object["metadata"]["annotations"]["updated"] == "true");
        if let Some(status) = &self.status {
            self.has_status(api, &one, status);
        }
        self.patches(api, &one, &self.change);
        if let Some(status) = &self.status {
            self.patches(api, &format!("{one}/status"), status);
        }
        self.lists(api, 1);
        api.delete(&self.own("")).ok();
        until_there_are(api, &self.own(""), 0);
        watch.until("DELETED", |object| name_of(object) == name_of(&made));
    }

    /// Every sort of patch with the same outcome.
    fn patches(&self, api: &Api, path: &str, patch: &Value) {
        contains(&api.strategic(path, patch).ok(), patch);
        let mut applied = patch.clone();
        applied["apiVersion"] = self.group_version.into();
        applied["kind"] = self.kind.into();
        let forced = format!("{path}?fieldManager=conformance&force=true");
        contains(&api.apply(&forced, &applied.to_string()).ok(), patch);
        contains(&api.merge(path, patch).ok(), patch);
        let operations: Vec<Value> = patch
            .as_object()
            .unwrap()
            .iter()
            .filter(|(field, _)| *field != "metadata")
            .flat_map(|(field, value)| {
                let parts = value.as_object().unwrap().iter();
                parts.map(move |(name, part)| json!({"op": "add", "path": format!("/{field}/{name}"), "value": part}))
            })
            .collect();
        contains(&api.json_patch(path, &Value::Array(operations)).ok(), patch);
    }
}

/// Reads an object, changes it and puts it back: again, where somebody else was faster.
pub(crate) fn replaced(api: &Api, path: &str, change: impl Fn(&mut Value)) -> Value {
    wait::until("nobody else has changed it meanwhile", || {
        let mut object = api.get(path).ok();
        change(&mut object);
        let answer = api.put(path, &object);
        if answer.code == 409 { Err(format!("{answer:?}")) } else { Ok(answer.ok()) }
    })
}

/// Whether the object is a newer version than the other one, in numbers.
pub(crate) fn newer(object: &Value, than: &Value) -> bool {
    let number = |object: &Value| {
        let text = version_of(object);
        assert!(!text.starts_with('0'), "{text}");
        text.parse::<u64>().unwrap()
    };
    number(object) > number(than)
}

/// Fails unless all that the patch says is in the object.
#[track_caller]
pub(crate) fn contains(object: &Value, patch: &Value) {
    let mut patched = object.clone();
    overlay(&mut patched, patch);
    assert_eq!(object, &patched, "it should contain {patch}");
}

fn overlay(object: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| overlay(&mut object[name], value)),
        Value::Array(parts) if object.as_array().is_some_and(|all| all.len() == parts.len()) => {
            parts.iter().enumerate().for_each(|(index, part)| overlay(&mut object[index], part));
        }
        other => *object = other.clone(),
    }
}

/// Objects say what they are only where they are sent alone.
fn named(object: &mut Value, life: &Life<'_>) {
    object["apiVersion"] = life.group_version.into();
    object["kind"] = life.kind.into();
}

/// Whether an answer says that it is gone.
pub(crate) fn is_gone(answer: &Answer) -> bool {
    answer.code == 404
}
