//! etcd's own `etcdctl`, every command that talks to a server: THE table of what is typed and what comes out.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::process::{Child, Command, Output, Stdio};

use crate::cluster::{Cluster, free_port};
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// What comes out of a command.
enum Expect {
    /// Exactly this.
    Is(&'static str),
    /// All of these somewhere, and success.
    Has(&'static [&'static str]),
    /// Failure, with this on standard error.
    Fails(&'static str),
    /// It goes on until it has printed all of these, after the other commands have run.
    Follows(&'static [&'static str], &'static [&'static str]),
}

/// One command. `$NAME` stands for what was kept under the name.
struct Row {
    typed: &'static str,
    stdin: &'static str,
    expect: Expect,
    /// Keeps a word of the output, counted from 0, under a name.
    keep: Option<(&'static str, usize)>,
}

use Expect::{Fails, Follows, Has, Is};

const fn row(typed: &'static str, expect: Expect) -> Row {
    Row { typed, stdin: "", expect, keep: None }
}

const TABLE: &[Row] = &[
    row("put hello world", Is("OK\n")),
    row("get hello", Is("hello\nworld\n")),
    row("put hello again --prev-kv", Is("OK\nhello\nworld\n")),
    row("get hello --rev=2", Is("hello\nworld\n")),
    row("get --prefix hel --keys-only", Is("hello\n\n")),
    row("get hello --rev=99", Fails("etcdserver: mvcc: required revision is a future revision")),
    row("get hello --consistency=s --print-value-only", Is("again\n")),
    Row {
        typed: "txn",
        stdin: "mod(\"hello\") > \"0\"\n\nput found yes\nget hello\n\nput found no\n\n",
        expect: Is("SUCCESS\n\nOK\n\nhello\nagain\n"),
        keep: None,
    },
    row("del found", Is("1\n")),
    row("del found", Is("0\n")),
    row("watch hello --rev=2", Follows(&[], &["PUT\nhello\nworld\n", "PUT\nhello\nagain\n"])),
    row("watch --prefix w/", Follows(&["put w/1 a", "del w/1"], &["PUT\nw/1\na\n", "DELETE\nw/1\n"])),
    Row {
        typed: "lease grant 600",
        stdin: "",
        expect: Has(&["granted with TTL(600s)"]),
        keep: Some(("LEASE", 1)),
    },
    row("put leased value --lease=$LEASE", Is("OK\n")),
    row("lease timetolive $LEASE --keys", Has(&["granted with TTL(600s)", "attached keys([leased])"])),
    row("lease list", Has(&["found 1 leases", "$LEASE"])),
    row("lease keep-alive --once $LEASE", Has(&["keepalived with TTL(600)"])),
    row("lease revoke $LEASE", Has(&["revoked"])),
    row("get leased", Is("")),
    row("lease revoke $LEASE", Fails("etcdserver: requested lease not found")),
    row("put leased value --lease=$LEASE", Fails("etcdserver: requested lease not found")),
    row("lock mutex echo held", Is("held\n")),
    row("elect election first", Follows(&[], &["election/", "\nfirst\n"])),
    row("member list", Has(&[", started, a, ", ", started, b, ", ", started, c, "])),
    row("endpoint status", Has(&[", 3.7.0, ", ", true, false, "])),
    row("endpoint health", Has(&[])),
    row("endpoint health --cluster -w json", Has(&["\"health\":true"])),
    row("compaction 3", Is("compacted revision 3\n")),
    row("compaction 3", Fails("etcdserver: mvcc: required revision has been compacted")),
    row("get hello --rev=2", Fails("etcdserver: mvcc: required revision has been compacted")),
    row("alarm list", Is("")),
    row("alarm disarm", Is("")),
    row("defrag", Has(&["Finished defragmenting etcd member"])),
    row("make-mirror --prefix hello --dest-prefix mirrored $DEST", Follows(&["put hello2 x"], &[])),
    row("get --prefix mirrored --keys-only", Has(&["mirrored"])),
    row("member add d --peer-urls=https://127.0.0.9:9 --learner", Has(&["added to cluster"])),
    row("member add e --peer-urls=https://127.0.0.9:9", Fails("Peer URLs already exists")),
    row("member promote 1234", Fails("member not found")),
    row("auth enable", Fails("etcdserver: root user does not exist")),
    row("user add root:pw", Is("User root created\n")),
    row("user add alice:pw", Is("User alice created\n")),
    row("user add certified --no-password", Is("User certified created\n")),
    row("user add alice:pw", Fails("etcdserver: user name already exists")),
    row("role add r", Is("Role r created\n")),
    row("role grant-permission r readwrite f/ --prefix", Is("Role r updated\n")),
    row("role grant-permission r read hello", Is("Role r updated\n")),
    row(
        "role get r",
        Is("Role r\nKV Read:\n\t[f/, f0) (prefix f/)\n\thello\nKV Write:\n\t[f/, f0) (prefix f/)\n"),
    ),
    row("role revoke-permission r hello", Is("Permission of key hello is revoked from role r\n")),
    row("role list", Is("r\n")),
    row("user grant-role root root", Is("Role root is granted to user root\n")),
    row("user grant-role alice r", Is("Role r is granted to user alice\n")),
    row("user get alice", Is("User: alice\nRoles: r\n")),
    row("user get alice --detail", Has(&["Role r\nKV Read:\n\t[f/, f0) (prefix f/)"])),
    row("user list", Is("alice\ncertified\nroot\n")),
    row("auth enable", Is("Authentication Enabled\n")),
    row("get f/1", Fails("etcdserver: user name is empty")),
    row("--user alice:wrong get f/1", Fails("invalid user ID or password")),
    row("--user certified:pw get f/1", Fails("password was given for no password user")),
    row("--user alice:pw put f/1 v", Is("OK\n")),
    row("--user alice --password pw get f/1", Is("f/1\nv\n")),
    row("--user alice:pw put g v", Fails("etcdserver: permission denied")),
    row("--user alice:pw get --prefix f", Fails("etcdserver: permission denied")),
    row("--user alice:pw watch --prefix f/ --rev=4", Follows(&[], &["PUT\nf/1\nv\n"])),
    row("--user alice:pw lock f/lock echo held", Is("held\n")),
    row("--user alice:pw lock lock echo held", Fails("etcdserver: permission denied")),
    row("--user alice:pw elect f/e first", Follows(&[], &["f/e/", "\nfirst\n"])),
    row("--user alice:pw member list", Has(&[", started, a, "])),
    row("--user alice:pw member remove 1234", Fails("etcdserver: permission denied")),
    row("--user alice:pw endpoint status", Has(&[", 3.7.0, "])),
    row("--user alice:pw endpoint hashkv", Fails("etcdserver: permission denied")),
    row("--user alice:pw user get alice", Is("User: alice\nRoles: r\n")),
    row("--user alice:pw user list", Fails("etcdserver: permission denied")),
    row("--user alice:pw compaction 4", Fails("etcdserver: permission denied")),
    Row {
        stdin: "new\n",
        ..row("--user root:pw user passwd alice --interactive=false", Is("Password updated\n"))
    },
    row("--user alice:pw get f/1", Fails("invalid user ID or password")),
    row("--user alice:new get f/1", Is("f/1\nv\n")),
    row("--user root:pw endpoint health", Has(&[])),
    row("--user root:pw endpoint hashkv", Has(&[", "])),
    row("--user root:pw defrag", Has(&["Finished defragmenting etcd member"])),
    row("--user root:pw user revoke-role alice r", Is("Role r is revoked from user alice\n")),
    row("--user alice:new get f/1", Fails("etcdserver: permission denied")),
    row("--user root:pw role delete r", Is("Role r deleted\n")),
    row("--user root:pw user delete alice", Is("User alice deleted\n")),
    row("--user root:pw user delete root", Fails("etcdserver: invalid auth management")),
    row("--user root:pw auth disable", Is("Authentication Disabled\n")),
    row("user list", Is("certified\nroot\n")),
    row("del f/1", Is("1\n")),
];

#[tokio::test]
async fn every_command_does_what_it_does_on_etcd() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start_with(&["--bcrypt-cost=4"]).await;
    let mut kept = BTreeMap::from([("DEST", destination(&cluster))]);
    for row in TABLE {
        let typed = fill(row.typed, &kept);
        match &row.expect {
            Is(expected) => assert_eq!(success(&cluster, &typed, row.stdin), *expected, "{typed}"),
            Has(parts) => {
                let printed = success(&cluster, &typed, row.stdin);
                for part in parts.iter().map(|part| fill(part, &kept)) {
                    assert!(printed.contains(&part), "{typed}: no {part:?} in {printed}");
                }
                if let Some((name, word)) = row.keep {
                    kept.insert(name, printed.split_whitespace().nth(word).unwrap().to_owned());
                }
            }
            Fails(text) => {
                let output = run(&cluster, &typed, row.stdin);
                let printed = String::from_utf8_lossy(&output.stderr);
                assert!(!output.status.success() && printed.contains(text), "{typed}: {output:?}");
            }
            Follows(meanwhile, parts) => follow(&cluster, &typed, meanwhile, parts).await,
        }
    }
}

