//! Members on this machine, each a process with a folder of its own.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use keelson_proto::etcd::rpc::StatusResponse;
use tempfile::TempDir;

use crate::certificates::{Pki, Shown};
use crate::client::{Client, Contents, Read};
use crate::full_disk::SmallDisk;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
const NAMES: [&str; 3] = ["a", "b", "c"];

/// Everything of one test: it ends and vanishes with this value, also when the test panics.
pub(crate) struct Cluster {
    /// Before what holds their files, so that the processes end first.
    pub(crate) members: Vec<Member>,
    /// Where one of them has its data, if that is a disk of its own. Unmounted before the folder goes.
    pub(crate) disk: Option<SmallDisk>,
    pub(crate) pki: Pki,
    pub(crate) folder: TempDir,
}

/// One member, running or not.
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) address: Ipv4Addr,
    pub(crate) client_port: u16,
    pub(crate) peer_port: u16,
    pub(crate) data_dir: PathBuf,
    pub(crate) client: Client,
    flags: Vec<String>,
    environment: Vec<(&'static str, PathBuf)>,
    logs: PathBuf,
    starts: u32,
    process: Option<Process>,
}

impl Cluster {
    /// Starts three members and waits until they have a leader.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts three members with further flags.
    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        let mut cluster = Self::prepare(3, flags);
        cluster.start_all().await;
        cluster
    }

    /// One to three members, none of which runs yet.
    pub(crate) fn prepare(count: usize, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let hosts: Vec<_> =
            (0..count).map(|index| (NAMES[index].to_owned(), ADDRESSES[index].to_string())).collect();
        let pki = Pki::init(folder.path().join("pki"), &hosts);
        let (client_port, peer_port) = (free_port(), free_port());
        let initial: Vec<_> =
            hosts.iter().map(|(name, address)| format!("{name}=https://{address}:{peer_port}")).collect();
        let members = (0..count).map(|index| {
            let (name, address) = (NAMES[index], ADDRESSES[index]);
            let mut own = vec![format!("--initial-cluster={}", initial.join(","))];
            own.extend(tls_flags(&pki, name));
            own.extend(flags.iter().map(|flag| (*flag).to_owned()));
            Member {
                name,
                address,
                client_port,
                peer_port,
                data_dir: folder.path().join(name),
                client: Client::new(
                    format!("https://{address}:{client_port}"),
                    pki.client_tls(Shown::Client),
                ),
                flags: own,
                environment: Vec::new(),
                logs: folder.path().to_owned(),
                starts: 0,
                process: None,
            }
        });
        Self { members: members.collect(), disk: None, pki, folder }
    }

    /// Starts every member that does not run, and waits until all agree on a leader.
    pub(crate) async fn start_all(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.process.is_none()) {
            member.start();
        }
        self.leader().await;
    }

    /// The index of the leader, once all members that run agree on one of them.
    pub(crate) async fn leader(&self) -> usize {
        wait::until("all members agree on a leader", PATIENCE, async || {
            let running: Vec<_> =
                (0..self.members.len()).filter(|index| self.members[*index].runs()).collect();
            let asked = join_all(running.iter().map(|index| self.members[*index].client.status())).await;
            let heard: Vec<StatusResponse> = asked.into_iter().collect::<Result<_, _>>().ok()?;
            let leader = heard.first()?.leader;
            let agree = heard.iter().all(|status| status.leader == leader);
            let of = |status: &StatusResponse| status.header.as_ref().map(|header| header.member_id);
            let position = heard.iter().position(|status| of(status) == Some(leader))?;
            agree.then(|| running[position])
        })
        .await
    }

    /// The index of a member that runs and does not lead.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.members.len()).find(|index| *index != leader && self.members[*index].runs()).unwrap()
    }

    /// Clients of all members, the given one first.
    pub(crate) fn clients_from(&self, first: usize) -> Vec<Client> {
        let count = self.members.len();
        (0..count).map(|step| self.members[(first + step) % count].client.clone()).collect()
    }

    /// The flags with which a client of `keelson store` or `etcdctl` reaches these members.
    pub(crate) fn client_flags(&self, members: &[Member]) -> Vec<String> {
        let file = |path: &str| self.pki.file(path).display().to_string();
        let urls: Vec<_> = members.iter().map(Member::client_url).collect();
        vec![
            format!("--endpoints={}", urls.join(",")),
            format!("--cacert={}", file("client-ca.crt")),
            format!("--cert={}", file("clients/root.crt")),
            format!("--key={}", file("clients/root.key")),
        ]
    }

    /// What a member shows once it has applied everything up to `revision`, asked for nobody's agreement.
    pub(crate) async fn applied(&self, member: usize, revision: i64) -> Contents {
        let client = &self.members[member].client;
        wait::until("the member has caught up", PATIENCE, async || {
            client.read_all(Read::Serializable).await.ok().filter(|contents| contents.revision >= revision)
        })
        .await
    }
}

