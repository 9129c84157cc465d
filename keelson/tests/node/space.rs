//! One namespace of the cluster, and what tests do in there.

use serde_json::Value;

use crate::following::Following;
use crate::kubectl::Printed;
use crate::lab::{Lab, condition};
use crate::wait;

/// A namespace of the cluster.
pub(crate) struct Space<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) name: String,
}

impl<'a> Space<'a> {
    /// One that there is, or will be.
    pub(crate) fn named(lab: &'a Lab, name: &str) -> Self {
        Self { lab, name: name.to_owned() }
    }

    fn arguments<'b>(&'b self, arguments: &[&'b str]) -> Vec<&'b str> {
        [&["-n", self.name.as_str()], arguments].concat()
    }

    /// What kubectl prints when it succeeds. Words are separated by spaces.
    #[track_caller]
    pub(crate) fn ok(&self, line: &str) -> String {
        self.run(&line.split_whitespace().collect::<Vec<_>>()).ok()
    }

    /// Runs kubectl to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Printed {
        self.lab.admin.run(&self.arguments(arguments))
    }

    /// Runs kubectl with something on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Printed {
        self.lab.admin.run_with(&self.arguments(arguments), input)
    }

    /// Starts kubectl.
    pub(crate) fn follow(&self, line: &str) -> Following {
        let words: Vec<&str> = line.split_whitespace().collect();
        Following::start(&self.lab.admin, &self.arguments(&words))
    }

    /// Applies a manifest; answers what is printed.
    #[track_caller]
    pub(crate) fn apply(&self, manifest: &str) -> String {
        self.run_with(&["apply", "-f", "-"], manifest).ok()
    }

    /// Runs a command in a pod's first container.
    pub(crate) fn exec(&self, pod: &str, command: &[&str]) -> Printed {
        self.run(&[&["exec", pod, "--"], command].concat())
    }

    /// What a shell in a pod's first container prints.
    #[track_caller]
    pub(crate) fn shell(&self, pod: &str, script: &str) -> String {
        self.exec(pod, &["sh", "-c", script]).ok()
    }

    /// A pod as it is.
    pub(crate) fn pod(&self, name: &str) -> Result<Value, String> {
        self.lab.api.get(&format!("/api/v1/namespaces/{}/pods/{name}", self.name))
    }

    /// The pods with a label.
    pub(crate) fn pods(&self, key: &str, value: &str) -> Result<Vec<Value>, String> {
        let path = format!("/api/v1/namespaces/{}/pods?labelSelector={key}%3D{value}", self.name);
        Ok(self.lab.api.get(&path)?["items"].as_array().unwrap().clone())
    }

    /// Waits until a pod is as `probe` wants it.
    pub(crate) fn until_pod<T>(
        &self,
        name: &str,
        what: &str,
        mut probe: impl FnMut(&Value) -> Option<T>,
    ) -> T {
        wait::until(&format!("pod {name}: {what}"), || {
            let pod = self.pod(name)?;
            probe(&pod).ok_or_else(|| pod["status"].to_string())
        })
    }

    /// Waits until a pod is in a phase.
    pub(crate) fn until_phase(&self, name: &str, phase: &str) {
        self.until_pod(name, phase, |pod| (pod["status"]["phase"] == phase).then_some(()));
    }

    /// Waits until a pod is ready.
    pub(crate) fn until_ready(&self, name: &str) {
        self.until_pod(name, "is ready", |pod| (condition(pod, "Ready") == "True").then_some(()));
    }

    /// Waits until a pod's first container has been restarted this many times, and runs.
    pub(crate) fn until_restarted(&self, name: &str, times: u64) {
        self.until_pod(name, "is restarted", |pod| {
            let status = &pod["status"]["containerStatuses"][0];
            let count = status["restartCount"].as_u64().unwrap_or_default();
            (count >= times && status["state"]["running"].is_object()).then_some(())
        });
    }

    /// Waits until there is an event of that reason about an object; answers its message.
    pub(crate) fn until_event(&self, object: &str, reason: &str) -> String {
        let selector = format!("involvedObject.name%3D{object},reason%3D{reason}");
        let path = format!("/api/v1/namespaces/{}/events?fieldSelector={selector}", self.name);
        wait::until(&format!("an event {reason} of {object}"), || {
            let events = self.lab.api.get(&path)?;
            let message = events["items"][0]["message"].as_str();
            message.map(str::to_owned).ok_or_else(|| "none".to_owned())
        })
    }

    /// Waits until a pod's first container waits for that reason; answers the message.
    pub(crate) fn until_waiting(&self, name: &str, reason: &str) -> String {
        self.until_pod(name, reason, |pod| {
            let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            (waiting["reason"] == reason).then(|| waiting["message"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// A Service as it is.
    pub(crate) fn service(&self, name: &str) -> Value {
        self.lab.api.get(&format!("/api/v1/namespaces/{}/services/{name}", self.name)).unwrap()
    }

    /// What a pod finds at a URL, or what is said instead.
    pub(crate) fn ask(&self, pod: &str, url: &str) -> Result<String, String> {
        // This wget's own time limit does not work everywhere.
        let printed = self.exec(pod, &["timeout", "5", "wget", "-qO-", url]);
        if printed.succeeded { Ok(printed.out) } else { Err(printed.err) }
    }
}
