//! Who may depend on whom.
//!
//! In: `cargo metadata`. Out: edges that the table [`LAYERS`] does not allow. The table is the whole rule:
//! `proto` ← `raft-store` ← `apiserver`; `controllers` and `node-agent` know neither; `keelson` alone sees all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::Problem;

/// What a package of the workspace may depend on, in its normal and build dependencies.
struct Layer {
    package: &'static str,
    /// Packages of the workspace.
    own: Own,
    /// Packages from elsewhere.
    foreign: Foreign,
}

enum Own {
    Any,
    Only(&'static [&'static str]),
}

enum Foreign {
    Any,
    Except(&'static [&'static str]),
    /// A pure crate: exactly these, and nothing of [`IMPURE`] behind them either.
    Only(&'static [&'static str]),
}

/// What brings threads, clocks, sockets or randomness.
const IMPURE: [&str; 11] = [
    "async-std",
    "chrono",
    "crossbeam-channel",
    "fastrand",
    "getrandom",
    "mio",
    "parking_lot",
    "rand",
    "socket2",
    "time",
    "tokio",
];

/// The storage engine; one crate knows it.
const ENGINES: &[&str] = &["librocksdb-sys", "rocksdb"];

/// What knows the Kubernetes API.
const KUBERNETES: &[&str] = &["k8s-openapi", "kube", "librocksdb-sys", "rocksdb"];

