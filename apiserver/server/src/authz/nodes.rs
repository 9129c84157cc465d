//! What a node may do: only what its own pods need.
//!
//! In: a user that is a node, what it asks for, and how objects are related to nodes ([`Relations`]). Out: whether the
//! node's role allows it to this node, and upstream's reason where it does not. RBAC may still allow more.
//!
//! A node reads Secrets, ConfigMaps, claims, volumes and attachments that a pod of its own names, its own Node, its own
//! pods; asks for tokens of its pods' service accounts; keeps its own Lease, CSINode and ResourceSlices. What it writes
//! into them, admission checks. Everything else is decided by the static rules of `system:node`.
//!
//! Source: `plugin/pkg/auth/authorizer/node` of Kubernetes.

use std::sync::{LazyLock, PoisonError, RwLock};

use keelson_api_registry::{bootstrap_roles, status::ApiError};

use super::{
    attributes::{Attributes, Object, ResourceAttributes},
    rbac::Rule,
};
use crate::{authn::User, storage::ObjectStore};

pub(crate) mod follow;

mod references;
mod relations;

use follow::Cursors;
use relations::{Kind, Relations, Thing};

/// How nodes are called as users, and which group they are in.
const USER_PREFIX: &str = "system:node:";
const GROUP: &str = "system:nodes";

/// The namespace of the nodes' Leases.
pub(crate) const LEASES: &str = "kube-node-lease";

/// The field by which a node narrows collections to what is its own.
const NODE_NAME: &str = "spec.nodeName";

static RULES: LazyLock<Vec<Rule>> =
    LazyLock::new(|| bootstrap_roles::node_rules().iter().map(Rule::parse).collect());

/// `Err`: not by this authorizer, and why; the reason may be empty.
type Opinion = Result<(), String>;

/// The name of the node that a user is.
pub(crate) fn node_of(user: &User) -> Option<&str> {
    user.name.strip_prefix(USER_PREFIX).filter(|name| !name.is_empty() && user.is_in(GROUP))
}

/// Decides what nodes may do, by what runs on them.
#[derive(Debug, Default)]
pub(crate) struct NodeAuthorizer {
    relations: RwLock<Relations>,
    /// Held by who takes in changes, one after the other; decisions do not wait for it.
    cursors: tokio::sync::Mutex<Cursors>,
}

impl NodeAuthorizer {
    /// Whether the node may do that.
    pub(super) fn decide(&self, node: &str, asked: &Attributes<'_>) -> Opinion {
        decide(&self.relations.read().unwrap_or_else(PoisonError::into_inner), node, asked)
    }

    /// Takes in what the cache knows by now.
    pub(super) async fn catch_up(&self, objects: &ObjectStore) {
        self.cursors.lock().await.catch_up(objects, &self.relations).await;
    }

    /// Takes in everything that was acknowledged before the call: what a node learned from another server a moment
    /// ago may still be on its way to this one.
    ///
    /// # Errors
    /// 504 and 503 without a quorum or before the cache is filled.
    pub(crate) async fn refresh(&self, objects: &ObjectStore) -> Result<(), ApiError> {
        follow::wait_for_all(objects).await?;
        self.catch_up(objects).await;
        Ok(())
    }
}

/// Pure.
fn decide(relations: &Relations, node: &str, asked: &Attributes<'_>) -> Opinion {
    let Object::Resource(resource) = &asked.object else { return by_rules(asked) };
    let reading = Reading { relations, node, verb: asked.verb, resource };
    match (resource.group, resource.resource) {
        ("", "secrets") => reading.one_in_namespace(Kind::Secret),
        ("", "configmaps") => reading.one_in_namespace(Kind::ConfigMap),
        ("", "persistentvolumeclaims") if resource.subresource == "status" => reading.status_of_claim(),
        ("", "persistentvolumeclaims") => reading.one(Kind::Claim),
        ("", "persistentvolumes") => reading.one(Kind::Volume),
        ("resource.k8s.io", "resourceclaims") => reading.one(Kind::ResourceClaim),
        ("storage.k8s.io", "volumeattachments") => reading.one(Kind::Attachment),
        ("", "serviceaccounts") => reading.token(),
        ("coordination.k8s.io", "leases") => reading.lease(),
        ("storage.k8s.io", "csinodes") => reading.named_after_node("CSINode"),
        ("resource.k8s.io", "resourceslices") => reading.slice(),
        ("", "nodes") => reading.own_node(),
        ("", "pods") => reading.pods(),
        _ => by_rules(asked),
    }
}

fn by_rules(asked: &Attributes<'_>) -> Opinion {
    if RULES.iter().any(|rule| rule.allows(asked)) { Ok(()) } else { Err(String::new()) }
}

