//! Components as upstream publishes them.

use super::*;
use crate::builtin;

fn nothing(_: &str, _: Option<&str>) -> Option<String> {
    None
}

fn component(name: &str) -> Value {
    let components = Components::new(builtin(), &[], &nothing);
    components.schema_component(builtin().lookup(name).unwrap()).unwrap().1
}

#[test]
fn a_kind() {
    let meta = "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    assert_eq!(
        component("core/v1.ConfigMap"),
        json!({
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"allOf": [{"$ref": meta}], "default": {}},
                "immutable": {"type": "boolean"},
                "data": {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
                "binaryData": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
            },
            "x-kubernetes-group-version-kind": [{"group": "", "kind": "ConfigMap", "version": "v1"}],
        })
    );
}

#[test]
fn lists_enums_defaults_and_merge_keys() {
    let spec = component("core/v1.PodSpec");
    assert_eq!(spec["required"], json!(["containers"]));
    assert_eq!(
        spec["properties"]["containers"],
        json!({
            "type": "array",
            "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}], "default": {}},
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-strategy": "merge",
            "x-kubernetes-patch-merge-key": "name",
        })
    );
    assert_eq!(
        spec["properties"]["restartPolicy"],
        json!({"type": "string", "enum": ["Always", "Never", "OnFailure"]})
    );
    assert_eq!(spec["properties"]["volumes"]["x-kubernetes-patch-strategy"], "merge,retainKeys");
    let port = component("core/v1.ContainerPort");
    assert_eq!(
        port["properties"]["containerPort"],
        json!({"type": "integer", "format": "int32", "default": 0})
    );
    assert_eq!(port["properties"]["protocol"]["default"], "TCP");
    assert_eq!(component("core/v1.NodeSelector")["x-kubernetes-map-type"], "atomic");
}

#[test]
fn special_types() {
    assert_eq!(component("intstr.IntOrString")["oneOf"], json!([{"type": "integer"}, {"type": "string"}]));
    assert_eq!(component("meta/v1.Time"), json!({"type": "string", "format": "date-time"}));
    assert_eq!(component("apiextensions/v1.JSON"), json!({}));
    let limits = component("core/v1.ResourceRequirements")["properties"]["limits"].take();
    let quantity = "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity";
    assert_eq!(limits, json!({"type": "object", "additionalProperties": {"$ref": quantity}}));
}

#[test]
fn every_reference_of_a_closure_is_in_it() {
    let shared = [GroupVersion { group: "apps".into(), version: "v1".into() }];
    let describe = |component: &str, field: Option<&str>| Some(format!("{component} {field:?}"));
    let components = Components::new(builtin(), &shared, &describe);
    let roots: Vec<TypeId> = builtin().iter().filter(|(_, ty)| ty.kind.is_some()).map(|(id, _)| id).collect();
    let delete_options = builtin().lookup("meta/v1.DeleteOptions").unwrap();
    let closure = components.closure(&[roots, vec![delete_options]].concat());
    assert_eq!(
        closure["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"]["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "kind": "DeleteOptions", "version": "v1"}])
    );
    assert_eq!(closure["io.k8s.api.core.v1.Pod"]["description"], "io.k8s.api.core.v1.Pod None");
    let text = Value::from(closure.clone()).to_string();
    let references: BTreeSet<&str> = text
        .split("\"$ref\":\"#/components/schemas/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(references.len() > 400, "{}", references.len());
    for reference in references {
        assert!(closure.contains_key(reference), "{reference}");
    }
}
