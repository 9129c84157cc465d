//! Every warning to the letter, and none where nothing is unusual.

use serde_json::{Value, json};

use super::*;

fn pod(metadata: Value, spec: Value) -> Vec<String> {
    let mut object = Object::default();
    object.set(&["metadata"], metadata);
    object.set(&["spec"], spec);
    object.set_default(&["metadata", "name"], "p");
    [of_draft(&object), of_pod(&object)].concat()
}

fn of_spec(spec: Value) -> Vec<String> {
    pod(json!({}), spec)
}

fn template(template: Value) -> Vec<String> {
    let mut object = Object::default();
    object.set(&["spec", "template"], template);
    of_template(&Place::at(&object, &["spec", "template"]))
}

fn usual() -> Value {
    let tokens = json!([
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]);
    json!({
        "metadata": {"name": "web", "labels": {"app": "web"}, "annotations": {"note": "x"}},
        "spec": {
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "terminationGracePeriodSeconds": 30,
            "imagePullSecrets": [{"name": "a"}, {"name": "b"}],
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
            "initContainers": [{"name": "init", "image": "x:1", "ports": [{"containerPort": 90, "protocol": "TCP"}]}],
            "containers": [{
                "name": "web",
                "image": "web:1",
                "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A) 2"}, {"name": "B", "value": "3"}],
                "ports": [
                    {"name": "http", "containerPort": 80, "protocol": "TCP"},
                    {"name": "dns", "containerPort": 80, "protocol": "UDP"},
                ],
                "resources": {"limits": {"cpu": "100m", "memory": "1Gi"}, "requests": {"memory": "16Ei"}},
            }],
            "volumes": [{"name": "kube-api-access", "projected": {"sources": tokens}}],
            "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}],
        },
    })
}

#[test]
fn nobody_is_warned_of_what_is_usual() {
    assert_eq!(of_pod(&Object(usual())), [""; 0]);
    assert_eq!(template(usual()), [""; 0]);
    assert_eq!(template(Value::Null), [""; 0]);
}

#[test]
fn names_should_be_labels() {
    let warnings = pod(json!({"name": "a.b"}), json!({}));
    let why = "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS \
               label is recommended: [";
    assert!(
        warnings.len() == 1 && warnings[0].starts_with(why) && warnings[0].ends_with(']'),
        "{warnings:?}"
    );
}

#[test]
fn labels_of_nodes_have_newer_names() {
    assert_eq!(
        of_spec(
            json!({"nodeSelector": {"beta.kubernetes.io/os": "linux", "node-role.kubernetes.io/master": ""}})
        ),
        [
            "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
            "spec.nodeSelector[node-role.kubernetes.io/master]: use \"node-role.kubernetes.io/control-plane\" instead",
        ]
    );
    let term = |key: &str, value: &str| json!({"matchExpressions": [{"key": key, "values": [value]}]});
    let affinity = json!({"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [term("failure-domain.beta.kubernetes.io/zone", "-1")]},
        "preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 1, "preference": term("beta.kubernetes.io/arch", "-1")}],
    }});
    let warnings = of_spec(json!({ "affinity": affinity }));
    assert_eq!(
        warnings[..2],
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]\
             .matchExpressions[0].key: failure-domain.beta.kubernetes.io/zone is deprecated since v1.17; use \
             \"topology.kubernetes.io/zone\" instead",
            "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference\
             .matchExpressions[0].key: beta.kubernetes.io/arch is deprecated since v1.14; use \
             \"kubernetes.io/arch\" instead",
        ]
    );
    let invalid = "spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].preference\
                   .matchExpressions[0].values[0]: -1 is invalid, a valid label must be an empty string or consist \
                   of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                   character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                   '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    assert_eq!(warnings[2..], [invalid]);
}