#[tokio::test]
async fn members_agree_on_their_hash_and_leadership_moves() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start().await;
    let revision = cluster.members[0].client.put("k", "v").await.unwrap();
    for member in 0..3 {
        cluster.applied(member, revision).await;
    }
    let hashes = success(&cluster, "endpoint hashkv", "");
    let hashes: Vec<_> = hashes.lines().filter_map(|line| line.split(", ").nth(1)).collect();
    assert_eq!(hashes.len(), 3);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");

    let leader = cluster.leader().await;
    let heir = cluster.follower().await;
    let status = cluster.members[heir].client.status().await.unwrap();
    let heir_id = format!("{:x}", status.header.unwrap().member_id);
    let moved = success(&cluster, &format!("move-leader {heir_id}"), "");
    assert!(moved.starts_with("Leadership transferred from "), "{moved}");
    wait::until("the heir leads", PATIENCE, async || (cluster.leader().await == heir).then_some(())).await;
    assert_ne!(leader, heir);
}

#[tokio::test]
async fn it_writes_on_when_the_leader_dies() {
    if !is_installed() {
        return;
    }
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    cluster.members[leader].kill();
    wait::until("etcdctl writes through those that are left", PATIENCE, async || {
        run(&cluster, "put after all", "").status.success().then_some(())
    })
    .await;
    assert_eq!(success(&cluster, "get after", ""), "after\nall\n");
}

