//! A certificate is asked for, approved and signed, each by who may.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{DnType, KeyPair};

use super::*;

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const ALICE: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests/alice";

fn request(signer: &str, organization: &str) -> Value {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.distinguished_name.push(DnType::OrganizationName, organization);
    let pem = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
    json!({
        "metadata": {"name": "alice"},
        "spec": {
            "signerName": signer, "request": STANDARD.encode(pem), "usages": ["client auth"],
            "username": "somebody else",
        },
    })
}

fn nobody() -> User {
    User { name: "nobody".to_owned(), groups: vec!["system:authenticated".to_owned()], ..User::default() }
}

fn approved() -> Value {
    json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "Known"}]}})
}

#[test]
fn who_asks_is_who_they_are_and_only_who_may_approves() {
    with_cluster(async |cluster| {
        let made = cluster.post(REQUESTS, request("example.com/people", "developers")).await;
        assert_eq!(made["spec"]["username"], "admin");
        assert_eq!(made["spec"]["groups"], json!(["system:masters", "system:authenticated"]));
        let path = format!("{ALICE}/approval");
        let patch = approved().to_string();
        let error = cluster.ask_as(nobody(), Method::PATCH, &path, MERGE_PATCH, &patch).await.unwrap_err();
        let why = "certificatesigningrequests.certificates.k8s.io \"alice\" is forbidden: user not permitted to approve requests with signerName \"example.com/people\"";
        assert_refused(&error, 403, "Forbidden", why);
        let done = cluster.merge(&path, approved()).await.unwrap().body;
        let condition = &done["status"]["conditions"][0];
        assert_eq!(condition["type"], "Approved");
        assert!(condition["lastTransitionTime"].is_string() && condition["lastUpdateTime"].is_string());
        // What was decided is not decided otherwise.
        let error = refused(cluster.merge(&path, json!({"status": {"conditions": []}})).await);
        assert!(
            error.message.contains("updates may not remove a condition of type \"Approved\""),
            "{error:?}"
        );
    });
}

#[test]
fn a_decision_is_not_made_through_the_status_and_only_signers_sign() {
    with_cluster(async |cluster| {
        cluster.post(REQUESTS, request("example.com/people", "developers")).await;
        let path = format!("{ALICE}/status");
        let error = refused(cluster.merge(&path, approved()).await);
        assert!(error.message.contains("updates may not add a condition of type \"Approved\""), "{error:?}");
        let mut authority = CertificateParams::new(vec![]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let signed = json!({"status": {"certificate": STANDARD.encode(pem)}});
        let patch = signed.to_string();
        let error = cluster.ask_as(nobody(), Method::PATCH, &path, MERGE_PATCH, &patch).await.unwrap_err();
        assert!(
            error
                .message
                .ends_with("user not permitted to sign requests with signerName \"example.com/people\""),
            "{error:?}"
        );
        let done = cluster.merge(&path, signed.clone()).await.unwrap().body;
        assert_eq!(done["status"]["certificate"], signed["status"]["certificate"]);
    });
}

#[test]
fn nobody_asks_to_be_a_master() {
    with_cluster(async |cluster| {
        let signer = "kubernetes.io/kube-apiserver-client";
        let error = cluster.post_refused(REQUESTS, request(signer, "system:masters")).await;
        let why = "certificatesigningrequests.certificates.k8s.io \"alice\" is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed";
        assert_refused(&error, 403, "Forbidden", why);
        cluster.post(REQUESTS, request(signer, "developers")).await;
    });
}