const LAYERS: &[Layer] = &[
    Layer { package: "keelson-proto", own: Own::Only(&[]), foreign: Foreign::Except(ENGINES) },
    Layer {
        package: "keelson-store-core",
        own: Own::Only(&[]),
        foreign: Foreign::Only(&[
            "bincode",
            "bytes",
            "crc32c",
            "hashbrown",
            "memchr",
            "serde",
            "smallvec",
            "thiserror",
            "xxhash-rust",
        ]),
    },
    Layer {
        package: "keelson-store-log",
        own: Own::Only(&["keelson-store-core"]),
        foreign: Foreign::Only(&["bytes", "crc32c", "rustix"]),
    },
    Layer {
        package: "keelson-store-rocks",
        own: Own::Only(&["keelson-store-core", "keelson-store-log"]),
        foreign: Foreign::Any,
    },
    Layer {
        package: "keelson-store",
        own: Own::Only(&["keelson-proto", "keelson-store-core"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-store-fuzz",
        own: Own::Only(&["keelson-proto", "keelson-store", "keelson-store-core", "keelson-store-log"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-api-schema",
        own: Own::Only(&[]),
        foreign: Foreign::Except(&["rocksdb", "tokio"]),
    },
    Layer {
        package: "keelson-api-registry",
        own: Own::Only(&["keelson-api-schema"]),
        foreign: Foreign::Except(&["hyper", "rocksdb", "tokio"]),
    },
    Layer {
        package: "keelson-api-fuzz",
        own: Own::Only(&["keelson-api-registry", "keelson-api-schema"]),
        foreign: Foreign::Except(&["hyper", "rocksdb", "tokio"]),
    },
    Layer {
        package: "keelson-apiserver",
        own: Own::Only(&[
            "keelson-api-registry",
            "keelson-api-schema",
            "keelson-pki",
            "keelson-proto",
            "keelson-store",
            "keelson-store-core",
        ]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer { package: "keelson-controller-runtime", own: Own::Only(&[]), foreign: Foreign::Except(ENGINES) },
    Layer {
        package: "keelson-controllers",
        own: Own::Only(&["keelson-controller-runtime"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-scheduler",
        own: Own::Only(&["keelson-controller-runtime"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-cri",
        own: Own::Only(&["keelson-proto"]),
        foreign: Foreign::Except(KUBERNETES),
    },
    Layer {
        package: "keelson-node-volumes",
        own: Own::Only(&["keelson-cri", "keelson-proto"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-node-server",
        own: Own::Only(&["keelson-cri", "keelson-proto"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-node-agent",
        own: Own::Only(&[
            "keelson-controller-runtime",
            "keelson-cri",
            "keelson-node-server",
            "keelson-node-volumes",
            "keelson-proto",
        ]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-service-proxy",
        own: Own::Only(&["keelson-controller-runtime"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-cluster-dns",
        own: Own::Only(&["keelson-controller-runtime"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-checkers",
        own: Own::Only(&[]),
        foreign: Foreign::Only(&["rustc-hash", "serde", "serde_json", "thiserror"]),
    },
    Layer {
        package: "keelson-workloads",
        own: Own::Only(&["keelson-checkers"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-sim",
        own: Own::Only(&["keelson-checkers", "keelson-store", "keelson-store-core", "keelson-workloads"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer {
        package: "keelson-jepsen",
        own: Own::Only(&["keelson-checkers", "keelson-proto", "keelson-workloads"]),
        foreign: Foreign::Except(ENGINES),
    },
    Layer { package: "keelson-pki", own: Own::Only(&[]), foreign: Foreign::Except(&["rocksdb", "tokio"]) },
    Layer { package: "keelson", own: Own::Any, foreign: Foreign::Except(ENGINES) },
    Layer { package: "keelson-bench", own: Own::Only(&["keelson-proto"]), foreign: Foreign::Except(ENGINES) },
    Layer {
        package: "xtask",
        own: Own::Only(&["keelson-api-schema", "keelson-store-core"]),
        foreign: Foreign::Except(&["tokio"]),
    },
];

/// The part of `cargo metadata --format-version 1` that is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    workspace_root: PathBuf,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Normal,
    Build,
    Dev,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<Kind>,
}

/// Asks cargo about the checkout at `root`.
pub(super) fn metadata(root: &Path) -> Result<Metadata, String> {
    // Cargo sets it for what it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// Checks every package of the workspace against its row.
pub(super) fn check(metadata: &Metadata) -> Vec<Problem> {
    let own: BTreeSet<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let mut problems = Vec::new();
    for package in metadata.members() {
        let manifest =
            package.manifest_path.strip_prefix(&metadata.workspace_root).unwrap_or(&package.manifest_path);
        let mut problem = |message: String| problems.push(Problem::new(manifest, 1, message));
        let Some(layer) = LAYERS.iter().find(|layer| layer.package == package.name) else {
            problem(
                "no row in LAYERS of xtask/src/tidy/dependencies.rs: say what it may depend on".to_owned(),
            );
            continue;
        };
        for name in package.production_dependencies() {
            let allowed =
                if own.contains(name) { layer.allows_own(name) } else { layer.allows_foreign(name) };
            if !allowed {
                problem(format!("{} may not depend on {name}: see LAYERS", package.name));
            }
        }
        if matches!(layer.foreign, Foreign::Only(_)) {
            for name in metadata.reachable(&package.id).intersection(&IMPURE.into()) {
                problem(format!("{} is pure, but {name} is among what it depends on", package.name));
            }
        }
    }
    problems
}

impl Layer {
    fn allows_own(&self, name: &str) -> bool {
        match self.own {
            Own::Any => true,
            Own::Only(allowed) => allowed.contains(&name),
        }
    }

    fn allows_foreign(&self, name: &str) -> bool {
        match self.foreign {
            Foreign::Any => true,
            Foreign::Except(denied) => !denied.contains(&name),
            Foreign::Only(allowed) => allowed.contains(&name),
        }
    }
}

impl Package {
    /// Test dependencies are free: they reach no user.
    fn production_dependencies(&self) -> impl Iterator<Item = &str> {
        let production = self.dependencies.iter().filter(|dependency| dependency.kind != Some(Kind::Dev));
        production.map(|dependency| dependency.name.as_str())
    }
}

impl Metadata {
    fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// The names of all packages that are linked with the package `start`. Build dependencies are not: they run on
    /// the machine that compiles.
    fn reachable(&self, start: &str) -> BTreeSet<&str> {
        let names: BTreeMap<&str, &str> =
            self.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let nodes: BTreeMap<&str, &Node> =
            self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            let edges = nodes.get(id).map_or(&[][..], |node| &node.deps);
            let linked = edges.iter().filter(|edge| edge.dep_kinds.iter().any(|kind| kind.is_linked()));
            open.extend(linked.map(|edge| edge.pkg.as_str()).filter(|id| seen.insert(*id)));
        }
        seen.into_iter().filter_map(|id| names.get(id).copied()).collect()
    }
}

impl EdgeKind {
    const fn is_linked(&self) -> bool {
        matches!(self.kind, None | Some(Kind::Normal))
    }
}

#[cfg(test)]
mod tests;
