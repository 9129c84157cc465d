//! An object of the API as an informer takes it: typed, or, where its type cannot hold it, its metadata alone.
//!
//! In: pages of lists and events of watches, as JSON. Out: [`Decoded`]. A server keeps what its clients have sent, and
//! clients may leave out what upstream's own types always write, or write a time that is null. One such object must not
//! stop an informer: it would learn nothing more of any other. What upstream's types would read as their zero value is
//! read so here.
//!
//! What all can be read at once is read once; object by object only where that fails. Deliberately absent: more repairs
//! than those.

use kube::api::{ObjectList, WatchEvent};
use kube::core::ObjectMeta;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The zero value of upstream's times.
const NO_TIME: &str = "0001-01-01T00:00:00Z";

/// What a condition always has in upstream's types.
const CONDITION_TEXTS: [&str; 4] = ["type", "status", "reason", "message"];
const CONDITION_TIME: &str = "lastTransitionTime";

/// One object.
#[derive(Clone, Debug)]
pub(super) enum Decoded<K> {
    Whole(K),
    /// The type cannot hold it, for this reason.
    Unreadable {
        metadata: Box<ObjectMeta>,
        why: String,
    },
}

/// A page of a list.
pub(super) fn page<K: DeserializeOwned + Clone>(text: &str) -> serde_json::Result<ObjectList<Decoded<K>>> {
    let Ok(ObjectList { types, metadata, items }) = serde_json::from_str::<ObjectList<K>>(text) else {
        return serde_json::from_str(text);
    };
    Ok(ObjectList { types, metadata, items: items.into_iter().map(Decoded::Whole).collect() })
}

/// An event of a watch.
pub(super) fn event<K: DeserializeOwned>(line: &str) -> serde_json::Result<WatchEvent<Decoded<K>>> {
    let Ok(event) = serde_json::from_str::<WatchEvent<K>>(line) else {
        return serde_json::from_str(line);
    };
    Ok(match event {
        WatchEvent::Added(object) => WatchEvent::Added(Decoded::Whole(object)),
        WatchEvent::Modified(object) => WatchEvent::Modified(Decoded::Whole(object)),
        WatchEvent::Deleted(object) => WatchEvent::Deleted(Decoded::Whole(object)),
        WatchEvent::Bookmark(bookmark) => WatchEvent::Bookmark(bookmark),
        WatchEvent::Error(status) => WatchEvent::Error(status),
    })
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Decoded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut object = Value::deserialize(deserializer)?;
        complete_conditions(&mut object);
        match K::deserialize(&object) {
            Ok(whole) => Ok(Self::Whole(whole)),
            Err(error) => {
                let metadata = ObjectMeta::deserialize(&object["metadata"]).map_err(D::Error::custom)?;
                Ok(Self::Unreadable { metadata: Box::new(metadata), why: error.to_string() })
            }
        }
    }
}

/// Gives conditions, wherever they are, the zero values that they lack.
fn complete_conditions(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(complete_conditions),
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::Array(conditions) if name == "conditions" => {
                        conditions.iter_mut().for_each(complete_condition);
                    }
                    other => complete_conditions(other),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn complete_condition(condition: &mut Value) {
    let Value::Object(fields) = condition else { return };
    let texts = CONDITION_TEXTS.into_iter().map(|name| (name, ""));
    for (name, zero) in texts.chain([(CONDITION_TIME, NO_TIME)]) {
        let field = fields.entry(name).or_insert(Value::Null);
        if field.is_null() {
            *field = Value::from(zero);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::json;

    use super::*;

    fn service(conditions: &Value) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "x", "name": "s"},
            "spec": {"ports": [{"port": 80}]}, "status": {"conditions": conditions},
        })
    }

    #[test]
    fn conditions_without_a_time_are_read_as_upstream_reads_them() {
        let conditions =
            json!([{"type": "A", "status": "True", "reason": "R", "lastTransitionTime": null}, {}]);
        let Ok(Decoded::Whole(service)) = serde_json::from_value::<Decoded<Service>>(service(&conditions))
        else {
            panic!("it can be read");
        };
        let conditions = service.status.unwrap().conditions.unwrap();
        assert_eq!((&*conditions[0].type_, &*conditions[0].message), ("A", ""));
        assert_eq!(conditions[1].last_transition_time, conditions[0].last_transition_time);
    }

    #[test]
    fn of_what_cannot_be_read_the_metadata_is_kept() {
        let mut object = service(&json!([]));
        object["spec"]["ports"] = json!([{"port": "eighty"}]);
        let decoded = serde_json::from_value::<Decoded<Service>>(object).unwrap();
        let Decoded::Unreadable { metadata, why } = decoded else { panic!("it cannot be read") };
        assert_eq!(metadata.name.as_deref(), Some("s"));
        assert!(why.contains("eighty"), "{why}");
        assert!(serde_json::from_value::<Decoded<Service>>(json!({"metadata": 1})).is_err());
    }
}
