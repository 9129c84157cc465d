//! Makes the pod's sandbox.

use std::fs;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::node::v1::RuntimeClass;
use keelson_controller_runtime::reference_to;
use keelson_node_volumes::{HostDns, HostName, resolver};
use keelson_proto::cri::v1::PodSandboxConfig;
use kube::Api;

use super::Worker;
use crate::config::sandbox::{Parts, config};
use crate::pod::spec;

/// The node's own resolver.
const RESOLV_CONF: &str = "/etc/resolv.conf";

impl Worker {
    /// The configuration of the pod's sandbox; the text says why there is none.
    pub(super) fn sandbox_config(&self, pod: &Pod, attempt: u32) -> Result<PodSandboxConfig, String> {
        let name = HostName::of(pod, &self.shared.dns.domain).map_err(|error| error.to_string())?;
        let host = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        let host = HostDns::parse(&host).map_err(|error| format!("{RESOLV_CONF}: {error}"))?;
        let parts = Parts {
            attempt,
            hostname: name.for_sandbox(pod).map_err(|error| error.to_string())?,
            dns: resolver(pod, &self.shared.dns, &host).config,
            log_directory: self.logs.pod(),
            cgroup_parent: self.shared.cgroups.path_of(pod),
        };
        Ok(config(pod, parts))
    }

    /// Makes the sandbox; its id, or the text of why it is not there.
    pub(super) async fn make_sandbox(&self, pod: &Pod, config: PodSandboxConfig) -> Result<String, String> {
        if spec::spec(pod).host_users == Some(false) {
            return Err("can't set spec.hostUsers: user namespaces are not supported".to_owned());
        }
        self.tell_resolver_warnings(pod);
        let handler = self.runtime_handler(pod).await?;
        fs::create_dir_all(self.logs.pod())
            .map_err(|error| format!("{}: {error}", self.logs.pod().display()))?;
        self.shared.runtime.run_pod_sandbox(config, &handler).await.map_err(|error| error.to_string())
    }

    fn tell_resolver_warnings(&self, pod: &Pod) {
        let host = fs::read_to_string(RESOLV_CONF).unwrap_or_default();
        let Ok(host) = HostDns::parse(&host) else { return };
        for warning in resolver(pod, &self.shared.dns, &host).warnings {
            self.shared.recorder.warning(&reference_to(pod), warning.reason, warning.message);
        }
    }

    /// Which of the runtime's handlers the pod's RuntimeClass names.
    async fn runtime_handler(&self, pod: &Pod) -> Result<String, String> {
        let Some(class) = spec::spec(pod).runtime_class_name.as_deref().filter(|it| !it.is_empty()) else {
            return Ok(String::new());
        };
        let api: Api<RuntimeClass> = Api::all(self.shared.client.clone());
        match api.get_opt(class).await {
            Ok(Some(class)) => Ok(class.handler),
            Ok(None) => Err(format!("runtimeclass.node.k8s.io {class:?} not found")),
            Err(error) => Err(error.to_string()),
        }
    }
}
