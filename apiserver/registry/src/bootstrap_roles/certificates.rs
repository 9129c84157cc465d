//! What it takes to ask for certificates, to approve requests, and to learn whom to believe.

use super::{
    READ, Role, Rule,
    Subject::{self, Group},
};

pub(super) const ROLES: &[Role] = &[
    Role {
        name: "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        rules: &[Rule::new("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient")],
    },
    Role {
        name: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        rules: &[Rule::new("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient")],
    },
    Role {
        name: "system:certificates.k8s.io:legacy-unknown-approver",
        rules: &[APPROVE.named("kubernetes.io/legacy-unknown")],
    },
    Role {
        name: "system:certificates.k8s.io:kubelet-serving-approver",
        rules: &[APPROVE.named("kubernetes.io/kubelet-serving")],
    },
    Role {
        name: "system:certificates.k8s.io:kube-apiserver-client-approver",
        rules: &[APPROVE.named("kubernetes.io/kube-apiserver-client")],
    },
    Role {
        name: "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        rules: &[APPROVE.named("kubernetes.io/kube-apiserver-client-kubelet")],
    },
    Role {
        name: "system:node-bootstrapper",
        rules: &[Rule::new("create get list watch", "certificates.k8s.io", "certificatesigningrequests")],
    },
    Role {
        name: "system:cluster-trust-bundle-discovery",
        rules: &[Rule::new(READ, "certificates.k8s.io", "clustertrustbundles")],
    },
];

pub(super) const BINDINGS: &[(&str, &[Subject])] =
    &[("system:cluster-trust-bundle-discovery", &[Group("system:serviceaccounts")])];

/// To approve what a signer is asked for.
const APPROVE: Rule = Rule::new("approve", "certificates.k8s.io", "signers");
