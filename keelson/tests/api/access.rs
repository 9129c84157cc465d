//! Who gets in, and what they may do.

use serde_json::{Value, json};

use crate::direct::{self, Asking};
use crate::kubectl::{self, Kubectl, Printed, config_map};
use crate::network::Network;
use crate::process;
use crate::servers::Servers;

#[test]
fn strangers_are_turned_away_and_roles_decide_about_the_others() {
    if !kubectl::is_there("access") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    who_one_is(&servers, &admin);
    roles_decide(&admin);
    components_may_what_their_roles_say(&servers);
    nodes_read_what_their_pods_name(&servers, &admin);
    foreign_certificates_are_unauthorized(&servers);
    without_credentials_only_health_and_version_are_seen(&servers);
    tokens_of_service_accounts(&servers, &admin);
}

/// `kubectl auth whoami`, without protobuf.
fn who_am_i(kubectl: &Kubectl, flags: &[&str]) -> Value {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    ask(kubectl, flags, &review)["status"]["userInfo"].clone()
}

/// `kubectl auth can-i`, without protobuf.
fn can_i(kubectl: &Kubectl, flags: &[&str], attributes: &Value) -> bool {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    });
    ask(kubectl, flags, &review)["status"]["allowed"].as_bool().unwrap()
}

/// Reviews cannot be patched, and kubectl looks at PATCH to learn whether the server validates; where it does not find
/// that, it asks whether the kind is a custom resource's, and of those there are none yet.
fn ask(kubectl: &Kubectl, flags: &[&str], review: &Value) -> Value {
    kubectl.create(&[&["--validate=false"], flags].concat(), review)
}

fn who_one_is(servers: &Servers, admin: &Kubectl) {
    let me = who_am_i(admin, &[]);
    assert_eq!(me["username"], "kubernetes-admin");
    assert!(me["groups"].to_string().contains("system:masters"), "{me}");
    let node = who_am_i(&Kubectl::of(servers, "nodes/worker"), &[]);
    assert_eq!(node["username"], "system:node:worker");
    let jane = who_am_i(admin, &["--as", "jane", "--as-group", "shop"]);
    assert_eq!(jane["username"], "jane");
    assert!(jane["groups"].to_string().contains("shop"), "{jane}");
}

/// A role in the namespace `shop`, and jane has it.
fn grant_jane(admin: &Kubectl, name: &str, group: &str, resources: &[&str], verbs: &[&str]) {
    let rbac = "rbac.authorization.k8s.io";
    let version = format!("{rbac}/v1");
    let metadata = json!({"name": name, "namespace": "shop"});
    let rules = json!([{"apiGroups": [group], "resources": resources, "verbs": verbs}]);
    let role = json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules});
    admin.create(&[], &role);
    let binding = json!({
        "apiVersion": version,
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": "jane"}],
    });
    admin.create(&[], &binding);
}

fn roles_decide(admin: &Kubectl) {
    admin.create(&[], &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    let denied = admin.fails("-n shop get pods --as jane");
    assert_eq!(
        denied,
        "Error from server (Forbidden): pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \
         \"\" in the namespace \"shop\"\n"
    );
    let cluster = admin.fails("get nodes --as jane");
    assert!(
        cluster.contains("cannot list resource \"nodes\" in API group \"\" at the cluster scope"),
        "{cluster}"
    );

    grant_jane(admin, "reader", "", &["pods", "configmaps"], &["get", "list"]);
    crate::wait::until("the binding holds on every server", || {
        let printed = admin.run(&["-n", "shop", "get", "pods", "--as", "jane"]);
        if printed.succeeded { Ok(()) } else { Err(printed.err) }
    });
    let attributes = |verb: &str| json!({"namespace": "shop", "verb": verb, "resource": "pods"});
    assert!(can_i(admin, &["--as", "jane"], &attributes("list")));
    assert!(!can_i(admin, &["--as", "jane"], &attributes("delete")));
    let denied = admin.create_fails(&["-n", "shop", "--as", "jane"], &config_map("a"));
    assert!(denied.contains("User \"jane\" cannot create resource \"configmaps\""), "{denied}");
    let denied = admin.fails("get --raw /metrics --as jane");
    assert!(denied.contains("User \"jane\" cannot get path \"/metrics\""), "{denied}");

    grant_jane(admin, "binder", "rbac.authorization.k8s.io", &["roles"], &["create", "get"]);
    let more = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "more", "namespace": "shop"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["delete"]}],
    });
    let escalation = crate::wait::until("the right to make roles is jane's", || {
        let refused = admin.create_fails(&["--as", "jane"], &more);
        if refused.contains("cannot create resource") { Err(refused) } else { Ok(refused) }
    });
    assert!(
        escalation.contains("is attempting to grant RBAC permissions not currently held"),
        "{escalation}"
    );
}

fn components_may_what_their_roles_say(servers: &Servers) {
    let scheduler = Kubectl::of(servers, "clients/scheduler");
    let bind = json!({"verb": "create", "resource": "pods", "subresource": "binding"});
    assert!(can_i(&scheduler, &[], &bind));
    let denied = scheduler.fails("get secrets -A");
    assert!(denied.contains("User \"system:kube-scheduler\" cannot list resource \"secrets\""), "{denied}");
}

