//! The same against a real container runtime, with a containerd of the test's own.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use http_body_util::BodyExt;
use keelson_cri::Runtime;
use keelson_proto::cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, LinuxPodSandboxConfig, LinuxSandboxSecurityContext,
    NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
};
use serde_json::json;

use crate::{
    client::Streams,
    node::{Node, OnePod},
};

const V5: &str = "v5.channel.k8s.io";

/// What the container runs: it says something, then hands back what it reads.
const APP: &str = "echo one; echo two >&2; echo three; exec cat";

fn deploy(script: &str) -> PathBuf {
    Path::new("../../deploy").canonicalize().unwrap().join(script)
}

/// Runs a command; what it wrote, or what went wrong.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(text) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// A containerd with its folder.
struct Containerd {
    folder: tempfile::TempDir,
    cgroup: String,
}

impl Containerd {
    /// Starts one, or says why this machine has none.
    fn start() -> Result<Self, String> {
        let script = deploy("dev/containerd.sh");
        let missing = run(Command::new(&script).arg("missing"))?;
        if let Some(first) = missing.lines().next() {
            return Err(first.to_owned());
        }
        // A socket's path must be short.
        let folder =
            tempfile::Builder::new().prefix("kns").tempdir_in("/tmp").map_err(|error| error.to_string())?;
        let images = folder.path().join("images");
        std::fs::create_dir(&images).map_err(|error| error.to_string())?;
        run(Command::new(deploy("images/build.sh")).arg(&images))?;
        let cgroup = format!("keelson-streams-{}", std::process::id());
        let containerd = Self { folder, cgroup };
        run(Command::new(&script).arg("start").arg(containerd.folder.path()))?;
        for image in ["pause.tar", "busybox.tar"] {
            let mut ctr = Command::new("ctr");
            ctr.arg("--address").arg(containerd.socket());
            run(ctr.args(["-n", "k8s.io", "images", "import"]).arg(images.join(image)))?;
        }
        Ok(containerd)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("containerd.sock")
    }

    /// Runs a pod in the machine's own network; the sandbox and the container.
    async fn run_app(&self, runtime: &Runtime) -> (String, String) {
        let network = NamespaceOption { network: NamespaceMode::Node.into(), ..Default::default() };
        let security = LinuxSandboxSecurityContext { namespace_options: Some(network), ..Default::default() };
        let sandbox_config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: "web".into(),
                namespace: "shop".into(),
                uid: "u".into(),
                attempt: 0,
            }),
            log_directory: self.folder.path().join("logs").display().to_string(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/{}", self.cgroup),
                security_context: Some(security),
                ..Default::default()
            }),
            ..Default::default()
        };
        std::fs::create_dir_all(self.folder.path().join("logs")).unwrap();
        let sandbox = Box::pin(runtime.run_pod_sandbox(sandbox_config.clone(), "")).await.unwrap();
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: "app".into(), attempt: 0 }),
            image: Some(ImageSpec { image: "docker.io/library/busybox:1.36".into(), ..Default::default() }),
            command: ["sh", "-c", APP].map(str::to_owned).into(),
            log_path: "app.log".into(),
            stdin: true,
            ..Default::default()
        };
        let container = Box::pin(runtime.create_container(&sandbox, config, sandbox_config)).await.unwrap();
        runtime.start_container(&container).await.unwrap();
        (sandbox, container)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let stopped = run(Command::new(deploy("dev/containerd.sh")).arg("stop").arg(self.folder.path()));
        if let Err(error) = stopped {
            eprintln!("containerd was not stopped: {error}");
        }
        // One per controller on older systems; the innermost first.
        let find =
            format!("find /sys/fs/cgroup -depth -type d -path '*/{}*' -exec rmdir {{}} +", self.cgroup);
        let _ = run(Command::new("sh").args(["-c", &find]));
    }
}

async fn exec(node: &Node, query: &str) -> Streams {
    let path = format!("/exec/shop/web/app?{query}");
    node.root().web_socket(&path, V5).await.unwrap_or_else(|refused| panic!("{refused:?}"))
}

