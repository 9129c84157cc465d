//! A second node, of which only signs of life are there: without it, the servers would think that they are the ones
//! who are cut off, and would evict nobody.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::kubectl::Kubectl;
use crate::lab::Lab;

const PULSE: Duration = Duration::from_secs(4);

const NODE: &str = r#"
apiVersion: v1
kind: Node
metadata: {name: spare}
spec: {unschedulable: true}
---
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: spare, namespace: kube-node-lease}
spec: {holderIdentity: spare, leaseDurationSeconds: 40, renewTime: "2020-01-01T00:00:00.000000Z"}
"#;

const READY: &str =
    r#"{"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]}}"#;

/// The node; it falls silent with this value.
pub(super) struct Spare {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Spare {
    pub(super) fn start(lab: &Lab) -> Self {
        lab.admin.run_with(&["create", "-f", "-"], NODE).ok();
        lab.admin.run(&["patch", "node", "spare", "--subresource=status", "--patch", READY]).ok();
        let (end, ended) = mpsc::channel();
        let admin = lab.admin.clone();
        let thread = thread::spawn(move || {
            let mut beats = 1..60;
            while ended.recv_timeout(PULSE) == Err(RecvTimeoutError::Timeout) {
                renew(&admin, beats.next().unwrap());
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

fn renew(admin: &Kubectl, beat: u32) {
    let patch = format!(r#"{{"spec":{{"renewTime":"2020-01-01T00:{beat:02}:00.000000Z"}}}}"#);
    let lease = ["-n", "kube-node-lease", "patch", "lease", "spare", "--type=merge", "--patch", &patch];
    // The next one may succeed.
    let _ = admin.run(&lease);
}

impl Drop for Spare {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It is missed where it matters.
            let _ = thread.join();
        }
    }
}
