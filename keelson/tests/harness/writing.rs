//! A client that writes in a loop, and remembers what was acknowledged to it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::kubectl::{Kubectl, config_map};
use crate::servers::{NAMES, Servers};
use crate::wait;

/// Creates config maps, one after the other, until it is stopped.
pub(crate) struct Writing {
    acknowledged: Arc<Mutex<Vec<(Instant, String)>>>,
    asked_to_stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writing {
    /// Starts it.
    pub(crate) fn start(kubectl: &Kubectl) -> Self {
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let asked_to_stop = Arc::new(AtomicBool::new(false));
        let (kubectl, list, is_asked) = (kubectl.clone(), acknowledged.clone(), asked_to_stop.clone());
        let thread = thread::spawn(move || {
            for number in 0.. {
                if is_asked.load(Ordering::Relaxed) {
                    return;
                }
                let name = format!("write-{number:03}");
                let object = config_map(&name).to_string();
                // A write may fail while there is no leader; then nothing is promised about it.
                if kubectl.run_with(&["create", "-f", "-", "--request-timeout=10s"], &object).succeeded {
                    list.lock().unwrap().push((Instant::now(), name));
                }
            }
        });
        Self { acknowledged, asked_to_stop, thread: Some(thread) }
    }

    /// Waits until so many more writes are acknowledged. Answers how long the first of them took from now.
    pub(crate) fn goes_on(&self, more: usize) -> Duration {
        let began = Instant::now();
        wait::until("writes go on", || {
            let list = self.acknowledged.lock().unwrap();
            let mut new = list.iter().filter(|(when, _)| *when > began);
            let first = new.next().map(|(when, _)| when.duration_since(began));
            first
                .filter(|_| new.count() + 1 >= more)
                .ok_or_else(|| format!("{} are acknowledged", list.len()))
        })
    }

    /// Ends it. Answers what was acknowledged.
    pub(crate) fn stop(mut self) -> Acknowledged {
        self.end();
        Acknowledged(self.acknowledged.lock().unwrap().iter().map(|(_, name)| name.clone()).collect())
    }

    fn end(&mut self) {
        self.asked_to_stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panics only where there is no kubectl any more, and then others fail, too.
            let _ = thread.join();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.end();
    }
}

/// The names of what must be there.
pub(crate) struct Acknowledged(Vec<String>);

impl Acknowledged {
    /// Fails if a server lacks one of them.
    pub(crate) fn are_everywhere(&self, servers: &Servers) {
        let admin = Kubectl::admin(servers);
        for (index, server) in NAMES.iter().enumerate() {
            let names = admin.ok(&format!("--server={} get configmaps -o name", servers.url(index)));
            let lost: Vec<_> = self.0.iter().filter(|name| !names.contains(name.as_str())).collect();
            assert!(lost.is_empty(), "{server} lacks {lost:?}: {names}");
        }
    }
}
