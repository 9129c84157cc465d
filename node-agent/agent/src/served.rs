//! The pods as the node's own API serves them.

use std::fmt::Write;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use keelson_node_server::Pods;

use crate::pod::spec;
use crate::registry::{Record, Registry};
use crate::runtime::observed::InstanceState;

/// The registry, with the statuses that were told last.
pub(crate) struct Served(pub(crate) Arc<Registry>);

impl Pods for Served {
    fn find(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let records = self.0.all();
        let named = records.iter().filter(|record| {
            let pod = record.pod();
            spec::namespace(&pod) == namespace && spec::name(&pod) == name
        });
        // One that was deleted may still be here beside its successor.
        let found = named
            .min_by_key(|record| (record.desires().borrow().is_removed, spec::is_deleting(&record.pod())));
        found.map(|record| with_status(record))
    }

    fn list(&self) -> Vec<Arc<Pod>> {
        self.0.all().iter().map(|record| with_status(record)).collect()
    }

    fn metrics(&self) -> String {
        let mut containers = [("created", 0), ("running", 0), ("exited", 0), ("unknown", 0)];
        let mut pods = 0;
        for record in self.0.all() {
            let view = record.view();
            pods += usize::from(view.observed.sandboxes.iter().any(|sandbox| sandbox.is_ready));
            for instance in &view.observed.instances {
                let at = match instance.state {
                    InstanceState::Created => 0,
                    InstanceState::Running { .. } => 1,
                    InstanceState::Exited { .. } => 2,
                    InstanceState::Unknown => 3,
                };
                containers[at].1 += 1;
            }
        }
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# HELP kubelet_running_pods Number of pods that have a running pod sandbox");
        let _ = writeln!(text, "# TYPE kubelet_running_pods gauge\nkubelet_running_pods {pods}");
        let _ = writeln!(text, "# HELP kubelet_running_containers Number of containers by state");
        let _ = writeln!(text, "# TYPE kubelet_running_containers gauge");
        for (state, count) in containers {
            let _ = writeln!(text, "kubelet_running_containers{{container_state=\"{state}\"}} {count}");
        }
        text
    }
}

fn with_status(record: &Record) -> Arc<Pod> {
    let pod = record.pod();
    Arc::new(Pod { status: Some(record.view().told.clone()), ..(*pod).clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{instance, observed, pod, running};

    #[test]
    fn pods_are_found_by_name_with_the_status_of_the_moment_and_successors_first() {
        let registry = Arc::new(Registry::default());
        let mut old = pod(json!({"containers": []}));
        old.metadata.uid = Some("old".into());
        registry.want(Arc::new(old)).unwrap();
        registry.lose("old");
        let record = registry.want(Arc::new(pod(json!({"containers": []})))).unwrap();
        record.view().told.phase = Some("Running".into());
        record.view().observed = observed(vec![instance("a", 1, running(1))]);
        let served = Served(registry);
        let found = served.find("shop", "web").unwrap();
        assert_eq!((spec::uid(&found), spec::phase(&found)), ("uid-1", "Running"));
        assert!(served.find("shop", "other").is_none());
        assert_eq!(served.list().len(), 2);
        let metrics = served.metrics();
        assert!(metrics.contains("kubelet_running_pods 1\n"));
        assert!(metrics.contains("kubelet_running_containers{container_state=\"running\"} 1\n"));
    }
}
