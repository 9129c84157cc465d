//! Addresses and ports of Services.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::lab::NODE_ADDRESS;
use crate::manifests::{LISTENS, idle, web_servers};
use crate::network::Network;
use crate::space::Space;
use crate::wait;

/// For something that needs no waiting, on a machine that does other things, too.
const AT_ONCE: Duration = Duration::from_secs(3);

const SERVICES: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec:
  sessionAffinity: ClientIP
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"#;

/// Web servers, a client, and Services in front; answers the names of the servers' pods.
fn serve(space: &Space<'_>) -> BTreeSet<String> {
    space.apply(&web_servers(LISTENS));
    space.apply(SERVICES);
    space.apply(&idle("client"));
    space.ok("rollout status deployment/web --timeout=60s");
    space.until_ready("client");
    let pods = space.pods("app", "web").unwrap();
    pods.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

/// Asks until every pod has answered.
fn all_answer(names: &BTreeSet<String>, mut ask: impl FnMut() -> Result<String, String>) {
    let mut heard = BTreeSet::new();
    wait::until("all have answered", || {
        heard.insert(ask()?.trim().to_owned());
        if heard == *names { Ok(()) } else { Err(format!("heard {heard:?} of {names:?}")) }
    });
}

pub(super) fn traffic_reaches_every_endpoint(space: &Space<'_>) {
    let names = serve(space);
    let service = space.service("web");
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    let port = &service["spec"]["ports"][0]["nodePort"];
    let lab = space.lab;
    all_answer(&names, || space.ask("client", &format!("http://{address}/who")));
    all_answer(&names, || space.ask("client", "http://web/who"));
    all_answer(&names, || lab.fetch(&lab.node_network, &format!("http://{address}/who")));
    all_answer(&names, || lab.fetch(lab.servers.network(), &format!("http://{NODE_ADDRESS}:{port}/who")));
    all_answer(&names, || lab.fetch(&lab.node_network, &format!("http://{NODE_ADDRESS}:{port}/who")));
    // One of them asks the Service that it is itself behind, and is answered by itself, too.
    let own = names.first().unwrap();
    all_answer(&names, || space.ask(own, "http://web/who"));

    // A change arrives, and the end.
    let change = r#"[{"op":"replace","path":"/spec/ports/0/port","value":81}]"#;
    space.run(&["patch", "service", "web", "--type=json", "--patch", change]).ok();
    let moved = format!("http://{address}:81/who");
    wait::until("the other port answers", || lab.fetch(&lab.node_network, &moved));
    space.ok("delete service web");
    wait::until("nobody answers", || match lab.fetch(&lab.node_network, &moved) {
        Ok(answer) => Err(answer),
        Err(_) => Ok(()),
    });
}

pub(super) fn affinity(space: &Space<'_>) {
    serve(space);
    let ask = || wait::until("an answer", || space.ask("client", "http://sticky/who"));
    let first = ask();
    for _ in 0..8 {
        assert_eq!(ask(), first);
    }
}

const NOBODY: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec:
  type: NodePort
  selector: {app: nobody}
  ports: [{port: 80}]
"#;

pub(super) fn nobody_to_ask(space: &Space<'_>) {
    space.apply(NOBODY);
    space.apply(&idle("client"));
    space.until_ready("client");
    let service = space.service("nobody");
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    let port = service["spec"]["ports"][0]["nodePort"].as_u64().unwrap();
    let node = NODE_ADDRESS.to_string();
    let lab = space.lab;
    refused_at_once("from the node", || connect(&lab.node_network, address, 80));
    refused_at_once("at the node's port", || connect(lab.servers.network(), &node, port));
    refused_at_once("from a pod", || {
        let printed = space.exec("client", &["sh", "-c", &format!("timeout 10 nc -w 9 {address} 80")]);
        if printed.succeeded { Ok(()) } else { Err(printed.err) }
    });
}

fn refused_at_once(what: &str, attempt: impl Fn() -> Result<(), String>) {
    // The rule comes a moment after the Service.
    wait::until(what, || {
        let began = Instant::now();
        let refused = attempt().err().ok_or("somebody is there")?;
        let is_so = refused.contains("refused") && began.elapsed() < AT_ONCE;
        if is_so { Ok(()) } else { Err(format!("{refused} after {:?}", began.elapsed())) }
    });
}

fn connect(from: &Network, address: &str, port: u64) -> Result<(), String> {
    let mut command = from.command("timeout");
    let output =
        command.args(["10", "busybox", "nc", "-w", "9", address, &port.to_string()]).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
}

/// The image has nothing that listens for datagrams; the machine's perl does.
const DATAGRAMS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  type: NodePort
  selector: {app: echo}
  ports: [{port: 9000, protocol: UDP}]
---
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: machine, hostPath: {path: /}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [chroot, /machine, perl, -MIO::Socket::INET, -e, '$s = IO::Socket::INET->new(LocalPort => 9000, Proto => "udp") or die; while ($s->recv($m, 99)) { $s->send("heard $m") }']
    volumeMounts: [{name: machine, mountPath: /machine, readOnly: true}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: machine, hostPath: {path: /}}]
  containers:
  - name: main
    image: busybox:1.36
    command: [sleep, "3600"]
    volumeMounts: [{name: machine, mountPath: /machine, readOnly: true}]
"#;

/// Sends a word and prints the answer; there may be none, for datagrams are lost in silence.
const SEND: &str = r#"$SIG{ALRM} = sub { die "no answer\n" }; alarm 2;
$s = IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Proto => "udp") or die "$!\n";
$s->send("hello"); defined $s->recv($m, 99) or die "$!\n"; print $m"#;

pub(super) fn datagrams(space: &Space<'_>) {
    space.apply(DATAGRAMS);
    space.until_ready("echo");
    space.until_ready("client");
    let service = space.service("echo");
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    let port = service["spec"]["ports"][0]["nodePort"].to_string();
    let node = NODE_ADDRESS.to_string();
    let heard = |from: &Network, address: &str, port: &str| {
        wait::until("an answer", || {
            let perl = ["perl", "-MIO::Socket::INET", "-e", SEND, address, port];
            let output = from.command(perl[0]).args(&perl[1..]).output().unwrap();
            if output.status.success() { Ok(output.stdout) } else { Err(format!("{output:?}")) }
        })
    };
    let lab = space.lab;
    assert_eq!(heard(&lab.node_network, address, "9000"), b"heard hello");
    assert_eq!(heard(lab.servers.network(), &node, &port), b"heard hello");
    let inside = ["chroot", "/machine", "perl", "-MIO::Socket::INET", "-e", SEND, address, "9000"];
    wait::until("an answer in a pod", || {
        let printed = space.exec("client", &inside);
        if printed.out == "heard hello" { Ok(()) } else { Err(format!("{printed:?}")) }
    });
}

const BY_HAND: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {ports: [{name: api, port: 443, targetPort: 6443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside-1, labels: {kubernetes.io/service-name: outside}}
addressType: IPv4
ports: [{name: api, port: 6443}]
endpoints: [{addresses: [172.31.0.3]}]
"#;

pub(super) fn endpoints_by_hand(space: &Space<'_>) {
    space.apply(BY_HAND);
    let service = space.service("outside");
    let address = service["spec"]["clusterIP"].as_str().unwrap();
    wait::until("the server answers", || connect(&space.lab.node_network, address, 443));
}
