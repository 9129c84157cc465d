//! What a Pod is called, inside and in DNS. Pure.
//!
//! In: the Pod, the cluster's domain. Out: its host name and domain, the name that its kernel gets. Deliberately absent:
//! asking DNS.

use k8s_openapi::api::core::v1::Pod;

/// The longest host name.
const MAX_LABEL: usize = 63;

/// The longest name that the kernel keeps.
const MAX_KERNEL_NAME: usize = 64;

/// Why a Pod has no host name. The Pod will never have one; the text is upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// A Pod's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostName {
    /// The short name.
    pub name: String,
    /// `<subdomain>.<namespace>.svc.<cluster domain>`, if the Pod has a subdomain, else empty.
    pub domain: String,
}

impl HostName {
    /// Of this Pod in the cluster with this domain (`cluster.local`).
    ///
    /// # Errors
    ///
    /// If the Pod asks for a name that is none; the API refuses such Pods.
    pub fn of(pod: &Pod, cluster_domain: &str) -> Result<Self, NameError> {
        let spec = pod.spec.as_ref();
        let asked = |field: Option<&String>| field.filter(|name| !name.is_empty()).cloned();
        if let Some(name) = spec.and_then(|spec| spec.hostname_override.as_deref()) {
            if !is_subdomain(name) {
                return Err(NameError(format!("pod HostnameOverride {name:?} is not a valid DNS subdomain")));
            }
            return Ok(Self { name: shortened(pod, name)?, domain: String::new() });
        }
        let name = match asked(spec.and_then(|spec| spec.hostname.as_ref())) {
            Some(name) if !is_label(&name) => {
                return Err(NameError(format!("pod Hostname {name:?} is not a valid DNS label")));
            }
            Some(name) => name,
            None => pod.metadata.name.clone().unwrap_or_default(),
        };
        let domain = match asked(spec.and_then(|spec| spec.subdomain.as_ref())) {
            Some(subdomain) if !is_label(&subdomain) => {
                return Err(NameError(format!("pod Subdomain {subdomain:?} is not a valid DNS label")));
            }
            Some(subdomain) => {
                let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
                format!("{subdomain}.{namespace}.svc.{cluster_domain}")
            }
            None => String::new(),
        };
        Ok(Self { name: shortened(pod, &name)?, domain })
    }

    /// What the sandbox is called: the name, with the domain if the Pod sets `setHostnameAsFQDN`; nothing on the host's
    /// network, where the name is the host's.
    ///
    /// # Errors
    ///
    /// If the whole name is longer than the kernel keeps.
    pub fn for_sandbox(&self, pod: &Pod) -> Result<String, NameError> {
        let spec = pod.spec.as_ref();
        if spec.and_then(|spec| spec.host_network) == Some(true) {
            return Ok(String::new());
        }
        if self.domain.is_empty() || spec.and_then(|spec| spec.set_hostname_as_fqdn) != Some(true) {
            return Ok(self.name.clone());
        }
        let whole = format!("{}.{}", self.name, self.domain);
        if whole.len() > MAX_KERNEL_NAME {
            return Err(NameError(format!(
                "failed to construct FQDN from pod hostname and cluster domain, FQDN {whole} is too long \
                 ({MAX_KERNEL_NAME} characters is the max, {} characters requested)",
                whole.len()
            )));
        }
        Ok(whole)
    }
}

fn shortened(pod: &Pod, name: &str) -> Result<String, NameError> {
    let Some(start) = name.get(..MAX_LABEL) else { return Ok(name.to_owned()) };
    if name.len() == MAX_LABEL {
        return Ok(name.to_owned());
    }
    let start = start.trim_end_matches(['-', '.']);
    if start.is_empty() {
        let pod = pod.metadata.name.as_deref().unwrap_or_default();
        return Err(NameError(format!("hostname for pod {pod:?} was invalid: {name:?}")));
    }
    Ok(start.to_owned())
}

fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !name.is_empty()
        && name.len() <= MAX_LABEL
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, mut spec: Value) -> Pod {
        spec["containers"] = json!([]);
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "ns"}, "spec": spec})).unwrap()
    }

    fn names(name: &str, spec: Value) -> Result<(String, String), String> {
        let names = HostName::of(&pod(name, spec), "cluster.local").map_err(|error| error.to_string())?;
        Ok((names.name, names.domain))
    }

    #[test]
    fn a_pod_is_called_by_its_name_its_hostname_or_the_override() {
        let short = |name: &str| Ok((name.to_owned(), String::new()));
        assert_eq!(names("p", json!({})), short("p"));
        assert_eq!(names("p", json!({"hostname": "h"})), short("h"));
        assert_eq!(
            names("p", json!({"hostname": "h", "hostnameOverride": "a.b", "subdomain": "s"})),
            short("a.b")
        );
        let with_domain = ("p".to_owned(), "s.ns.svc.cluster.local".to_owned());
        assert_eq!(names("p", json!({"subdomain": "s"})), Ok(with_domain));
    }

    #[test]
    fn long_names_are_cut_and_never_end_in_a_dash_or_dot() {
        let long = format!("{}-.x", "a".repeat(61));
        assert_eq!(names(&long, json!({})).unwrap().0, "a".repeat(61));
        let exact = "a".repeat(63);
        assert_eq!(names(&exact, json!({})).unwrap().0, exact);
        assert_eq!(names(&format!("{exact}b"), json!({})).unwrap().0, exact);
        assert!(names(&"-".repeat(70), json!({})).unwrap_err().starts_with("hostname for pod"));
    }

    #[test]
    fn names_that_are_none_are_refused() {
        for (spec, text) in [
            (json!({"hostname": "A"}), "pod Hostname \"A\" is not a valid DNS label"),
            (json!({"subdomain": "a.b"}), "pod Subdomain \"a.b\" is not a valid DNS label"),
            (
                json!({"hostnameOverride": "a..b"}),
                "pod HostnameOverride \"a..b\" is not a valid DNS subdomain",
            ),
        ] {
            assert_eq!(names("p", spec), Err(text.to_owned()));
        }
    }

    #[test]
    fn the_sandbox_gets_the_whole_name_only_if_asked_and_none_on_the_hosts_network() {
        let sandbox = |spec: Value| {
            let pod = pod("p", spec);
            HostName::of(&pod, "cluster.local").unwrap().for_sandbox(&pod).map_err(|error| error.to_string())
        };
        assert_eq!(sandbox(json!({"subdomain": "s"})).as_deref(), Ok("p"));
        let whole = json!({"subdomain": "s", "setHostnameAsFQDN": true});
        assert_eq!(sandbox(whole).as_deref(), Ok("p.s.ns.svc.cluster.local"));
        assert_eq!(sandbox(json!({"setHostnameAsFQDN": true})).as_deref(), Ok("p"));
        assert_eq!(sandbox(json!({"hostNetwork": true})).as_deref(), Ok(""));
        let long = json!({"subdomain": "s", "hostname": "h".repeat(60), "setHostnameAsFQDN": true});
        assert!(sandbox(long).unwrap_err().ends_with("(64 characters is the max, 83 characters requested)"));
    }
}
