//! Three members of a store as processes of their own, and connections to them.

use std::{
    error::Error,
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use keelson_proto::etcd::rpc::{
    RangeRequest, StatusRequest, StatusResponse, kv_client::KvClient, maintenance_client::MaintenanceClient,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::{
    call::{self, Connection},
    figures, machine,
    processes::{self, Idle},
};

const NAMES: [&str; 3] = ["a", "b", "c"];
const START_PATIENCE: Duration = Duration::from_secs(60);
/// etcd refuses writes beyond 2 GiB unless it is told another figure.
const ETCDS_QUOTA: &str = "--quota-backend-bytes=68719476736";

/// Something that takes etcd's flags.
pub(crate) struct Program {
    /// Its name in the table.
    pub(crate) name: &'static str,
    /// What it says of its version.
    pub(crate) version: String,
    path: PathBuf,
    subcommand: Option<&'static str>,
    quota: Option<&'static str>,
}

/// A running cluster. Dropping it kills the processes that it started.
pub(crate) struct Cluster {
    folder: tempfile::TempDir,
    members: Vec<Running>,
    path: PathBuf,
    subcommand: Option<&'static str>,
    quota: Option<&'static str>,
    /// From the first process's start to the first acknowledged linearizable read on every member.
    pub(crate) ready_after: Duration,
}

struct Running {
    process: Child,
    client_port: u16,
    peer_port: u16,
}

impl Program {
    pub(crate) fn keelson(path: PathBuf) -> Result<Self, Box<dyn Error>> {
        let version = version(&path).ok_or_else(|| format!("{} does not run", path.display()))?;
        Ok(Self { name: "keelson", version, path, subcommand: Some("store"), quota: None })
    }

    /// The one that stands beside.
    pub(crate) fn other_keelson(path: PathBuf) -> Result<Self, Box<dyn Error>> {
        Ok(Self { name: "other", ..Self::keelson(path)? })
    }

    /// Debian's etcd, where it is installed.
    pub(crate) fn etcd() -> Option<Self> {
        let path = PathBuf::from("/usr/bin/etcd");
        let version = version(&path)?;
        Some(Self { name: figures::ETCD, version, path, subcommand: None, quota: Some(ETCDS_QUOTA) })
    }
}

fn version(path: &Path) -> Option<String> {
    let output = Command::new(path).arg("--version").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).lines().next()?.to_owned())
}

