//! Pods in the node's own network, and at its ports.

use crate::lab::NODE_ADDRESS;
use crate::space::Space;
use crate::wait;

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: on-the-node}
spec:
  hostNetwork: true
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "mkdir /tmp/w; echo node > /tmp/w/who; exec httpd -f -p 18081 -h /tmp/w"]
    ports: [{containerPort: 18081}]
    readinessProbe: {httpGet: {path: /who, port: 18081}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: at-a-port}
spec:
  containers:
  - name: main
    image: busybox:1.36
    command: [sh, -c, "mkdir /tmp/w; echo port > /tmp/w/who; exec httpd -f -p 8080 -h /tmp/w"]
    ports: [{containerPort: 8080, hostPort: 18082}]
    readinessProbe: {httpGet: {path: /who, port: 8080}, periodSeconds: 1}
"#;

const RIVAL: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: rival}
spec:
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    ports: [{containerPort: 8080, hostPort: 18082}]
"#;

pub(super) fn host_network_and_ports(space: &Space<'_>) {
    space.apply(PODS);
    space.until_ready("on-the-node");
    space.until_ready("at-a-port");
    let pod = space.pod("on-the-node").unwrap();
    assert_eq!(pod["status"]["podIP"], NODE_ADDRESS.to_string(), "{pod}");
    let outside = space.lab.servers.network();
    let ask = |port: u16| space.lab.fetch(outside, &format!("http://{NODE_ADDRESS}:{port}/who"));
    assert_eq!(ask(18_081), Ok("node\n".to_owned()));
    assert_eq!(ask(18_082), Ok("port\n".to_owned()));
    space.apply(RIVAL);
    let failed = space.until_event("rival", "FailedScheduling");
    assert!(failed.contains("1 node(s) didn't have free ports for the requested pod ports"), "{failed}");
    space.ok("delete pod at-a-port --grace-period=1");
    space.until_ready("rival");
    wait::until("nobody answers at the port", || match ask(18_082) {
        Ok(answer) if answer == "port\n" => Err(answer),
        Ok(_) | Err(_) => Ok(()),
    });
}
