//! Kinds by which a cluster is extended and divided: each through its life, and what follows from some of them.
//!
//! Deliberately absent: what controllers, drivers and webhooks make of them.

use serde_json::json;

use crate::kubectl::{self, Kubectl};
use crate::servers::Servers;
use crate::wait;

const KINDS: &str = include_str!("platform.yaml");

/// What `kubectl get` shows of each, beginning with the title of the first column.
const TABLES: [(&str, &str); 24] = [
    ("ingressclass/edge", "NAME CONTROLLER PARAMETERS AGE"),
    ("ing/web", "NAME CLASS HOSTS ADDRESS PORTS AGE"),
    ("netpol/quiet", "NAME POD-SELECTOR AGE"),
    ("sc/fast", "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE"),
    ("vac/gold", "NAME DRIVERNAME AGE"),
    (
        "csidriver/disk.example.com",
        "NAME ATTACHREQUIRED PODINFOONMOUNT STORAGECAPACITY TOKENREQUESTS REQUIRESREPUBLISH MODES AGE",
    ),
    ("csinode/n1", "NAME DRIVERS AGE"),
    ("csistoragecapacity/some", "NAME STORAGECLASSNAME CAPACITY"),
    ("volumeattachment/one", "NAME ATTACHER PV NODE ATTACHED AGE"),
    ("runtimeclass/vm", "NAME HANDLER AGE"),
    ("csr/alice", "NAME AGE SIGNERNAME REQUESTOR REQUESTEDDURATION CONDITION"),
    ("clustertrustbundle/known", "NAME SIGNERNAME"),
    (
        "prioritylevelconfiguration/mine",
        "NAME TYPE NOMINALCONCURRENCYSHARES QUEUES HANDSIZE QUEUELENGTHLIMIT AGE",
    ),
    ("flowschema/mine", "NAME PRIORITYLEVEL MATCHINGPRECEDENCE DISTINGUISHERMETHOD AGE MISSINGPL"),
    ("validatingwebhookconfiguration/judge", "NAME WEBHOOKS AGE"),
    ("validatingadmissionpolicy/few", "NAME VALIDATIONS PARAMKIND AGE"),
    ("validatingadmissionpolicybinding/few", "NAME POLICYNAME PARAMREF AGE"),
    ("mutatingadmissionpolicy/more", "NAME MUTATIONS PARAMKIND AGE"),
    ("deviceclass/gpu.example.com", "NAME AGE"),
    ("resourceclaim/gpu", "NAME STATE AGE"),
    ("resourceclaimtemplate/gpu", "NAME AGE"),
    ("resourceslice/n1-gpu", "NAME NODE DRIVER POOL AGE"),
    ("devicetaintrule/broken", "NAME AGE"),
    ("storageversionmigration/pods", "NAME RESOURCE AGE"),
];