#[test]
fn selectors_that_are_absent_select_no_pod() {
    assert_eq!(
        of_spec(json!({"topologySpreadConstraints": [{"topologyKey": "beta.kubernetes.io/instance-type"}]})),
        [
            "spec.topologySpreadConstraints[0].topologyKey: beta.kubernetes.io/instance-type is deprecated since \
             v1.17; use \"node.kubernetes.io/instance-type\" instead",
            "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod",
        ]
    );
    let terms = json!({
        "requiredDuringSchedulingIgnoredDuringExecution": [{"labelSelector": {}}, {"topologyKey": "a"}],
        "preferredDuringSchedulingIgnoredDuringExecution":
            [{"podAffinityTerm": {"labelSelector": {}}}, {"podAffinityTerm": {"topologyKey": "a"}}],
    });
    let affinity = json!({"podAffinity": terms, "podAntiAffinity": terms});
    let expected = ["podAffinity", "podAntiAffinity"].map(|field| {
        let path = format!("spec.affinity.{field}");
        let what = "labelSelector: a null labelSelector results in matching no pod";
        [
            format!("{path}.requiredDuringSchedulingIgnoredDuringExecution[1].{what}"),
            format!("{path}.preferredDuringSchedulingIgnoredDuringExecution[1].podAffinityTerm.{what}"),
        ]
    });
    assert_eq!(of_spec(json!({ "affinity": affinity })), expected.as_flattened());
}

#[test]
fn annotations_that_do_nothing_any_more() {
    let annotations = json!({
        "scheduler.alpha.kubernetes.io/critical-pod": "",
        "security.alpha.kubernetes.io/sysctls": "a",
        "security.alpha.kubernetes.io/unsafe-sysctls": "a",
        "seccomp.security.alpha.kubernetes.io/pod": "runtime/default",
        "container.seccomp.security.alpha.kubernetes.io/c": "runtime/default",
    });
    let spec = json!({"containers": [{"name": "c"}]});
    assert_eq!(
        pod(json!({ "annotations": annotations }), spec),
        [
            "metadata.annotations[scheduler.alpha.kubernetes.io/critical-pod]: non-functional in v1.16+; use the \
             \"priorityClassName\" field instead",
            "metadata.annotations[security.alpha.kubernetes.io/sysctls]: non-functional in v1.11+; use the \
             \"sysctls\" field instead",
            "metadata.annotations[security.alpha.kubernetes.io/unsafe-sysctls]: non-functional in v1.11+; use the \
             \"sysctls\" field instead",
            "metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]: non-functional in v1.27+; use the \
             \"seccompProfile\" field instead",
            "metadata.annotations[container.seccomp.security.alpha.kubernetes.io/c]: non-functional in v1.27+; use \
             the \"seccompProfile\" field instead",
        ]
    );
    let profile = json!({"seccompProfile": {"type": "RuntimeDefault"}});
    let spec = json!({"securityContext": profile, "containers": [{"name": "c", "securityContext": profile}]});
    assert_eq!(pod(json!({ "annotations": annotations }), spec).len(), 3);
}

#[test]
fn apparmor_has_a_field() {
    let metadata = |profile: &str| json!({"name": "p", "annotations": {"container.apparmor.security.beta.kubernetes.io/c": profile}});
    let bare = json!({"containers": [{"name": "c"}]});
    let what = "metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: deprecated since v1.30; use \
                the \"appArmorProfile\" field instead";
    for profile in ["runtime/default", "unconfined", "localhost/x", "nonsense"] {
        assert_eq!(pod(metadata(profile), bare.clone()), [what], "{profile}");
    }
    assert_eq!(
        template(json!({"metadata": metadata("unconfined"), "spec": bare})),
        [format!("spec.template.{what}")]
    );
    let field = json!({"appArmorProfile": {"type": "Localhost", "localhostProfile": "x"}});
    let of_container = json!({"containers": [{"name": "c", "securityContext": field}]});
    let whole = json!({"securityContext": field, "containers": [{"name": "c"}]});
    for spec in [of_container, whole.clone()] {
        assert_eq!(pod(metadata("localhost/x"), spec.clone()), [""; 0]);
        assert_eq!(template(json!({"metadata": metadata("unconfined"), "spec": spec})), [""; 0]);
    }
    assert_eq!(pod(metadata("unconfined"), whole), [what]);
    let windows = json!({"os": {"name": "windows"}, "containers": [{"name": "c"}]});
    assert_eq!(pod(metadata("unconfined"), windows), [""; 0]);
}

