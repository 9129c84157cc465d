//! A node of a test's own: network namespace, containerd, folders, control groups, an API, and the agent under test.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use keelson_controller_runtime::Connection;
use keelson_cri::Runtime;
use keelson_node_agent::{Heartbeat, Options, Registration, Serving};
use keelson_node_volumes::ClusterDns;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::api::{Api, condition};
use crate::wait;

/// The node's address, in its own namespace.
pub(crate) const ADDRESS: &str = "127.0.0.1";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Where the project's own tools lie.
fn deploy(tool: &str) -> PathBuf {
    Path::new("../../deploy").canonicalize().unwrap().join(tool)
}

/// What the machine lacks for containers; asked once.
fn lacks() -> &'static str {
    static LACKS: OnceLock<String> = OnceLock::new();
    LACKS.get_or_init(|| match Command::new(deploy("dev/containerd.sh")).arg("missing").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", "),
        Err(error) => error.to_string(),
    })
}

/// The images, built once for all tests.
fn images() -> &'static Path {
    static IMAGES: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = IMAGES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new(deploy("images/build.sh")).arg(folder.path()));
        folder
    });
    folder.path()
}

pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A node.
pub(crate) struct Lab {
    pub(crate) api: Api,
    folder: tempfile::TempDir,
    /// Names of its namespace and its control group.
    name: String,
    url: String,
    agent: Option<Stoppable>,
    serving: Option<Stoppable>,
}

/// A thread in the node's namespace, with a tokio runtime of its own.
struct Stoppable {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Stoppable {
    fn stop(self) {
        let _ = self.stop.send(());
        self.thread.join().unwrap();
    }
}

impl Lab {
    /// A node whose agent runs and is ready; `None`, and a word about it, where the machine cannot have one.
    pub(crate) fn ready(test: &str) -> Option<Self> {
        let mut lab = Self::new(test)?;
        lab.start_agent();
        lab.give_range();
        lab.until_ready();
        Some(lab)
    }

    /// A node without an agent yet.
    pub(crate) fn new(test: &str) -> Option<Self> {
        if !lacks().is_empty() {
            println!("skipped: {test}: this machine lacks {}", lacks());
            return None;
        }
        let folder = tempfile::Builder::new().prefix("kat").tempdir().unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("kat-{}-{number}", std::process::id());
        run(Command::new("ip").args(["netns", "add", &name]));
        run(Command::new("ip").args(["-n", &name, "link", "set", "lo", "up"]));
        let mut lab = Self { api: Api::new(), folder, name, url: String::new(), agent: None, serving: None };
        lab.start_containerd();
        lab.serve_api();
        lab.write_certificate();
        for namespace in ["shop", "default"] {
            lab.api.put("serviceaccounts", json!({"metadata": {"namespace": namespace, "name": "default"}}));
        }
        Some(lab)
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    /// The path of the containerd's socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("containerd/containerd.sock")
    }

    pub(crate) fn start_containerd(&self) {
        let folder = self.path("containerd");
        fs::create_dir_all(&folder).unwrap();
        run(Command::new(deploy("dev/containerd.sh")).arg("start").arg(folder).arg(&self.name));
    }

    /// Kills containerd alone: shims and containers go on.
    pub(crate) fn kill_containerd(&self) {
        let pid = fs::read_to_string(self.path("containerd/containerd.pid")).unwrap();
        run(Command::new("kill").args(["-KILL", pid.trim()]));
        wait::until_true("containerd is dead", || !Path::new("/proc").join(pid.trim()).join("exe").exists());
    }

