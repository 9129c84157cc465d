//! The names of Services and pods, as pods look them up.

use crate::space::Space;
use crate::wait;

const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: group}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: group}
spec:
  clusterIP: None
  selector: {app: group}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.NAMESPACE.svc.cluster.local}
---
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: group}}
spec:
  hostname: first
  subdomain: group
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: two, labels: {app: group}}
spec:
  hostname: second
  subdomain: group
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
"#;

/// What nslookup prints in a pod.
fn look_up(space: &Space<'_>, kind: &str, name: &str) -> String {
    let printed = space.exec("one", &["nslookup", &format!("-type={kind}"), name]);
    format!("{}{}", printed.out, printed.err)
}

fn finds(space: &Space<'_>, kind: &str, name: &str, answers: &[&str]) {
    wait::until(&format!("{kind} of {name}"), || {
        let printed = look_up(space, kind, name);
        match answers.iter().find(|answer| !printed.contains(**answer)) {
            None => Ok(()),
            Some(missing) => Err(format!("{missing} is not in {printed}")),
        }
    });
}

/// Under which name an address is looked up.
fn reversed(address: &str) -> String {
    address.rsplit('.').chain(["in-addr", "arpa"]).collect::<Vec<_>>().join(".")
}

pub(super) fn of_services_and_pods(space: &Space<'_>) {
    space.apply(&OBJECTS.replace("NAMESPACE", &space.name));
    space.until_ready("one");
    space.until_ready("two");
    let address = |pod: &str| space.pod(pod).unwrap()["status"]["podIP"].as_str().unwrap().to_owned();
    let (one, two) = (address("one"), address("two"));
    let web = space.service("web")["spec"]["clusterIP"].as_str().unwrap().to_owned();
    let domain = format!("{}.svc.cluster.local", space.name);

    finds(space, "a", &format!("web.{domain}"), &[&web]);
    finds(space, "a", &format!("group.{domain}"), &[&one, &two]);
    finds(space, "a", &format!("first.group.{domain}"), &[&one]);
    finds(space, "srv", &format!("_http._tcp.web.{domain}"), &[&format!("80 web.{domain}")]);
    let hosts = [format!("8080 first.group.{domain}"), format!("8080 second.group.{domain}")];
    finds(space, "srv", &format!("_http._tcp.group.{domain}"), &[&hosts[0], &hosts[1]]);
    finds(space, "ptr", &reversed(&web), &[&format!("name = web.{domain}")]);
    finds(space, "ptr", &reversed(&two), &[&format!("name = second.group.{domain}")]);
    finds(space, "cname", &format!("alias.{domain}"), &[&format!("canonical name = web.{domain}")]);
    finds(space, "a", &format!("alias.{domain}"), &[&web]);
    finds(space, "a", "kubernetes.default.svc.cluster.local", &["10.96.0.1"]);
    let absent = look_up(space, "a", &format!("absent.{domain}"));
    assert!(absent.contains("NXDOMAIN"), "{absent}");
    let empty = look_up(space, "aaaa", &format!("web.{domain}"));
    assert!(!empty.contains("NXDOMAIN"), "the name is there, the address is not: {empty}");

    // By the search list.
    let resolver = space.shell("one", "cat /etc/resolv.conf");
    assert!(resolver.contains("nameserver 10.96.0.10"), "{resolver}");
    assert!(resolver.contains(&format!("search {domain} svc.cluster.local cluster.local")), "{resolver}");
    assert!(resolver.contains("ndots:5"), "{resolver}");
    for name in ["web", &format!("web.{}", space.name), "alias"] {
        let found = space.shell("one", &format!("ping -c 1 -W 1 {name} | head -1"));
        assert!(found.contains(&format!("({web})")), "{name}: {found}");
    }
    assert_eq!(space.shell("one", "hostname; hostname -f"), format!("first\nfirst.group.{domain}\n"));
    space.ok("delete pod two --grace-period=1");
    wait::until("its name goes with it", || {
        let printed = look_up(space, "a", &format!("second.group.{domain}"));
        if printed.contains("NXDOMAIN") { Ok(()) } else { Err(printed) }
    });
}

const OWN: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: stubborn}
spec:
  dnsPolicy: None
  dnsConfig: {nameservers: [192.0.2.1], searches: [example.com], options: [{name: ndots, value: "2"}]}
  hostAliases: [{ip: 192.0.2.7, hostnames: [lucky]}]
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: like-the-node}
spec:
  dnsPolicy: Default
  containers: [{name: main, image: "busybox:1.36", command: [sleep, "3600"]}]
"#;

pub(super) fn of_pods_with_their_own_settings(space: &Space<'_>) {
    space.apply(OWN);
    space.until_ready("stubborn");
    let resolver = space.shell("stubborn", "cat /etc/resolv.conf");
    let lines: Vec<&str> = resolver.lines().collect();
    assert_eq!(lines, ["search example.com", "nameserver 192.0.2.1", "options ndots:2"]);
    let hosts = space.shell("stubborn", "cat /etc/hosts");
    assert!(hosts.contains("192.0.2.7\tlucky"), "{hosts}");
    space.until_ready("like-the-node");
    let resolver = space.shell("like-the-node", "cat /etc/resolv.conf");
    assert!(!resolver.contains("10.96.0.10"), "{resolver}");
}
