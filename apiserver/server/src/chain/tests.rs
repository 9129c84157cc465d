//! Requests, from their head to their answer, without a network.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Method, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::*;
use crate::{
    authz::MASTERS,
    testing::{self, Authority, Site, eventually, with_server},
};

mod answers;

/// Somebody with a connection.
struct Client {
    server: Arc<Server>,
    peer: Arc<Peer>,
    headers: HeaderMap,
}

/// An answer, read to its end.
#[derive(Debug)]
struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Client {
    fn anonymous(site: &Site) -> Self {
        Self { server: site.server.clone(), peer: Arc::default(), headers: HeaderMap::new() }
    }

    fn with_certificate(site: &Site, authority: &Authority, name: &str, groups: &[&str]) -> Self {
        let (certificate, _) = testing::client_certificate(authority, name, groups);
        let chain = [certificate.der().clone()];
        let peer = site.server.authenticator.greet(Some(&chain), site.server.now());
        Self { peer: Arc::new(peer), ..Self::anonymous(site) }
    }

    fn master(site: &Site) -> Self {
        Self::with_certificate(site, &site.authority, "root", &[MASTERS])
    }

    fn user(site: &Site, name: &str) -> Self {
        Self::with_certificate(site, &site.authority, name, &[])
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    async fn send<B>(&self, method: Method, uri: &str, body: B) -> Answered
    where
        B: HttpBody<Data = Bytes, Error = Infallible> + Send + Unpin,
    {
        let mut request = Request::builder().method(method).uri(uri).body(body).unwrap();
        *request.headers_mut() = self.headers.clone();
        let (head, body) = answer(self.server.clone(), self.peer.clone(), request).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| text());
        Answered { status: head.status.as_u16(), headers: head.headers, body }
    }

    async fn get(&self, uri: &str) -> Answered {
        self.send(Method::GET, uri, Full::default()).await
    }

    async fn post(&self, uri: &str, body: &Value) -> Answered {
        self.send(Method::POST, uri, Full::new(Bytes::from(body.to_string()))).await
    }

    /// Creates what a test stands on.
    async fn create(&self, uri: &str, body: &Value) -> Value {
        let answered = self.post(uri, body).await;
        assert_eq!(answered.status, 201, "{answered:?}");
        answered.body
    }
}