#[tokio::test]
async fn the_load_of_a_small_store_is_measured_over_plain_http() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (clients, peers) = (free_port(), free_port());
    let arguments = [
        "store".to_owned(),
        format!("-data-dir={}", folder.path().join("data").display()),
        format!("-listen-client-urls=http://127.0.0.1:{clients}"),
        format!("-listen-peer-urls=http://127.0.0.1:{peers}"),
        "-auto-compaction-retention=1".to_owned(),
        "-max-wals=5".to_owned(),
    ];
    let process = Process::spawn(&arguments, &[], folder.path().join("log"));
    let typed = |arguments: &[&str]| {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").arg(format!("--endpoints=http://127.0.0.1:{clients}"));
        command.args(arguments).output().unwrap()
    };
    wait::until("it serves", PATIENCE, async || {
        typed(&["endpoint", "health"]).status.success().then_some(())
    })
    .await;
    // It reads the process's memory from the page of metrics; etcdctl 3.4 cannot do that through TLS.
    let measured = typed(&["check", "datascale", "--load=s"]);
    let printed = String::from_utf8_lossy(&measured.stdout).into_owned();
    assert!(printed.contains("PASS: Approximate system memory used"), "{measured:?}");
    assert!(process.printed().contains("--max-wals has no effect: "), "{}", process.printed());
    // These connect once more, and name the whole URL as the host.
    for command in [&["endpoint", "status"][..], &["endpoint", "hashkv"], &["defrag"]] {
        let asked = typed(command);
        assert!(asked.status.success(), "{command:?}: {asked:?}");
    }
}

/// A command that goes on by itself: it has printed what it should before it is ended.
async fn follow(cluster: &Cluster, typed: &str, meanwhile: &[&str], parts: &[&str]) {
    let path = cluster.folder.path().join("followed");
    let file = File::create(&path).unwrap();
    let mut child = Following(command(cluster, typed).stdout(file).spawn().unwrap());
    let mut waiting: Vec<_> = meanwhile.to_vec();
    wait::until(typed, PATIENCE, async || {
        assert!(child.0.try_wait().unwrap().is_none(), "{typed} has ended");
        // It does not tell when it has begun: whatever is to be seen happens again until it is.
        waiting.iter().for_each(|typed| drop(success(cluster, typed, "")));
        waiting = meanwhile.to_vec();
        let printed = std::fs::read_to_string(&path).unwrap();
        let is_there = |part: &&str| printed.contains(*part);
        let copied = || success(cluster, "get --prefix mirrored --keys-only", "").contains("mirrored");
        (parts.iter().all(is_there) && (!typed.starts_with("make-mirror") || copied())).then_some(())
    })
    .await;
}

/// A process that ends with this value.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where `make-mirror` copies to: this cluster, under another prefix.
fn destination(cluster: &Cluster) -> String {
    let file = |path: &str| cluster.pki.file(path).display().to_string();
    let (authority, certificate, key) =
        (file("client-ca.crt"), file("clients/root.crt"), file("clients/root.key"));
    let url = cluster.members[0].client_url();
    format!("--dest-cacert={authority} --dest-cert={certificate} --dest-key={key} {url}")
}

fn fill(text: &str, kept: &BTreeMap<&str, String>) -> String {
    kept.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
}

pub(crate) fn is_installed() -> bool {
    match Command::new("etcdctl").arg("version").env("ETCDCTL_API", "3").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: etcdctl is not installed");
            false
        }
        version => {
            println!("{}", String::from_utf8_lossy(&version.unwrap().stdout));
            true
        }
    }
}

fn command(cluster: &Cluster, typed: &str) -> Command {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args(cluster.client_flags(&cluster.members));
    command.args(typed.split(' ')).stdin(Stdio::null());
    command
}

pub(crate) fn success(cluster: &Cluster, typed: &str, stdin: &str) -> String {
    let output = run(cluster, typed, stdin);
    assert!(output.status.success(), "etcdctl {typed}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn run(cluster: &Cluster, typed: &str, stdin: &str) -> Output {
    let mut child = command(cluster, typed)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
