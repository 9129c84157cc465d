//! What people and programs in general may do.

use serde_json::{Value, json};

use super::{
    READ, READ_WRITE, Role, Rule,
    Subject::{self, Group},
    WRITE, object, rules,
};
use crate::object::Object;

pub(super) const ROLES: &[Role] = &[
    Role { name: "cluster-admin", rules: &[Rule::new("*", "*", "*"), Rule::paths("*", "*")] },
    Role {
        name: "system:discovery",
        rules: &[Rule::paths(
            "get",
            "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/",
        )],
    },
    Role {
        name: "system:monitoring",
        rules: &[Rule::paths(
            "get",
            "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*",
        )],
    },
    Role {
        name: "system:basic-user",
        rules: &[
            Rule::new("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            Rule::new("create", "authentication.k8s.io", "selfsubjectreviews"),
        ],
    },
    Role {
        name: "system:public-info-viewer",
        rules: &[Rule::paths("get", "/healthz /livez /readyz /version /version/")],
    },
    Role {
        name: "system:service-account-issuer-discovery",
        rules: &[Rule::paths(
            "get",
            "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/",
        )],
    },
];

pub(super) const BINDINGS: &[(&str, &[Subject])] = &[
    ("cluster-admin", &[Group("system:masters")]),
    ("system:monitoring", &[Group("system:monitoring")]),
    ("system:discovery", &[Group("system:authenticated")]),
    ("system:basic-user", &[Group("system:authenticated")]),
    ("system:public-info-viewer", &[Group("system:authenticated"), Group("system:unauthenticated")]),
    ("system:service-account-issuer-discovery", &[Group("system:serviceaccounts")]),
];

/// A role for the users of a namespace, with what it has beyond the role before it.
struct Tier {
    name: &'static str,
    rules: &'static [Rule],
}

/// From the weakest to the strongest; each includes the ones before.
const TIERS: [Tier; 3] = [
    Tier { name: "view", rules: VIEW },
    Tier { name: "edit", rules: EDIT },
    Tier { name: "admin", rules: ADMIN },
];

const VIEW: &[Rule] = &[
    Rule::new(
        READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers \
         replicationcontrollers/scale serviceaccounts services services/status",
    ),
    Rule::new(
        READ,
        "core",
        "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status \
         resourcequotas resourcequotas/status",
    ),
    // In a namespace, this is the namespace itself: by it one sees which namespaces one has access to.
    Rule::new(READ, "core", "namespaces"),
    Rule::new(READ, "discovery.k8s.io", "endpointslices"),
    Rule::new(
        READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status \
         replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    ),
    Rule::new(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    Rule::new(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    Rule::new(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    Rule::new(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    Rule::new(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
];

const EDIT: &[Rule] = &[
    // What lets its reader become somebody else: not for those who only view.
    Rule::new(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    Rule::new("impersonate", "core", "serviceaccounts"),
    Rule::new(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    Rule::new("create", "core", "pods/eviction"),
    Rule::new(
        WRITE,
        "core",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets \
         serviceaccounts services services/proxy",
    ),
    Rule::new("create", "core", "serviceaccounts/token"),
    Rule::new(
        WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale \
         statefulsets statefulsets/scale",
    ),
    Rule::new(WRITE, "autoscaling", "horizontalpodautoscalers"),
    Rule::new(WRITE, "batch", "cronjobs jobs"),
    Rule::new(WRITE, "policy", "poddisruptionbudgets"),
    Rule::new(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    Rule::new(READ_WRITE, "coordination.k8s.io", "leases"),
    Rule::new(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
];

const ADMIN: &[Rule] = &[
    Rule::new("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    Rule::new(READ_WRITE, "rbac.authorization.k8s.io", "rolebindings roles"),
];

/// `admin`, `edit` and `view`, which collect the rules of whatever roles carry their labels, and the roles with
/// the rules that each has of its own. The collected rules are filled in from the start: they hold before, and
/// without, a controller that collects them.
pub(super) fn aggregated() -> Vec<Object> {
    let mut objects = Vec::new();
    let mut collected: Vec<Value> = Vec::new();
    for (at, tier) in TIERS.iter().enumerate() {
        let own = rules(tier.rules);
        collected.extend(own.iter().cloned());
        let label = |tier: &Tier| format!("rbac.authorization.k8s.io/aggregate-to-{}", tier.name);
        let mut part =
            object("ClusterRole", "", &format!("system:aggregate-to-{}", tier.name), &json!({"rules": own}));
        part.set(&["metadata", "labels", &label(tier)], "true");
        let content = json!({
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {label(tier): "true"}}]},
            "rules": collected,
        });
        let mut whole = object("ClusterRole", "", tier.name, &content);
        if let Some(stronger) = TIERS.get(at + 1) {
            whole.set(&["metadata", "labels", &label(stronger)], "true");
        }
        objects.extend([part, whole]);
    }
    objects
}
