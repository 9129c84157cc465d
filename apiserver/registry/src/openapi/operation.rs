//! The operations of a path, and the types that they speak.

use keelson_api_schema::{TypeId, openapi::component_name};
use serde_json::{Value, json};

use super::parameter::{Parameters, of_options, of_path};
use crate::resources::{ResourceInfo, Subresource, Verb};

/// What answers are written in.
const ANSWERS: &[&str] = &["application/json", "application/yaml"];

/// What connections speak: whatever both sides agree on.
const ANYTHING: &[&str] = &["*/*"];

/// What logs are written in.
const TEXTS: &[&str] = &["application/json", "application/yaml", "text/plain"];

/// What patches are written in.
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// A group, a version and a kind.
#[derive(Clone, Copy)]
struct Kind {
    group: &'static str,
    version: &'static str,
    name: &'static str,
}

impl Kind {
    fn of(resource: &ResourceInfo) -> Self {
        Self { group: resource.group, version: resource.version, name: resource.kind }
    }

    fn of_subresource(resource: &ResourceInfo, sub: &Subresource) -> Self {
        let (group, version) = sub.group_version.unwrap_or((resource.group, resource.version));
        Self { group, version, name: sub.kind }
    }

    fn schema(self) -> Option<TypeId> {
        keelson_api_schema::builtin().lookup_kind(self.group, self.version, self.name)
    }
}

/// One operation, before it is written.
struct Operation<'r> {
    resource: &'r ResourceInfo,
    verb: Verb,
    /// What it speaks.
    kind: Kind,
    /// The end of its id: `Status`, `ForAllNamespaces`.
    suffix: String,
    form: Form,
}

/// What an operation is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// An object.
    Object,
    /// Text.
    Log,
    /// A connection to something beyond the server.
    Connection,
}

impl Form {
    fn of(sub: &Subresource) -> Self {
        match sub.name {
            "log" => Self::Log,
            _ if sub.connects() => Self::Connection,
            _ => Self::Object,
        }
    }

    /// The options that a request may have, where they are more than an object's.
    fn options(self, sub: &Subresource) -> Option<&'static str> {
        match self {
            Self::Object => None,
            Self::Log => Some("PodLogOptions"),
            Self::Connection => Some(sub.kind),
        }
    }
}

/// The types that a resource's paths refer to.
pub(super) fn roots(resource: &ResourceInfo) -> Vec<TypeId> {
    let schema = keelson_api_schema::builtin();
    let mut roots = vec![resource.schema()];
    // The options of a connection are query parameters, not a body.
    let objects = resource.subresources.iter().filter(|sub| Form::of(sub) == Form::Object);
    roots.extend(objects.filter_map(|sub| Kind::of_subresource(resource, sub).schema()));
    if resource.can(Verb::List) {
        roots.extend(schema.lookup_kind(resource.group, resource.version, &resource.list_kind()));
    }
    for shared in ["DeleteOptions", "Patch", "Status", "WatchEvent"] {
        roots.extend(schema.lookup(&format!("meta/v1.{shared}")));
    }
    roots
}

/// `/apis/<group>/<version>/`: which resources there are.
pub(super) fn resources_path(resource: &ResourceInfo) -> Value {
    json!({
        "get": {
            "tags": [tag(resource)],
            "description": "get available resources",
            "operationId": format!("get{}APIResources", group_version_id(resource)),
            "responses": responses(&["200"], ANSWERS, &reference("meta/v1.APIResourceList")),
        },
    })
}

/// The collection of one namespace, or of the cluster.
pub(super) fn collection_path(resource: &ResourceInfo) -> Value {
    path(resource, false, &[Verb::List, Verb::Create, Verb::DeleteCollection])
}

/// The collection of all namespaces, which can only be looked at.
pub(super) fn everywhere_path(resource: &ResourceInfo) -> Value {
    let operation = Operation {
        resource,
        verb: Verb::List,
        kind: Kind::of(resource),
        suffix: "ForAllNamespaces".to_owned(),
        form: Form::Object,
    };
    json!({"parameters": of_path(false, false), "get": operation.value()})
}

