//! Traffic goes to those pods that say that they are ready.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::manifests::web_servers;
use crate::space::Space;
use crate::wait;

const SERVICES: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: shy}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: all}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {app: web}
  ports: [{port: 8080}]
"#;

/// Decided by whoever makes the file.
const WHEN_TOLD: &str = "{exec: {command: [test, -f, /tmp/ready]}, periodSeconds: 1, failureThreshold: 1}";

/// The addresses behind a Service that are to get traffic, and those that are not.
fn endpoints(space: &Space<'_>, service: &str) -> Result<(BTreeSet<String>, BTreeSet<String>), String> {
    let selector = format!("kubernetes.io%2Fservice-name%3D{service}");
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector={selector}",
        space.name
    );
    let slices = space.lab.api.get(&path)?;
    let all = slices["items"].as_array().unwrap().iter();
    let endpoints = all.flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
    let is_ready = |endpoint: &Value| endpoint["conditions"]["ready"] == true;
    let (ready, others): (Vec<Value>, Vec<Value>) = endpoints.partition(is_ready);
    let addresses = |endpoints: Vec<Value>| {
        endpoints.iter().map(|endpoint| endpoint["addresses"][0].as_str().unwrap().to_owned()).collect()
    };
    Ok((addresses(ready), addresses(others)))
}

pub(super) fn endpoints_follow_readiness(space: &Space<'_>) {
    space.apply(SERVICES);
    space.apply(&web_servers(WHEN_TOLD));
    let ready_are = |expected: &[&str]| {
        wait::until("endpoints are as the pods are", || {
            let (ready, others) = endpoints(space, "shy")?;
            let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
            let is_so = ready == expected && ready.len() + others.len() == 2;
            if is_so { Ok(()) } else { Err(format!("{ready:?}, not {expected:?}; not ready {others:?}")) }
        });
    };
    ready_are(&[]);
    let pods = space.pods("app", "web").unwrap();
    let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
    let (first, second) = (name(&pods[0]), name(&pods[1]));
    let address = |pod: &str| space.pod(pod).unwrap()["status"]["podIP"].as_str().unwrap().to_owned();
    assert_eq!(endpoints(space, "all").unwrap().0.len(), 2, "some Services want all");

    space.until_phase(&first, "Running");
    space.until_phase(&second, "Running");
    space.shell(&first, "touch /tmp/ready");
    ready_are(&[&address(&first)]);
    let service = space.service("shy");
    let url = format!("http://{}/who", service["spec"]["clusterIP"].as_str().unwrap());
    let ask = || space.lab.fetch(&space.lab.node_network, &url);
    for _ in 0..6 {
        assert_eq!(wait::until("an answer", ask).trim(), first);
    }
    space.shell(&second, "touch /tmp/ready");
    ready_are(&[&address(&first), &address(&second)]);
    space.shell(&first, "rm /tmp/ready");
    ready_are(&[&address(&second)]);
    wait::until("only the other one is asked", || {
        let heard: BTreeSet<String> = (0..6).map(|_| ask()).collect::<Result<_, _>>()?;
        let is_so = heard.len() == 1 && heard.iter().all(|name| name.trim() == second);
        if is_so { Ok(()) } else { Err(format!("{heard:?}")) }
    });
    let events = space.until_event(&first, "Unhealthy");
    assert!(events.starts_with("Readiness probe failed"), "{events}");
}