/// Changes that no kind allows, and a part of the refusal.
const REFUSED: [(&str, &str, &str); 6] = [
    ("ingressclass/edge", r#"{"spec":{"controller":"example.com/other"}}"#, "field is immutable"),
    ("sc/fast", r#"{"provisioner":"other.example.com"}"#, "updates to provisioner are forbidden."),
    ("runtimeclass/vm", r#"{"handler":"runc"}"#, "field is immutable"),
    ("resourceclaim/gpu", r#"{"spec":{"devices":{"requests":null}}}"#, "field is immutable"),
    ("netpol/quiet", r#"{"spec":{"policyTypes":["Sideways"]}}"#, "Unsupported value: \"Sideways\""),
    (
        "flowschema/catch-all",
        r#"{"spec":{"matchingPrecedence":5}}"#,
        "spec of 'catch-all' must equal the fixed value",
    ),
];

#[test]
fn kinds_that_extend_a_cluster_are_applied_shown_refused_and_deleted() {
    if !kubectl::is_there("platform") {
        return;
    }
    let servers = Servers::start();
    let admin = Kubectl::admin(&servers);
    let apply = || admin.run_with(&["apply", "-f", "-"], KINDS).ok();
    let created = apply();
    assert_eq!(created.lines().filter(|line| line.ends_with(" created")).count(), TABLES.len(), "{created}");
    let again = apply();
    assert!(
        again.lines().all(|line| line.ends_with(" unchanged") || line.ends_with(" configured")),
        "{again}"
    );
    for (object, titles) in TABLES {
        let table = admin.ok(&format!("get {object}"));
        let first = table.lines().next().unwrap_or_default();
        assert_eq!(first.split_whitespace().collect::<Vec<_>>().join(" "), titles, "{table}");
        let name = object.split_once('/').unwrap().1;
        // kubectl 1.32 describes this one by a version that only servers of its time have.
        if !object.starts_with("vac/") {
            let described = admin.run(&["describe", object]);
            assert!(described.succeeded && described.out.contains(name), "{object}: {described:?}");
        }
    }
    for (object, patch, why) in REFUSED {
        let flag = format!("--patch={patch}");
        let printed = admin.run(&["patch", object, "--type=merge", &flag]);
        assert!(!printed.succeeded && printed.err.contains(why), "{object}: {printed:?}");
    }
    nobody_has_extended_the_cluster(&admin);
    a_request_is_approved(&admin);
    a_quota_and_a_range_hold(&admin);
    a_namespace_holds_its_pods_to_a_standard(&admin);
    let deleted = admin.run_with(&["delete", "-f", "-"], KINDS).ok();
    assert_eq!(deleted.lines().count(), TABLES.len(), "{deleted}");
}

/// kubectl looks for custom resources before it validates what OpenAPI has no patch of.
fn nobody_has_extended_the_cluster(admin: &Kubectl) {
    assert_eq!(admin.ok("get crds -o name"), "");
    let who = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
    let printed = admin.run_with(&["create", "-f", "-", "-o", "jsonpath={.status.userInfo.groups[0]}"], &who);
    assert_eq!(printed.ok(), "system:masters");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "wonders.example.com"},
        "spec": {"group": "example.com", "scope": "Cluster", "names": {"kind": "Wonder", "plural": "wonders"},
                 "versions": []},
    });
    let printed = admin.run_with(&["create", "-f", "-"], &definition.to_string());
    assert!(!printed.succeeded && printed.err.contains("does not allow this method"), "{printed:?}");
}

/// By the command that people use for it.
fn a_request_is_approved(admin: &Kubectl) {
    let approved = admin.ok("certificate approve alice");
    assert!(approved.contains("certificatesigningrequest.certificates.k8s.io/alice approved"), "{approved}");
    let row = admin.ok("get csr alice --no-headers");
    assert!(row.contains("example.com/people") && row.trim_end().ends_with("Approved"), "{row}");
    assert!(admin.fails("certificate deny alice").contains("already Approved"));
}

fn a_quota_and_a_range_hold(admin: &Kubectl) {
    admin.ok("create namespace narrow");
    admin.ok("create quota few -n narrow --hard=secrets=1,pods=1");
    let limits = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "each", "namespace": "narrow"},
        "spec": {"limits": [{"type": "Container", "default": {"cpu": "200m"}, "defaultRequest": {"cpu": "100m"}}]},
    });
    admin.run_with(&["create", "-f", "-"], &limits.to_string()).ok();
    admin.ok("create secret generic first -n narrow --from-literal=a=b");
    // Any of three servers answers; each learns of the quota by itself.
    wait::until("the quota holds", || {
        let made = admin.run(&["create", "secret", "generic", "more", "-n", "narrow", "--from-literal=a=b"]);
        let why =
            "is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=1, limited: secrets=1";
        match made.succeeded {
            true => {
                admin.ok("delete secret more -n narrow");
                Err("a second secret was made".to_owned())
            }
            false if made.err.contains(why) => Ok(()),
            false => Err(made.err),
        }
    });
    wait::until("containers get what the range has for them", || {
        admin.run(&["delete", "pod", "web", "-n", "narrow", "--ignore-not-found"]).ok();
        let made = admin.run(&["run", "web", "-n", "narrow", "--image=busybox"]);
        if !made.succeeded {
            return Err(made.err);
        }
        let cpu = admin.ok("get pod web -n narrow -o jsonpath={.spec.containers[0].resources.requests.cpu}");
        if cpu == "100m" { Ok(()) } else { Err(format!("asks for {cpu:?}")) }
    });
    admin.ok("delete namespace narrow --wait=false");
}

fn a_namespace_holds_its_pods_to_a_standard(admin: &Kubectl) {
    admin.ok("create namespace strict");
    admin.ok("label namespace strict pod-security.kubernetes.io/enforce=baseline");
    wait::until("the standard holds", || {
        let made = admin.run(&["run", "web", "-n", "strict", "--image=busybox", "--privileged"]);
        match made.succeeded {
            true => {
                admin.ok("delete pod web -n strict --force --grace-period=0");
                Err("it was made".to_owned())
            }
            false if made.err.contains("violates PodSecurity \"baseline:latest\": privileged") => Ok(()),
            false => Err(made.err),
        }
    });
    admin.ok("delete namespace strict --wait=false");
}