    /// Runs `work` in the node's network until it is stopped.
    fn spawn<F>(&self, work: impl FnOnce(oneshot::Receiver<()>) -> F + Send + 'static) -> Stoppable
    where
        F: Future<Output = ()>,
    {
        let (stop, stopped) = oneshot::channel();
        let namespace = File::open(Path::new("/run/netns").join(&self.name)).unwrap();
        let thread = std::thread::spawn(move || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.as_fd(), network).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(stopped));
        });
        Stoppable { stop, thread }
    }

    fn serve_api(&mut self) {
        let (tell, told) = std::sync::mpsc::channel();
        let api = self.api.clone();
        self.serving = Some(self.spawn(async move |stopped| {
            let listener = TcpListener::bind((ADDRESS, 0)).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            tokio::select! {
                () = api.serve(listener) => {}
                _ = stopped => {}
            }
        }));
        self.url = format!("http://{}", told.recv().unwrap());
    }

    fn write_certificate(&self) {
        let certified = rcgen::generate_simple_self_signed(["n1".to_owned()]).unwrap();
        fs::write(self.path("serving.crt"), certified.cert.pem()).unwrap();
        fs::write(self.path("serving.key"), certified.signing_key.serialize_pem()).unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "c", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        });
        fs::write(self.path("kubeconfig"), config.to_string()).unwrap();
    }

    /// Starts the agent.
    pub(crate) fn start_agent(&mut self) {
        let folder = self.folder.path().to_owned();
        let cgroup_root = format!("/{}", self.name);
        self.agent = Some(self.spawn(async move |stopped| {
            let options = options(&folder, cgroup_root).await;
            let stop = async move { drop(stopped.await) };
            keelson_node_agent::run(options, stop).await.unwrap();
        }));
    }

    /// Stops the agent; everything that it made goes on.
    pub(crate) fn stop_agent(&mut self) {
        self.agent.take().unwrap().stop();
    }

    /// Gives the node a range of addresses for its pods.
    pub(crate) fn give_range(&self) {
        self.api.until("the node is registered", |api| api.get("nodes", "", "n1"));
        self.api.patch(
            "nodes",
            "",
            "n1",
            &json!({"spec": {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"]}}),
        );
    }

    pub(crate) fn until_ready(&self) {
        self.api.until("the node is ready", |api| {
            let node = api.get("nodes", "", "n1")?;
            (condition(&node, "Ready")["status"] == "True").then_some(())
        });
    }

    /// Asks the runtime, without the agent.
    pub(crate) fn ask<T>(&self, question: impl AsyncFnOnce(Runtime) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { question(Runtime::at(&self.socket())).await })
    }

    /// Runs a command in a container; what it prints.
    pub(crate) fn exec(&self, id: &str, command: &[&str]) -> String {
        let command = command.iter().map(ToString::to_string).collect();
        let answer = self.ask(async |runtime| runtime.exec_sync(id, command, wait::PATIENCE).await.unwrap());
        format!("{}{}", String::from_utf8_lossy(&answer.stdout), String::from_utf8_lossy(&answer.stderr))
    }

    /// The log of a container's instance, as CRI writes it.
    pub(crate) fn log(&self, pod: &serde_json::Value, container: &str, attempt: u32) -> String {
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        let name = pod["metadata"]["name"].as_str().unwrap();
        fs::read_to_string(self.path(&format!("logs/shop_{name}_{uid}/{container}/{attempt}.log")))
            .unwrap_or_default()
    }

    /// The folders of a control group in all hierarchies where it is, without the leading root.
    pub(crate) fn cgroups(&self, path: &str) -> Vec<PathBuf> {
        let below = |base: &Path| base.join(&self.name).join(path);
        let root = Path::new("/sys/fs/cgroup");
        let bases = fs::read_dir(root).unwrap().flatten().map(|it| it.path()).chain([root.to_owned()]);
        bases.map(|base| below(&base)).filter(|folder| folder.is_dir()).collect()
    }

    /// What is left on the node of pods: in the runtime, on the disk, in control groups.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let mut left = self.ask(async |runtime| {
            let sandboxes = runtime.list_pod_sandbox(None).await.unwrap().into_iter().map(|it| it.id);
            let containers = runtime.list_containers(None).await.unwrap().into_iter().map(|it| it.id);
            sandboxes.chain(containers).collect::<Vec<String>>()
        });
        let entries =
            |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|it| it.path());
        let folders = entries(self.path("root/pods")).chain(entries(self.path("logs")));
        left.extend(folders.map(|it| it.display().to_string()));
        for class in ["kubepods", "kubepods/burstable", "kubepods/besteffort"] {
            let groups = self.cgroups(class).into_iter().flat_map(entries);
            let pods = groups.filter(|it| it.file_name().unwrap().to_string_lossy().starts_with("pod"));
            left.extend(pods.map(|it| it.display().to_string()));
        }
        left
    }
}

async fn options(folder: &Path, cgroup_root: String) -> Options {
    let connection = Connection::from_kubeconfig(&folder.join("kubeconfig")).await.unwrap();
    let client = connection.client("keelson-node").unwrap();
    Options {
        node_name: "n1".to_owned(),
        node_addresses: vec![ADDRESS.parse().unwrap()],
        client,
        runtime_endpoint: folder.join("containerd/containerd.sock"),
        root: folder.join("root"),
        pod_logs: folder.join("logs"),
        cni_configurations: folder.join("containerd/cni"),
        dns: ClusterDns { servers: vec!["10.96.0.10".parse().unwrap()], domain: "cluster.local".to_owned() },
        cgroup_root,
        images: Some(images().to_owned()),
        serving: Serving {
            address: format!("{ADDRESS}:10250").parse().unwrap(),
            certificate: folder.join("serving.crt"),
            key: folder.join("serving.key"),
            client_authorities: folder.join("serving.crt"),
        },
        registration: Registration::default(),
        max_pods: 110,
        reserved: [].into(),
        // However full the disk is on which the tests happen to run.
        eviction_hard: "memory.available<100Mi,nodefs.available<1Gi".parse().unwrap(),
        heartbeat: Heartbeat::default(),
    }
}

/// Undoes everything, also after a test that failed.
impl Drop for Lab {
    fn drop(&mut self) {
        for thread in [self.agent.take(), self.serving.take()].into_iter().flatten() {
            let _ = thread.stop.send(());
            let _ = thread.thread.join();
        }
        let _ = Command::new(deploy("dev/containerd.sh")).arg("stop").arg(self.path("containerd")).output();
        for folder in self.cgroups("") {
            remove_group(&folder);
        }
        let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(self.path("root")).output();
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).output();
    }
}

/// Removes a control group, after what is left in it has ended.
fn remove_group(folder: &Path) {
    for child in fs::read_dir(folder).into_iter().flatten().flatten().filter(|it| it.path().is_dir()) {
        remove_group(&child.path());
    }
    wait::until_true("a control group is gone", || {
        let processes = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        for pid in processes.lines() {
            let _ = Command::new("kill").args(["-KILL", pid]).output();
        }
        fs::remove_dir(folder).is_ok() || !folder.exists()
    });
}
