//! GET of `componentstatuses`: how the parts of the control plane are, from the time before there was anything better.
//!
//! In: a question. Out: one object a part, made when it is asked for: whoever leads the controllers and the scheduling
//! renews a Lease, and the store answers a linearizable read.
//!
//! Deliberately absent: watches, which upstream does not have either.
//!
//! Source: `pkg/registry/core/componentstatus` of Kubernetes.

use std::sync::Arc;

use http::StatusCode;
use keelson_api_registry::{
    object::Object,
    resources::{self, Verb},
    status::ApiError,
};
use keelson_api_schema::selector::LabelSelector;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::Call;
use crate::{
    answer::Response,
    codec::{
        self, Count, Form, Wanted, partial, send,
        table::{self, Item, ListMeta},
    },
    selection::Selection,
    server::Server,
    storage,
    write::body,
};

/// The parts that are led by whoever holds a Lease of `kube-system`, and the Lease.
const LED: [(&str, &str); 2] =
    [("scheduler", "kube-scheduler"), ("controller-manager", "kube-controller-manager")];

/// The store, by the name that upstream's first store has.
const STORE: &str = "etcd-0";

pub(super) async fn answer(server: &Arc<Server>, call: &Call) -> Result<Response, ApiError> {
    let request = &call.request;
    let all = components(server, call.now).await;
    if request.verb == Verb::Get {
        let found = all.iter().find(|component| component.name() == request.name);
        let found = found.ok_or_else(|| ApiError::not_found(request.resource, &request.name))?;
        return codec::respond(call, StatusCode::OK, found, &[]);
    }
    let parameter = |name| call.info.parameter(name);
    let labels = parameter("labelSelector");
    let selection = Selection::parse(request.resource, labels, parameter("fieldSelector"))?;
    // They have no labels.
    let bare = LabelSelector::parse(labels.unwrap_or_default()).is_ok_and(|labels| labels.matches(|_| None));
    let named = |object: &Object| selection.name().is_none_or(|name| name == object.name());
    let selected: Vec<Object> = all.into_iter().filter(|object| bare && named(object)).collect();
    list(call, &selected)
}

fn list(call: &Call, objects: &[Object]) -> Result<Response, ApiError> {
    let wanted = Wanted::of(&call.headers, &call.info)?;
    let resource = call.request.resource;
    wanted.check_count(Count::Many, body::Wanted::of(resource))?;
    let meta = ListMeta::default();
    let (mut out, with_columns) = match wanted.form {
        Form::Object => (table::list_head(&resource.api_version(), &resource.list_kind(), &meta), None),
        Form::Partial(_) => (table::list_head("meta.k8s.io/v1", "PartialObjectMetadataList", &meta), None),
        Form::Table(include) => (table::head(table::columns_of(resource), &meta, true), Some(include)),
    };
    for (at, object) in objects.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let json = storage::encode(resource, object);
        let metadata = object.get(&["metadata"]).unwrap_or(&Value::Null).to_string();
        match (wanted.form, with_columns) {
            (Form::Table(_), Some(include)) => {
                let item = Item { object, json: &json, metadata: metadata.as_bytes() };
                out.extend(table::row(table::columns_of(resource), &item, include, call.now));
            }
            (Form::Partial(_), _) => out.extend_from_slice(&partial(metadata.as_bytes())),
            (Form::Object | Form::Table(_), _) => out.extend_from_slice(&json),
        }
    }
    out.extend_from_slice(table::TAIL);
    Ok(send(&wanted, StatusCode::OK, &out))
}

/// The parts, in the order of their names.
async fn components(server: &Arc<Server>, now: OffsetDateTime) -> Vec<Object> {
    let store = server.objects.view().await;
    let store = component(STORE, store.map(|_| "ok".to_owned()).map_err(|error| error.message));
    let leases = resources::find("coordination.k8s.io", "v1", "leases").expect("the table has leases");
    let led = LED.iter().map(|(name, lease)| {
        let lease = server.objects.cached_object(leases, "kube-system", lease).map(|lease| lease.object());
        let leads = lease.as_ref().is_some_and(|lease| is_held(lease, now));
        component(name, if leads { Ok("ok".to_owned()) } else { Err("nobody holds its Lease".to_owned()) })
    });
    let mut all: Vec<Object> = led.chain([store]).collect();
    all.sort_by(|one, other| one.name().cmp(other.name()));
    all
}

fn component(name: &str, health: Result<String, String>) -> Object {
    let condition = match health {
        Ok(message) => json!({"type": "Healthy", "status": "True", "message": message}),
        Err(error) => json!({"type": "Healthy", "status": "False", "error": error}),
    };
    Object(json!({
        "kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition],
    }))
}

/// Whether somebody has renewed a Lease lately.
fn is_held(lease: &Object, now: OffsetDateTime) -> bool {
    let renewed = OffsetDateTime::parse(lease.text(&["spec", "renewTime"]), &Rfc3339);
    let seconds = lease.integer(&["spec", "leaseDurationSeconds"]).unwrap_or(0);
    let holder = lease.text(&["spec", "holderIdentity"]);
    !holder.is_empty() && renewed.is_ok_and(|renewed| now - renewed <= Duration::seconds(seconds))
}
