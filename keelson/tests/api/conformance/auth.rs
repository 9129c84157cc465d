//! Titles of sig-auth: certificates, service accounts, reviews.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Title;
use super::cluster::{Cluster, items, name_of, names, until_there_are};
use super::life::{Life, contains};
use super::machinery::condition;
use super::node::pod;
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("Certificates API", "CSR API operations (+approval, +status)", signing_requests),
    Title::new("PodCertificateRequest API", "PodCertificateRequest API operations", pod_certificate_requests),
    Title::new("Projected PodCertificate", "reject MaxExpirationSeconds > 91d", too_long_a_certificate),
    Title::new("Projected PodCertificate", "reject MaxExpirationSeconds < 1h", too_short_a_certificate),
    Title::new("ServiceAccounts", "opting out of API token automount (pod spec inspection)", automount),
    Title::new("ServiceAccounts", "create serviceAccountToken + TokenReview", token_review),
    Title::new("ServiceAccounts", "lifecycle of a ServiceAccount", service_account_life),
    Title::new("ServiceAccounts", "update a ServiceAccount", service_account_update),
    Title::new(
        "SubjectReview",
        "SubjectAccessReview + LocalSubjectAccessReview vs impersonated client",
        subject_reviews,
    ),
    Title::new("ClusterTrustBundle", "certificates.k8s.io/v1 ClusterTrustBundles CRUD", trust_bundles),
];

/// A self-signed authority.
const CERTIFICATE: &str = include_str!("auth/certificate.pem");

/// A signed request with the same key.
const REQUEST: &str = include_str!("auth/request.pem");

const CERTIFICATES: &str = "certificates.k8s.io/v1";

fn signing_requests(cluster: &Cluster<'_>) {
    let spec = json!({
        "request": STANDARD.encode(REQUEST), "signerName": "example.com/e2e", "expirationSeconds": 3600,
        "usages": ["digital signature", "key encipherment", "server auth"],
    });
    let life = Life {
        group_version: CERTIFICATES,
        plural: "certificatesigningrequests",
        kind: "CertificateSigningRequest",
        namespace: None,
        sample: json!({"spec": spec}),
        change: json!({"metadata": {"labels": {"changed": "true"}}}),
        status: Some(json!({"status": {"certificate": STANDARD.encode(CERTIFICATE)}})),
    };
    life.live(cluster);
    approval(cluster, &life);
}

fn approval(cluster: &Cluster<'_>, life: &Life<'_>) {
    let api = &cluster.api;
    let mut object = life.sample.clone();
    object["apiVersion"] = CERTIFICATES.into();
    object["kind"] = life.kind.into();
    object["metadata"] = json!({"generateName": "e2e-approval-"});
    let made = api.post(&life.path(), &object).ok();
    let one = format!("{}/{}", life.path(), name_of(&made));
    let path = format!("{one}/approval");
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "E2E", "message": "Set from an e2e test"});
    let patch = json!({
        "metadata": {"annotations": {"patchedapproval": "true"}},
        "status": {"conditions": [condition("ApprovalPatch")]},
    });
    contains(&api.merge(&path, &patch).ok()["metadata"], &patch["metadata"]);
    let mut object = api.get(&path).ok();
    assert_eq!(object["status"]["conditions"][0]["type"], "ApprovalPatch");
    object["status"]["conditions"].as_array_mut().unwrap().push(condition("Approved"));
    let approved = api.put(&path, &object).ok();
    assert_eq!(approved["status"]["conditions"][1]["type"], "Approved");
    let mut object = api.get(&format!("{one}/status")).ok();
    object["status"]["conditions"].as_array_mut().unwrap().push(condition("StatusUpdate"));
    let updated = api.put(&format!("{one}/status"), &object).ok();
    assert_eq!(updated["status"]["conditions"].as_array().unwrap().len(), 3);
    api.delete(&one).ok();
}

