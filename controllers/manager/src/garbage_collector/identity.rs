//! What names an object, and what the graph needs to know of one: pure.
//!
//! In: metadata as the API shows it. Out: [`Coordinates`], [`Owner`], [`Seen`].

use std::{fmt, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

/// The finalizer of an object that stays until its dependents have been let go.
pub(super) const ORPHAN: &str = "orphan";

/// The finalizer of an object that stays until its dependents are gone.
pub(super) const FOREGROUND: &str = "foregroundDeletion";

/// An object's uid. It is never used twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Uid(Arc<str>);

impl Uid {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Uid {
    fn from(uid: &str) -> Self {
        Self(uid.into())
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an object is, and which one is meant there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Coordinates {
    pub(super) api_version: String,
    pub(super) kind: String,
    /// Empty for objects of the cluster.
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: Uid,
}

impl Coordinates {
    /// Whether an answer about this place is an answer about the other: the same, or the same but for a namespace
    /// that this kind does not have.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self == other || (self.namespace.is_empty() && *self == other.without_namespace())
    }

    /// The same place among the objects of the cluster.
    pub(super) fn without_namespace(&self) -> Self {
        Self { namespace: String::new(), ..self.clone() }
    }
}

/// As upstream writes it in events.
impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { api_version, kind, namespace, name, uid } = self;
        write!(f, "[{api_version}/{kind}, namespace: {namespace}, name: {name}, uid: {uid}]")
    }
}

/// An owner as a dependent names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: Uid,
    /// Whether the owner, when it is deleted in the foreground, waits for this dependent.
    pub(super) blocks: bool,
}

impl Owner {
    /// Where this owner would be, if it has a namespace: that of its dependent.
    pub(super) fn seen_from(&self, namespace: &str) -> Coordinates {
        Coordinates {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            namespace: namespace.to_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
        }
    }

    /// Whether everything but the namespace agrees.
    pub(super) fn names(&self, at: &Coordinates) -> bool {
        self.uid == at.uid
            && self.name == at.name
            && self.kind == at.kind
            && self.api_version == at.api_version
    }
}

impl From<&OwnerReference> for Owner {
    fn from(reference: &OwnerReference) -> Self {
        Self {
            api_version: reference.api_version.clone(),
            kind: reference.kind.clone(),
            name: reference.name.clone(),
            uid: reference.uid.as_str().into(),
            blocks: reference.block_owner_deletion == Some(true),
        }
    }
}

/// Where an object stands between life and deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not being deleted.
    Living,
    /// It is being deleted, and waits for nothing that concerns the collector.
    Leaving,
    /// It is being deleted, and waits until its dependents have been let go.
    Orphaning,
    /// It is being deleted, and waits until its dependents are gone.
    AwaitingDependents,
}

impl Standing {
    /// As an object's metadata say it.
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        let has = |wanted: &str| metadata.finalizers.iter().flatten().any(|finalizer| finalizer == wanted);
        match () {
            () if metadata.deletion_timestamp.is_none() => Self::Living,
            () if has(ORPHAN) => Self::Orphaning,
            () if has(FOREGROUND) => Self::AwaitingDependents,
            () => Self::Leaving,
        }
    }
}

/// What an informer saw of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: Coordinates,
    pub(super) owners: Vec<Owner>,
    pub(super) standing: Standing,
}

impl Seen {
    /// Of an object of a kind, which metadata alone do not tell.
    pub(super) fn new(api_version: &str, kind: &str, metadata: &ObjectMeta) -> Self {
        Self {
            at: Coordinates {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone().unwrap_or_default(),
                uid: metadata.uid.as_deref().unwrap_or_default().into(),
            },
            owners: metadata.owner_references.iter().flatten().map(Owner::from).collect(),
            standing: Standing::of(metadata),
        }
    }
}