/// One object.
pub(super) fn object_path(resource: &ResourceInfo) -> Value {
    path(resource, true, &[Verb::Get, Verb::Update, Verb::Patch, Verb::Delete])
}

/// What is below an object.
pub(super) fn subresource_path(resource: &ResourceInfo, sub: &Subresource) -> Value {
    let form = Form::of(sub);
    let mut parameters = of_path(resource.is_namespaced(), true);
    parameters.extend(form.options(sub).into_iter().flat_map(|kind| of_options(resource, kind)));
    let mut item = json!({"parameters": parameters});
    for &verb in sub.verbs {
        let kind = Kind::of_subresource(resource, sub);
        let operation = Operation { resource, verb, kind, suffix: capitalized(sub.name), form };
        item[method(verb)] = operation.value();
    }
    item
}

fn path(resource: &ResourceInfo, named: bool, verbs: &[Verb]) -> Value {
    let mut item = json!({"parameters": of_path(resource.is_namespaced(), named)});
    for &verb in verbs.iter().filter(|verb| resource.can(**verb)) {
        let (kind, suffix, form) = (Kind::of(resource), String::new(), Form::Object);
        let operation = Operation { resource, verb, kind, suffix, form };
        item[method(verb)] = operation.value();
    }
    item
}

impl Operation<'_> {
    fn value(&self) -> Value {
        let mut operation = json!({
            "tags": [tag(self.resource)],
            "description": self.description(),
            "operationId": self.id(),
            "responses": self.responses(),
            "x-kubernetes-action": self.action(),
            "x-kubernetes-group-version-kind":
                {"group": self.kind.group, "version": self.kind.version, "kind": self.kind.name},
        });
        // A connection's parameters are its path's, and its body is what follows the connection.
        if self.form == Form::Connection {
            return operation;
        }
        let parameters = self.parameters().values();
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(body) = self.body() {
            operation["requestBody"] = body;
        }
        operation
    }

    fn description(&self) -> String {
        let (kind, sub) = (self.resource.kind, self.suffix.to_ascii_lowercase());
        match self.form {
            Form::Object => format!("{} {}", self.what(), self.kind.name),
            Form::Log => format!("read log of the specified {kind}"),
            Form::Connection => {
                format!("connect {} requests to {sub} of {kind}", method(self.verb).to_ascii_uppercase())
            }
        }
    }

    fn responses(&self) -> Value {
        match self.form {
            Form::Object => responses(self.codes(), ANSWERS, &self.answer()),
            Form::Log => responses(&["200"], TEXTS, &json!({"type": "string"})),
            Form::Connection => responses(&["200"], ANYTHING, &json!({"type": "string"})),
        }
    }

    /// `createAppsV1NamespacedDeployment`, `readCoreV1NamespaceStatus`.
    fn id(&self) -> String {
        let everywhere = self.suffix == "ForAllNamespaces";
        let namespaced = if self.resource.is_namespaced() && !everywhere { "Namespaced" } else { "" };
        let group_version = group_version_id(self.resource);
        let start = match self.form {
            Form::Object | Form::Log => format!("{}{group_version}", self.what_id()),
            Form::Connection => format!("connect{group_version}{}", capitalized(method(self.verb))),
        };
        format!("{start}{namespaced}{}{}", self.resource.kind, self.suffix)
    }

    fn what_id(&self) -> &'static str {
        match self.verb {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deleteCollection",
            Verb::Get => "read",
            Verb::List => "list",
            Verb::Patch => "patch",
            Verb::Update => "replace",
            Verb::Watch => "watch",
        }
    }

    fn what(&self) -> &'static str {
        match self.verb {
            Verb::Create => "create a",
            Verb::Delete => "delete a",
            Verb::DeleteCollection => "delete collection of",
            Verb::Get => "read the specified",
            Verb::List => "list or watch objects of kind",
            Verb::Patch => "partially update the specified",
            Verb::Update => "replace the specified",
            Verb::Watch => "watch objects of kind",
        }
    }

    /// Upstream's word for what the operation does.
    fn action(&self) -> &'static str {
        match self.verb {
            _ if self.form == Form::Connection => "connect",
            Verb::Create => "post",
            Verb::Update => "put",
            verb => verb.name(),
        }
    }

    fn parameters(&self) -> Parameters {
        match self.verb {
            Verb::Create | Verb::Update => Parameters::Write,
            Verb::Patch => Parameters::Patch,
            Verb::Delete => Parameters::Delete,
            Verb::DeleteCollection => Parameters::DeleteCollection,
            Verb::List | Verb::Watch => Parameters::List,
            Verb::Get => Parameters::None,
        }
    }

    fn codes(&self) -> &'static [&'static str] {
        match self.verb {
            Verb::Create => &["200", "201", "202"],
            Verb::Update | Verb::Patch => &["200", "201"],
            Verb::Delete => &["200", "202"],
            Verb::DeleteCollection | Verb::Get | Verb::List | Verb::Watch => &["200"],
        }
    }

    fn answer(&self) -> Value {
        match self.verb {
            Verb::Delete | Verb::DeleteCollection => reference("meta/v1.Status"),
            Verb::List => of_type(keelson_api_schema::builtin().lookup_kind(
                self.kind.group,
                self.kind.version,
                &self.resource.list_kind(),
            )),
            Verb::Watch => reference("meta/v1.WatchEvent"),
            Verb::Create | Verb::Get | Verb::Patch | Verb::Update => of_type(self.kind.schema()),
        }
    }

    fn body(&self) -> Option<Value> {
        match self.verb {
            Verb::Create | Verb::Update => Some(body(&["*/*"], &of_type(self.kind.schema()), true)),
            Verb::Patch => Some(body(PATCHES, &reference("meta/v1.Patch"), true)),
            Verb::Delete | Verb::DeleteCollection => {
                Some(body(&["*/*"], &reference("meta/v1.DeleteOptions"), false))
            }
            Verb::Get | Verb::List | Verb::Watch => None,
        }
    }
}

