//! THE table of resources. Routes, discovery, OpenAPI, Table columns, bootstrap roles and tests derive from it.
//!
//! A further kind is one entry here and, where it has rules, one file under `kinds/`.

use std::sync::OnceLock;

use keelson_api_schema::TypeId;

use crate::strategy::Strategy;

mod table;

pub use table::RESOURCES;

/// One resource in one version.
pub struct ResourceInfo {
    /// `""` for the core group.
    pub group: &'static str,
    /// `v1`.
    pub version: &'static str,
    /// `Pod`.
    pub kind: &'static str,
    /// `pods`.
    pub plural: &'static str,
    /// `pod`.
    pub singular: &'static str,
    /// `po`.
    pub short_names: &'static [&'static str],
    /// `all`.
    pub categories: &'static [&'static str],
    /// Whether its objects live in namespaces.
    pub scope: Scope,
    /// What can be done with it.
    pub verbs: &'static [Verb],
    /// What hangs below its objects.
    pub subresources: &'static [Subresource],
    /// Where its objects are.
    pub storage: Storage,
    /// All columns that `kubectl get` shows, name and age included, in order. Empty: the name and the time of
    /// creation (upstream's default for kinds without columns), see [`crate::columns::DEFAULT`].
    pub columns: &'static [Column],
    /// Fields that a field selector may name, beside `metadata.name` and `metadata.namespace`.
    pub selectable: &'static [&'static str],
    /// Its rules.
    pub strategy: &'static dyn Strategy,
}

/// Whether objects live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In namespaces.
    Namespaced,
    /// In the cluster as a whole.
    Cluster,
}

/// What can be done with a resource; the names are RBAC's and discovery's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Create one.
    Create,
    /// Delete one.
    Delete,
    /// Delete all that match.
    DeleteCollection,
    /// Read one.
    Get,
    /// Read all that match.
    List,
    /// Change parts of one.
    Patch,
    /// Replace one.
    Update,
    /// See changes as they happen.
    Watch,
}

/// Where a resource's objects are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In the store, under this prefix: `/registry/<prefix>/[<namespace>/]<name>`.
    Stored(&'static str),
    /// In the store of another version or group of the same thing, converted on the way.
    Converted {
        /// The prefix of the storage version.
        prefix: &'static str,
        /// How to convert.
        conversion: Conversion,
    },
    /// Nowhere: creating one asks a question, or reading one does.
    Question,
}

/// How one version of a thing becomes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// `events.k8s.io/v1` Event, stored as core `v1` Event.
    Event,
    /// `autoscaling/v1` HorizontalPodAutoscaler, stored as `autoscaling/v2`.
    HorizontalPodAutoscaler,
}

/// What hangs below an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subresource {
    /// `status`.
    pub name: &'static str,
    /// Its group and version where they are not the resource's own: `("autoscaling", "v1")`.
    pub group_version: Option<(&'static str, &'static str)>,
    /// The kind that it speaks: the resource's own, `Scale`, `Binding`, `TokenRequest`.
    pub kind: &'static str,
    /// What can be done with it.
    pub verbs: &'static [Verb],
}

/// A column of a Table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its title.
    pub name: &'static str,
    /// `string`, `integer`, `date`, …
    pub kind: &'static str,
    /// 0: always shown; higher: only in wide output.
    pub priority: i32,
    /// How a cell is made.
    pub cell: Cell,
}

/// Makes a cell of an object's row.
pub type Cell = fn(&crate::object::Object, now: time::OffsetDateTime) -> serde_json::Value;

impl Column {
    /// A column that is always shown.
    pub const fn new(name: &'static str, kind: &'static str, cell: Cell) -> Self {
        Self { name, kind, priority: 0, cell }
    }

    /// A column of wide output.
    pub const fn wide(name: &'static str, kind: &'static str, cell: Cell) -> Self {
        Self { name, kind, priority: 1, cell }
    }

    /// The OpenAPI format of its cells: `name` for the object's name, else empty.
    pub fn format(&self) -> &'static str {
        if self.name == "Name" { "name" } else { "" }
    }
}

impl ResourceInfo {
    /// `pods`, `deployments.apps`: how messages name a resource.
    pub fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `PodList`.
    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// Whether it can do that.
    pub fn can(&self, verb: Verb) -> bool {
        self.verbs.contains(&verb)
    }

    /// What a field selector compares `field` with: one of [`Self::selectable`], or `metadata.name` or
    /// `metadata.namespace`, which every kind has. Empty where the object has no such field.
    pub fn field_value(&self, object: &crate::object::Object, field: &str) -> String {
        match field {
            "metadata.name" => object.name().to_owned(),
            "metadata.namespace" => object.namespace().to_owned(),
            field => self.strategy.field_value(object, field),
        }
    }

    /// Whether objects live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    /// The schema of its kind.
    ///
    /// # Panics
    /// When the schema has no such kind: a test over the whole table sees to it that it has.
    pub fn schema(&self) -> TypeId {
        let schema = keelson_api_schema::builtin();
        schema
            .lookup_kind(self.group, self.version, self.kind)
            .expect("a test looks every entry of the table up in the schema")
    }
}

impl Subresource {
    /// Whether it leads beyond this server, to something that speaks for itself.
    pub fn connects(&self) -> bool {
        matches!(self.name, "attach" | "exec" | "portforward" | "proxy")
    }

    /// Whether its requests stay open as long as both sides wish.
    pub fn is_long_running(&self) -> bool {
        self.connects() || self.name == "log"
    }
}

impl Verb {
    /// RBAC's and discovery's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

/// The entry for a group, version and plural.
pub fn find(group: &str, version: &str, plural: &str) -> Option<&'static ResourceInfo> {
    RESOURCES
        .iter()
        .find(|resource| resource.plural == plural && resource.version == version && resource.group == group)
}

/// The entry of a kind: `find_kind("apps/v1", "Deployment")`.
pub fn find_kind(api_version: &str, kind: &str) -> Option<&'static ResourceInfo> {
    RESOURCES.iter().find(|resource| resource.kind == kind && resource.api_version() == api_version)
}

/// All groups with their versions, in the order of the table.
pub fn groups() -> &'static [(&'static str, Vec<&'static str>)] {
    static GROUPS: OnceLock<Vec<(&'static str, Vec<&'static str>)>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let mut groups: Vec<(&'static str, Vec<&'static str>)> = Vec::new();
        for resource in RESOURCES {
            let known = groups.iter_mut().find(|(group, _)| *group == resource.group);
            match known {
                Some((_, versions)) if versions.contains(&resource.version) => {}
                Some((_, versions)) => versions.push(resource.version),
                None => groups.push((resource.group, vec![resource.version])),
            }
        }
        groups
    })
}
