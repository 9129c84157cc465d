//! Control groups of pods: where they lie, what bounds them, and that they are gone when the pod is.
//!
//! In: pods. Out: folders below the mounted hierarchies of cgroup v1 or v2, with the kernel's numbers in their files.
//! Paths and numbers are pure ([`paths`], [`crate::config::resources`]); [`hierarchy`] touches the kernel.
//! Containers' own groups, which the runtime makes inside the pod's, are only read ([`given`]). Deliberately absent:
//! systemd as the owner of control groups.

pub(crate) mod given;
pub(crate) mod hierarchy;
pub(crate) mod paths;

pub(crate) use hierarchy::Cgroups;

/// Which kind of control groups a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// One hierarchy per controller.
    V1,
    /// One hierarchy for all.
    V2,
}
