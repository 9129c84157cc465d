//! Subcommands of kubectl that know the kinds that they send: those send protobuf, whatever the server prefers.

use crate::kubectl::{self, Kubectl};
use crate::servers::Servers;

#[test]
fn subcommands_that_send_protobuf_work() {
    if !kubectl::is_there("typed") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    assert_eq!(admin.ok("create namespace shop"), "namespace/shop created\n");
    admin.ok("-n shop create configmap settings --from-literal=greeting=hello");
    assert_eq!(admin.ok("-n shop get configmap settings -o jsonpath={.data.greeting}"), "hello");
    admin.ok("-n shop create role reader --verb=get,list --resource=pods");
    admin.ok("-n shop create rolebinding jane-reads --role=reader --user=jane");
    crate::wait::until("the binding holds", || {
        let asked = admin.run(&["-n", "shop", "auth", "can-i", "list", "pods", "--as", "jane"]);
        if asked.out.trim() == "yes" { Ok(()) } else { Err(format!("{asked:?}")) }
    });
    let me = admin.json("auth whoami");
    assert_eq!(me["status"]["userInfo"]["username"], "kubernetes-admin");
    admin.ok("-n shop create serviceaccount robot");
    assert_eq!(admin.ok("-n shop create token robot").split('.').count(), 3);
}