fn pod_certificate_requests(cluster: &Cluster<'_>) {
    let namespace = cluster.namespace();
    let spec = json!({
        "signerName": "example.com/e2e", "podName": "pod", "podUID": "pod-uid", "nodeName": "node", "nodeUID": "node-uid",
        "serviceAccountName": "sa", "serviceAccountUID": "sa-uid", "maxExpirationSeconds": 86_400,
        "stubPKCS10Request": STANDARD.encode(der(REQUEST)),
    });
    Life {
        group_version: CERTIFICATES,
        plural: "podcertificaterequests",
        kind: "PodCertificateRequest",
        namespace: Some(&namespace.name),
        sample: json!({"metadata": {"name": "pcr-#"}, "spec": spec}),
        change: json!({"metadata": {"labels": {"changed": "true"}}}),
        status: Some(json!({"status": {"conditions": [condition("Failed")]}})),
    }
    .as_resource(cluster);
}

fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(text).unwrap()
}

fn trust_bundles(cluster: &Cluster<'_>) {
    Life {
        group_version: CERTIFICATES,
        plural: "clustertrustbundles",
        kind: "ClusterTrustBundle",
        namespace: None,
        sample: json!({
            "metadata": {"name": "example.com:e2e:bundle-#"},
            "spec": {"signerName": "example.com/e2e", "trustBundle": CERTIFICATE},
        }),
        change: json!({"metadata": {"annotations": {"changed": "true"}}}),
        status: None,
    }
    .as_resource(cluster);
}

fn with_certificate(cluster: &Cluster<'_>, seconds: u64) -> String {
    let namespace = cluster.namespace();
    let mut pod = pod("pod-certificate");
    let certificate = json!({
        "signerName": "example.com/e2e", "keyType": "ED25519", "maxExpirationSeconds": seconds,
        "credentialBundlePath": "creds.pem",
    });
    pod["spec"]["volumes"] =
        json!([{"name": "creds", "projected": {"sources": [{"podCertificate": certificate}]}}]);
    cluster.api.post(&namespace.core("pods"), &pod).refused(422)
}

fn too_long_a_certificate(cluster: &Cluster<'_>) {
    let refused = with_certificate(cluster, 7_862_401);
    assert!(refused.contains("if provided, maxExpirationSeconds must be <= 7862400"), "{refused}");
}

fn too_short_a_certificate(cluster: &Cluster<'_>) {
    let refused = with_certificate(cluster, 3599);
    assert!(refused.contains("if provided, maxExpirationSeconds must be >= 3600"), "{refused}");
}

fn account(cluster: &Cluster<'_>, path: &str, name: &str, rest: &Value) -> Value {
    let mut object = rest.clone();
    object["apiVersion"] = "v1".into();
    object["kind"] = "ServiceAccount".into();
    object["metadata"]["name"] = name.into();
    cluster.api.post(path, &object).ok()
}

fn automount(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let accounts = namespace.core("serviceaccounts");
    account(cluster, &accounts, "mount", &json!({"automountServiceAccountToken": true}));
    account(cluster, &accounts, "nomount", &json!({"automountServiceAccountToken": false}));
    for (account, of_pod, is_mounted) in [
        ("default", Value::Null, true),
        ("default", true.into(), true),
        ("default", false.into(), false),
        ("mount", Value::Null, true),
        ("mount", true.into(), true),
        ("mount", false.into(), false),
        ("nomount", Value::Null, false),
        ("nomount", true.into(), true),
        ("nomount", false.into(), false),
    ] {
        let mut pod = pod(&format!("pod-{account}-{of_pod}"));
        pod["spec"]["serviceAccountName"] = account.into();
        pod["spec"]["automountServiceAccountToken"] = of_pod.clone();
        let made = wait::until("the account is known", || {
            let answer = api.post(&namespace.core("pods"), &pod);
            if answer.code == 201 { Ok(answer.ok()) } else { Err(format!("{answer:?}")) }
        });
        let mounts = made["spec"]["containers"][0]["volumeMounts"].as_array();
        let path = "/var/run/secrets/kubernetes.io/serviceaccount";
        let has = mounts.into_iter().flatten().any(|mount| mount["mountPath"] == path);
        assert_eq!(has, is_mounted, "{account} {of_pod}");
    }
}

