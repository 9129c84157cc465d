//! Pods that must not notice what happens to the cluster.

use std::collections::BTreeMap;

use crate::lab::Lab;
use crate::space::Space;
use crate::wait;

const PODS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.100.100
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: busybox:1.36
        command: [sh, -c, "mkdir /tmp/w; hostname > /tmp/w/who; exec httpd -f -p 8080 -h /tmp/w"]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
        livenessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
"#;

const NEWCOMER: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
"#;

/// Every pod's container, and how often it was restarted.
pub(super) type Containers = BTreeMap<String, (String, u64)>;

/// A small web server with a Service in front.
pub(super) fn serve(lab: &Lab) -> Space<'_> {
    let space = Space::named(lab, "default");
    space.apply(PODS);
    space.ok("rollout status deployment/web --timeout=60s");
    answers(lab);
    space
}

/// The Service answers.
pub(super) fn answers(lab: &Lab) {
    wait::until("the Service answers", || lab.fetch(&lab.node_network, "http://10.96.100.100/who"));
}

/// The web server's containers.
pub(super) fn containers(lab: &Lab) -> Containers {
    let pods = Space::named(lab, "default").pods("app", "web").unwrap();
    let row = |pod: &serde_json::Value| {
        let status = &pod["status"]["containerStatuses"][0];
        let id = status["containerID"].as_str().unwrap_or_default().to_owned();
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        (name, (id, status["restartCount"].as_u64().unwrap_or_default()))
    };
    pods.iter().map(row).collect()
}

/// Everybody from the API to the runtime does what they should: a new pod starts and goes.
pub(super) fn newcomers_are_welcome(lab: &Lab, name: &str) {
    let space = Space::named(lab, "default");
    space.apply(&NEWCOMER.replace("NAME", name));
    space.until_ready(name);
    space.ok(&format!("delete pod {name}"));
}

/// All of that, and the containers are those that there were.
pub(super) fn is_undisturbed(lab: &Lab, before: &Containers, newcomer: &str) {
    newcomers_are_welcome(lab, newcomer);
    answers(lab);
    assert_eq!(containers(lab), *before);
}