impl Member {
    /// Starts it. It must not run.
    pub(crate) fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        self.process = Some(self.spawn(&self.arguments()));
        self.starts += 1;
    }

    /// Starts a process of this member that the member does not own: one that is expected to end.
    pub(crate) fn attempt(&mut self, arguments: &[String]) -> Process {
        let process = self.spawn(arguments);
        self.starts += 1;
        process
    }

    fn spawn(&self, arguments: &[String]) -> Process {
        Process::spawn(
            arguments,
            &self.environment,
            self.logs.join(format!("{}.{}.log", self.name, self.starts)),
        )
    }

    /// A flag for all starts from now on, in place of one with the same name.
    pub(crate) fn set_flag(&mut self, flag: &str, value: &str) {
        let begins = format!("{flag}=");
        self.flags.retain(|given| !given.starts_with(&begins));
        self.flags.push(begins + value);
    }

    /// A variable of its environment for all starts from now on.
    pub(crate) fn set_variable(&mut self, name: &'static str, value: impl Into<PathBuf>) {
        self.environment.push((name, value.into()));
    }

    /// The command line that it is started with.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "store".to_owned(),
            format!("--name={}", self.name),
            format!("--data-dir={}", self.data_dir.display()),
            format!("--listen-client-urls={}", self.client_url()),
            format!("--listen-peer-urls={}", self.peer_url()),
        ];
        arguments.extend(self.flags.iter().cloned());
        arguments
    }

    /// Where the other members reach it.
    pub(crate) fn peer_url(&self) -> String {
        format!("https://{}:{}", self.address, self.peer_port)
    }

    /// Where clients reach it.
    pub(crate) fn client_url(&self) -> String {
        format!("https://{}:{}", self.address, self.client_port)
    }

    /// Whether it was started and neither killed nor stopped.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// What all its processes have printed so far.
    pub(crate) fn all_printed(&self) -> String {
        let log = |start| self.logs.join(format!("{}.{start}.log", self.name));
        (0..self.starts).map(|start| std::fs::read_to_string(log(start)).unwrap()).collect()
    }

    /// Its running process.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    /// Waits until it ends by itself; answers how, and what it printed.
    pub(crate) async fn exit(&mut self, patience: Duration) -> (ExitStatus, String) {
        self.process.take().unwrap().exit(patience).await
    }
}

fn tls_flags(pki: &Pki, name: &str) -> Vec<String> {
    let flag = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
    let own = Path::new("members").join(name);
    vec![
        flag("cert-file", &pki.file(own.join("server.crt"))),
        flag("key-file", &pki.file(own.join("server.key"))),
        flag("trusted-ca-file", &pki.file("client-ca.crt")),
        flag("peer-cert-file", &pki.file(own.join("peer.crt"))),
        flag("peer-key-file", &pki.file(own.join("peer.key"))),
        flag("peer-trusted-ca-file", &pki.file("peer-ca.crt")),
    ]
}

/// A port that is free on all addresses. Below the range from which the system takes ports for outgoing connections,
/// so that none of those takes it while a member is down.
pub(crate) fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static DRAWN: AtomicU32 = AtomicU32::new(0);
    // Processes that test at the same time begin at different places.
    let start = std::process::id().wrapping_mul(97);
    loop {
        let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
        assert!(drawn < COUNT, "no port is free");
        let port = u16::try_from(FIRST + start.wrapping_add(drawn) % COUNT).unwrap();
        if ADDRESSES.iter().all(|address| TcpListener::bind((*address, port)).is_ok()) {
            return port;
        }
    }
}
