//! What the parts of the system may do: node agents, the proxy, the scheduler, the controller manager, DNS.

use super::{
    EVENTS, READ, Role, Rule,
    Subject::{self, ServiceAccount, User},
};

pub(super) const ROLES: &[Role] = &[
    Role { name: "system:node", rules: NODE },
    Role {
        name: "system:node-proxier",
        rules: &[
            Rule::new("list watch", "core", "endpoints services"),
            Rule::new(READ, "core", "nodes"),
            EVENTS,
            Rule::new("list watch", "discovery.k8s.io", "endpointslices"),
            Rule::new("list watch", "networking.k8s.io", "servicecidrs"),
        ],
    },
    Role {
        name: "system:node-problem-detector",
        rules: &[Rule::new("get", "core", "nodes"), Rule::new("patch", "core", "nodes/status"), EVENTS],
    },
    Role {
        name: "system:kubelet-api-admin",
        rules: &[
            Rule::new(READ, "core", "nodes"),
            Rule::new("proxy", "core", "nodes"),
            Rule::new(
                "*",
                "core",
                "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/spec nodes/stats",
            ),
        ],
    },
    Role {
        name: "system:auth-delegator",
        rules: &[
            Rule::new("create", "authentication.k8s.io", "tokenreviews"),
            Rule::new("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
    },
    Role { name: "system:kube-aggregator", rules: &[Rule::new(READ, "core", "endpoints services")] },
    Role { name: "system:kube-controller-manager", rules: CONTROLLER_MANAGER },
    Role {
        name: "system:kube-dns",
        rules: &[
            Rule::new("list watch", "core", "endpoints services"),
            Rule::new("list watch", "discovery.k8s.io", "endpointslices"),
        ],
    },
    Role { name: "system:kube-scheduler", rules: SCHEDULER },
    Role {
        name: "system:volume-scheduler",
        rules: &[
            Rule::new("get list patch update watch", "core", "persistentvolumes"),
            Rule::new(READ, "storage.k8s.io", "storageclasses"),
            Rule::new("get list patch update watch", "core", "persistentvolumeclaims"),
        ],
    },
];

pub(super) const BINDINGS: &[(&str, &[Subject])] = &[
    ("system:node", &[]),
    ("system:node-proxier", &[User("system:kube-proxy")]),
    // As whom the API servers ask nodes for logs, and to run commands.
    ("system:kubelet-api-admin", &[User("kube-apiserver-kubelet-client")]),
    ("system:kube-controller-manager", &[User("system:kube-controller-manager")]),
    ("system:kube-dns", &[ServiceAccount("kube-dns")]),
    ("system:kube-scheduler", &[User("system:kube-scheduler")]),
    ("system:volume-scheduler", &[User("system:kube-scheduler")]),
];

pub(super) const NODE: &[Rule] = &[
    // To judge who calls its own API.
    Rule::new("create", "authentication.k8s.io", "tokenreviews"),
    Rule::new("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    // Environment variables of Services.
    Rule::new(READ, "core", "services"),
    // Its own Node.
    Rule::new("create get list watch", "core", "nodes"),
    Rule::new("patch update", "core", "nodes nodes/status"),
    Rule::new("create patch update", "core", "events"),
    Rule::new(READ, "core", "pods"),
    // Mirror pods, and the end of the pods that it runs.
    Rule::new("create delete", "core", "pods"),
    Rule::new("patch update", "core", "pods/status"),
    Rule::new("create", "core", "pods/eviction"),
    // Volumes, environment and pull secrets of pods.
    Rule::new(READ, "core", "configmaps secrets"),
    Rule::new("get", "core", "persistentvolumeclaims persistentvolumes"),
    Rule::new("get", "core", "endpoints"),
    Rule::new("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    Rule::new("create delete get patch update", "coordination.k8s.io", "leases"),
    Rule::new("get", "storage.k8s.io", "volumeattachments"),
    Rule::new("create", "core", "serviceaccounts/token"),
    Rule::new("get patch update", "core", "persistentvolumeclaims/status"),
    Rule::new(READ, "storage.k8s.io", "csidrivers"),
    Rule::new("create delete get patch update", "storage.k8s.io", "csinodes"),
    Rule::new(READ, "node.k8s.io", "runtimeclasses"),
    Rule::new("get", "resource.k8s.io", "resourceclaims"),
    Rule::new("create deletecollection get list patch update watch", "resource.k8s.io", "resourceslices"),
    Rule::new(READ, "certificates.k8s.io", "clustertrustbundles"),
    Rule::new("create get list watch", "certificates.k8s.io", "podcertificaterequests"),
];

const CONTROLLER_MANAGER: &[Rule] = &[
    EVENTS,
    // Electing its leader.
    Rule::new("create", "coordination.k8s.io", "leases"),
    Rule::new("get update", "coordination.k8s.io", "leases").named("kube-controller-manager"),
    // Giving each controller an identity of its own.
    Rule::new("create", "core", "secrets serviceaccounts"),
    Rule::new("delete", "core", "secrets"),
    Rule::new("get", "core", "configmaps namespaces secrets serviceaccounts"),
    Rule::new("update", "core", "secrets serviceaccounts"),
    Rule::new("create", "authentication.k8s.io", "tokenreviews"),
    Rule::new("create", "authorization.k8s.io", "subjectaccessreviews"),
    // What all controllers see through shared informers.
    Rule::new("list watch", "*", "*"),
    Rule::new("create", "core", "serviceaccounts/token"),
];

const SCHEDULER: &[Rule] = &[
    EVENTS,
    // Electing its leader.
    Rule::new("create", "coordination.k8s.io", "leases"),
    Rule::new("get update", "coordination.k8s.io", "leases").named("kube-scheduler"),
    Rule::new(READ, "core", "nodes"),
    Rule::new("delete get list watch", "core", "pods"),
    Rule::new("create", "core", "bindings pods/binding"),
    Rule::new("patch update", "core", "pods/status"),
    // What selects pods.
    Rule::new(READ, "core", "replicationcontrollers services"),
    Rule::new(READ, "apps", "replicasets"),
    Rule::new(READ, "apps", "statefulsets"),
    Rule::new(READ, "policy", "poddisruptionbudgets"),
    // What pods use.
    Rule::new(READ, "core", "persistentvolumeclaims persistentvolumes"),
    Rule::new("create", "authentication.k8s.io", "tokenreviews"),
    Rule::new("create", "authorization.k8s.io", "subjectaccessreviews"),
    Rule::new(READ, "storage.k8s.io", "csinodes"),
    Rule::new(READ, "core", "namespaces"),
    Rule::new(READ, "storage.k8s.io", "csidrivers"),
    Rule::new(READ, "storage.k8s.io", "csistoragecapacities"),
    Rule::new(READ, "storage.k8s.io", "volumeattachments"),
    Rule::new(READ, "resource.k8s.io", "deviceclasses"),
    Rule::new("get list patch update watch", "resource.k8s.io", "resourceclaims"),
    Rule::new("get list patch update watch", "resource.k8s.io", "resourceclaims/status"),
    Rule::new(READ, "resource.k8s.io", "resourceslices"),
    Rule::new("get list patch update watch", "core", "pods/finalizers"),
];