fn token_review(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let made = account(cluster, &namespace.core("serviceaccounts"), "e2e-sa", &json!({}));
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "metadata": {"name": "e2e-sa", "namespace": namespace.name}, "spec": {"expirationSeconds": 3600},
    });
    let token = api.post(&namespace.core("serviceaccounts/e2e-sa/token"), &request).ok();
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token["status"]["token"]},
    });
    let status = api.post("/apis/authentication.k8s.io/v1/tokenreviews", &review).ok()["status"].clone();
    assert_eq!(status["authenticated"], true, "{status}");
    assert_eq!(status["error"].as_str().unwrap_or_default(), "");
    let user = &status["user"];
    assert_eq!(user["username"], format!("system:serviceaccount:{}:e2e-sa", namespace.name));
    assert_eq!(user["uid"], made["metadata"]["uid"]);
    assert!(user["groups"].to_string().contains("system:serviceaccounts"), "{user}");
}

fn service_account_life(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("serviceaccounts");
    let label = json!({"metadata": {"labels": {"test-serviceaccount-static": "true"}}});
    let mut watch = api.watch(&format!("{path}?labelSelector=test-serviceaccount-static%3Dtrue"));
    account(cluster, &path, "testserviceaccount", &label);
    watch.expect("ADDED");
    let patch = json!({"automountServiceAccountToken": false});
    contains(&api.strategic(&format!("{path}/testserviceaccount"), &patch).ok(), &patch);
    contains(&watch.expect("MODIFIED"), &patch);
    let list = api.get("/api/v1/serviceaccounts?labelSelector=test-serviceaccount-static%3Dtrue").ok();
    assert!(names(&list).contains(&"testserviceaccount"));
    api.delete(&format!("{path}?labelSelector=test-serviceaccount-static%3Dtrue")).ok();
    watch.expect("DELETED");
}

fn service_account_update(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    let path = namespace.core("serviceaccounts");
    let mut made = account(cluster, &path, "e2e-sa", &json!({"automountServiceAccountToken": false}));
    made["automountServiceAccountToken"] = true.into();
    assert_eq!(api.put(&format!("{path}/e2e-sa"), &made).ok()["automountServiceAccountToken"], true);
    assert_eq!(items(&until_there_are(api, &path, 2)).len(), 2, "the default one is there, too");
}

fn subject_reviews(cluster: &Cluster<'_>) {
    let (api, namespace) = (&cluster.api, cluster.namespace());
    account(cluster, &namespace.core("serviceaccounts"), "e2e", &json!({}));
    let user = format!("system:serviceaccount:{}:e2e", namespace.name);
    let impersonated = api.with_header("impersonate-user", &user);
    let config_maps = namespace.core("configmaps");
    let spec = json!({
        "user": user,
        "resourceAttributes": {"namespace": namespace.name, "verb": "list", "resource": "configmaps", "version": "v1"},
    });
    let review = |kind: &str| {
        let mut object = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
        let path = match kind {
            "LocalSubjectAccessReview" => {
                object["metadata"]["namespace"] = namespace.name.clone().into();
                namespace.of("authorization.k8s.io/v1", "localsubjectaccessreviews")
            }
            _ => "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(),
        };
        api.post(&path, &object).ok()["status"]["allowed"].as_bool().unwrap_or_default()
    };
    for kind in ["SubjectAccessReview", "LocalSubjectAccessReview"] {
        assert!(!review(kind));
        impersonated.get(&config_maps).refused(403);
    }
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "e2e"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "e2e", "namespace": namespace.name}],
    });
    api.post(&namespace.of("rbac.authorization.k8s.io/v1", "rolebindings"), &binding).ok();
    for kind in ["SubjectAccessReview", "LocalSubjectAccessReview"] {
        wait::until("the binding holds", || if review(kind) { Ok(()) } else { Err("no".to_owned()) });
    }
    wait::until("the binding holds", || {
        let answer = impersonated.get(&config_maps);
        if answer.code == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
    });
}
