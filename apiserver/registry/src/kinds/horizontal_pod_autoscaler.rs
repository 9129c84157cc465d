//! HorizontalPodAutoscaler: as many replicas of something as its load needs, in both versions of the API.
//!
//! The rules are those of v2; an object of v1 is judged by its v2 form, as upstream judges both by a third.
//!
//! Deliberately absent: measuring and scaling, which are the controller's.
//!
//! Source: `pkg/apis/autoscaling/{v1,v2}/defaults.go`, `pkg/apis/autoscaling/validation`,
//! `pkg/registry/autoscaling/horizontalpodautoscaler`.

mod behavior;
mod columns;
mod validate;

use std::borrow::Cow;

use keelson_api_schema::DecodeError;
use serde_json::json;

use super::workload::{advance, differs};
use crate::{
    conversion::horizontal_pod_autoscaler::{
        self as conversion, BEHAVIOR, CONDITIONS, CURRENT_METRICS, DEFAULT_CPU, METRICS, cpu_metric,
    },
    field::FieldError,
    object::Object,
    place::Place,
    strategy::{Strategy, keep_all_but_status},
};

pub use columns::COLUMNS;

/// The versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `autoscaling/v1`.
    V1,
    /// `autoscaling/v2`.
    V2,
}

/// The rules of HorizontalPodAutoscalers of a version.
pub struct Rules(pub Version);

/// What an object of either version says in the words of v2.
fn in_v2(object: &Object) -> Result<Cow<'_, Object>, DecodeError> {
    match object.text(&["apiVersion"]) {
        "autoscaling/v1" => conversion::to_v2(object).map(Cow::Owned),
        _ => Ok(Cow::Borrowed(object)),
    }
}

impl Rules {
    /// The annotations of v1 that belong to the status.
    fn status_annotations(&self) -> &'static [&'static str] {
        match self.0 {
            Version::V1 => &[CURRENT_METRICS, CONDITIONS],
            Version::V2 => &[],
        }
    }

    /// The annotations of v1 that belong to the spec.
    fn spec_annotations(&self) -> &'static [&'static str] {
        match self.0 {
            Version::V1 => &[METRICS, BEHAVIOR],
            Version::V2 => &[],
        }
    }
}

fn keep_annotations(object: &mut Object, old: &Object, names: &[&str]) {
    for name in names {
        let path = ["metadata", "annotations", name];
        match old.get(&path) {
            Some(value) => object.set(&path, value.clone()),
            None => drop(object.remove(&path)),
        }
    }
}

impl Strategy for Rules {
    fn prepare_create(&self, object: &mut Object) {
        let status = match self.0 {
            Version::V1 => json!({"currentReplicas": 0, "desiredReplicas": 0}),
            Version::V2 => json!({"desiredReplicas": 0, "currentMetrics": null}),
        };
        object.set(&["status"], status);
        keep_annotations(object, &Object::default(), self.status_annotations());
        object.set(&["metadata", "generation"], 1);
    }

    fn prepare_update(&self, object: &mut Object, old: &Object) {
        keep_annotations(object, old, self.status_annotations());
        let annotations = self.spec_annotations().iter();
        let changed = differs(object, old, &["spec"])
            || annotations.into_iter().any(|name| differs(object, old, &["metadata", "annotations", name]));
        advance(object, old, changed);
    }

    fn prepare_status_update(&self, object: &mut Object, old: &Object) {
        keep_all_but_status(object, old);
        keep_annotations(object, old, self.spec_annotations());
    }

    fn default(&self, object: &mut Object) {
        object.set_default(&["spec", "minReplicas"], 1);
        match self.0 {
            Version::V1 => {
                let others = object.get(&["metadata", "annotations", METRICS]).is_some();
                if !others {
                    object.set_default(&["spec", "targetCPUUtilizationPercentage"], DEFAULT_CPU);
                }
            }
            Version::V2 => {
                if object.list(&["spec", "metrics"]).is_empty() {
                    object.set(&["spec", "metrics"], json!([cpu_metric(DEFAULT_CPU)]));
                }
                behavior::default(object);
            }
        }
    }

    fn validate(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        match in_v2(object) {
            Ok(object) => validate::spec(&Place::at(&object, &["spec"]), &mut errors),
            Err(error) => errors.push(unreadable(&error)),
        }
        errors
    }

    fn validate_status_update(&self, object: &Object, _old: &Object) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Err(error) = in_v2(object) {
            errors.push(unreadable(&error));
        }
        for count in ["currentReplicas", "desiredReplicas"] {
            Place::at(object, &["status", count]).non_negative(&mut errors);
        }
        errors
    }
}

/// An annotation of v1 does not say what it ought to.
fn unreadable(error: &DecodeError) -> FieldError {
    FieldError::invalid("metadata.annotations", "", error.to_string())
}

#[cfg(test)]
mod tests;