fn nodes_read_what_their_pods_name(servers: &Servers, admin: &Kubectl) {
    let node = Kubectl::of(servers, "nodes/worker");
    node.create(&[], &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker"}}));
    let made = |kind: &str, name: &str, spec: Value| {
        let metadata = json!({"name": name, "namespace": "shop"});
        admin.create(&[], &json!({"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}));
    };
    ["named", "other"].iter().for_each(|name| {
        let metadata = json!({"name": name, "namespace": "shop"});
        admin.create(&[], &json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata}));
    });
    let seen_by = |index: usize, line: &str| {
        let server = format!("--server={}", servers.url(index));
        let words: Vec<&str> = line.split(' ').collect();
        node.run(&[&[server.as_str(), "-n", "shop", "get"], &words[..]].concat())
    };
    assert!(!seen_by(0, "secret named").succeeded);
    let container = json!([{"name": "c", "image": "i"}]);
    let volumes = json!([{"name": "v", "secret": {"secretName": "named"}}]);
    made("Pod", "web", json!({"nodeName": "worker", "containers": container, "volumes": volumes}));
    // At once, and whichever server is asked: a node learns of its pods from any of them.
    for index in [2, 1, 0] {
        for line in ["secret named", "secrets --field-selector=metadata.name=named", "pod web", "node worker"]
        {
            seen_by(index, line).ok();
        }
        for line in ["secrets", "secret other", "secrets -A", "nodes", "pods -A"] {
            let refused = seen_by(index, line);
            assert!(refused.err.contains("(Forbidden)"), "{line}: {refused:?}");
        }
        seen_by(index, "pods -A --field-selector=spec.nodeName=worker").ok();
    }
    let refused = seen_by(0, "secret other").err;
    assert!(refused.contains("no relationship found between node 'worker' and this object"), "{refused}");
    admin.ok("-n shop delete pod web --force --grace-period=0");
}

fn foreign_certificates_are_unauthorized(servers: &Servers) {
    let elsewhere = servers.file("elsewhere");
    let folder = elsewhere.to_str().unwrap();
    let made =
        process::run(&Network::default(), &["pki", "init", "--dir", folder, "--server", "x=127.0.0.9"]);
    assert!(made.status.success(), "{made:?}");
    for stem in ["clients/admin", "servers/x/serving"] {
        let file = |end: &str| elsewhere.join(format!("{stem}.{end}")).display().to_string();
        let refused = stranger(
            servers,
            &[
                &format!("--client-certificate={}", file("crt")),
                &format!("--client-key={}", file("key")),
                &authority_flag(servers),
            ],
        );
        assert!(is_unauthorized(&refused), "{stem}: {refused}");
    }
}

/// What somebody sees who asks for namespaces with these flags instead of a kubeconfig file.
fn stranger(servers: &Servers, flags: &[&str]) -> String {
    let empty = servers.file("pki/clients/nobody.kubeconfig");
    std::fs::write(empty, "apiVersion: v1\nkind: Config\n").unwrap();
    let url = format!("--server={}", servers.url(1));
    let arguments = [&[url.as_str(), "get", "namespaces"], flags].concat();
    let printed = Kubectl::of(servers, "clients/nobody").run(&arguments);
    assert!(!printed.succeeded, "{printed:?}");
    printed.err
}

fn without_credentials_only_health_and_version_are_seen(servers: &Servers) {
    let authority =
        format!("--certificate-authority={}", servers.file("pki/cluster-server-ca.crt").display());
    let refused = stranger(servers, &[&authority, "--token=not-a-token"]);
    assert!(is_unauthorized(&refused), "{refused}");
    let get = |path| direct::get(servers, 2, Asking::Nobody, path);
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        get(path).unwrap();
    }
    for path in ["/api", "/metrics", "/openapi/v3", "/keelson/v1/store", "/api/v1/namespaces"] {
        assert_eq!(get(path).unwrap_err().code, 401, "{path}");
    }
}

fn tokens_of_service_accounts(servers: &Servers, admin: &Kubectl) {
    let metadata = json!({"name": "robot", "namespace": "shop"});
    admin.create(&[], &json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}));
    let path = "/api/v1/namespaces/shop/serviceaccounts/robot/token";
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let made = admin.run_with(&["create", "--raw", path, "-f", "-"], &request.to_string()).ok();
    let made: Value = serde_json::from_str(&made).unwrap();
    let url = format!("--server={}", servers.url(0));
    let authority = authority_flag(servers);
    let token = format!("--token={}", made["status"]["token"].as_str().unwrap());
    let known = [url.as_str(), &authority, &token];
    let nobody = Kubectl::of(servers, "clients/nobody");
    let robot = |arguments: &[&str]| -> Printed { nobody.run(&[&known, arguments].concat()) };
    assert_eq!(who_am_i(&nobody, &known)["username"], "system:serviceaccount:shop:robot");
    let denied = robot(&["-n", "shop", "get", "secrets"]).err;
    assert!(denied.contains("User \"system:serviceaccount:shop:robot\" cannot list"), "{denied}");
    admin.ok("-n shop delete serviceaccount robot");
    let gone = crate::wait::until("its token is no good without its account", || {
        let refused = robot(&["-n", "shop", "get", "secrets"]).err;
        if refused.contains("cannot list") { Err(refused) } else { Ok(refused) }
    });
    assert!(is_unauthorized(&gone), "{gone}");
}

fn authority_flag(servers: &Servers) -> String {
    format!("--certificate-authority={}", servers.file("pki/cluster-server-ca.crt").display())
}

/// kubectl's two ways to say 401.
fn is_unauthorized(printed: &str) -> bool {
    printed.contains("Unauthorized") || printed.contains("must be logged in")
}