/// What a node asks of one resource.
struct Reading<'a> {
    relations: &'a Relations,
    node: &'a str,
    verb: &'a str,
    resource: &'a ResourceAttributes<'a>,
}

impl Reading<'_> {
    fn related(&self, kind: Kind) -> Opinion {
        let ResourceAttributes { namespace, name, .. } = *self.resource;
        if name.is_empty() {
            return refuse("No Object name found");
        }
        if self.relations.has(&Thing::new(kind, namespace, name), self.node) {
            return Ok(());
        }
        Err(format!("no relationship found between node '{}' and this object", self.node))
    }

    fn one_in_namespace(&self, kind: Kind) -> Opinion {
        if !matches!(self.verb, "get" | "list" | "watch") {
            return refuse("can only read resources of this type");
        }
        if !self.resource.subresource.is_empty() {
            return refuse("cannot read subresource");
        }
        if self.resource.namespace.is_empty() {
            return refuse("can only read namespaced object of this type");
        }
        self.related(kind)
    }

    fn one(&self, kind: Kind) -> Opinion {
        if self.verb != "get" {
            return refuse("can only get individual resources of this type");
        }
        if !self.resource.subresource.is_empty() {
            return refuse("cannot get subresource");
        }
        self.related(kind)
    }

    fn status_of_claim(&self) -> Opinion {
        match self.verb {
            "update" | "patch" => self.related(Kind::Claim),
            _ => refuse("can only get/update/patch this type"),
        }
    }

    fn token(&self) -> Opinion {
        if self.verb != "create" || self.resource.name.is_empty() {
            return refuse("can only create tokens for individual service accounts");
        }
        if self.resource.subresource != "token" {
            return refuse("can only create token subresource of serviceaccount");
        }
        self.related(Kind::ServiceAccount)
    }

    fn lease(&self) -> Opinion {
        if !matches!(self.verb, "get" | "create" | "update" | "patch" | "delete") {
            return refuse("can only get, create, update, patch, or delete a node lease");
        }
        if self.resource.namespace != LEASES {
            return Err(format!("can only access leases in the {LEASES:?} system namespace"));
        }
        self.of_own_name("node lease")
    }

    fn named_after_node(&self, kind: &str) -> Opinion {
        if !matches!(self.verb, "get" | "create" | "update" | "patch" | "delete") {
            return Err(format!("can only get, create, update, patch, or delete a {kind}"));
        }
        if !self.resource.subresource.is_empty() {
            return Err(format!("cannot authorize {kind} subresources"));
        }
        self.of_own_name(kind)
    }

    /// A create has no name yet: admission looks at it.
    fn of_own_name(&self, what: &str) -> Opinion {
        if self.verb == "create" || self.resource.name == self.node {
            return Ok(());
        }
        Err(format!("can only access {what} with the same name as the requesting node"))
    }

    fn slice(&self) -> Opinion {
        if !self.resource.subresource.is_empty() {
            return refuse("cannot authorize ResourceSlice subresources");
        }
        match self.verb {
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.related(Kind::Slice),
            "watch" | "list" | "deletecollection" if self.is_narrowed_to_node() => Ok(()),
            "watch" | "list" | "deletecollection" => {
                refuse("can only list/watch/deletecollection resourceslices with nodeName field selector")
            }
            _ => refuse(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, \
                 delete, deletecollection",
            ),
        }
    }

    /// By its name, so that a node can look for its Node before there is one.
    fn own_node(&self) -> Opinion {
        let (node, name) = (self.node, self.resource.name);
        match (self.resource.subresource, self.verb) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
            ("", "get" | "list" | "watch") if name == node => Ok(()),
            ("", "get" | "list" | "watch") if name.is_empty() => {
                Err(format!("node '{node}' cannot read all nodes, only its own Node object"))
            }
            ("", "get" | "list" | "watch") => {
                Err(format!("node '{node}' cannot read '{name}', only its own Node object"))
            }
            _ => refuse(""),
        }
    }

    fn pods(&self) -> Opinion {
        match (self.resource.subresource, self.verb) {
            ("", "get") => self.related(Kind::Pod),
            ("", "list" | "watch") if self.is_narrowed_to_node() => Ok(()),
            ("", "list" | "watch") if !self.resource.name.is_empty() => self.related(Kind::Pod),
            ("", "list" | "watch") => refuse("can only list/watch pods with spec.nodeName field selector"),
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => Ok(()),
            _ => refuse(""),
        }
    }

    fn is_narrowed_to_node(&self) -> bool {
        self.resource.selector.and_then(|selector| selector.required(NODE_NAME)) == Some(self.node)
    }
}

fn refuse(why: &str) -> Opinion {
    Err(why.to_owned())
}

#[cfg(test)]
mod tests;
