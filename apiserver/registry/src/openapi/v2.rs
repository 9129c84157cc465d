//! The OpenAPI v2 document, one for the whole API, as JSON and as protobuf.
//!
//! In: the OpenAPI v3 documents of all groups and versions. Out: the same facts as Swagger 2.0 says them. `kubectl
//! create -f` of a `kind: List` validates by it, and older clients know no other.
//!
//! Deliberately absent: what v2 has no words for. A type that may be a number or a string is a string there (with the
//! format `int-or-string` where upstream has it), and defaults are left out, as upstream leaves them out.
//!
//! Source: the OpenAPI specification, version 2.0; `k8s.io/kube-openapi/pkg/builder`.

use serde_json::{Map, Value, json};

pub(super) mod wire;

/// Where references point to in v3, and where in v2.
const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/definitions/";

/// One document of many.
pub(super) fn of(documents: impl Iterator<Item = Value>, version: &str) -> Value {
    let mut paths = Map::new();
    let mut definitions = Map::new();
    for document in documents {
        paths.extend(entries(&document["paths"]).map(|(path, item)| (path.clone(), path_item(item))));
        let components = entries(&document["components"]["schemas"]);
        definitions.extend(components.map(|(name, component)| (name.clone(), schema(component))));
    }
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": version},
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": {
            "BearerToken": {
                "type": "apiKey",
                "description": "Bearer Token authentication",
                "name": "authorization",
                "in": "header",
            },
        },
        "security": [{"BearerToken": []}],
    })
}

fn entries(object: &Value) -> impl Iterator<Item = (&String, &Value)> {
    object.as_object().into_iter().flatten()
}

/// A path: its parameters, and an operation for each method.
fn path_item(item: &Value) -> Value {
    let translated = entries(item).map(|(key, value)| {
        let value = match key.as_str() {
            "parameters" => parameters(value).into(),
            _ => operation(value),
        };
        (key.clone(), value)
    });
    Value::Object(translated.collect())
}

fn operation(operation: &Value) -> Value {
    let mut translated = Map::new();
    let mut all = parameters(&operation["parameters"]);
    for (key, value) in entries(operation) {
        match key.as_str() {
            "parameters" => {}
            "requestBody" => {
                translated.insert("consumes".to_owned(), media_types(value).into());
                all.insert(0, body(value));
            }
            "responses" => {
                translated.insert("produces".to_owned(), produced(value).into());
                let responses = entries(value).map(|(code, answer)| (code.clone(), response(answer)));
                translated.insert(key.clone(), Value::Object(responses.collect()));
            }
            _ => {
                translated.insert(key.clone(), value.clone());
            }
        }
    }
    if !all.is_empty() {
        translated.insert("parameters".to_owned(), all.into());
    }
    Value::Object(translated)
}

/// Parameters of paths and queries: what v3 keeps in a schema stands beside their names.
fn parameters(parameters: &Value) -> Vec<Value> {
    let all = parameters.as_array().into_iter().flatten();
    all.map(|parameter| {
        let mut own: Map<String, Value> =
            entries(parameter).map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some(schema) = own.remove("schema") {
            own.extend(entries(&schema).map(|(key, value)| (key.clone(), value.clone())));
        }
        Value::Object(own)
    })
    .collect()
}

fn body(request: &Value) -> Value {
    let mut body = json!({"name": "body", "in": "body"});
    if let Some((_, content)) = entries(&request["content"]).next() {
        body["schema"] = schema(&content["schema"]);
    }
    if request["required"] == true {
        body["required"] = true.into();
    }
    body
}

fn response(answer: &Value) -> Value {
    let mut response = json!({"description": answer["description"]});
    if let Some((_, content)) = entries(&answer["content"]).next() {
        response["schema"] = schema(&content["schema"]);
    }
    response
}

fn media_types(message: &Value) -> Vec<&str> {
    entries(&message["content"]).map(|(media_type, _)| media_type.as_str()).collect()
}

/// What an operation answers in: all its answers say the same, but the refusal that says nothing.
fn produced(responses: &Value) -> Vec<&str> {
    entries(responses)
        .map(|(_, answer)| media_types(answer))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// A type.
fn schema(v3: &Value) -> Value {
    let mut translated = Map::new();
    for (key, value) in entries(v3) {
        match key.as_str() {
            "default" => {}
            // Only ever around one reference, which stands alone here.
            "allOf" => translated.extend(reference(&value[0]["$ref"])),
            "$ref" => translated.extend(reference(value)),
            "oneOf" => {
                translated.insert("type".to_owned(), "string".into());
            }
            "items" | "additionalProperties" => {
                translated.insert(key.clone(), schema(value));
            }
            "properties" => {
                let properties = entries(value).map(|(name, property)| (name.clone(), schema(property)));
                translated.insert(key.clone(), Value::Object(properties.collect()));
            }
            _ => {
                translated.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(translated)
}

fn reference(to: &Value) -> Option<(String, Value)> {
    let name = to.as_str()?.strip_prefix(COMPONENTS)?;
    Some(("$ref".to_owned(), format!("{DEFINITIONS}{name}").into()))
}

#[cfg(test)]
mod tests;
