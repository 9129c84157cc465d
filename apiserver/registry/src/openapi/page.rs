//! The documents of paths that are no resources: discovery, the version, and what is told of the issuer of tokens.
//!
//! In: the names of groups. Out: pages, each of which has a document with one operation.
//!
//! Deliberately absent: health and metrics, which upstream does not describe either; `/logs`, which is not served.
//!
//! Source: `k8s.io/apiserver/pkg/endpoints/discovery`, `pkg/server/routes/version.go`,
//! `k8s.io/kubernetes/pkg/routes/openidmetadata.go`.

use keelson_api_schema::openapi::{Components, GroupVersion};
use serde_json::{Map, Value, json};

use super::{
    descriptions::Descriptions,
    frame,
    operation::{capitalized, group_tag, reference, responses},
};

/// What discovery answers in.
const DISCOVERY: &[&str] = &["application/json", "application/vnd.kubernetes.protobuf", "application/yaml"];

const JSON: &[&str] = &["application/json"];

/// The component of `/version`, which is no type of the schema.
const INFO: &str = "io.k8s.apimachinery.pkg.version.Info";

/// Its fields that are always there.
const INFO_REQUIRED: [&str; 9] = [
    "buildDate",
    "compiler",
    "gitCommit",
    "gitTreeState",
    "gitVersion",
    "goVersion",
    "major",
    "minor",
    "platform",
];

/// Its other fields.
const INFO_OPTIONAL: [&str; 4] =
    ["emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor"];

/// A path that is no resource.
pub(super) struct Page {
    /// Without a slash at its end.
    pub(super) path: String,
    tag: String,
    id: String,
    description: &'static str,
    media_types: &'static [&'static str],
    answer: Answer,
}

/// What is there.
enum Answer {
    /// An object of a type, by the schema's name.
    Type(&'static str),
    /// What the server is.
    Info,
    /// What OpenAPI has no type for.
    Text,
}

/// All of them; a group without a name is the core group, which has none.
pub(super) fn all<'g>(groups: impl Iterator<Item = &'g str>) -> Vec<Page> {
    let named = groups.filter(|group| !group.is_empty());
    fixed().into_iter().chain(named.map(of_group)).collect()
}

fn fixed() -> [Page; 5] {
    let versions = "get available API versions";
    let page = |path: &str, tag: &str, id: &str, description, media_types, answer| Page {
        path: path.to_owned(),
        tag: tag.to_owned(),
        id: id.to_owned(),
        description,
        media_types,
        answer,
    };
    [
        page("/api", "core", "getCoreAPIVersions", versions, DISCOVERY, Answer::Type("meta/v1.APIVersions")),
        page("/apis", "apis", "getAPIVersions", versions, DISCOVERY, Answer::Type("meta/v1.APIGroupList")),
        page("/version", "version", "getCodeVersion", "get the server's version", JSON, Answer::Info),
        page(
            "/.well-known/openid-configuration",
            "WellKnown",
            "getServiceAccountIssuerOpenIDConfiguration",
            "get the OpenID configuration of the issuer of service account tokens",
            JSON,
            Answer::Text,
        ),
        page(
            "/openid/v1/jwks",
            "openid",
            "getServiceAccountIssuerOpenIDKeyset",
            "get the public keys that service account tokens are verified with",
            &["application/jwk-set+json"],
            Answer::Text,
        ),
    ]
}

fn of_group(group: &str) -> Page {
    let tag = group_tag(group);
    Page {
        path: format!("/apis/{group}"),
        id: format!("get{}APIGroup", capitalized(&tag)),
        tag,
        description: "get information of a group",
        media_types: DISCOVERY,
        answer: Answer::Type("meta/v1.APIGroup"),
    }
}

impl Page {
    /// Its document.
    pub(super) fn document(&self, shared: &[GroupVersion]) -> Value {
        let get = json!({
            "tags": [self.tag],
            "description": self.description,
            "operationId": self.id,
            "responses": responses(&["200"], self.media_types, &self.answer.schema()),
        });
        let paths = Map::from_iter([(format!("{}/", self.path), json!({"get": get}))]);
        frame(&paths, &self.answer.components(shared))
    }
}

impl Answer {
    fn schema(&self) -> Value {
        match self {
            Self::Type(name) => reference(name),
            Self::Info => json!({"$ref": format!("#/components/schemas/{INFO}")}),
            Self::Text => json!({"type": "string"}),
        }
    }

    fn components(&self, shared: &[GroupVersion]) -> Map<String, Value> {
        let descriptions = Descriptions::of_pages();
        match self {
            Self::Type(name) => {
                let schema = keelson_api_schema::builtin();
                let roots: Vec<_> = schema.lookup(name).into_iter().collect();
                let describe = |component: &str, field: Option<&str>| descriptions.get(component, field);
                Components::new(schema, shared, &describe).closure(&roots)
            }
            Self::Info => Map::from_iter([(INFO.to_owned(), info(&descriptions))]),
            Self::Text => Map::new(),
        }
    }
}

fn info(descriptions: &Descriptions) -> Value {
    let property = |name: &str, mut property: Value| {
        if let Some(description) = descriptions.get(INFO, Some(name)) {
            property["description"] = description.into();
        }
        (name.to_owned(), property)
    };
    let required = INFO_REQUIRED.map(|name| property(name, json!({"type": "string", "default": ""})));
    let optional = INFO_OPTIONAL.map(|name| property(name, json!({"type": "string"})));
    json!({
        "type": "object",
        "description": descriptions.get(INFO, None),
        "properties": required.into_iter().chain(optional).collect::<Map<_, _>>(),
        "required": INFO_REQUIRED,
    })
}
