//! Where a request goes that is passed on to a pod, to a Service or to a node: `proxy`.
//!
//! In: what the path says, and the objects that it names. Out: an address, and the path there.
//!
//! Deliberately absent: sending anything; choosing among endpoints.
//!
//! Source: `pkg/registry/core/{pod,service,node}` (`ResourceLocation`), `k8s.io/apimachinery/pkg/util/{net,proxy}`.

use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use crate::{object::Object, status::ApiError};

/// The port of HTTP.
const HTTP: u16 = 80;

/// What is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// What is meant where the path says nothing.
    Http,
    /// HTTP over TLS.
    Https,
}

/// What a name in a path says: `name`, `name:port`, `scheme:name:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What the other side speaks.
    pub scheme: Scheme,
    /// The object.
    pub name: String,
    /// A number or a name; empty where the path says none.
    pub port: String,
}

impl Wish {
    /// Reads a name in the path of a `pod` or a `service`.
    ///
    /// # Errors
    /// 400 for what is no name, or of no scheme.
    pub fn parse(what: &str, text: &str) -> Result<Self, ApiError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (scheme, name, port) = match parts[..] {
            [name] => ("", name, ""),
            [name, port] => ("", name, port),
            [scheme, name, port] => (scheme, name, port),
            _ => return Err(invalid(what, text)),
        };
        let scheme = match scheme {
            "" | "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid(what, text)),
        };
        if name.is_empty() {
            return Err(invalid(what, text));
        }
        Ok(Self { scheme, name: name.to_owned(), port: port.to_owned() })
    }

    fn number(&self) -> Option<u16> {
        self.port.parse().ok()
    }
}

fn invalid(what: &str, text: &str) -> ApiError {
    ApiError::bad_request(format!("invalid {what} request {text:?}"))
}

/// The part of a raw path behind `proxy`, with the slash that it begins with; empty where there is none.
pub fn rest_of_path(path: &str, namespaced: bool) -> &str {
    // /api/v1/namespaces/<namespace>/<plural>/<name>/proxy, /api/v1/<plural>/<name>/proxy
    let before = if namespaced { 7 } else { 5 };
    let mut end = 0;
    for _ in 0..before {
        let start = path[end..].find(|c| c != '/').map_or(path.len(), |at| end + at);
        end = path[start..].find('/').map_or(path.len(), |at| start + at);
    }
    &path[end..]
}

/// Where a pod is.
///
/// # Errors
/// 400 for a pod without an address to which requests may go, and for what is no port.
pub fn pod_address(pod: &Object, wish: &Wish) -> Result<SocketAddr, ApiError> {
    let own_port = || {
        let containers = pod.list(&["spec", "containers"]).iter();
        let first = containers.filter_map(|container| container["ports"].as_array()?.first()).next();
        let port = first.and_then(|port| port["containerPort"].as_u64());
        port.and_then(|port| u16::try_from(port).ok()).unwrap_or(HTTP)
    };
    let port = match wish.port.as_str() {
        "" => own_port(),
        text => wish.number().ok_or_else(|| invalid("pod", text))?,
    };
    Ok(SocketAddr::new(allowed(pod.text(&["status", "podIP"]))?, port))
}

/// The addresses behind a Service that are ready, going by its slices.
///
/// # Errors
/// 503 in upstream's words when there is none, or no such port.
pub fn service_addresses(
    service: &Object,
    slices: &[Object],
    wish: &Wish,
) -> Result<Vec<SocketAddr>, ApiError> {
    let name = service.name();
    let ports = service.list(&["spec", "ports"]);
    let port = match wish.number() {
        None => wish.port.as_str(),
        Some(number) => {
            let found = ports.iter().find(|port| port["port"].as_u64() == Some(number.into()));
            let none =
                || ApiError::unavailable(format!("no service port {number} found for service {name:?}"));
            found.ok_or_else(none)?["name"].as_str().unwrap_or_default()
        }
    };
    let mut found = Vec::new();
    for slice in slices {
        let port_here =
            slice.list(&["ports"]).iter().find(|it| it["name"].as_str().unwrap_or_default() == port);
        let number = port_here.and_then(|port| u16::try_from(port["port"].as_u64()?).ok());
        let Some(number) = number else { continue };
        let is_ready = |endpoint: &&Value| endpoint["conditions"]["ready"] != false;
        let ready = slice.list(&["endpoints"]).iter().filter(is_ready);
        let addresses = ready.filter_map(|endpoint| endpoint["addresses"][0].as_str());
        found.extend(addresses.filter_map(|ip| Some(SocketAddr::new(allowed(ip).ok()?, number))));
    }
    match found.is_empty() {
        true => Err(ApiError::unavailable(format!("no endpoints available for service {name:?}"))),
        false => Ok(found),
    }
}

