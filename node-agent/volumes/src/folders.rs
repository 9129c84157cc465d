//! Where the things of a Pod lie on the node, as upstream's kubelet lays them out.
//!
//! In: the agent's root, a Pod's uid. Out: paths. Nothing here touches the disk.

use std::path::{Path, PathBuf};

use crate::volume::Kind;

/// A name that cannot be one part of a path. The API accepts no such names: whoever made the object went past it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {name:?} cannot name a folder")]
pub struct BadName {
    what: &'static str,
    name: String,
}

/// The folder of one Pod: `<root>/pods/<uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodFolders {
    pod: PathBuf,
}

impl PodFolders {
    /// Of the Pod with this uid, below the agent's root (`/var/lib/kubelet`).
    ///
    /// # Errors
    ///
    /// If the uid is empty or would lead elsewhere.
    pub fn new(root: &Path, uid: &str) -> Result<Self, BadName> {
        Ok(Self { pod: Self::all(root).join(one_part("uid", uid)?) })
    }

    /// The folder that holds one folder per Pod, named by its uid: whoever looks for what a crash left behind lists it.
    #[must_use]
    pub fn all(root: &Path) -> PathBuf {
        root.join("pods")
    }

    /// The Pod's folder.
    #[must_use]
    pub fn pod(&self) -> &Path {
        &self.pod
    }

    /// The Pod's own `/etc/hosts`.
    #[must_use]
    pub fn etc_hosts(&self) -> PathBuf {
        self.pod.join("etc-hosts")
    }

    /// What belongs to one container.
    #[must_use]
    pub fn container(&self, name: &str) -> PathBuf {
        self.pod.join("containers").join(name)
    }

    /// Where the `attempt`th instance of a container (from 0, as in its CRI metadata) leaves its termination message.
    #[must_use]
    pub fn termination_log(&self, container: &str, attempt: u32) -> PathBuf {
        self.container(container).join(attempt.to_string())
    }

    /// All volumes.
    pub(crate) fn volumes(&self) -> PathBuf {
        self.pod.join("volumes")
    }

    /// One volume, in the folder of its kind: `volumes/kubernetes.io~secret/<name>`.
    pub(crate) fn volume(&self, kind: Kind, name: &str) -> PathBuf {
        self.volumes().join(kind.folder()).join(name)
    }

    /// Where a subPath of a volume is mounted for one container: the `index`th of its volumeMounts.
    pub(crate) fn subpath(&self, volume: &str, container: &str, index: usize) -> PathBuf {
        self.pod.join("volume-subpaths").join(volume).join(container).join(index.to_string())
    }
}

/// The logs of one Pod: `<log root>/<namespace>_<name>_<uid>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodLogs {
    pod: PathBuf,
}

impl PodLogs {
    /// Of this Pod, below the log root (`/var/log/pods`).
    ///
    /// # Errors
    ///
    /// If one of the names is empty or would lead elsewhere.
    pub fn new(log_root: &Path, namespace: &str, name: &str, uid: &str) -> Result<Self, BadName> {
        let namespace = one_part("namespace", namespace)?;
        let name = one_part("name", name)?;
        let uid = one_part("uid", uid)?;
        Ok(Self { pod: log_root.join(format!("{namespace}_{name}_{uid}")) })
    }

    /// The Pod's folder: the sandbox' `log_directory`.
    #[must_use]
    pub fn pod(&self) -> &Path {
        &self.pod
    }

    /// One container's folder.
    #[must_use]
    pub fn container(&self, name: &str) -> PathBuf {
        self.pod.join(name)
    }

    /// The log of a container's `attempt`th instance.
    #[must_use]
    pub fn log(&self, container: &str, attempt: u32) -> PathBuf {
        self.pod.join(Self::relative(container, attempt))
    }

    /// The same, relative to the Pod's folder: the container's `log_path`.
    #[must_use]
    pub fn relative(container: &str, attempt: u32) -> String {
        format!("{container}/{attempt}.log")
    }
}

/// `name` as it is, if it is one part of a path and stays where it is put.
pub(crate) fn one_part<'a>(what: &'static str, name: &'a str) -> Result<&'a str, BadName> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(BadName { what, name: name.to_owned() });
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_upstreams() {
        let folders = PodFolders::new(Path::new("/r"), "u1").unwrap();
        assert_eq!(
            folders.volume(Kind::EmptyDir, "v"),
            Path::new("/r/pods/u1/volumes/kubernetes.io~empty-dir/v")
        );
        assert_eq!(folders.etc_hosts(), Path::new("/r/pods/u1/etc-hosts"));
        assert_eq!(folders.subpath("v", "c", 2), Path::new("/r/pods/u1/volume-subpaths/v/c/2"));
        assert_eq!(folders.termination_log("c", 1), Path::new("/r/pods/u1/containers/c/1"));
        let logs = PodLogs::new(Path::new("/l"), "ns", "n", "u1").unwrap();
        assert_eq!(logs.log("c", 0), Path::new("/l/ns_n_u1/c/0.log"));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused() {
        for bad in ["", ".", "..", "a/b", "/", "a\0b"] {
            assert!(PodFolders::new(Path::new("/r"), bad).is_err(), "{bad:?}");
            assert!(PodLogs::new(Path::new("/l"), "ns", bad, "u").is_err(), "{bad:?}");
        }
    }
}
