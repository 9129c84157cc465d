//! The group `admissionregistration.k8s.io`: kept, without effect on this server.

use super::{super::ResourceInfo, Names, of_cluster, status};
use crate::kinds::admission_registration::{binding, policy, webhook};

const GROUP: &str = "admissionregistration.k8s.io";

pub(super) const MUTATING_ADMISSION_POLICIES: ResourceInfo = ResourceInfo {
    columns: policy::MUTATING_COLUMNS,
    strategy: &policy::Mutating,
    ..registration(Names("MutatingAdmissionPolicy", "mutatingadmissionpolicies", "mutatingadmissionpolicy"))
};

pub(super) const MUTATING_ADMISSION_POLICY_BINDINGS: ResourceInfo = ResourceInfo {
    columns: binding::COLUMNS,
    strategy: &binding::Rules { validating: false },
    ..registration(Names(
        "MutatingAdmissionPolicyBinding",
        "mutatingadmissionpolicybindings",
        "mutatingadmissionpolicybinding",
    ))
};

pub(super) const MUTATING_WEBHOOK_CONFIGURATIONS: ResourceInfo = ResourceInfo {
    columns: webhook::COLUMNS,
    strategy: &webhook::Rules { mutating: true },
    ..registration(Names(
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "mutatingwebhookconfiguration",
    ))
};

pub(super) const VALIDATING_ADMISSION_POLICIES: ResourceInfo = ResourceInfo {
    subresources: &[status("ValidatingAdmissionPolicy")],
    columns: policy::VALIDATING_COLUMNS,
    strategy: &policy::Validating,
    ..registration(Names(
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        "validatingadmissionpolicy",
    ))
};

pub(super) const VALIDATING_ADMISSION_POLICY_BINDINGS: ResourceInfo = ResourceInfo {
    columns: binding::COLUMNS,
    strategy: &binding::Rules { validating: true },
    ..registration(Names(
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        "validatingadmissionpolicybinding",
    ))
};

pub(super) const VALIDATING_WEBHOOK_CONFIGURATIONS: ResourceInfo = ResourceInfo {
    columns: webhook::COLUMNS,
    strategy: &webhook::Rules { mutating: false },
    ..registration(Names(
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "validatingwebhookconfiguration",
    ))
};

/// All of them belong to the category of what extends the API.
const fn registration(names: Names) -> ResourceInfo {
    ResourceInfo { categories: &["api-extensions"], ..of_cluster(GROUP, "v1", names) }
}
