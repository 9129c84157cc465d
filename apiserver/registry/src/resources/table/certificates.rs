//! The group `certificates.k8s.io`.

use super::{
    super::{ResourceInfo, Subresource},
    Names, PART, namespaced, of_cluster, status,
};
use crate::kinds::certificates::{cluster_trust_bundle, pod_certificate_request, signing_request};

const GROUP: &str = "certificates.k8s.io";

pub(super) const CERTIFICATE_SIGNING_REQUESTS: ResourceInfo = ResourceInfo {
    short_names: &["csr"],
    subresources: &[
        Subresource { name: "approval", group_version: None, kind: "CertificateSigningRequest", verbs: PART },
        status("CertificateSigningRequest"),
    ],
    columns: signing_request::COLUMNS,
    selectable: &["spec.signerName"],
    strategy: &signing_request::Rules,
    ..of_cluster(
        GROUP,
        "v1",
        Names("CertificateSigningRequest", "certificatesigningrequests", "certificatesigningrequest"),
    )
};

pub(super) const CLUSTER_TRUST_BUNDLES: ResourceInfo = ResourceInfo {
    columns: cluster_trust_bundle::COLUMNS,
    selectable: &["spec.signerName"],
    strategy: &cluster_trust_bundle::Rules,
    ..of_cluster(GROUP, "v1", Names("ClusterTrustBundle", "clustertrustbundles", "clustertrustbundle"))
};

pub(super) const POD_CERTIFICATE_REQUESTS: ResourceInfo = ResourceInfo {
    subresources: &[status("PodCertificateRequest")],
    columns: pod_certificate_request::COLUMNS,
    selectable: &["spec.signerName", "spec.podName", "spec.nodeName"],
    strategy: &pod_certificate_request::Rules,
    ..namespaced(
        GROUP,
        "v1",
        Names("PodCertificateRequest", "podcertificaterequests", "podcertificaterequest"),
    )
};
