//! What each controller may do. Each is bound to the service account of its name in `kube-system`.

use super::{EVENTS, READ, Role, Rule};

/// How the names of these roles begin; the rest is the service account's name.
pub(super) const PREFIX: &str = "system:controller:";

pub(super) const ROLES: &[Role] = &[
    Role {
        name: "system:controller:attachdetach-controller",
        rules: &[
            Rule::new("list watch", "core", "persistentvolumeclaims persistentvolumes"),
            Rule::new(READ, "core", "nodes"),
            Rule::new("patch update", "core", "nodes/status"),
            Rule::new("list watch", "core", "pods"),
            EVENTS,
            Rule::new("create delete get list watch", "storage.k8s.io", "volumeattachments"),
            Rule::new(READ, "storage.k8s.io", "csidrivers"),
            Rule::new(READ, "storage.k8s.io", "csinodes"),
        ],
    },
    Role {
        name: "system:controller:certificate-controller",
        rules: &[
            Rule::new("delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
            Rule::new(
                "update",
                "certificates.k8s.io",
                "certificatesigningrequests/approval certificatesigningrequests/status",
            ),
            Rule::new("approve", "certificates.k8s.io", "signers")
                .named("kubernetes.io/kube-apiserver-client-kubelet"),
            Rule::new("sign", "certificates.k8s.io", "signers").named(
                "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet \
                 kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
            ),
            Rule::new("create", "authorization.k8s.io", "subjectaccessreviews"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:clusterrole-aggregation-controller",
        rules: &[Rule::new(
            "escalate get list patch update watch",
            "rbac.authorization.k8s.io",
            "clusterroles",
        )],
    },
    Role {
        name: "system:controller:cronjob-controller",
        rules: &[
            Rule::new("get list update watch", "batch", "cronjobs"),
            Rule::new("create delete get list patch update watch", "batch", "jobs"),
            Rule::new("update", "batch", "cronjobs/status"),
            Rule::new("update", "batch", "cronjobs/finalizers"),
            Rule::new("delete list", "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:daemon-set-controller",
        rules: &[
            Rule::new(READ, "apps", "daemonsets"),
            Rule::new("update", "apps", "daemonsets/status"),
            Rule::new("update", "apps", "daemonsets/finalizers"),
            Rule::new("list watch", "core", "nodes"),
            Rule::new("create delete list patch watch", "core", "pods"),
            Rule::new("create", "core", "pods/binding"),
            Rule::new("create delete get list patch update watch", "apps", "controllerrevisions"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:deployment-controller",
        rules: &[
            Rule::new("get list update watch", "apps", "deployments"),
            Rule::new("update", "apps", "deployments/status"),
            Rule::new("update", "apps", "deployments/finalizers"),
            Rule::new("create delete get list patch update watch", "apps", "replicasets"),
            Rule::new("get list update watch", "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:device-taint-eviction-controller",
        rules: &[
            Rule::new("delete get list watch", "core", "pods"),
            Rule::new("patch update", "core", "pods/status"),
            Rule::new(
                READ,
                "resource.k8s.io",
                "deviceclasses devicetaintrules resourceclaims resourceslices",
            ),
            Rule::new("patch update", "resource.k8s.io", "devicetaintrules/status"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:disruption-controller",
        rules: &[
            Rule::new(READ, "apps", "deployments"),
            Rule::new(READ, "apps", "replicasets"),
            Rule::new(READ, "core", "replicationcontrollers"),
            Rule::new(READ, "policy", "poddisruptionbudgets"),
            Rule::new(READ, "apps", "statefulsets"),
            Rule::new("update", "policy", "poddisruptionbudgets/status"),
            Rule::new("get", "*", "*/scale"),
            Rule::new("patch update", "core", "pods/status"),
            Rule::new("list watch", "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:endpoint-controller",
        rules: &[
            Rule::new(READ, "core", "pods services"),
            Rule::new("create delete get list update watch", "core", "endpoints"),
            Rule::new("create", "core", "endpoints/restricted"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:endpointslice-controller",
        rules: &[
            Rule::new(READ, "core", "nodes pods services"),
            // To own slices with blockOwnerDeletion.
            Rule::new("update", "core", "services/finalizers"),
            Rule::new("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:endpointslicemirroring-controller",
        rules: &[
            Rule::new(READ, "core", "endpoints services"),
            Rule::new("update", "core", "services/finalizers"),
            Rule::new("update", "core", "endpoints/finalizers"),
            Rule::new("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:ephemeral-volume-controller",
        rules: &[
            Rule::new("update", "core", "pods/finalizers"),
            Rule::new(READ, "core", "pods"),
            Rule::new("create get list watch", "core", "persistentvolumeclaims"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:expand-controller",
        rules: &[
            Rule::new("get list patch update watch", "core", "persistentvolumes"),
            Rule::new("patch update", "core", "persistentvolumeclaims/status"),
            Rule::new(READ, "core", "persistentvolumeclaims"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:generic-garbage-collector",
        rules: &[Rule::new("delete get list patch update watch", "*", "*"), EVENTS],
    },
    Role {
        name: "system:controller:horizontal-pod-autoscaler",
        rules: &[
            Rule::new(READ, "autoscaling", "horizontalpodautoscalers"),
            Rule::new("update", "autoscaling", "horizontalpodautoscalers/status"),
            Rule::new("get update", "*", "*/scale"),
            Rule::new("list", "core", "pods"),
            Rule::new("list", "metrics.k8s.io", "pods"),
            Rule::new("get list", "custom.metrics.k8s.io", "*"),
            Rule::new("get list", "external.metrics.k8s.io", "*"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:job-controller",
        rules: &[
            Rule::new("get list patch update watch", "batch", "jobs"),
            Rule::new("update", "batch", "jobs/status"),
            Rule::new("update", "batch", "jobs/finalizers"),
            Rule::new("create delete list patch watch", "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:kube-apiserver-serving-clustertrustbundle-publisher",
        rules: &[
            Rule::new("attest", "certificates.k8s.io", "signers")
                .named("kubernetes.io/kube-apiserver-serving"),
            Rule::new("create delete list update watch", "certificates.k8s.io", "clustertrustbundles"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:namespace-controller",
        rules: &[
            Rule::new("delete get list watch", "core", "namespaces"),
            Rule::new("update", "core", "namespaces/finalize namespaces/status"),
            Rule::new("delete deletecollection get list watch", "*", "*"),
        ],
    },
    Role {
        name: "system:controller:node-controller",
        rules: &[
            Rule::new("delete get list patch update watch", "core", "nodes"),
            Rule::new("patch update", "core", "nodes/status"),
            Rule::new("patch update", "core", "pods/status"),
            Rule::new("delete get list watch", "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:persistent-volume-binder",
        rules: &[
            Rule::new("create delete get list update watch", "core", "persistentvolumes"),
            Rule::new("update", "core", "persistentvolumes/status"),
            Rule::new("get list update watch", "core", "persistentvolumeclaims"),
            Rule::new("update", "core", "persistentvolumeclaims/status"),
            Rule::new("create delete get list watch", "core", "pods"),
            Rule::new(READ, "storage.k8s.io", "storageclasses"),
            Rule::new("get list", "core", "nodes"),
            Rule::new("watch", "core", "events"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:pod-garbage-collector",
        rules: &[
            Rule::new("delete list watch", "core", "pods"),
            Rule::new(READ, "core", "nodes"),
            Rule::new("patch", "core", "pods/status"),
        ],
    },
    Role {
        name: "system:controller:podcertificaterequestcleaner",
        rules: &[Rule::new("delete get list watch", "certificates.k8s.io", "podcertificaterequests")],
    },
    Role {
        name: "system:controller:pv-protection-controller",
        rules: &[Rule::new("get list update watch", "core", "persistentvolumes"), EVENTS],
    },
    Role {
        name: "system:controller:pvc-protection-controller",
        rules: &[
            Rule::new("get list update watch", "core", "persistentvolumeclaims"),
            Rule::new(READ, "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:replicaset-controller",
        rules: &[
            Rule::new("get list update watch", "apps", "replicasets"),
            Rule::new("update", "apps", "replicasets/status"),
            Rule::new("update", "apps", "replicasets/finalizers"),
            Rule::new("create delete list patch watch", "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:replication-controller",
        rules: &[
            Rule::new("get list update watch", "core", "replicationcontrollers"),
            Rule::new("update", "core", "replicationcontrollers/status"),
            Rule::new("update", "core", "replicationcontrollers/finalizers"),
            Rule::new("create delete list patch watch", "core", "pods"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:resource-claim-controller",
        rules: &[
            Rule::new(READ, "core", "pods"),
            Rule::new("update", "core", "pods/finalizers"),
            Rule::new("patch update", "core", "pods/status"),
            Rule::new("create delete get list watch", "resource.k8s.io", "resourceclaims"),
            Rule::new("patch update", "resource.k8s.io", "resourceclaims resourceclaims/status"),
            Rule::new(READ, "resource.k8s.io", "resourceclaimtemplates"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:resourcequota-controller",
        rules: &[
            Rule::new("list watch", "*", "*"),
            Rule::new("update", "core", "resourcequotas/status"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:root-ca-cert-publisher",
        rules: &[Rule::new("create update", "core", "configmaps"), EVENTS],
    },
    Role {
        name: "system:controller:route-controller",
        rules: &[
            Rule::new("list watch", "core", "nodes"),
            Rule::new("patch", "core", "nodes/status"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:service-account-controller",
        rules: &[Rule::new("create", "core", "serviceaccounts"), EVENTS],
    },
    Role {
        name: "system:controller:service-cidrs-controller",
        rules: &[
            Rule::new("get list patch update watch", "networking.k8s.io", "servicecidrs"),
            Rule::new("patch update", "networking.k8s.io", "servicecidrs/finalizers"),
            Rule::new("patch update", "networking.k8s.io", "servicecidrs/status"),
            Rule::new(READ, "networking.k8s.io", "ipaddresses"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:service-controller",
        rules: &[
            Rule::new(READ, "core", "services"),
            Rule::new("patch update", "core", "services/status"),
            Rule::new("list watch", "core", "nodes"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:statefulset-controller",
        rules: &[
            Rule::new("list watch", "core", "pods"),
            Rule::new(READ, "apps", "statefulsets"),
            Rule::new("update", "apps", "statefulsets/status"),
            Rule::new("update", "apps", "statefulsets/finalizers"),
            Rule::new("create delete get patch update", "core", "pods"),
            Rule::new("create delete get list patch update watch", "apps", "controllerrevisions"),
            Rule::new("create delete get list update watch", "core", "persistentvolumeclaims"),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:storage-version-migrator-controller",
        rules: &[
            Rule::new("list patch", "*", "*"),
            Rule::new(READ, "storagemigration.k8s.io", "storageversionmigrations"),
            Rule::new("update", "storagemigration.k8s.io", "storageversionmigrations/status"),
        ],
    },
    Role {
        name: "system:controller:ttl-after-finished-controller",
        rules: &[Rule::new("delete get list watch", "batch", "jobs"), EVENTS],
    },
    Role {
        name: "system:controller:ttl-controller",
        rules: &[Rule::new("list patch update watch", "core", "nodes"), EVENTS],
    },
    Role {
        name: "system:controller:validatingadmissionpolicy-status-controller",
        rules: &[
            Rule::new(READ, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
            Rule::new(
                "get patch update",
                "admissionregistration.k8s.io",
                "validatingadmissionpolicies/status",
            ),
            EVENTS,
        ],
    },
    Role {
        name: "system:controller:volumeattributesclass-protection-controller",
        rules: &[
            Rule::new("get list update watch", "storage.k8s.io", "volumeattributesclasses"),
            Rule::new(READ, "core", "persistentvolumeclaims persistentvolumes"),
            EVENTS,
        ],
    },
];
