//! Manifests that several scenarios use.

/// A Deployment of two web servers that say their names, with a readiness probe in YAML's flow style.
pub(crate) fn web_servers(readiness: &str) -> String {
    WEB_SERVERS.replace("READINESS", readiness)
}

/// A readiness probe that a web server passes as soon as it listens.
pub(crate) const LISTENS: &str = "{httpGet: {path: /who, port: web}, periodSeconds: 1}";

const WEB_SERVERS: &str = r#"
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
        ports: [{name: web, containerPort: 8080}]
        readinessProbe: READINESS
        livenessProbe: {tcpSocket: {port: web}, periodSeconds: 2}
"#;

/// A pod that waits for what is done in it.
pub(crate) fn idle(name: &str) -> String {
    IDLE.replace("NAME", name)
}

const IDLE: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
"#;