#[test]
fn kinds_of_volumes_that_are_no_more() {
    let told = |field: &str| of_spec(json!({"volumes": [{"name": "v", field: {}}]}));
    let cases = [
        ("photonPersistentDisk", "photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+"),
        ("gitRepo", "gitRepo: deprecated in v1.11, and disabled by default in v1.33+"),
        ("scaleIO", "scaleIO: deprecated in v1.16, non-functional in v1.22+"),
        ("flocker", "flocker: deprecated in v1.22, non-functional in v1.25+"),
        ("storageos", "storageOS: deprecated in v1.22, non-functional in v1.25+"),
        ("quobyte", "quobyte: deprecated in v1.22, non-functional in v1.25+"),
        ("glusterfs", "glusterfs: deprecated in v1.25, non-functional in v1.26+"),
        ("cephfs", "cephfs: deprecated in v1.28, non-functional in v1.31+"),
        ("rbd", "rbd: deprecated in v1.28, non-functional in v1.31+"),
    ];
    for (field, expected) in cases {
        assert_eq!(told(field), [format!("spec.volumes[0].{expected}")]);
    }
}

#[test]
fn files_of_one_volume_are_in_each_others_way() {
    let told = |source: Value| {
        let mut volume = source;
        volume["name"] = "v".into();
        of_spec(json!({ "volumes": [volume] }))
    };
    let items = json!([{"key": "a", "path": "p"}, {"key": "b", "path": "p/q/"}, {"key": "c", "path": "pq"}]);
    let cases = [
        (json!({"configMap": {"name": "m", "items": items}}), "ConfigMap \"m\""),
        (json!({"secret": {"secretName": "s", "items": items}}), "Secret \"s\""),
        (json!({"downwardAPI": {"items": items}}), "DownwardAPI"),
    ];
    for (source, shown) in cases {
        assert_eq!(told(source), [format!("volume \"v\" ({shown}): overlapping paths: \"p/q\" with \"p\"")]);
    }
    let one = |path: &str| json!([{"key": "a", "path": path}]);
    let sources = json!([
        {"clusterTrustBundle": {"signerName": "s", "path": "t/t"}},
        {"downwardAPI": {"items": one("t")}},
        {"secret": {"name": "s", "items": one("t")}},
        {"podCertificate": {"keyPath": "k", "credentialBundlePath": "k/b"}},
        {"configMap": {"name": "m", "items": one("x")}},
        {"serviceAccountToken": {"path": "x/y"}},
        {},
    ]);
    assert_eq!(
        told(json!({"projected": {"sources": sources}})),
        [
            "volume \"v\" (Projected) has no sources provided",
            "volume \"v\" (Projected): overlapping paths: \"t\" (DownwardAPI) with \"t/t\" (ClusterTrustBundle \"s\")",
            "volume \"v\" (Projected): overlapping paths: \"t\" (Secret \"s\") with \"t/t\" (ClusterTrustBundle \"s\")",
            "volume \"v\" (Projected): overlapping paths: \"t\" (Secret \"s\") with \"t\" (DownwardAPI)",
            "volume \"v\" (Projected): overlapping paths: \"k/b\" (PodCertificate credential bundle) with \"k\" \
             (PodCertificate key)",
            "volume \"v\" (Projected): overlapping paths: \"x/y\" (ServiceAccountToken) with \"x\" (ConfigMap \"m\")",
        ]
    );
}