/// An address outside of this machine: requests in this server's name must not reach what listens only for it.
fn allowed(text: &str) -> Result<IpAddr, ApiError> {
    let ip: Option<IpAddr> = text.parse().ok();
    let is_outside = |ip: &IpAddr| {
        let link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        !(link_local || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
    };
    ip.filter(is_outside).ok_or_else(|| ApiError::bad_request("address not allowed"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wish(text: &str) -> Wish {
        Wish::parse("pod", text).unwrap()
    }

    #[test]
    fn a_name_may_have_a_scheme_and_a_port() {
        for (text, scheme, port) in [
            ("web", Scheme::Http, ""),
            ("web:80", Scheme::Http, "80"),
            ("http:web:http", Scheme::Http, "http"),
            ("http:web:", Scheme::Http, ""),
            ("https:web:443", Scheme::Https, "443"),
        ] {
            assert_eq!(wish(text), Wish { scheme, name: "web".to_owned(), port: port.to_owned() });
        }
        for text in ["", ":80", "ftp:web:21", "a:b:c:d"] {
            let error = Wish::parse("service", text).unwrap_err();
            assert_eq!(
                (error.code.as_u16(), error.message),
                (400, format!("invalid service request {text:?}"))
            );
        }
    }

    #[test]
    fn the_rest_of_a_path_is_kept_as_it_is() {
        let pod = "/api/v1/namespaces/shop/pods/web:80/proxy";
        for rest in ["", "/", "/a%2Fb/proxy/", "//a"] {
            assert_eq!(rest_of_path(&format!("{pod}{rest}"), true), rest);
        }
        assert_eq!(rest_of_path("/api/v1/nodes/n1/proxy/healthz", false), "/healthz");
        assert_eq!(rest_of_path("/api/v1", false), "");
    }

    #[test]
    fn a_pod_is_reached_at_its_first_port_and_never_on_loopback() {
        let pod = |ip: &str, ports: Value| {
            Object(json!({"spec": {"containers": [{}, {"ports": ports}]}, "status": {"podIP": ip}}))
        };
        let address =
            |pod: &Object, text: &str| pod_address(pod, &wish(text)).map(|address| address.to_string());
        let web = pod("10.0.0.5", json!([{"containerPort": 8080}]));
        assert_eq!(address(&web, "web").unwrap(), "10.0.0.5:8080");
        assert_eq!(address(&web, "web:81").unwrap(), "10.0.0.5:81");
        assert_eq!(address(&pod("10.0.0.5", json!([])), "web").unwrap(), "10.0.0.5:80");
        assert_eq!(address(&web, "web:http").unwrap_err().code, 400);
        for ip in ["", "127.0.0.1", "169.254.169.254", "::1", "0.0.0.0", "224.0.0.1", "fe80::1"] {
            assert_eq!(
                address(&pod(ip, json!([])), "web").unwrap_err().message,
                "address not allowed",
                "{ip}"
            );
        }
    }

    #[test]
    fn a_service_is_reached_at_the_endpoints_that_are_ready() {
        let service = Object(json!({
            "metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]},
        }));
        let slice = Object(json!({
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.0.0.5"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.6"], "conditions": {"ready": false}},
            ],
        }));
        let found = |text: &str| service_addresses(&service, std::slice::from_ref(&slice), &wish(text));
        for text in ["web:80", "web:http"] {
            assert_eq!(found(text).unwrap(), ["10.0.0.5:8080".parse().unwrap()]);
        }
        let refused =
            |text: &str| found(text).map_err(|error| (error.code.as_u16(), error.message)).unwrap_err();
        assert_eq!(refused("web:82"), (503, "no service port 82 found for service \"web\"".to_owned()));
        assert_eq!(refused("web:admin"), (503, "no endpoints available for service \"web\"".to_owned()));
    }
}
