//! The environment of containers.

use crate::space::Space;

const OBJECTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: green, size: large}
---
apiVersion: v1
kind: Secret
metadata: {name: keys}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Service
metadata: {name: other-side}
spec:
  clusterIP: 10.96.200.200
  ports: [{name: web, port: 80}]
"#;

const POD: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: printer, labels: {tier: front}, annotations: {note: kept}}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, 'env | sort; echo "$@"', "--"]
    args: [$(PLAIN), $(ABSENT), $$(PLAIN)]
    resources: {requests: {cpu: 100m, memory: 16Mi}, limits: {memory: 32Mi}}
    envFrom:
    - {prefix: SET_, configMapRef: {name: settings}}
    - {secretRef: {name: keys}}
    - {configMapRef: {name: absent, optional: true}}
    env:
    - {name: PLAIN, value: plain}
    - {name: COMPOSED, value: "$(PLAIN) and $(COLOUR)"}
    - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
    - {name: AFTERWARDS, value: "$(COLOUR)"}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: keys, key: password}}}
    - {name: OPTIONAL, valueFrom: {secretKeyRef: {name: keys, key: absent, optional: true}}}
    - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: TIER, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
    - {name: NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note']"}}}
    - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
    - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
"#;

pub(super) fn environment(space: &Space<'_>) {
    space.apply(OBJECTS);
    space.apply(POD);
    space.until_phase("printer", "Succeeded");
    let printed = space.ok("logs printer");
    let pod = space.pod("printer").unwrap();
    let pod_ip = format!("POD_IP={}", pod["status"]["podIP"].as_str().unwrap());
    for line in [
        "SET_colour=green",
        "SET_size=large",
        "password=s3cret",
        "PLAIN=plain",
        "COMPOSED=plain and $(COLOUR)",
        "AFTERWARDS=green",
        "PASSWORD=s3cret",
        "POD=printer",
        "TIER=front",
        "NOTE=kept",
        "NODE=worker",
        "HOST_IP=172.31.0.10",
        &pod_ip,
        "ACCOUNT=default",
        "MEMORY=32",
        "CPU=100",
        "HOSTNAME=printer",
        "OTHER_SIDE_SERVICE_HOST=10.96.200.200",
        "OTHER_SIDE_SERVICE_PORT_WEB=80",
        "OTHER_SIDE_PORT_80_TCP_ADDR=10.96.200.200",
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
        "plain $(ABSENT) $(PLAIN)",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in\n{printed}");
    }
    assert!(!printed.contains("OPTIONAL"), "{printed}");
}

const INCOMPLETE: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: patient}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "echo $WORD"]
    env: [{name: WORD, valueFrom: {configMapKeyRef: {name: words, key: word}}}]
---
apiVersion: v1
kind: Pod
metadata: {name: mounting}
spec:
  restartPolicy: Never
  volumes: [{name: words, configMap: {name: words}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [cat, /words/word]
    volumeMounts: [{name: words, mountPath: /words}]
"#;

pub(super) fn missing_references(space: &Space<'_>) {
    space.apply(INCOMPLETE);
    let reason = space.until_waiting("patient", "CreateContainerConfigError");
    assert_eq!(reason, "configmap \"words\" not found");
    let failed = space.until_event("mounting", "FailedMount");
    assert_eq!(failed, "MountVolume.SetUp failed for volume \"words\" : configmap \"words\" not found");
    space.ok("create configmap words --from-literal=word=hello");
    for pod in ["patient", "mounting"] {
        space.until_phase(pod, "Succeeded");
        assert_eq!(space.ok(&format!("logs {pod}")).trim_end(), "hello");
    }
}
