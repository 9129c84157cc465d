//! Pods that must not notice what happens to the cluster.

use std::collections::BTreeMap;

use crate::lab::Lab;
use crate::manifests::{LISTENS, idle, web_servers};
use crate::space::Space;
use crate::wait;

const SERVICE: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.100.100
  selector: {app: web}
  ports: [{port: 80, targetPort: web}]
"#;

/// Every pod's container, and how often it was restarted.
pub(super) type Containers = BTreeMap<String, (String, u64)>;

/// A small web server with a Service in front.
pub(super) fn serve(lab: &Lab) -> Space<'_> {
    let space = Space::named(lab, "default");
    space.apply(SERVICE);
    space.apply(&web_servers(LISTENS));
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
    space.apply(&idle(name));
    space.until_ready(name);
    space.ok(&format!("delete pod {name}"));
}

/// All of that, and the containers are those that there were.
pub(super) fn is_undisturbed(lab: &Lab, before: &Containers, newcomer: &str) {
    newcomers_are_welcome(lab, newcomer);
    answers(lab);
    assert_eq!(containers(lab), *before);
}