#[tokio::test]
async fn logs_commands_and_streams_of_a_real_container() {
    let containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => {
            println!("skipped: logs_commands_and_streams_of_a_real_container: {reason}");
            return;
        }
    };
    let runtime = Runtime::at(&containerd.socket());
    let (sandbox, container) = containerd.run_app(&runtime).await;
    let pods = OnePod::named("web", "app", &container);
    let node = Node::with(Arc::new(runtime.clone()), Arc::new(pods)).await;
    commands(&node).await;
    a_terminal(&node).await;
    a_large_output(&node).await;
    a_client_that_goes(&node, &runtime, &container).await;
    logs_and_attach(&node, &runtime, &container).await;
    runtime.stop_pod_sandbox(&sandbox).await.unwrap();
    runtime.remove_pod_sandbox(&sandbox).await.unwrap();
}

async fn commands(node: &Node) {
    let mut cat = exec(node, "command=cat&input=1&output=1&error=1").await;
    cat.send(0, b"x\n").await;
    cat.expect(1, "x\n").await;
    cat.send(255, &[0]).await;
    let (stdout, stderr, status) = cat.finish().await;
    assert_eq!((stdout.as_str(), stderr.as_str(), &status["status"]), ("", "", &json!("Success")));

    let script = "command=sh&command=-c&command=echo+out;echo+err+%3E%262;exit+7";
    let (stdout, stderr, status) = exec(node, &format!("{script}&output=1&error=1")).await.finish().await;
    assert_eq!((stdout.as_str(), stderr.as_str()), ("out\n", "err\n"));
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "7"}]));

    let (_, _, status) = exec(node, "command=/no/such/thing&output=1").await.finish().await;
    assert_eq!(status["status"], "Failure", "{status}");
}

async fn a_terminal(node: &Node) {
    let mut shell = exec(node, "command=sh&input=1&output=1&tty=1").await;
    shell.send(4, br#"{"Width":101,"Height":43}"#).await;
    // Retried by the shell itself: the new size may arrive after the command.
    shell.send(0, b"stty -echo; until stty size | grep -q '43 101'; do :; done; stty size; exit 3\n").await;
    let (stdout, _, status) = shell.finish().await;
    assert!(stdout.ends_with("43 101\r\n"), "{stdout:?}");
    assert_eq!(status["details"]["causes"][0]["message"], "3");
}

async fn a_large_output(node: &Node) {
    const BYTES: usize = 100 << 20;
    let command = format!("command=head&command=-c&command={BYTES}&command=/dev/zero&output=1");
    let (stdout, _, status) = exec(node, &command).await.finish().await;
    assert_eq!((stdout.len(), &status["status"]), (BYTES, &json!("Success")));
}

/// Its commands lose their input, and end when they go by that.
async fn a_client_that_goes(node: &Node, runtime: &Runtime, container: &str) {
    let mut cat = exec(node, "command=sh&command=-c&command=cat;touch+/tmp/over&input=1&output=1").await;
    cat.send(0, b"here").await;
    cat.expect(1, "here").await;
    drop(cat);
    let wait = ["sh", "-c", "until test -e /tmp/over; do sleep 0.1; done"].map(str::to_owned);
    let waited = runtime.exec_sync(container, wait.into(), Duration::from_secs(60)).await.unwrap();
    assert_eq!(waited.exit_code, 0);
}

async fn logs_and_attach(node: &Node, runtime: &Runtime, container: &str) {
    let log = "/containerLogs/shop/web/app";
    let (code, text) = node.root().get(log).await;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!((code, lines), (200, vec!["one", "three", "two"]));
    assert_eq!(node.root().get(&format!("{log}?stream=Stderr")).await, (200, "two\n".to_owned()));
    let mut followed = node.root().send("GET", &format!("{log}?follow=true&tailLines=0"), &[]).await;
    let path = "/attach/shop/web/app?input=1&output=1&error=1";
    let mut attached = node.root().web_socket(path, V5).await.ok().unwrap();
    let long = "x".repeat(40_000) + "\n";
    attached.send(0, long.as_bytes()).await;
    attached.expect(1, &long).await;
    let mut seen = String::new();
    while seen.len() < long.len() {
        let frame = followed.body_mut().frame().await.unwrap().unwrap();
        seen += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
    }
    // The runtime has cut the line into pieces of 16 KiB.
    assert_eq!(seen, long);
    drop(attached);
    runtime.stop_container(container, Duration::from_secs(0)).await.unwrap();
    assert!(followed.body_mut().frame().await.is_none(), "the log ends with the container");
}
