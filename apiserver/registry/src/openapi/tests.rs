//! Documents as kubectl reads them.

use std::collections::BTreeSet;

use super::*;

fn content(path: &str) -> Value {
    let document = builtin().document(path, None).unwrap_or_else(|missing| panic!("{path}: {missing:?}"));
    serde_json::from_slice(&document.body).unwrap()
}

fn document_of(resource: &ResourceInfo) -> Value {
    content(&format!("{ROOT}{}", root(resource)))
}

#[test]
fn the_index_names_every_document_with_its_hash() {
    let index = content("/openapi/v3");
    let paths = index["paths"].as_object().unwrap();
    assert!(!paths.is_empty());
    for (name, entry) in paths {
        let document = builtin().document(&format!("/openapi/v3/{name}"), None).unwrap();
        let url = format!("/openapi/v3/{name}?hash={}", document.hash);
        assert_eq!(entry["serverRelativeURL"], url);
        assert_eq!(builtin().hash(&format!("/openapi/v3/{name}")), Some(document.hash.as_str()));
    }
    assert_eq!(builtin().document("/openapi/v3/apis/no.such/v1", None).unwrap_err(), Missing::NotFound);
}

/// Upstream's index names what is served beside the resources, too.
#[test]
fn the_index_names_paths_that_are_no_resources() {
    let index = content("/openapi/v3");
    let mut names: Vec<&str> = index["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    names.retain(|name| !name.ends_with("/v1") && !name.ends_with("/v2"));
    let groups = RESOURCES.iter().filter(|resource| !resource.group.is_empty());
    let groups: BTreeSet<String> = groups.map(|resource| format!("apis/{}", resource.group)).collect();
    let fixed = [".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version"];
    let expected: BTreeSet<&str> = fixed.into_iter().chain(groups.iter().map(String::as_str)).collect();
    assert_eq!(BTreeSet::from_iter(names), expected);
}

#[test]
fn a_page_has_one_operation_and_the_types_of_its_answer() {
    let group = content("/openapi/v3/apis/rbac.authorization.k8s.io");
    let get = &group["paths"]["/apis/rbac.authorization.k8s.io/"]["get"];
    assert_eq!(get["operationId"], "getRbacAuthorizationAPIGroup");
    assert_eq!(get["tags"], json!(["rbacAuthorization"]));
    let content_of = |get: &Value, media: &str| get["responses"]["200"]["content"][media]["schema"].clone();
    let reference =
        |name: &str| json!({"$ref": format!("#/components/schemas/io.k8s.apimachinery.pkg.{name}")});
    let found = content_of(get, "application/vnd.kubernetes.protobuf");
    assert_eq!(found, reference("apis.meta.v1.APIGroup"));
    let names = |document: &Value| -> Vec<String> {
        let all = document["components"]["schemas"].as_object().unwrap().keys();
        all.map(|name| name.rsplit('.').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&group), ["APIGroup", "GroupVersionForDiscovery", "ServerAddressByClientCIDR"]);
    let version = content("/openapi/v3/version");
    let get = &version["paths"]["/version/"]["get"];
    assert_eq!(content_of(get, "application/json"), reference("version.Info"));
    let info = &version["components"]["schemas"]["io.k8s.apimachinery.pkg.version.Info"];
    assert!(
        info["description"].is_string() && info["properties"]["emulationMajor"]["description"].is_string()
    );
    let keys = content("/openapi/v3/openid/v1/jwks");
    let get = &keys["paths"]["/openid/v1/jwks/"]["get"];
    assert_eq!(content_of(get, "application/jwk-set+json"), json!({"type": "string"}));
    assert_eq!(content("/openapi/v2")["paths"]["/version/"]["get"]["operationId"], "getCodeVersion");
}

#[test]
fn a_document_has_one_hash_in_all_its_forms() {
    let [media_type, asked] = v3::MEDIA_TYPES;
    for path in ["/openapi/v3/apis/apps/v1", "/openapi/v3/version/"] {
        let json = builtin().document(path, Some("*/*")).unwrap();
        let protobuf = builtin().document(path, Some(asked)).unwrap();
        assert_eq!((json.media_type, protobuf.media_type), ("application/json", media_type));
        assert_eq!(json.hash, protobuf.hash);
        assert_ne!(json.body, protobuf.body);
    }
}

#[test]
fn only_forms_that_there_are_can_be_had() {
    let get = |path: &str, accept: &str| builtin().document(path, Some(accept)).map(|found| found.media_type);
    for path in ["/openapi/v2", "/openapi/v3/api/v1"] {
        assert_eq!(get(path, "application/yaml"), Err(Missing::NotAcceptable));
    }
    assert_eq!(get("/openapi/v3/api/v9", "application/yaml"), Err(Missing::NotFound));
    assert_eq!(get("/openapi/v3", "application/yaml"), Ok("application/json"));
    assert_eq!(get("/openapi/v2", v2::wire::MEDIA_TYPES[1]), Ok(v2::wire::MEDIA_TYPES[0]));
}

/// `kubectl apply` looks for the parameter, and for strategic merge patches, on the PATCH of the kind.
#[test]
fn patches_declare_their_parameters_and_media_types() {
    let document = content("/openapi/v3/api/v1");
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"];
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
    assert_eq!(patch["x-kubernetes-action"], "patch");
    assert_eq!(patch["operationId"], "patchCoreV1NamespacedConfigMap");
    let parameters = patch["parameters"].as_array().unwrap();
    let names: Vec<&str> = parameters.iter().filter_map(|parameter| parameter["name"].as_str()).collect();
    assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
    assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
}

#[test]
fn lists_and_watches_declare_their_parameters() {
    let document = content("/openapi/v3/api/v1");
    let list = &document["paths"]["/api/v1/configmaps"]["get"];
    assert_eq!(list["operationId"], "listCoreV1ConfigMapForAllNamespaces");
    let parameters = list["parameters"].as_array().unwrap();
    for name in ["watch", "limit", "continue", "labelSelector", "allowWatchBookmarks", "sendInitialEvents"] {
        assert!(parameters.iter().any(|parameter| parameter["name"] == name), "{name}");
    }
    let reference = "#/components/schemas/io.k8s.api.core.v1.ConfigMapList";
    assert_eq!(list["responses"]["200"]["content"]["application/json"]["schema"]["$ref"], reference);
}

/// Generated clients take the options of connections and logs from the parameters of their paths.
#[test]
fn connections_and_logs_declare_their_options() {
    let document = content("/openapi/v3/api/v1");
    let below =
        |name: &str| &document["paths"][format!("/api/v1/namespaces/{{namespace}}/pods/{{name}}/{name}")];
    let names = |item: &Value| -> Vec<String> {
        let parameters = item["parameters"].as_array().unwrap().iter();
        parameters.filter(|p| p["in"] == "query").map(|p| p["name"].as_str().unwrap().to_owned()).collect()
    };
    let exec = below("exec");
    assert_eq!(exec["get"]["operationId"], "connectCoreV1GetNamespacedPodExec");
    assert_eq!(exec["post"]["operationId"], "connectCoreV1PostNamespacedPodExec");
    assert_eq!(exec["post"]["description"], "connect POST requests to exec of Pod");
    assert_eq!(exec["get"]["x-kubernetes-action"], "connect");
    assert_eq!(exec["get"]["x-kubernetes-group-version-kind"]["kind"], "PodExecOptions");
    assert_eq!(exec["post"]["requestBody"], Value::Null);
    assert_eq!(names(exec), ["pretty", "command", "container", "stderr", "stdin", "stdout", "tty"]);
    let log = below("log");
    assert_eq!(log["get"]["operationId"], "readCoreV1NamespacedPodLog");
    assert_eq!(log["get"]["responses"]["200"]["content"]["text/plain"]["schema"]["type"], "string");
    assert!(names(log).contains(&"sinceSeconds".to_owned()));
    assert!(document["components"]["schemas"].get("io.k8s.api.core.v1.PodExecOptions").is_none());
}

#[test]
fn every_served_kind_can_be_explained() {
    for resource in RESOURCES {
        let document = document_of(resource);
        let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let is_it = |schema: &Value| {
            let kinds = schema["x-kubernetes-group-version-kind"].as_array();
            kinds.is_some_and(|kinds| kinds.contains(&kind))
        };
        assert!(schemas.values().any(is_it), "{}", resource.qualified());
    }
}

/// Components with fields that upstream does not describe either.
const UNDESCRIBED: [&str; 5] = [
    "io.k8s.api.certificates.v1.CertificateSigningRequest",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ExternalDocumentation",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
    "io.k8s.apimachinery.pkg.apis.meta.v1.GroupResource",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
];

#[test]
fn every_component_and_every_field_is_described() {
    let mut missing = BTreeSet::new();
    for resource in RESOURCES {
        let document = document_of(resource);
        for (name, component) in document["components"]["schemas"].as_object().unwrap() {
            if component["description"].as_str().is_none() {
                missing.insert(format!("{name} itself"));
            }
            for (field, property) in component["properties"].as_object().into_iter().flatten() {
                let is_known = UNDESCRIBED.contains(&name.as_str());
                if !is_known && property["description"].as_str().is_none() {
                    missing.insert(format!("{name} {field}"));
                }
            }
        }
    }
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn every_verb_of_the_table_is_an_operation() {
    for resource in RESOURCES {
        let paths = document_of(resource)["paths"].take();
        let operations = paths.as_object().unwrap().values().filter_map(Value::as_object).flatten();
        let actions: Vec<&Value> = operations
            .filter(|(_, operation)| operation["x-kubernetes-group-version-kind"]["kind"] == resource.kind)
            .map(|(_, operation)| &operation["x-kubernetes-action"])
            .collect();
        for verb in resource.verbs {
            let action = match verb {
                Verb::Create => "post",
                Verb::Update => "put",
                Verb::Watch => "list",
                verb => verb.name(),
            };
            assert!(actions.iter().any(|found| *found == action), "{} {action}", resource.qualified());
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for resource in RESOURCES {
        let document = document_of(resource);
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#/components/schemas/").skip(1);
        for reference in references.filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"].get(reference).is_some(), "{reference}");
        }
    }
}

#[test]
fn operation_ids_are_unique() {
    let document = content("/openapi/v3/api/v1");
    let paths = document["paths"].as_object().unwrap().values().filter_map(Value::as_object);
    let mut ids: Vec<&str> =
        paths.flatten().filter_map(|(_, operation)| operation["operationId"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

/// What v3 says in its own way is said in v2's.
#[test]
fn version_2_is_one_document_of_the_whole_api() {
    let document = content("/openapi/v2");
    assert_eq!(document["swagger"], "2.0");
    // A kind may have fields of such names: schemas of custom resources do.
    let mut whole = document.clone();
    for (_, schema) in whole["definitions"].as_object_mut().unwrap() {
        schema.as_object_mut().unwrap().remove("properties");
    }
    let whole = whole.to_string();
    for foreign in ["#/components/", "oneOf", "allOf", "requestBody", "\"content\""] {
        assert!(!whole.contains(foreign), "{foreign}");
    }
    assert!(!document.to_string().contains("#/components/"));
    let path = |path: &str| &document["paths"][path];
    let create = &path("/apis/apps/v1/namespaces/{namespace}/deployments")["post"];
    let body = json!({
        "in": "body", "name": "body", "required": true,
        "schema": {"$ref": "#/definitions/io.k8s.api.apps.v1.Deployment"},
    });
    assert_eq!(create["parameters"][0], body);
    assert_eq!(create["consumes"], json!(["*/*"]));
    assert_eq!(create["produces"], json!(["application/json", "application/yaml"]));
    assert_eq!(create["responses"]["201"]["schema"], body["schema"]);
    assert_eq!(create["responses"]["401"], json!({"description": "Unauthorized"}));
    let name = &path("/api/v1/namespaces/{namespace}/pods/{name}")["parameters"][0];
    assert_eq!((&name["type"], &name["in"]), (&json!("string"), &json!("path")));
    let definition = |name: &str| &document["definitions"][name];
    let deployment = definition("io.k8s.api.apps.v1.Deployment");
    assert_eq!(deployment["x-kubernetes-group-version-kind"][0]["kind"], "Deployment");
    let metadata = &deployment["properties"]["metadata"];
    assert_eq!(metadata["$ref"], "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    assert!(
        metadata["description"].as_str().is_some_and(|text| text.starts_with("Standard object's metadata"))
    );
    let either = definition("io.k8s.apimachinery.pkg.util.intstr.IntOrString");
    assert_eq!((&either["type"], &either["format"]), (&json!("string"), &json!("int-or-string")));
}

/// Every reference leads somewhere: client-go gives up on the whole document otherwise.
#[test]
fn every_reference_of_version_2_has_its_definition() {
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        if let Some(reference) = value["$ref"].as_str() {
            found.push(reference);
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(fields) => fields.values().for_each(|field| references(field, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = content("/openapi/v2");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let name = reference.strip_prefix("#/definitions/").unwrap_or_else(|| panic!("{reference}"));
        assert!(document["definitions"][name].is_object(), "{name}");
    }
}
