//! Network namespaces of tests' own, where they may call `nft` and `conntrack`.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A network namespace; it goes when it is dropped.
pub(crate) struct Namespace(String);

impl Namespace {
    /// None, with the reason told, where this machine or user cannot have one.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let name = format!("keelson-proxy-{}-{test}", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if !made.is_ok_and(|made| made.status.success()) {
            println!("skipped: {test}: network namespaces need root and iproute2");
            return None;
        }
        let namespace = Self(name);
        for (program, asked) in [("nft", "list ruleset"), ("conntrack", "-L -p udp")] {
            if let Err(complaint) = namespace.run(program, asked, "") {
                println!("skipped: {test}: {program} does not work here: {complaint}");
                return None;
            }
        }
        Some(namespace)
    }

    /// What a program says there; an error is its complaint.
    pub(crate) fn run(&self, program: &str, arguments: &str, input: &str) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.0)).arg(program).args(arguments.split(' '));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout).unwrap()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Runs something there, with time that passes when nothing else happens.
    pub(crate) fn within(&self, work: impl Future<Output = ()> + Send) {
        let namespace = File::open(format!("/run/netns/{}", self.0)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                runtime.enable_all().start_paused(true).build().unwrap().block_on(work);
            });
        });
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}
