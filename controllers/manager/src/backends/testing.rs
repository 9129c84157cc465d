//! Builders of Services and pods for tests.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PodCondition, PodIP, Service, ServicePort, ServiceSpec, Toleration};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use k8s_openapi::jiff::Timestamp;
use keelson_controller_runtime::pod::{Container, ContainerPort, Pod, PodSpec, PodStatus};

/// The namespace of everything here.
pub(crate) const NAMESPACE: &str = "shop";

fn time(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(NAMESPACE.into()),
        name: Some(name.into()),
        uid: Some(format!("{name}-uid")),
        ..ObjectMeta::default()
    }
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A pod labelled `app: web`, on `node-1`, with one container and without an address.
pub(crate) fn pod(name: &str) -> PodBuilder {
    let mut meta = metadata(name);
    meta.labels = Some(labels(&[("app", "web")]));
    let spec = PodSpec {
        node_name: Some("node-1".into()),
        containers: vec![Container { name: "main".into(), ..Container::default() }],
        ..PodSpec::default()
    };
    let status = PodStatus { phase: Some("Running".into()), ..PodStatus::default() };
    PodBuilder(Pod { metadata: meta, spec: Some(spec), status: Some(status) })
}

/// A pod in the making.
#[derive(Clone)]
pub(crate) struct PodBuilder(Pod);

impl PodBuilder {
    fn spec(mut self, change: impl FnOnce(&mut PodSpec)) -> Self {
        change(self.0.spec.as_mut().unwrap());
        self
    }

    fn status(mut self, change: impl FnOnce(&mut PodStatus)) -> Self {
        change(self.0.status.as_mut().unwrap());
        self
    }

    pub(crate) fn labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.0.metadata.labels = Some(labels(pairs));
        self
    }

    pub(crate) fn uid(mut self, uid: &str) -> Self {
        self.0.metadata.uid = Some(uid.into());
        self
    }

    pub(crate) fn deleted(mut self) -> Self {
        self.0.metadata.deletion_timestamp = Some(time(1));
        self
    }

    pub(crate) fn node(self, name: &str) -> Self {
        self.spec(|spec| spec.node_name = Some(name.into()))
    }

    pub(crate) fn hostname(self, hostname: &str, subdomain: &str) -> Self {
        self.spec(|spec| {
            spec.hostname = Some(hostname.into());
            spec.subdomain = Some(subdomain.into());
        })
    }

    pub(crate) fn port(self, name: &str, number: i32, protocol: &str) -> Self {
        self.spec(|spec| add_port(&mut spec.containers[0], name, number, protocol))
    }

    pub(crate) fn init_port(self, restart_policy: Option<&str>, name: &str, number: i32) -> Self {
        let mut container =
            Container { restart_policy: restart_policy.map(Into::into), ..Container::default() };
        add_port(&mut container, name, number, "TCP");
        self.spec(|spec| spec.init_containers.get_or_insert_default().push(container))
    }

    pub(crate) fn ip(self, ip: &str) -> Self {
        self.status(|status| {
            status.pod_ip.get_or_insert_with(|| ip.into());
            status.pod_ips.get_or_insert_default().push(PodIP { ip: ip.into() });
        })
    }

    pub(crate) fn phase(self, phase: &str) -> Self {
        self.status(|status| status.phase = Some(phase.into()))
    }

    pub(crate) fn ready(self, is_ready: bool) -> Self {
        let status = if is_ready { "True" } else { "False" };
        let condition =
            PodCondition { type_: "Ready".into(), status: status.into(), ..PodCondition::default() };
        self.status(|it| it.conditions = Some(vec![condition]))
    }

    /// When the scheduler gave the pod to its node.
    pub(crate) fn bound(self, second: i64) -> Self {
        let condition = PodCondition {
            type_: "PodScheduled".into(),
            status: "True".into(),
            last_transition_time: Some(time(second)),
            ..PodCondition::default()
        };
        self.status(|status| status.conditions.get_or_insert_default().push(condition))
    }

    /// `key`, or `key=value`.
    pub(crate) fn tolerates(self, what: &str, effect: &str, seconds: Option<i64>) -> Self {
        let (key, value) = what.split_once('=').map_or((what, None), |(key, value)| (key, Some(value)));
        let toleration = Toleration {
            key: (!key.is_empty()).then(|| key.into()),
            operator: Some(if value.is_some() { "Equal" } else { "Exists" }.into()),
            value: value.map(Into::into),
            effect: (!effect.is_empty()).then(|| effect.into()),
            toleration_seconds: seconds,
        };
        self.spec(|spec| spec.tolerations.get_or_insert_default().push(toleration))
    }

    pub(crate) fn since(self, second: i64) -> Self {
        self.status(|status| {
            for condition in status.conditions.iter_mut().flatten() {
                condition.last_transition_time = Some(time(second));
            }
        })
    }

    pub(crate) fn build(self) -> Pod {
        self.0
    }
}

fn add_port(container: &mut Container, name: &str, number: i32, protocol: &str) {
    container.ports.get_or_insert_default().push(ContainerPort {
        name: Some(name.into()),
        container_port: number,
        protocol: Some(protocol.into()),
        ..ContainerPort::default()
    });
}

/// A Service with an address, for pods with `app: web`, without ports.
pub(crate) fn service(name: &str) -> ServiceBuilder {
    let spec = ServiceSpec {
        cluster_ip: Some("10.96.0.10".into()),
        ip_families: Some(vec!["IPv4".into()]),
        selector: Some(labels(&[("app", "web")])),
        type_: Some("ClusterIP".into()),
        ..ServiceSpec::default()
    };
    ServiceBuilder(Service { metadata: metadata(name), spec: Some(spec), status: None })
}

/// A Service in the making.
#[derive(Clone)]
pub(crate) struct ServiceBuilder(Service);

impl ServiceBuilder {
    pub(crate) fn spec(mut self, change: impl FnOnce(&mut ServiceSpec)) -> Self {
        change(self.0.spec.as_mut().unwrap());
        self
    }

    pub(crate) fn created(mut self, second: i64) -> Self {
        self.0.metadata.creation_timestamp = Some(time(second));
        self
    }

    pub(crate) fn deleted(mut self) -> Self {
        self.0.metadata.deletion_timestamp = Some(time(1));
        self
    }

    pub(crate) fn labels(mut self, pairs: &[(&str, &str)]) -> Self {
        self.0.metadata.labels = Some(labels(pairs));
        self
    }

    pub(crate) fn selector(self, pairs: &[(&str, &str)]) -> Self {
        self.spec(|spec| spec.selector = Some(labels(pairs)))
    }

    pub(crate) fn headless(self) -> Self {
        self.spec(|spec| spec.cluster_ip = Some("None".into()))
    }

    pub(crate) fn families(self, names: &[&str]) -> Self {
        self.spec(|spec| spec.ip_families = Some(names.iter().map(|name| (*name).to_owned()).collect()))
    }

    pub(crate) fn port(self, name: &str, number: i32, target: IntOrString) -> Self {
        self.protocol_port(name, number, target, "TCP")
    }

    pub(crate) fn protocol_port(self, name: &str, number: i32, target: IntOrString, protocol: &str) -> Self {
        let port = ServicePort {
            name: (!name.is_empty()).then(|| name.into()),
            port: number,
            target_port: Some(target),
            protocol: Some(protocol.into()),
            ..ServicePort::default()
        };
        self.spec(|spec| spec.ports.get_or_insert_default().push(port))
    }

    pub(crate) fn build(self) -> Service {
        self.0
    }
}