impl Answered {
    fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

async fn create_service_account(master: &Client) {
    master.create("/api/v1/namespaces", &json!({"metadata": {"name": "shop"}})).await;
    let account = json!({"metadata": {"name": "till"}});
    master.create("/api/v1/namespaces/shop/serviceaccounts", &account).await;
}

const TOKEN: &str = "/api/v1/namespaces/shop/serviceaccounts/till/token";

#[test]
fn who_shows_no_credentials_sees_health_and_version_only() {
    with_server(async |site| {
        let nobody = Client::anonymous(&site);
        for open in ["/version", "/version/", "/livez", "/healthz", "/healthz/ping"] {
            assert_eq!(nobody.get(open).await.status, 200, "{open}");
        }
        for closed in ["/", "/api", "/metrics", "/api/v1/pods", "/apis/no/v1/things", "/version/x"] {
            let answered = nobody.get(closed).await;
            assert_eq!((answered.status, answered.message()), (401, "Unauthorized"), "{closed}");
        }
    });
}

#[test]
fn certificates_of_strangers_and_tokens_of_nobody_get_401_everywhere() {
    with_server(async |site| {
        let stranger = Client::with_certificate(&site, &testing::authority(), "root", &[MASTERS]);
        let liar = Client::anonymous(&site).header("authorization", "Bearer a.b.c");
        for client in [stranger, liar] {
            for path in ["/version", "/api/v1/configmaps"] {
                assert_eq!(client.get(path).await.status, 401, "{path}");
            }
        }
    });
}

#[test]
fn what_is_not_allowed_is_refused_before_it_is_read() {
    with_server(async |site| {
        let jane = Client::user(&site, "jane");
        let refused = jane.send(Method::POST, "/api/v1/namespaces/a/configmaps", Explosive).await;
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.message(),
            r#"configmaps is forbidden: User "jane" cannot create resource "configmaps" in API group "" in the namespace "a""#
        );
        assert_eq!(refused.body["reason"], "Forbidden");
        let path = jane.get("/metrics").await;
        assert_eq!(path.message(), r#"forbidden: User "jane" cannot get path "/metrics""#);
        assert_eq!(jane.get("/readyz/ping").await.status, 200);
    });
}

#[test]
fn every_path_of_the_index_leads_somewhere() {
    with_server(async |site| {
        let master = Client::master(&site);
        let index = master.get("/").await.body;
        let paths: Vec<&str> = index["paths"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(["/apis/apps", "/apis/apps/v1", "/api/v1", "/livez"].iter().all(|path| paths.contains(path)));
        for path in paths.into_iter().filter(|path| *path != "/readyz") {
            assert_eq!(master.get(path).await.status, 200, "{path}");
        }
    });
}

#[test]
fn what_does_not_exist_is_told_to_users_only() {
    with_server(async |site| {
        let master = Client::master(&site);
        for nothing in ["/api/v1/nothings", "/apis/apps/v9", "/api/v1/namespaces/a/pods/b/c", "/version/x"] {
            let answered = master.get(nothing).await;
            assert_eq!((answered.status, &answered.body["reason"]), (404, &json!("NotFound")), "{nothing}");
        }
        for nothing in ["/no/such/path", "/apis/no/v1", "/apis/no.such/v1/things/a", "/openapi/v4", "/apisx"]
        {
            let answered = master.get(nothing).await;
            assert_eq!((answered.status, &answered.body), (404, &json!("404 page not found\n")), "{nothing}");
            assert_eq!(answered.headers["content-type"], "text/plain; charset=utf-8");
        }
        let misplaced = master.send(Method::PUT, "/api/v1/namespaces/a/configmaps", Full::default()).await;
        assert_eq!(misplaced.status, 405);
        assert_eq!(master.send(Method::POST, "/version", Full::default()).await.status, 405);
    });
}

#[test]
fn bound_roles_allow_and_grants_need_what_they_give() {
    const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
    with_server(async |site| {
        let master = Client::master(&site);
        let rules = json!([
            {"verbs": ["list"], "apiGroups": [""], "resources": ["configmaps"]},
            {"verbs": ["create"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]},
        ]);
        master
            .create(&format!("{RBAC}/clusterroles"), &json!({"metadata": {"name": "r"}, "rules": rules}))
            .await;
        let binding = json!({
            "metadata": {"name": "b"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
        });
        master.create(&format!("{RBAC}/clusterrolebindings"), &binding).await;
        let user = User { name: "jane".into(), ..User::default() };
        eventually(|| !site.server.authorizer.policy().rules_for(&user, "").0.is_empty()).await;

        let jane = Client::user(&site, "jane");
        assert_eq!(jane.get("/api/v1/configmaps").await.status, 200);
        assert_eq!(jane.get("/api/v1/configmaps?watch=1&timeoutSeconds=0").await.status, 403);
        let own = json!({"metadata": {"name": "own"}, "rules": [rules[0]]});
        jane.create(&format!("{RBAC}/clusterroles"), &own).await;
        let more = json!([{"verbs": ["*"], "apiGroups": [""], "resources": ["secrets"]}]);
        let more = json!({"metadata": {"name": "more"}, "rules": more});
        let refused = jane.post(&format!("{RBAC}/clusterroles"), &more).await;
        assert_eq!(refused.status, 403);
        assert_eq!(
            refused.message(),
            "clusterroles.rbac.authorization.k8s.io \"more\" is forbidden: user \"jane\" \
             (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n\
             {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"*\"]}"
        );
    });
}

#[test]
fn a_node_reads_what_its_pods_name_from_the_moment_they_are_bound() {
    with_server(async |site| {
        let master = Client::master(&site);
        create_service_account(&master).await;
        let secrets = "/api/v1/namespaces/shop/secrets";
        for name in ["named", "other"] {
            master.create(secrets, &json!({"metadata": {"name": name}})).await;
        }
        let node = |name: &str| {
            let (user, groups) = (format!("system:node:{name}"), ["system:nodes"]);
            Client::with_certificate(&site, &site.authority, &user, &groups)
        };
        let pod = json!({
            "metadata": {"name": "web"},
            "spec": {
                "nodeName": "n1",
                "serviceAccountName": "till",
                "containers": [{"name": "c", "image": "i"}],
                "volumes": [{"name": "v", "secret": {"secretName": "named"}}],
            },
        });
        let named = format!("{secrets}/named");
        assert_eq!(node("n1").get(&named).await.status, 403);
        master.create("/api/v1/namespaces/shop/pods", &pod).await;
        assert_eq!(node("n1").get(&named).await.status, 200);
        let narrowed = node("n1").get(&format!("{secrets}?fieldSelector=metadata.name%3Dnamed")).await;
        assert_eq!(narrowed.body["items"].as_array().map(Vec::len), Some(1));
        let pods = "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1";
        assert_eq!((node("n1").get(pods).await.status, node("n2").get(pods).await.status), (200, 403));
        let other = node("n1").get(&format!("{secrets}/other")).await;
        assert_eq!(
            (other.status, other.message()),
            (
                403,
                "secrets \"other\" is forbidden: User \"system:node:n1\" cannot get resource \"secrets\" in API \
                   group \"\" in the namespace \"shop\": no relationship found between node 'n1' and this object"
            )
        );
        assert_eq!(node("n2").get(&named).await.status, 403);
        assert_eq!(node("n1").get(secrets).await.status, 403);
        let gone = "/api/v1/namespaces/shop/pods/web?gracePeriodSeconds=0";
        assert_eq!(master.send(Method::DELETE, gone, Full::default()).await.status, 200);
        site.server.authorizer.nodes.refresh(&site.server.objects).await.unwrap();
        assert_eq!(node("n1").get(&named).await.status, 403);
    });
}

/// The body that kubectl's typed commands send: `k8s\0`, then the kind, then the message.
fn protobuf(api_version: &str, kind: &str, message: &[u8]) -> Full<Bytes> {
    let field = |number: u8, content: &[u8]| {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    };
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    Full::new([b"k8s\0".to_vec(), field(1, &meta), field(2, message)].concat().into())
}

#[test]
fn bodies_may_be_protobuf_and_answers_json() {
    const ACCOUNTS: &str = "/api/v1/namespaces/shop/serviceaccounts";
    const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    with_server(async |site| {
        let master = Client::master(&site);
        create_service_account(&master).await;
        let master = master.header("content-type", "application/vnd.kubernetes.protobuf");
        let master = master.header("accept", "application/json,application/vnd.kubernetes.protobuf");

        // metadata.name, automountServiceAccountToken
        let message = b"\x0a\x05\x0a\x03bin\x20\x01";
        let made = master.send(Method::POST, ACCOUNTS, protobuf("v1", "ServiceAccount", message)).await;
        assert_eq!((made.status, &made.headers["content-type"]), (201, &"application/json".parse().unwrap()));
        assert_eq!(made.body["kind"], "ServiceAccount");
        assert_eq!(made.body["metadata"]["name"], "bin");
        assert_eq!(made.body["automountServiceAccountToken"], true);

        // spec.resourceAttributes: verb, resource
        let question = b"\x12\x0d\x0a\x0b\x12\x03get\x2a\x04pods";
        let question = protobuf("authorization.k8s.io/v1", "SelfSubjectAccessReview", question);
        let review = master.send(Method::POST, REVIEWS, question).await;
        assert_eq!((review.status, &review.body["status"]["allowed"]), (201, &json!(true)), "{review:?}");

        let token = protobuf("authentication.k8s.io/v1", "TokenRequest", b"\x12\x03\x20\xd8\x04");
        let token = master.send(Method::POST, TOKEN, token).await;
        assert_eq!((token.status, &token.body["spec"]["expirationSeconds"]), (201, &json!(600)), "{token:?}");

        let options = protobuf("v1", "DeleteOptions", b"\x2a\x03All");
        let account = &format!("{ACCOUNTS}/bin");
        let kept = master.send(Method::DELETE, account, options).await;
        assert_eq!(kept.status, 200, "{kept:?}");
        assert_eq!(master.get(account).await.status, 200, "the deletion was a dry run");
    });
}

#[test]
fn protobuf_that_cannot_be_read_is_refused_as_upstream_refuses_it() {
    with_server(async |site| {
        let master = Client::master(&site).header("content-type", "application/vnd.kubernetes.protobuf");
        let send = async |body: Full<Bytes>| {
            let refused = master.send(Method::POST, "/api/v1/namespaces", body).await;
            assert_eq!((refused.status, &refused.body["reason"]), (400, &json!("BadRequest")));
            refused.message().to_owned()
        };
        assert_eq!(
            send(Full::new(Bytes::from_static(b"[]"))).await,
            "the object provided is unrecognized (must be of type Namespace): provided data does not appear to be \
             a protobuf message, expected prefix [107 56 115 0] (5b5d)"
        );
        assert_eq!(
            send(protobuf("v1", "Namespace", b"\x0a\x05")).await,
            "Namespace in version \"v1\" cannot be handled as a Namespace: unexpected EOF"
        );
        assert_eq!(
            send(protobuf("v2", "Namespace", b"")).await,
            "Namespace in version \"v2\" cannot be handled as a Namespace: no kind \"Namespace\" is registered for \
             version \"v2\" in scheme \"pkg/api/legacyscheme/scheme.go:30\""
        );
    });
}

#[test]
fn tokens_prove_service_accounts_until_these_are_gone() {
    with_server(async |site| {
        let master = Client::master(&site);
        create_service_account(&master).await;
        let made = master.create(TOKEN, &json!({"spec": {"expirationSeconds": 600}})).await;
        let token = made["status"]["token"].as_str().unwrap();
        assert_eq!(made["metadata"]["name"], "till");
        assert_eq!(made["spec"]["audiences"], json!(["https://kubernetes.default.svc.cluster.local"]));

        let till = Client::anonymous(&site).header("authorization", &format!("Bearer {token}"));
        let refused = till.get("/api/v1/nodes").await;
        assert_eq!(refused.status, 403);
        assert!(refused.message().contains(r#"User "system:serviceaccount:shop:till""#), "{refused:?}");

        let question = json!({"spec": {"token": token}});
        let review = master.create("/apis/authentication.k8s.io/v1/tokenreviews", &question).await;
        assert_eq!(review["status"]["authenticated"], true);
        let groups = json!(["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]);
        assert_eq!(review["status"]["user"]["groups"], groups);

        let account = "/api/v1/namespaces/shop/serviceaccounts/till";
        assert_eq!(master.send(Method::DELETE, account, Full::default()).await.status, 200);
        let resource = keelson_api_registry::resources::find("", "v1", "serviceaccounts").unwrap();
        eventually(|| site.server.objects.cached_object(resource, "shop", "till").is_none()).await;
        assert_eq!(till.get("/api/v1/nodes").await.status, 401);
        let review = master.create("/apis/authentication.k8s.io/v1/tokenreviews", &question).await;
        assert_eq!(review["status"]["authenticated"], Value::Null);
    });
}

#[test]
fn tokens_for_others_do_not_open_this_server() {
    with_server(async |site| {
        let master = Client::master(&site);
        create_service_account(&master).await;
        let made = master.create(TOKEN, &json!({"spec": {"audiences": ["vault"]}})).await;
        let token = made["status"]["token"].as_str().unwrap();
        let till = Client::anonymous(&site).header("authorization", &format!("Bearer {token}"));
        assert_eq!(till.get("/version").await.status, 401);
        let question = json!({"spec": {"token": token, "audiences": ["vault", "other"]}});
        let review = master.create("/apis/authentication.k8s.io/v1/tokenreviews", &question).await;
        assert_eq!(review["status"]["audiences"], json!(["vault"]));
    });
}

#[test]
fn who_acts_as_another_is_the_other() {
    with_server(async |site| {
        let jane = Client::master(&site).header("impersonate-user", "jane");
        let review = jane.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await;
        // Everybody may ask who they are only by a role, which a bare store does not have.
        assert!(review.message().contains(r#"User "jane""#), "{review:?}");
        let refused = Client::user(&site, "joe").header("impersonate-user", "jane").get("/version").await;
        assert!(
            refused.message().contains(r#"User "joe" cannot impersonate resource "users""#),
            "{refused:?}"
        );
    });
}

#[test]
fn reviews_answer_who_and_whether() {
    with_server(async |site| {
        let master = Client::master(&site);
        let me = master.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await;
        assert_eq!(me["kind"], "SelfSubjectReview");
        assert_eq!(me["status"]["userInfo"]["username"], "root");
        assert_eq!(me["status"]["userInfo"]["groups"], json!([MASTERS, "system:authenticated"]));
        let pods = json!({"verb": "list", "resource": "pods", "namespace": "a"});
        let question = json!({"spec": {"user": "jane", "resourceAttributes": pods}});
        let review = master.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", &question).await;
        assert_eq!(review["status"], json!({"allowed": false}));
        let local = "/apis/authorization.k8s.io/v1/namespaces/a/localsubjectaccessreviews";
        let review = master.create(local, &question).await;
        assert_eq!(review["status"], json!({"allowed": false}));
        let question = json!({"spec": {"resourceAttributes": pods}});
        let review = master.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", &question).await;
        assert_eq!(review["status"], json!({"allowed": true}));
        let question = json!({"spec": {"namespace": "a"}});
        let review = master.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", &question).await;
        assert_eq!(review["status"]["incomplete"], false);
    });
}

#[test]
fn every_answer_can_be_found_again_and_is_cached_by_nobody() {
    with_server(async |site| {
        let answered = Client::anonymous(&site).header(AUDIT_ID, "mine").get("/api").await;
        assert_eq!(answered.headers[AUDIT_ID], "mine");
        assert_eq!(answered.headers[header::CACHE_CONTROL], "no-cache, private");
        let answered = Client::anonymous(&site).header(AUDIT_ID, &"x".repeat(65)).get("/version").await;
        assert_eq!(answered.headers[AUDIT_ID].len(), 36);
    });
}

#[test]
fn a_panic_is_a_status_and_the_server_lives() {
    with_server(async |site| {
        let master = Client::master(&site);
        let answered = master.send(Method::POST, "/api/v1/namespaces/a/configmaps", Explosive).await;
        assert_eq!((answered.status, &answered.body["reason"]), (500, &json!("InternalError")));
        assert_eq!(master.get("/api/v1/configmaps").await.status, 200);
    });
}

#[test]
fn a_body_that_never_ends_meets_the_deadline_and_one_too_long_the_limit() {
    with_server(async |site| {
        let master = Client::master(&site);
        let configmaps = "/api/v1/namespaces/a/configmaps";
        let late = master.send(Method::POST, &format!("{configmaps}?timeout=10ms"), Silent).await;
        assert_eq!((late.status, &late.body["reason"]), (504, &json!("Timeout")));
        assert!(late.message().ends_with("the outcome is unknown"), "{late:?}");
        let long = Full::new(Bytes::from(vec![b' '; 3 * 1024 * 1024 + 1]));
        let long = master.send(Method::POST, configmaps, long).await;
        assert_eq!((long.status, &long.body["reason"]), (413, &json!("RequestEntityTooLarge")));
    });
}

#[test]
fn readiness_says_what_is_missing_but_not_why() {
    with_server(async |site| {
        let nobody = Client::anonymous(&site);
        let before = nobody.get("/readyz").await;
        assert_eq!(before.status, 500);
        let roles = "poststarthook/rbac/bootstrap-roles";
        assert_eq!(
            before.body,
            format!(
                "[+]ping ok\n[+]etcd ok\n[+]informer-sync ok\n[-]{roles} failed: reason withheld\n[+]shutdown ok\n\
                 readyz check failed\n"
            )
        );
        let without = nobody.get(&format!("/readyz?exclude={roles}")).await;
        assert_eq!((without.status, without.body), (200, json!("ok")));
        let verbose = nobody.get("/livez?verbose&exclude=nothing").await;
        let warning = "warn: some health checks cannot be excluded: no matches for \"nothing\"";
        assert_eq!(verbose.body, format!("[+]ping ok\n{warning}\nlivez check passed\n"));
        assert_eq!(nobody.get("/readyz/nothing").await.status, 404);
        site.server.begin_leave();
        assert_eq!(nobody.get("/readyz/shutdown").await.status, 500);
        assert_eq!(nobody.get("/livez").await.status, 200);
    });
}

#[test]
fn discovery_is_served_once_and_then_not_modified() {
    with_server(async |site| {
        let master = Client::master(&site);
        let groups = master.get("/apis").await;
        assert_eq!((groups.status, &groups.body["kind"]), (200, &json!("APIGroupList")));
        let etag = groups.headers[header::ETAG].to_str().unwrap().to_owned();
        let again = Client::master(&site).header("if-none-match", &etag).get("/apis").await;
        assert_eq!((again.status, &again.headers[header::ETAG]), (304, &groups.headers[header::ETAG]));
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let all = Client::master(&site).header("accept", aggregated).get("/apis").await;
        assert_eq!(all.body["kind"], "APIGroupDiscoveryList");
        assert_eq!(all.headers[header::CONTENT_TYPE], aggregated);
        assert_eq!(master.get("/api/v1").await.body["kind"], "APIResourceList");
        assert_eq!(master.get("/openapi/v2").await.body["swagger"], "2.0");
        assert_eq!(master.get("/openapi/v4").await.status, 404);
        assert_eq!(master.get("/openapi/v3").await.status, StatusCode::OK.as_u16());
    });
}

#[test]
fn requests_are_counted() {
    with_server(async |site| {
        let master = Client::master(&site);
        master.get("/api/v1/configmaps").await;
        let metrics = master.get("/metrics").await;
        let text = metrics.body.as_str().unwrap();
        let labels =
            r#"verb="LIST",group="",version="v1",resource="configmaps",subresource="",scope="cluster""#;
        assert!(text.contains(&format!("apiserver_request_total{{{labels},code=\"200\"}} 1\n")), "{text}");
        assert!(text.contains("keelson_store_has_leader 1\n"), "{text}");
    });
}

#[test]
fn the_keys_of_tokens_are_published() {
    with_server(async |site| {
        let master = Client::master(&site);
        let keys = master.get("/openid/v1/jwks").await;
        assert_eq!(keys.body["keys"][0]["alg"], "ES256");
        let issuer = master.get("/.well-known/openid-configuration").await;
        assert_eq!(issuer.body["jwks_uri"], "https://127.0.0.1:6443/openid/v1/jwks");
    });
}

/// A body that nobody may read.
struct Explosive;

impl HttpBody for Explosive {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("it was read")
    }
}

/// A body that does not come.
struct Silent;

impl HttpBody for Silent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[test]
fn the_answer_to_a_head_has_the_headers_of_a_get_and_no_body() {
    with_server(async |site| {
        let admin = Client::master(&site);
        let answered = admin.send(Method::HEAD, "/version", Full::<Bytes>::default()).await;
        assert_eq!((answered.status, answered.body), (200, json!("")));
    });
}

#[test]
fn a_query_that_a_list_would_refuse_deletes_nothing() {
    with_server(async |site| {
        let admin = Client::master(&site);
        let maps = "/api/v1/namespaces/default/configmaps";
        for query in ["resourceVersion=garbage", "resourceVersionMatch=Exact", "limit=x"] {
            let refused =
                admin.send(Method::DELETE, &format!("{maps}?{query}"), Full::<Bytes>::default()).await;
            assert!(matches!(refused.status, 400 | 422), "{query}: {refused:?}");
        }
    });
}