#[test]
fn what_is_listed_twice_or_is_nothing() {
    assert_eq!(
        of_spec(json!({"hostAliases": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}, {"ip": "::ffff:1.2.3.4"}]})),
        [
            "spec.hostAliases[1].ip: duplicate ip \"1.1.1.1\"",
            "spec.hostAliases[2].ip: non-standard IP address \"::ffff:1.2.3.4\" is invalid: use \"1.2.3.4\"",
        ]
    );
    assert_eq!(
        of_spec(json!({"imagePullSecrets": [{"name": "a"}, {"name": "a"}, {}]})),
        [
            "spec.imagePullSecrets[1].name: duplicate name \"a\"",
            "spec.imagePullSecrets[2].name: invalid empty name \"\"",
        ]
    );
    assert_eq!(
        of_spec(json!({"dnsConfig": {"nameservers": ["1.2.3.4", "FD00::1"]}})),
        [
            "spec.dnsConfig.nameservers[1]: IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")"
        ]
    );
    assert_eq!(
        of_spec(json!({"terminationGracePeriodSeconds": -5})),
        [
            "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ]
    );
}

#[test]
fn there_are_no_parts_of_bytes() {
    let parts = json!({"memory": "4m", "ephemeral-storage": "1500m", "cpu": "4m"});
    let resources = json!({"limits": parts, "requests": parts});
    let what = |path: &str, amount: &str| {
        format!("spec.{path}: fractional byte value \"{amount}\" is invalid, must be an integer")
    };
    assert_eq!(
        of_spec(json!({"overhead": parts, "containers": [{"name": "c", "resources": resources}]})),
        [
            what("overhead[memory]", "4m"),
            what("overhead[ephemeral-storage]", "1500m"),
            what("containers[0].resources.limits[memory]", "4m"),
            what("containers[0].resources.requests[memory]", "4m"),
            what("containers[0].resources.limits[ephemeral-storage]", "1500m"),
            what("containers[0].resources.requests[ephemeral-storage]", "1500m"),
        ]
    );
    let claim = json!({"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "200m"}}}}});
    assert_eq!(
        of_spec(json!({"volumes": [{"name": "v", "ephemeral": claim}]})),
        [what("volumes[0].ephemeral.volumeClaimTemplate.spec.resources.requests[storage]", "200m")]
    );
}

#[test]
fn variables_that_hide_earlier_ones() {
    let env = json!([
        {"name": "a", "value": "a"},
        {"name": "a", "value": "a"},
        {"name": "a", "value": ""},
        {"name": "a", "value": "$(a)"},
        {"name": "a", "valueFrom": {}},
        {"name": "a", "value": "$(a) $(a)"},
    ]);
    let spec = json!({"initContainers": [{"name": "c", "env": env}]});
    let expected = [1, 2, 3, 4].map(|at| {
        let what = "hides previous definition of \"a\", which may be dropped when using apply";
        format!("spec.initContainers[0].env[{at}]: {what}")
    });
    assert_eq!(of_spec(spec), expected);
}

#[test]
fn ports_are_in_each_others_way() {
    let told = |first: Value, second: Value| {
        let container = |port: Value| {
            let mut port = port;
            port["protocol"] = "UDP".into();
            json!({"name": "c", "ports": [port]})
        };
        of_spec(json!({"initContainers": [container(first)], "containers": [container(second)]}))
    };
    let with =
        |what: &str| vec![format!("spec.containers[0].ports[0]: {what} spec.initContainers[0].ports[0]")];
    let bare = json!({"containerPort": 80});
    let host = |port: i64, ip: &str| json!({"containerPort": 80, "hostPort": port, "hostIP": ip});
    assert_eq!(told(bare.clone(), bare.clone()), with("duplicate port definition with"));
    assert_eq!(told(bare, host(80, "10.0.0.1")), with("overlapping port definition with"));
    assert_eq!(told(host(80, ""), host(80, "10.0.0.1")), with("dangerously ambiguous port definition with"));
    assert_eq!(told(host(80, "10.0.0.1"), host(80, "10.0.0.2")), [""; 0]);
    assert_eq!(
        told(json!({"containerPort": 81}), host(0, "10.0.0.1")),
        [
            "spec.containers[0].ports[0]: hostIP set without hostPort: {Name: HostPort:0 ContainerPort:80 Protocol:UDP \
          HostIP:10.0.0.1}"
        ]
    );
    let named = |port: i64| json!({"containerPort": port, "name": "test"});
    assert_eq!(
        told(named(80), named(8090)),
        [
            "spec.containers[0].ports[0]: duplicate port name \"test\" with spec.initContainers[0].ports[0], services \
          and probes that select ports by name will use spec.initContainers[0].ports[0]"
        ]
    );
}

/// The kinds with a template, where it is, and whether their names become parts of those of pods.
const OWNERS: [(&str, &str, &str, bool); 8] = [
    ("apps/v1", "Deployment", "spec.template", true),
    ("apps/v1", "ReplicaSet", "spec.template", true),
    ("apps/v1", "StatefulSet", "spec.template", false),
    ("apps/v1", "DaemonSet", "spec.template", false),
    ("batch/v1", "Job", "spec.template", true),
    ("batch/v1", "CronJob", "spec.jobTemplate.spec.template", true),
    ("v1", "ReplicationController", "spec.template", true),
    ("v1", "PodTemplate", "template", false),
];

fn owner(template: Value, path: &str, generation: i64) -> Object {
    let mut object = Object(json!({"metadata": {"name": "a.b", "generation": generation}}));
    object.set(&path.split('.').collect::<Vec<_>>(), template);
    object
}

#[test]
fn every_kind_with_a_template_warns_of_it_where_it_is_and_when_it_may_be_new() {
    let odd = json!({"spec": {"terminationGracePeriodSeconds": -1, "containers": [{"name": "c"}]}});
    let what =
        "terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1";
    let why = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a \
               DNS label is recommended: [";
    for (version, kind, path, names_pods) in OWNERS {
        let rules = crate::resources::find_kind(version, kind).unwrap().strategy;
        let told = [format!("{path}.spec.{what}")];
        let old = owner(odd.clone(), path, 1);
        let mut new = rules.warnings(&old, None);
        let named = new.first().is_some_and(|first| first.starts_with(why));
        assert_eq!(named, names_pods, "{kind}");
        if named {
            new.remove(0);
        }
        assert_eq!(new, told, "{kind}");
        assert_eq!(rules.warnings(&old, Some(&old)), [""; 0], "{kind}");
        assert_eq!(rules.warnings(&owner(odd.clone(), path, 2), Some(&old)), told, "{kind}");
        assert_eq!(rules.warnings(&owner(usual(), path, 1), None).len(), usize::from(names_pods), "{kind}");
    }
}

#[test]
fn changes_of_pods_are_nobodys_business() {
    let rules = crate::resources::find_kind("v1", "Pod").unwrap().strategy;
    let odd = Object(json!({"metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": -1}}));
    assert_eq!(rules.warnings(&odd, None).len(), 1);
    assert_eq!(rules.warnings(&odd, Some(&odd)), [""; 0]);
}

#[test]
fn addresses_in_a_status_are_warned_of() {
    let ips = json!([{"ip": "10.0.0.1"}, {"ip": "FD00::1"}]);
    let object = Object(json!({"status": {"podIPs": ips, "hostIPs": ips}}));
    let what = "IPv6 address \"FD00::1\" should be in RFC 5952 canonical format (\"fd00::1\")";
    let expected = ["podIPs", "hostIPs"].map(|list| format!("status.{list}[1].ip: {what}"));
    assert_eq!(of_status(&object), expected);
}