impl Cluster {
    /// Starts three members; `keelson` makes their certificates, whatever they are.
    pub(crate) async fn start(program: &Program, keelson: &Path) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let members: Vec<_> = NAMES.iter().map(|name| format!("--member={name}=127.0.0.1")).collect();
        processes::make_certificates(keelson, &folder.path().join("pki"), &members)?;
        let ports = (0..NAMES.len()).map(|_| Ok((processes::free_port()?, processes::free_port()?)));
        let ports: Vec<(u16, u16)> = ports.collect::<Result<_, std::io::Error>>()?;
        let started = Instant::now();
        let mut cluster = Self {
            folder,
            members: Vec::new(),
            path: program.path.clone(),
            subcommand: program.subcommand,
            quota: program.quota,
            ready_after: Duration::ZERO,
        };
        for (number, (client_port, peer_port)) in ports.iter().enumerate() {
            let process = cluster.spawn(number, &ports)?;
            cluster.members.push(Running { process, client_port: *client_port, peer_port: *peer_port });
        }
        for number in 0..NAMES.len() {
            cluster.wait_until_reading(number).await?;
        }
        cluster.ready_after = started.elapsed();
        Ok(cluster)
    }

    /// Starts a member again that was killed.
    pub(crate) fn restart(&mut self, number: usize) -> Result<(), Box<dyn Error>> {
        let ports: Vec<_> =
            self.members.iter().map(|member| (member.client_port, member.peer_port)).collect();
        self.members[number].process = self.spawn(number, &ports)?;
        Ok(())
    }

    pub(crate) fn kill(&mut self, number: usize) -> std::io::Result<()> {
        let process = &mut self.members[number].process;
        process.kill()?;
        process.wait().map(drop)
    }

    pub(crate) fn size(&self) -> usize {
        self.members.len()
    }

    /// A connection to a member; it connects on first use.
    pub(crate) fn channel(&self, number: usize) -> Result<Channel, Box<dyn Error>> {
        let pki = self.folder.path().join("pki");
        let read = |name: &str| std::fs::read(pki.join(name));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(read("client-ca.crt")?))
            .identity(Identity::from_pem(read("clients/root.crt")?, read("clients/root.key")?));
        let url = format!("https://127.0.0.1:{}", self.members[number].client_port);
        Ok(Endpoint::from_shared(url)?.tls_config(tls)?.tcp_nodelay(true).connect_lazy())
    }

    /// A connection of the load generator to a member.
    pub(crate) async fn connect(&self, number: usize) -> Result<Connection, Box<dyn Error>> {
        let tls = call::tls(&self.folder.path().join("pki"))?;
        Connection::open(self.members[number].client_port, &tls).await
    }

    /// The numbers of all members.
    pub(crate) fn all(&self) -> Vec<usize> {
        (0..self.size()).collect()
    }

    /// Processor time that these members have used together.
    pub(crate) fn cpu(&self, members: &[usize]) -> Result<Duration, Box<dyn Error>> {
        let members = members.iter().map(|number| &self.members[*number]);
        let ticks = |member: &Running| machine::cpu_ticks(member.process.id()).ok_or("a member is gone");
        let ticks = members.map(ticks).sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory of the largest member, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let resident = self.members.iter().filter_map(|member| machine::resident_bytes(member.process.id()));
        resident.max().unwrap_or(0)
    }

    /// What a member says of itself.
    pub(crate) async fn status(&self, number: usize) -> Result<StatusResponse, Box<dyn Error>> {
        let mut client = MaintenanceClient::new(self.channel(number)?);
        Ok(client.status(StatusRequest {}).await?.into_inner())
    }

    /// The number of the member that leads.
    pub(crate) async fn leader(&self) -> Result<usize, Box<dyn Error>> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            for number in 0..self.size() {
                let Ok(status) = self.status(number).await else { continue };
                let header = status.header.unwrap_or_default();
                if header.member_id == status.leader {
                    return Ok(number);
                }
            }
            if Instant::now() > deadline {
                return Err("no member leads".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What the members cost while nobody asks anything of them.
    pub(crate) async fn idle(&self, duration: Duration) -> Result<Idle, Box<dyn Error>> {
        let pids: Vec<u32> = self.members.iter().map(|member| member.process.id()).collect();
        Idle::watch(&pids, duration).await
    }

    fn spawn(&self, number: usize, ports: &[(u16, u16)]) -> Result<Child, Box<dyn Error>> {
        let log = File::options().create(true).append(true).open(self.folder.path().join("members.log"))?;
        let mut command = Command::new(&self.path);
        command.args(self.subcommand).args(self.flags(number, ports)).args(self.quota);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command.spawn()?)
    }

    fn flags(&self, number: usize, ports: &[(u16, u16)]) -> Vec<String> {
        let name = NAMES[number];
        let (client, peer) = ports[number];
        let folder = self.folder.path().display();
        let own = format!("{folder}/pki/members/{name}");
        let cluster: Vec<_> = NAMES
            .iter()
            .zip(ports)
            .map(|(name, (_, peer))| format!("{name}=https://127.0.0.1:{peer}"))
            .collect();
        vec![
            format!("--name={name}"),
            format!("--data-dir={folder}/{name}"),
            format!("--listen-client-urls=https://127.0.0.1:{client}"),
            format!("--advertise-client-urls=https://127.0.0.1:{client}"),
            format!("--listen-peer-urls=https://127.0.0.1:{peer}"),
            format!("--initial-advertise-peer-urls=https://127.0.0.1:{peer}"),
            format!("--initial-cluster={}", cluster.join(",")),
            format!("--cert-file={own}/server.crt"),
            format!("--key-file={own}/server.key"),
            format!("--trusted-ca-file={folder}/pki/client-ca.crt"),
            "--client-cert-auth=true".to_owned(),
            format!("--peer-cert-file={own}/peer.crt"),
            format!("--peer-key-file={own}/peer.key"),
            format!("--peer-trusted-ca-file={folder}/pki/peer-ca.crt"),
            "--peer-client-cert-auth=true".to_owned(),
            "--log-level=error".to_owned(),
        ]
    }

    /// Waits until a member reads linearizably.
    async fn wait_until_reading(&self, number: usize) -> Result<(), Box<dyn Error>> {
        self.wait_for(number, RangeRequest { key: "ready".into(), ..RangeRequest::default() }).await
    }

    /// Waits until a member answers from what it has itself.
    pub(crate) async fn wait_until_open(&self, number: usize) -> Result<(), Box<dyn Error>> {
        let local = RangeRequest { key: "ready".into(), serializable: true, ..RangeRequest::default() };
        self.wait_for(number, local).await
    }

    async fn wait_for(&self, number: usize, read: RangeRequest) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let mut client = KvClient::new(self.channel(number)?);
            match client.range(read.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &mut self.members {
            // One that has ended already cannot be killed, which is as well.
            let _ = member.process.kill();
            let _ = member.process.wait();
        }
    }
}
