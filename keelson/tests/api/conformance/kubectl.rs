//! Titles of sig-cli, by kubectl itself.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::Title;
use super::cluster::Cluster;
use crate::following::Following;
use crate::kubectl::Kubectl;
use crate::wait;

pub(super) const TITLES: &[Title] = &[
    Title::new("Kubectl client", "api-versions contains v1", api_versions),
    Title::new("Kubectl client", "cluster-info", cluster_info),
    Title::new("Kubectl client", "diff finds a difference for Deployments", diff),
    Title::new("Kubectl client", "run pod creates a pod (restart=Never)", run),
    Title::new("Kubectl client", "server-side dry-run patch of a Pod", dry_run),
    Title::new("Kubectl client", "version prints all data", version),
    Title::new("Kubectl client", "proxy --unix-socket", proxy_at_socket),
    Title::new("Kubectl client", "proxy --port 0", proxy_at_port),
];

/// What upstream's suite runs in these.
const IMAGE: &str = "registry.k8s.io/e2e-test-images/httpd:2.4.38-4";
const OTHER: &str = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";

fn kubectl(cluster: &Cluster<'_>) -> Kubectl {
    Kubectl::admin(cluster.servers)
}

fn api_versions(cluster: &Cluster<'_>) {
    assert!(kubectl(cluster).ok("api-versions").lines().any(|line| line == "v1"));
}

fn cluster_info(cluster: &Cluster<'_>) {
    let info = kubectl(cluster).ok("cluster-info");
    assert!(info.contains("Kubernetes control plane") && info.contains("is running at"), "{info}");
}

fn version(cluster: &Cluster<'_>) {
    let version = kubectl(cluster).ok("version");
    assert!(version.contains("Client Version: ") && version.contains("Server Version: v1.37."), "{version}");
}

fn diff(cluster: &Cluster<'_>) {
    let (kubectl, namespace) = (kubectl(cluster), cluster.namespace());
    let object = |image: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "httpd-deployment", "labels": {"app": "httpd"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "httpd"}}, "template": {
                "metadata": {"labels": {"app": "httpd"}},
                "spec": {"containers": [{"name": "httpd", "image": image, "ports": [{"containerPort": 80}]}]},
            }},
        })
        .to_string()
    };
    kubectl.run_with(&["-n", &namespace.name, "create", "-f", "-"], &object(IMAGE)).ok();
    let found = kubectl.run_with(&["-n", &namespace.name, "diff", "-f", "-"], &object(OTHER));
    assert!(!found.succeeded && found.out.contains(OTHER) && found.out.contains(IMAGE), "{found:?}");
    kubectl.ok(&format!("-n {} delete deployment httpd-deployment", namespace.name));
}

fn run(cluster: &Cluster<'_>) {
    let (kubectl, namespace) = (kubectl(cluster), cluster.namespace());
    let name = "e2e-test-httpd-pod";
    kubectl.ok(&format!("-n {} run {name} --restart=Never --image={IMAGE}", namespace.name));
    let pod = cluster.api.get(&namespace.core(&format!("pods/{name}"))).ok();
    assert_eq!(pod["spec"]["containers"][0]["image"], IMAGE);
    assert_eq!(pod["spec"]["restartPolicy"], "Never");
    kubectl.ok(&format!("-n {} delete pod {name}", namespace.name));
}

fn dry_run(cluster: &Cluster<'_>) {
    let (kubectl, namespace) = (kubectl(cluster), cluster.namespace());
    let name = "e2e-test-httpd-pod";
    kubectl.ok(&format!("-n {} run {name} --image={IMAGE} --labels=run={name}", namespace.name));
    let patch = json!({"spec": {"containers": [{"name": name, "image": OTHER}]}}).to_string();
    let flag = format!("--patch={patch}");
    kubectl.run(&["-n", &namespace.name, "patch", "pod", name, &flag, "--dry-run=server"]).ok();
    let pod = cluster.api.get(&namespace.core(&format!("pods/{name}"))).ok();
    assert_eq!(pod["spec"]["containers"][0]["image"], IMAGE, "nothing was changed");
    kubectl.ok(&format!("-n {} delete pod {name}", namespace.name));
}

/// What is answered to a plain GET of the versions.
fn asked(mut stream: impl std::io::Read + std::io::Write) -> String {
    stream.write_all(b"GET /api/ HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn proxy_at_port(cluster: &Cluster<'_>) {
    let proxy = Following::start(&kubectl(cluster), &["proxy", "-p", "0", "--disable-filter"]);
    let line = proxy.next();
    let address = line.rsplit(' ').next().unwrap();
    let answer = asked(TcpStream::connect(address).unwrap());
    assert!(answer.contains("\"APIVersions\""), "{answer}");
}

fn proxy_at_socket(cluster: &Cluster<'_>) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("test");
    let flag = format!("--unix-socket={}", socket.display());
    let _proxy = Following::start(&kubectl(cluster), &["proxy", &flag]);
    let stream =
        wait::until("the proxy listens", || UnixStream::connect(&socket).map_err(|error| error.to_string()));
    let answer = asked(stream);
    assert!(answer.contains("\"APIVersions\""), "{answer}");
}
