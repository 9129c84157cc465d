//! Who gets in, and what they may do.

use std::process::Output;

use crate::kubectl::{self, Kubectl};
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
    foreign_certificates_are_unauthorized(&servers);
    without_credentials_only_health_and_version_are_seen(&servers);
    tokens_of_service_accounts(&servers, &admin);
}

fn who_one_is(servers: &Servers, admin: &Kubectl) {
    let me = admin.json("auth whoami");
    assert_eq!(me["status"]["userInfo"]["username"], "kubernetes-admin");
    assert!(me["status"]["userInfo"]["groups"].to_string().contains("system:masters"), "{me}");
    let node = Kubectl::of(servers, "nodes/worker").json("auth whoami");
    assert_eq!(node["status"]["userInfo"]["username"], "system:node:worker");
    let jane = admin.json("auth whoami --as jane --as-group shop");
    assert_eq!(jane["status"]["userInfo"]["username"], "jane");
    assert!(jane["status"]["userInfo"]["groups"].to_string().contains("shop"), "{jane}");
}

fn roles_decide(admin: &Kubectl) {
    admin.ok("create namespace shop");
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

    admin.ok("-n shop create role reader --verb=get,list --resource=pods,configmaps");
    admin.ok("-n shop create rolebinding jane-reads --role=reader --user=jane");
    crate::wait::until("the binding holds on every server", || {
        let printed = admin.run(&["-n", "shop", "get", "pods", "--as", "jane"]);
        if printed.succeeded { Ok(()) } else { Err(printed.err) }
    });
    assert_eq!(admin.ok("-n shop auth can-i list pods --as jane").trim(), "yes");
    let no = admin.run(&["-n", "shop", "auth", "can-i", "delete", "pods", "--as", "jane"]);
    assert_eq!((no.succeeded, no.out.trim()), (false, "no"));
    let list = admin.ok("-n shop auth can-i --list --as jane");
    assert!(list.contains("configmaps"), "{list}");
    let denied = admin.fails("-n shop create configmap a --as jane");
    assert!(denied.contains("User \"jane\" cannot create resource \"configmaps\""), "{denied}");
    let denied = admin.fails("get --raw /metrics --as jane");
    assert!(denied.contains("User \"jane\" cannot get path \"/metrics\""), "{denied}");

    admin.ok("-n shop create role binder --verb=create,get --resource=roles,rolebindings");
    admin.ok("-n shop create rolebinding jane-binds --role=binder --user=jane");
    let escalation = crate::wait::until("the right to make roles is jane's", || {
        let wish = "-n shop create role more --verb=delete --resource=secrets --as jane";
        let refused = admin.fails(wish);
        if refused.contains("cannot create resource") { Err(refused) } else { Ok(refused) }
    });
    assert!(
        escalation.contains("is attempting to grant RBAC permissions not currently held"),
        "{escalation}"
    );
}

fn components_may_what_their_roles_say(servers: &Servers) {
    let scheduler = Kubectl::of(servers, "clients/scheduler");
    assert_eq!(scheduler.ok("auth can-i create pods/binding -A").trim(), "yes");
    let denied = scheduler.fails("get secrets -A");
    assert!(denied.contains("User \"system:kube-scheduler\" cannot list resource \"secrets\""), "{denied}");
}

fn foreign_certificates_are_unauthorized(servers: &Servers) {
    let elsewhere = servers.file("elsewhere");
    let folder = elsewhere.to_str().unwrap();
    let made: Output = process::run(&["pki", "init", "--dir", folder, "--server", "x=127.0.0.9"]);
    assert!(made.status.success(), "{made:?}");
    let authority = servers.file("pki/cluster-server-ca.crt");
    for stem in ["clients/admin", "servers/x/serving"] {
        let file = |end: &str| elsewhere.join(format!("{stem}.{end}")).display().to_string();
        let refused = stranger(
            servers,
            &[
                &format!("--client-certificate={}", file("crt")),
                &format!("--client-key={}", file("key")),
                &format!("--certificate-authority={}", authority.display()),
            ],
        );
        assert!(
            refused.contains("Unauthorized") || refused.contains("must be logged in"),
            "{stem}: {refused}"
        );
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
    assert!(refused.contains("Unauthorized") || refused.contains("must be logged in"), "{refused}");
    let nobody = Kubectl::of(servers, "clients/nobody");
    let url = format!("--server={}", servers.url(2));
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        nobody.run(&[&url, &authority, "get", "--raw", path]).ok();
    }
    for path in ["/api", "/metrics", "/openapi/v3", "/keelson/v1/store"] {
        let printed = nobody.run(&[&url, &authority, "get", "--raw", path]);
        assert!(!printed.succeeded, "{path}: {printed:?}");
    }
}

fn tokens_of_service_accounts(servers: &Servers, admin: &Kubectl) {
    admin.ok("-n shop create serviceaccount robot");
    let token = admin.ok("-n shop create token robot");
    let url = format!("--server={}", servers.url(0));
    let authority =
        format!("--certificate-authority={}", servers.file("pki/cluster-server-ca.crt").display());
    let token = format!("--token={}", token.trim());
    let nobody = Kubectl::of(servers, "clients/nobody");
    let robot = |arguments: &[&str]| {
        let known = [url.as_str(), &authority, &token];
        nobody.run(&[&known, arguments].concat())
    };
    let me = robot(&["auth", "whoami", "-o", "json"]).ok();
    assert!(me.contains("\"system:serviceaccount:shop:robot\""), "{me}");
    let denied = robot(&["-n", "shop", "get", "secrets"]).err;
    assert!(denied.contains("User \"system:serviceaccount:shop:robot\" cannot list"), "{denied}");
    admin.ok("-n shop delete serviceaccount robot");
    let gone = robot(&["auth", "whoami"]);
    assert!(!gone.succeeded, "its account is gone: {gone:?}");
}
