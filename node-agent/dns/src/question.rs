//! What a name asks for. Pure.
//!
//! In: the labels of a name below the cluster's zone, in lower case, the leftmost first. Out: a [`Question`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question<'a> {
    /// The zone itself, or a name that only has others below it: `svc`, `pod`.
    Zone,
    /// `dns-version`.
    Version,
    /// `NAMESPACE.svc` or `NAMESPACE.pod`.
    Namespace(&'a str),
    /// `SERVICE.NAMESPACE.svc`.
    Service(ServiceName<'a>),
    /// `_tcp.SERVICE.NAMESPACE.svc`, which only has names below it.
    Protocol(ServiceName<'a>),
    /// `_PORT._PROTOCOL.SERVICE.NAMESPACE.svc`.
    Port { of: ServiceName<'a>, protocol: &'a str, port: &'a str },
    /// `HOSTNAME.SERVICE.NAMESPACE.svc`.
    Endpoint { of: ServiceName<'a>, hostname: &'a str },
    /// `10-244-0-5.NAMESPACE.pod`.
    Pod { namespace: &'a str, ip: IpAddr },
    /// Nothing that could exist.
    Nothing,
}

/// A Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServiceName<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// Reads the labels below the zone.
pub(crate) fn read<'a>(labels: &[&'a str]) -> Question<'a> {
    match *labels {
        [] | ["svc" | "pod"] => Question::Zone,
        ["dns-version"] => Question::Version,
        [namespace, "svc" | "pod"] => Question::Namespace(namespace),
        [ip, namespace, "pod"] => match dashed(ip) {
            Some(ip) => Question::Pod { namespace, ip },
            None => Question::Nothing,
        },
        [ref first @ .., name, namespace, "svc"] => below(first, ServiceName { namespace, name }),
        _ => Question::Nothing,
    }
}

fn below<'a>(first: &[&'a str], of: ServiceName<'a>) -> Question<'a> {
    match *first {
        [] => Question::Service(of),
        ["_tcp" | "_udp" | "_sctp"] => Question::Protocol(of),
        [hostname] => Question::Endpoint { of, hostname },
        [port, protocol] => match port.strip_prefix('_').zip(protocol.strip_prefix('_')) {
            Some((port, protocol)) => Question::Port { of, protocol, port },
            None => Question::Nothing,
        },
        _ => Question::Nothing,
    }
}

/// `10-244-0-5`, `fd00--5`.
fn dashed(text: &str) -> Option<IpAddr> {
    let ip4 = text.replace('-', ".").parse::<Ipv4Addr>().map(IpAddr::from);
    ip4.or_else(|_| text.replace('-', ":").parse::<Ipv6Addr>().map(IpAddr::from)).ok()
}

/// An address as a label: what names an endpoint without a host name.
pub(crate) fn dash(ip: IpAddr) -> String {
    ip.to_string().replace(['.', ':'], "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: &str) -> Question<'_> {
        let labels: Vec<&str> = name.split('.').filter(|label| !label.is_empty()).collect();
        read(&labels)
    }

    const WEB: ServiceName<'_> = ServiceName { namespace: "shop", name: "web" };

    #[test]
    fn every_form_of_the_specification_is_read() {
        for (name, question) in [
            ("", Question::Zone),
            ("svc", Question::Zone),
            ("dns-version", Question::Version),
            ("shop.svc", Question::Namespace("shop")),
            ("web.shop.svc", Question::Service(WEB)),
            ("_tcp.web.shop.svc", Question::Protocol(WEB)),
            ("_http._tcp.web.shop.svc", Question::Port { of: WEB, protocol: "tcp", port: "http" }),
            ("db-0.web.shop.svc", Question::Endpoint { of: WEB, hostname: "db-0" }),
            ("10-244-0-5.shop.pod", Question::Pod { namespace: "shop", ip: [10, 244, 0, 5].into() }),
            ("fd00--5.shop.pod", Question::Pod { namespace: "shop", ip: "fd00::5".parse().unwrap() }),
        ] {
            assert_eq!(asked(name), question, "{name}");
        }
    }

    #[test]
    fn other_names_stand_for_nothing() {
        for name in
            ["web", "a.b.c", "x.shop.pod", "http._tcp.web.shop.svc", "a.b.c.web.shop.svc", "1.2.3.4.pod"]
        {
            assert_eq!(asked(name), Question::Nothing, "{name}");
        }
    }

    #[test]
    fn an_address_as_a_label_can_be_read_back() {
        for ip in ["10.244.0.5", "fd00::5"] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(dashed(&dash(ip)), Some(ip));
        }
    }
}
