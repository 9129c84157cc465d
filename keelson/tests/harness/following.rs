//! kubectl that goes on until it is ended, and its lines as they come.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::kubectl::Kubectl;
use crate::wait;

/// A call that runs. It ends with this value.
pub(crate) struct Following {
    child: Child,
    pub(crate) lines: Receiver<String>,
}

impl Following {
    /// Starts it.
    pub(crate) fn start(kubectl: &Kubectl, arguments: &[&str]) -> Self {
        let mut child = kubectl.spawn(arguments);
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // It ends when the child does, or when nobody listens any more.
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Its next line. Panics when none comes in time.
    pub(crate) fn next(&self) -> String {
        self.lines.recv_timeout(wait::PATIENCE).expect("a line comes")
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
