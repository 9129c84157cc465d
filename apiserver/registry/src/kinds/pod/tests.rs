//! Pods that break rules, pods as they are defaulted, and what may change in them.

use time::OffsetDateTime;

use super::*;
use crate::field::texts;

mod containers;
mod profiles;
mod resources;
mod systems;
mod volumes;

fn made(spec: Value) -> Object {
    let mut object = Object(json!({"metadata": {"name": "web", "namespace": "shop"}}));
    object.set(&["spec"], spec);
    let ty = crate::resources::find("", "v1", "pods").unwrap().schema();
    let schema = keelson_api_schema::builtin();
    object.0 = keelson_api_schema::decode_value(schema, ty, object.0).unwrap().value;
    Rules.default(&mut object);
    keelson_api_schema::default::apply(schema, ty, &mut object.0);
    Rules.prepare_create(&mut object);
    object
}

fn wrong(spec: Value) -> Vec<String> {
    texts(&Rules.validate(&made(spec)))
}

/// A pod of one good container with these further fields.
fn with(container: Value) -> Value {
    let mut one = json!({"name": "main", "image": "nginx:1"});
    let (Value::Object(fields), Value::Object(more)) = (&mut one, container) else { panic!("objects") };
    fields.extend(more);
    json!({ "containers": [one] })
}

#[test]
fn a_short_pod_is_completed_and_good() {
    let object = made(with(json!({"ports": [{"containerPort": 80}]})));
    let spec = &object.0["spec"];
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("securityContext", json!({})),
        ("enableServiceLinks", json!(true)),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    let container = &spec["containers"][0];
    assert_eq!(container["ports"][0]["protocol"], "TCP");
    assert_eq!(container["imagePullPolicy"], "IfNotPresent");
    assert_eq!(container["terminationMessagePolicy"], "File");
    assert_eq!(object.0["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(object.generation(), 1);
    assert_eq!(Rules.validate(&object), []);
    assert_eq!(Rules.validate_create(&object), []);
}

#[test]
fn containers_are_checked() {
    assert_eq!(wrong(json!({})), ["spec.containers: Required value"]);
    assert_eq!(
        wrong(json!({"containers": [{"name": "a", "image": "x:1"}, {"name": "a"}]})),
        ["spec.containers[1].image: Required value", "spec.containers[1].name: Duplicate value: \"a\"",]
    );
    assert_eq!(
        wrong(json!({"containers": [{"image": "x:1", "imagePullPolicy": "Sometimes"}]})),
        [
            "spec.containers[0].name: Required value",
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": \
             supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ]
    );
    let long = "a".repeat(64);
    assert_eq!(
        wrong(json!({"containers": [{"name": long, "image": " x:1"}]})),
        [
            format!("spec.containers[0].name: Invalid value: \"{long}\": must be no more than 63 characters"),
            "spec.containers[0].image: Invalid value: \" x:1\": must not have leading or trailing whitespace"
                .to_owned(),
        ]
    );
}

#[test]
fn ports_are_checked() {
    assert_eq!(
        wrong(with(json!({"ports": [
            {"containerPort": 0},
            {"containerPort": 80, "hostPort": 8080, "name": "http"},
            {"containerPort": 81, "hostPort": 8080, "name": "http"},
            {"containerPort": 82, "protocol": "ICMP"}
        ]}))),
        [
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[2].name: Duplicate value: \"http\"",
            "spec.containers[0].ports[3].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.containers[0].ports[2].hostPort: Duplicate value: \"TCP//8080\"",
        ]
    );
}

#[test]
fn environments_are_checked() {
    let env = json!([
        {"name": ""},
        {"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "B", "valueFrom": {}},
        {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "spec.restartPolicy"}}},
        {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}}},
        {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        {"name": "F", "valueFrom": {"configMapKeyRef": {"name": "c", "key": ""}}},
        {"name": "G", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "2"}}}
    ]);
    let at = "spec.containers[0].env";
    assert_eq!(
        wrong(with(json!({ "env": env }))),
        [
            format!("{at}[0].name: Required value"),
            format!("{at}[1].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"),
            format!(
                "{at}[2].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, \
                 `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            ),
            format!(
                "{at}[3].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.restartPolicy\": supported values: \
                 \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \
                 \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\""
            ),
            format!(
                "{at}[4].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.nothing\": \
                 error converting fieldPath: field label not supported: spec.nothing"
            ),
            format!("{at}[6].valueFrom.configMapKeyRef.key: Required value"),
            format!(
                "{at}[7].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": \
                 only divisor's values 1m and 1 are supported with the cpu resource"
            ),
        ]
    );
}

