//! Further ways to ask kubectl: objects as JSON, which it creates, refuses or shows.

use serde_json::Value;

use crate::kubectl::Kubectl;

impl Kubectl {
    /// Creates an object and answers it as it was made. As a manifest, not by a subcommand for its kind: those send
    /// protobuf.
    #[track_caller]
    pub(crate) fn create(&self, flags: &[&str], object: &Value) -> Value {
        let arguments = [&["create", "-f", "-", "-o", "json"], flags].concat();
        serde_json::from_str(&self.run_with(&arguments, &object.to_string()).ok()).unwrap()
    }

    /// The same, for a creation that is refused. Answers what is printed.
    #[track_caller]
    pub(crate) fn create_fails(&self, flags: &[&str], object: &Value) -> String {
        let printed = self.run_with(&[&["create", "-f", "-"], flags].concat(), &object.to_string());
        assert!(!printed.succeeded, "it should have failed: {printed:?}");
        printed.err
    }

    /// An object as JSON.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("{line} -o json"))).unwrap()
    }
}