/// The method of a verb, as OpenAPI's path items name it.
fn method(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "post",
        Verb::Delete | Verb::DeleteCollection => "delete",
        Verb::Get | Verb::List | Verb::Watch => "get",
        Verb::Patch => "patch",
        Verb::Update => "put",
    }
}

fn body(media_types: &[&str], schema: &Value, required: bool) -> Value {
    let mut body = json!({"content": content(media_types, schema)});
    if required {
        body["required"] = true.into();
    }
    body
}

/// What an operation may be answered with: these, and that somebody is not known.
pub(super) fn responses(codes: &[&str], media_types: &[&str], schema: &Value) -> Value {
    let mut responses = json!({"401": {"description": "Unauthorized"}});
    for code in codes {
        let description = match *code {
            "201" => "Created",
            "202" => "Accepted",
            _ => "OK",
        };
        responses[code] = json!({"description": description, "content": content(media_types, schema)});
    }
    responses
}

fn content(media_types: &[&str], schema: &Value) -> Value {
    let entries = media_types.iter().map(|name| ((*name).to_owned(), json!({"schema": schema})));
    Value::Object(entries.collect())
}

/// A reference to a type by the schema's name for it.
pub(super) fn reference(name: &str) -> Value {
    of_type(keelson_api_schema::builtin().lookup(name))
}

/// A reference to a type; what has no component of its own is any object.
fn of_type(id: Option<TypeId>) -> Value {
    let name = id.and_then(|id| component_name(keelson_api_schema::builtin().get(id)));
    match name {
        Some(name) => json!({"$ref": format!("#/components/schemas/{name}")}),
        None => json!({"type": "object"}),
    }
}

/// `apps_v1`, `core_v1`.
fn tag(resource: &ResourceInfo) -> String {
    format!("{}_{}", group_tag(resource.group), resource.version)
}

/// `apps`, `core`, `rbacAuthorization`.
pub(super) fn group_tag(group: &str) -> String {
    if group.is_empty() {
        return "core".to_owned();
    }
    let parts = group.trim_end_matches(".k8s.io").split('.').enumerate();
    parts
        .map(|(at, part)| match at {
            0 => part.to_owned(),
            _ => capitalized(part),
        })
        .collect()
}

/// `AppsV1`, `RbacAuthorizationV1`.
fn group_version_id(resource: &ResourceInfo) -> String {
    tag(resource).split('_').map(capitalized).collect()
}

/// With a capital at its beginning.
pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