#[test]
fn volumes_and_mounts_are_checked() {
    let mut spec = with(json!({"volumeMounts": [
        {"name": "data", "mountPath": "/a"},
        {"name": "data", "mountPath": "/a"},
        {"name": "missing", "mountPath": ""},
        {"name": "data", "mountPath": "/c", "subPath": "../x"}
    ]}));
    spec["volumes"] = json!([
        {"name": "data", "emptyDir": {}, "hostPath": {"path": "/x"}},
        {"name": "data"},
        {"name": "s", "secret": {"secretName": "", "defaultMode": 512}},
        {"name": "h", "hostPath": {"path": "/a/../b", "type": "Door"}}
    ]);
    assert_eq!(
        wrong(spec),
        [
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[2].secret.secretName: Required value",
            "spec.volumes[2].secret.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive",
            "spec.volumes[3].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            "spec.volumes[3].hostPath.type: Unsupported value: \"Door\": supported values: \"\", \"BlockDevice\", \
             \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
            "spec.containers[0].volumeMounts[2].name: Not found: \"missing\"",
            "spec.containers[0].volumeMounts[2].mountPath: Required value",
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'",
        ]
    );
}

#[test]
fn sources_of_projected_volumes_are_checked() {
    let wrong = |source: Value| {
        let volumes = json!([{"name": "v", "projected": {"sources": [source]}}]);
        let container = json!({"name": "a", "image": "a"});
        wrong(json!({"volumes": volumes, "containers": [container]}))
    };
    let certificate = |fields: Value| {
        let mut source =
            json!({"signerName": "example.com/s", "keyType": "ED25519", "credentialBundlePath": "c"});
        source.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"podCertificate": source})
    };
    let place = "spec.volumes[0].projected.sources[0]";
    let none: [&str; 0] = [];
    assert_eq!(wrong(certificate(json!({"maxExpirationSeconds": 3600}))), none);
    for (source, path, why) in [
        (
            certificate(json!({"maxExpirationSeconds": 3599})),
            "podCertificate.maxExpirationSeconds",
            "must be >= 3600",
        ),
        (
            certificate(json!({"maxExpirationSeconds": 7_862_401})),
            "podCertificate.maxExpirationSeconds",
            "must be <= 7862400",
        ),
        (
            certificate(json!({"signerName": "kubernetes.io/s", "maxExpirationSeconds": 86_401})),
            "podCertificate.maxExpirationSeconds",
            "must be <= 86400",
        ),
        (
            certificate(json!({"signerName": "s"})),
            "podCertificate.signerName",
            "must be a fully qualified domain",
        ),
        (certificate(json!({"keyType": "DSA"})), "podCertificate.keyType", "Unsupported value"),
        (certificate(json!({"credentialBundlePath": ""})), "podCertificate", "specify at least one of"),
        (json!({"clusterTrustBundle": {"path": "p"}}), "clusterTrustBundle", "either name or signerName"),
        (
            json!({"clusterTrustBundle": {"path": "p", "name": "a", "signerName": "example.com/s"}}),
            "clusterTrustBundle",
            "only one of name and signerName may be used",
        ),
        (
            json!({"clusterTrustBundle": {"path": "p", "name": "a", "labelSelector": {}}}),
            "clusterTrustBundle.labelSelector",
            "labelSelector must be unset if name is specified",
        ),
    ] {
        let texts = wrong(source);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].starts_with(&format!("{place}.{path}: ")) && texts[0].contains(why), "{texts:?}");
    }
}

#[test]
fn probes_are_checked() {
    assert_eq!(
        wrong(with(json!({
            "livenessProbe": {"successThreshold": 2, "httpGet": {"port": 80}},
            "readinessProbe": {"periodSeconds": -1, "tcpSocket": {"port": "no_name"}, "terminationGracePeriodSeconds": 5},
            "startupProbe": {},
            "lifecycle": {"preStop": {"sleep": {"seconds": 31}}}
        }))),
        [
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: \
             must be non-negative and less than terminationGracePeriodSeconds (30)",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "spec.containers[0].readinessProbe.tcpSocket.port: Invalid value: \"no_name\": \
             must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
            "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
            "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: \
             must not be set for readinessProbes",
            "spec.containers[0].startupProbe: Required value: must specify a handler type",
        ]
    );
    let mut spec = with(json!({}));
    spec["initContainers"] = json!([
        {"name": "a", "image": "x:1", "livenessProbe": {"exec": {"command": ["true"]}}},
        {"name": "b", "image": "x:1", "restartPolicy": "Always", "livenessProbe": {"exec": {"command": ["true"]}}}
    ]);
    assert_eq!(
        wrong(spec),
        [
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always"
        ]
    );
}

