//! The Pod Security Standards: what pods of a namespace may do, by level.
//!
//! In: a level and a pod's metadata and spec. Out: what violates it, in upstream's words.
//!
//! Deliberately absent: versions of the standards. Whatever version a namespace names, the newest is applied, which is the
//! strictest; exemptions of users and runtime classes.
//!
//! Source: `k8s.io/pod-security-admission/policy`.

use serde_json::Value;

mod baseline;
mod restricted;

/// How much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Privileged,
    /// What does not lead out of the pod in known ways.
    Baseline,
    /// What well-behaved programs need.
    Restricted,
}

impl Level {
    /// The level of a namespace's label. Unknown ones allow the least, as upstream has it.
    pub fn parse(label: &str) -> Self {
        match label {
            "" | "privileged" => Self::Privileged,
            "baseline" => Self::Baseline,
            _ => Self::Restricted,
        }
    }

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

/// A rule of the standards: why it was broken, and by what.
type Rule = (&'static str, fn(&Pod<'_>) -> Option<String>);

/// What the rules look at.
struct Pod<'a> {
    annotations: &'a Value,
    spec: &'a Value,
}

impl<'a> Pod<'a> {
    /// All containers, of whatever sort, in upstream's order.
    fn containers(&self) -> impl Iterator<Item = &'a Value> {
        let spec = self.spec;
        let lists = ["initContainers", "containers", "ephemeralContainers"].into_iter();
        lists.flat_map(move |list| spec[list].as_array().into_iter().flatten())
    }

    /// The names of the containers of which something is true.
    fn named(&self, is_bad: impl Fn(&Value) -> bool) -> Vec<&'a str> {
        self.containers().filter(|container| is_bad(container)).map(name).collect()
    }

    fn volumes(&self) -> impl Iterator<Item = &'a Value> {
        self.spec["volumes"].as_array().into_iter().flatten()
    }

    fn is_windows(&self) -> bool {
        self.spec["os"]["name"] == "windows"
    }
}

/// What of the pod a level does not allow; `None` if it allows everything.
pub fn violations(level: Level, metadata: &Value, spec: &Value) -> Option<String> {
    let rules: Vec<&Rule> = match level {
        Level::Privileged => return None,
        Level::Baseline => baseline::RULES.iter().collect(),
        Level::Restricted => {
            let replaced = |rule: &&Rule| !restricted::REPLACES.contains(&rule.0);
            baseline::RULES.iter().filter(replaced).chain(&restricted::RULES).collect()
        }
    };
    let pod = Pod { annotations: &metadata["annotations"], spec };
    let broken = rules.iter().filter_map(|(reason, check)| Some((*reason, check(&pod)?)));
    let texts: Vec<String> = broken
        .map(
            |(reason, detail)| {
                if detail.is_empty() { reason.to_owned() } else { format!("{reason} ({detail})") }
            },
        )
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn name(of: &Value) -> &str {
    of["name"].as_str().unwrap_or_default()
}

/// `container "a"`, `containers "a", "b"`.
fn listed(what: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{what}{plural} {}", quoted(names))
}

/// `"a", "b"`.
fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// The pod, containers of it, or both, which set something.
fn setters(pod: bool, containers: &[&str]) -> Option<String> {
    match (pod, containers.is_empty()) {
        (false, true) => None,
        (true, true) => Some("pod".to_owned()),
        (false, false) => Some(listed("container", containers)),
        (true, false) => Some(format!("pod and {}", listed("container", containers))),
    }
}

/// Each once, in the order in which they came.
fn distinct(mut words: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|word| seen.insert(word.clone()));
    words
}

#[cfg(test)]
mod tests;
