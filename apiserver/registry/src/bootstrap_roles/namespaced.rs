//! What the parts of the system may do in `kube-system` alone.

use super::{
    READ, Role, Rule,
    Subject::{self, ServiceAccount, User},
};

/// The namespace of all of them.
pub(super) const NAMESPACE: &str = "kube-system";

pub(super) const ROLES: &[Role] = &[
    Role {
        name: "extension-apiserver-authentication-reader",
        rules: &[Rule::new(READ, "core", "configmaps").named("extension-apiserver-authentication")],
    },
    Role {
        name: "system::leader-locking-kube-controller-manager",
        rules: &[
            Rule::new("watch", "core", "configmaps"),
            Rule::new("get update", "core", "configmaps").named("kube-controller-manager"),
            Rule::new("watch", "coordination.k8s.io", "leases"),
            Rule::new("get update", "coordination.k8s.io", "leases").named("kube-controller-manager"),
        ],
    },
    Role {
        name: "system::leader-locking-kube-scheduler",
        rules: &[
            Rule::new("watch", "core", "configmaps"),
            Rule::new("get update", "core", "configmaps").named("kube-scheduler"),
            Rule::new("watch", "coordination.k8s.io", "leases"),
            Rule::new("get update", "coordination.k8s.io", "leases").named("kube-scheduler"),
        ],
    },
];

/// Name, role, subjects.
pub(super) const BINDINGS: &[(&str, &str, &[Subject])] = &[
    (
        "system::extension-apiserver-authentication-reader",
        "extension-apiserver-authentication-reader",
        &[User("system:kube-controller-manager"), User("system:kube-scheduler")],
    ),
    (
        "system::leader-locking-kube-controller-manager",
        "system::leader-locking-kube-controller-manager",
        &[User("system:kube-controller-manager"), ServiceAccount("kube-controller-manager")],
    ),
    (
        "system::leader-locking-kube-scheduler",
        "system::leader-locking-kube-scheduler",
        &[User("system:kube-scheduler"), ServiceAccount("kube-scheduler")],
    ),
];
