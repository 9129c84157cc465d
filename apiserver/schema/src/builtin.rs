//! The built-in types, and which API group a Go package serves.

use std::sync::OnceLock;

use crate::model::Schema;
use crate::table;

/// Facts on the types of Kubernetes 1.37, made by `cargo xtask`.
const TABLE: &str = include_str!("table/api.txt");

/// The schema of all built-in types, read at first use (a few milliseconds) and shared from then on.
///
/// # Panics
/// If the committed table is damaged, which the tests of this crate rule out.
#[must_use]
pub fn builtin() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let builder = table::read(TABLE).expect("the committed table is well formed: tests read all of it");
        builder.build().expect("the committed table is closed: tests read all of it")
    })
}

/// The API group whose types a package declares (`rbac` → `rbac.authorization.k8s.io`), the empty string for the
/// core group, `None` for packages that belong to no group of their own (`meta`, `runtime`).
#[must_use]
pub fn group_of(package: &str) -> Option<&'static str> {
    Some(match package {
        "core" => "",
        "apps" => "apps",
        "autoscaling" => "autoscaling",
        "batch" => "batch",
        "policy" => "policy",
        "admission" => "admission.k8s.io",
        "admissionregistration" => "admissionregistration.k8s.io",
        "apidiscovery" => "apidiscovery.k8s.io",
        "apiextensions" => "apiextensions.k8s.io",
        "apiregistration" => "apiregistration.k8s.io",
        "authentication" => "authentication.k8s.io",
        "authorization" => "authorization.k8s.io",
        "certificates" => "certificates.k8s.io",
        "coordination" => "coordination.k8s.io",
        "discovery" => "discovery.k8s.io",
        "events" => "events.k8s.io",
        "flowcontrol" => "flowcontrol.apiserver.k8s.io",
        "networking" => "networking.k8s.io",
        "node" => "node.k8s.io",
        "rbac" => "rbac.authorization.k8s.io",
        "resource" => "resource.k8s.io",
        "scheduling" => "scheduling.k8s.io",
        "storage" => "storage.k8s.io",
        "storagemigration" => "storagemigration.k8s.io",
        _ => return None,
    })
}

impl Schema {
    /// The built-in type of a kind: `("apps", "v1", "Deployment")`. Kinds that every group has (`DeleteOptions`,
    /// `Status`, `Scale` of its own group) are found under their own group only; `meta.k8s.io` names the shared ones.
    #[must_use]
    pub fn lookup_kind(&self, group: &str, version: &str, kind: &str) -> Option<crate::TypeId> {
        let package = match group {
            "" => "core",
            "meta.k8s.io" => "meta",
            _ => group.split('.').next().unwrap_or(group),
        };
        let serves = package == "meta" || group_of(package) == Some(group);
        serves.then(|| self.lookup(&format!("{package}/{version}.{kind}"))).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_found_by_group() {
        let schema = builtin();
        let name =
            |group, version, kind| schema.lookup_kind(group, version, kind).map(|id| &*schema.get(id).name);
        assert_eq!(name("apps", "v1", "Deployment"), Some("apps/v1.Deployment"));
        assert_eq!(name("", "v1", "Pod"), Some("core/v1.Pod"));
        assert_eq!(
            name("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"),
            Some("flowcontrol/v1.FlowSchema")
        );
        assert_eq!(name("meta.k8s.io", "v1", "Table"), Some("meta/v1.Table"));
        assert_eq!(name("apps.example.com", "v1", "Deployment"), None);
        assert_eq!(name("core", "v1", "Pod"), None);
    }

    #[test]
    fn every_versioned_package_has_a_group() {
        for (_, ty) in builtin().iter() {
            let Some((package, _)) = ty.name.split_once('/') else { continue };
            let package = package.trim_start_matches("[]").trim_start_matches("map[string]");
            assert!(package == "meta" || group_of(package).is_some(), "{}", ty.name);
        }
    }
}
