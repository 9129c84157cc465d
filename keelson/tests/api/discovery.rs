//! What a cluster says about itself.

use crate::kubectl::{self, Kubectl};
use crate::servers::Servers;

#[test]
fn kinds_versions_and_fields_can_be_looked_up() {
    if !kubectl::is_there("discovery") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);

    let version = admin.json("version");
    assert_eq!(
        (&version["serverVersion"]["major"], &version["serverVersion"]["minor"]),
        (&"1".into(), &"37".into())
    );
    let resources = admin.ok("api-resources --no-headers");
    for resource in ["pods", "services", "deployments", "jobs", "leases", "clusterroles", "endpointslices"] {
        assert!(resources.lines().any(|line| line.starts_with(resource)), "{resource} is not in {resources}");
    }
    let versions = admin.ok("api-versions");
    for version in ["v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1"] {
        assert!(versions.lines().any(|line| line == version), "{version} is not in {versions}");
    }
    assert_eq!(admin.ok("get deploy,po,svc -n kube-public -o name"), "", "short names are known");

    let explained = admin.ok("explain deployment.spec.strategy.rollingUpdate.maxSurge");
    assert!(explained.contains("FIELD: maxSurge <IntOrString>"), "{explained}");
    for format in ["plaintext", "plaintext-openapiv2"] {
        let explained = admin.ok(&format!("explain pod.spec.containers.image --output={format}"));
        assert!(explained.contains("Container image name."), "{format}: {explained}");
    }
    let recursive = admin.ok("explain job.spec --recursive");
    assert!(recursive.contains("backoffLimit") && recursive.contains("template"), "{recursive}");
    let unknown = admin.fails("get wonders");
    assert_eq!(unknown, "error: the server doesn't have a resource type \"wonders\"\n");
}