#[test]
fn wishes_about_where_to_run_are_checked() {
    let mut spec = with(json!({}));
    spec["tolerations"] = json!([
        {"operator": "Equal"},
        {"key": "a", "operator": "Exists", "value": "x"},
        {"key": "a", "tolerationSeconds": 1, "effect": "NoSchedule"}
    ]);
    spec["affinity"] = json!({
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}},
        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 101, "podAffinityTerm": {"topologyKey": "zone"}}
        ]}
    });
    spec["topologySpreadConstraints"] =
        json!([{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
    assert_eq!(
        wrong(spec),
        [
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: \
             Required value: must have at least one node selector term",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: \
             Invalid value: 101: must be in the range 1-100",
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, \
             which means \"match all values and all keys\"",
            "spec.tolerations[1].operator: Invalid value: \"x\": value must be empty when `operator` is 'Exists'",
            "spec.tolerations[2].effect: Invalid value: \"NoSchedule\": \
             effect must be 'NoExecute' when `tolerationSeconds` is set",
        ]
    );
}

#[test]
fn policies_dns_and_security_are_checked() {
    let mut spec = with(json!({"securityContext": {
        "runAsUser": -1, "privileged": true, "allowPrivilegeEscalation": false
    }}));
    spec["restartPolicy"] = json!("Maybe");
    spec["dnsPolicy"] = json!("None");
    spec["activeDeadlineSeconds"] = json!(0);
    spec["hostname"] = json!("a.b");
    let errors = wrong(spec);
    assert_eq!(
        errors[0],
        "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"
    );
    assert!(errors[1].ends_with("cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    assert_eq!(
        errors[2..],
        [
            "spec.restartPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"Never\", \"OnFailure\"",
            "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
            "spec.hostname: Invalid value: \"a.b\": must not contain dots",
        ]
    );
}

#[test]
fn next_to_nothing_may_change() {
    let mut spec = with(json!({}));
    spec["tolerations"] = json!([{"key": "a", "operator": "Exists"}]);
    let old = made(spec);
    let mut new = old.clone();
    new.0["spec"]["containers"][0]["image"] = json!("nginx:2");
    new.0["spec"]["tolerations"] = json!([{"key": "a", "operator": "Exists", "tolerationSeconds": 3}, {"key": "b", "operator": "Exists"}]);
    new.set(&["spec", "activeDeadlineSeconds"], 9);
    Rules.prepare_update(&mut new, &old);
    assert_eq!(Rules.validate_update(&new, &old), []);
    assert_eq!(new.generation(), 2);

    let mut new = old.clone();
    new.set(&["spec", "hostname"], "other");
    let errors = texts(&Rules.validate_update(&new, &old));
    assert_eq!(
        errors,
        ["spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
             `spec.tolerations` (only additions to existing tolerations),\
             `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n  \
             hostname: null → \"other\"\n"]
    );
    let mut new = old.clone();
    new.set(&["spec", "tolerations"], json!([]));
    assert_eq!(
        texts(&Rules.validate_update(&new, &old)),
        ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"]
    );
    let mut new = old.clone();
    new.set(&["spec", "containers"], json!([]));
    assert_eq!(
        texts(&Rules.validate_update(&new, &old)),
        ["spec.containers: Forbidden: pod updates may not add or remove containers"]
    );
}

#[test]
fn held_pods_wait_and_may_become_pickier() {
    let mut spec = with(json!({}));
    spec["schedulingGates"] = json!([{"name": "example.com/wait"}]);
    spec["nodeSelector"] = json!({"a": "1"});
    let old = made(spec);
    assert_eq!(old.0["status"]["conditions"][0]["reason"], "SchedulingGated");
    let mut new = old.clone();
    new.set(&["spec", "nodeSelector", "b"], "2");
    new.set(&["spec", "schedulingGates"], json!([]));
    assert_eq!(Rules.validate_update(&new, &old), []);
    new.set(&["spec", "nodeSelector"], json!({"b": "2"}));
    new.set(&["spec", "schedulingGates"], json!([{"name": "more"}]));
    assert_eq!(
        texts(&Rules.validate_update(&new, &old)),
        [
            "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'more'",
            "spec.nodeSelector: Invalid value: {\"b\":\"2\"}: \
             only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        ]
    );
}

#[test]
fn status_keeps_what_is_settled() {
    let mut old = made(with(json!({})));
    old.set(&["spec", "restartPolicy"], "Never");
    old.set(
        &["status", "containerStatuses"],
        json!([{"name": "main", "state": {"terminated": {"exitCode": 0}}}]),
    );
    let mut new = old.clone();
    new.set(&["spec", "nodeName"], "elsewhere");
    new.set(
        &["status"],
        json!({"phase": "Running", "containerStatuses": [{"name": "main", "state": {"running": {}}}]}),
    );
    Rules.prepare_status_update(&mut new, &old);
    assert_eq!(new.text(&["spec", "nodeName"]), "");
    assert_eq!(new.text(&["status", "qosClass"]), "BestEffort");
    assert_eq!(
        texts(&Rules.validate_status_update(&new, &old)),
        ["status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"]
    );
}

#[test]
fn only_running_pods_are_deleted_slowly() {
    let mut pod = made(with(json!({})));
    assert_eq!(Rules.grace_period(&pod, None), Some(0));
    pod.set(&["spec", "nodeName"], "n");
    assert_eq!(Rules.grace_period(&pod, None), Some(30));
    assert_eq!(Rules.grace_period(&pod, Some(5)), Some(5));
    assert_eq!(Rules.grace_period(&pod, Some(-1)), Some(1));
    pod.set(&["status", "phase"], "Failed");
    assert_eq!(Rules.grace_period(&pod, None), Some(0));
}

#[test]
fn templates_are_checked_without_what_pods_alone_have() {
    let mut template = json!({
        "metadata": {"labels": {"a b": "c"}},
        "spec": {"containers": [{"name": "a", "image": " x:1"}], "ephemeralContainers": [{"name": "e", "image": "x:1"}]}
    });
    super::template::default(&mut template);
    assert!(template["spec"].get("enableServiceLinks").is_none());
    let object = Object(json!({"spec": {"template": template}}));
    let mut errors = Vec::new();
    super::template::validate(&Place::at(&object, &["spec", "template"]), &mut errors);
    let texts = texts(&errors);
    assert!(texts[0].starts_with("spec.template.labels: Invalid value: \"a b\": name part must consist of"));
    assert_eq!(
        texts[1..],
        [
            "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template"
        ]
    );
}

#[test]
fn rows_are_upstreams() {
    let now = OffsetDateTime::UNIX_EPOCH + time::Duration::hours(2);
    let row = |status: Value, deleted: bool| -> Vec<String> {
        let mut spec = with(json!({}));
        spec["initContainers"] = json!([
            {"name": "first", "image": "x:1"}, {"name": "side", "image": "x:1", "restartPolicy": "Always"}
        ]);
        let mut pod = made(spec);
        pod.set(&["status"], status);
        if deleted {
            pod.set(&["metadata", "deletionTimestamp"], "1970-01-01T00:00:00Z");
        }
        let cells = COLUMNS[1..4].iter().map(|column| (column.cell)(&pod, now));
        cells.map(|cell| cell.as_str().unwrap_or_default().to_owned()).collect()
    };
    let done = json!({"name": "first", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let side = json!({"name": "side", "started": true, "ready": true, "state": {"running": {}}});
    assert_eq!(row(json!({"phase": "Pending"}), false), ["0/2", "Pending", "0"]);
    let waiting = json!({"name": "first", "state": {"waiting": {"reason": "PodInitializing"}}});
    let status = json!({"phase": "Pending", "initContainerStatuses": [waiting]});
    assert_eq!(row(status, false), ["0/2", "Init:0/2", "0"]);
    let failed = json!({"name": "first", "restartCount": 3, "state": {"terminated": {"exitCode": 7}},
        "lastState": {"terminated": {"finishedAt": "1970-01-01T01:58:30Z"}}});
    let status = json!({"phase": "Pending", "initContainerStatuses": [failed]});
    assert_eq!(row(status, false), ["0/2", "Init:ExitCode:7", "3 (90s ago)"]);
    let running = |state: Value, ready: bool| {
        json!({"phase": "Running", "initContainerStatuses": [done, side],
               "containerStatuses": [{"name": "main", "ready": ready, "restartCount": 2, "state": state}]})
    };
    assert_eq!(row(running(json!({"running": {}}), true), false), ["2/2", "Running", "2"]);
    assert_eq!(row(running(json!({"running": {}}), true), true), ["2/2", "Terminating", "2"]);
    let crash = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    assert_eq!(row(running(crash, false), false), ["1/2", "CrashLoopBackOff", "2"]);
    let status = json!({"phase": "Failed", "reason": "Evicted"});
    assert_eq!(row(status, true), ["0/2", "Evicted", "0"]);
}

#[test]
fn selectable_fields_are_text() {
    let pod = made(with(json!({})));
    assert_eq!(Rules.field_value(&pod, "spec.hostNetwork"), "false");
    assert_eq!(Rules.field_value(&pod, "spec.restartPolicy"), "Always");
    assert_eq!(Rules.field_value(&pod, "status.podIP"), "");
}
