//! The groups `authentication.k8s.io` and `authorization.k8s.io`: questions all of them.

use super::{
    super::{ResourceInfo, Scope},
    Names, question,
};

pub(super) const SELF_SUBJECT_REVIEWS: ResourceInfo =
    who(Names("SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview"));

pub(super) const TOKEN_REVIEWS: ResourceInfo = who(Names("TokenReview", "tokenreviews", "tokenreview"));

pub(super) const LOCAL_SUBJECT_ACCESS_REVIEWS: ResourceInfo = may(
    Scope::Namespaced,
    Names("LocalSubjectAccessReview", "localsubjectaccessreviews", "localsubjectaccessreview"),
);

pub(super) const SELF_SUBJECT_ACCESS_REVIEWS: ResourceInfo = may(
    Scope::Cluster,
    Names("SelfSubjectAccessReview", "selfsubjectaccessreviews", "selfsubjectaccessreview"),
);

pub(super) const SELF_SUBJECT_RULES_REVIEWS: ResourceInfo =
    may(Scope::Cluster, Names("SelfSubjectRulesReview", "selfsubjectrulesreviews", "selfsubjectrulesreview"));

pub(super) const SUBJECT_ACCESS_REVIEWS: ResourceInfo =
    may(Scope::Cluster, Names("SubjectAccessReview", "subjectaccessreviews", "subjectaccessreview"));

/// Who somebody is.
const fn who(names: Names) -> ResourceInfo {
    question("authentication.k8s.io", "v1", Scope::Cluster, names)
}

/// What somebody may do.
const fn may(scope: Scope, names: Names) -> ResourceInfo {
    question("authorization.k8s.io", "v1", scope, names)
}
