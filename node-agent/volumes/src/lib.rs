//! What a pod finds in its containers: volumes, environment variables, managed files, names and resolvers.
//!
//! In: a Pod, the objects that it names (through [`ObjectSource`]), facts about the [`Node`], and the time.
//! Out: folders and files below [`PodFolders`], and the words in which the runtime is told of them
//! ([`keelson_proto::cri::v1`]). Behaviour, names of folders and texts are those of upstream's kubelet.
//!
//! Pure are: what is in a volume (`projection.rs`), the environment, `/etc/hosts`, resolvers, host names. Acting
//! are: [`PodVolumes`] (sets up, refreshes), [`fn@tear_down`], [`fn@mounts`].
//!
//! Secrets, tokens and the downward API's files are kept in memory (tmpfs). Where the host does not let the agent mount
//! (no root), they lie on the disk, with the modes that were asked for, in a folder that only the agent's own user may
//! enter; a warning says so.
//!
//! Deliberately absent: persistent volumes, CSI, ephemeral and image volumes, huge pages, certificates and trust
//! bundles in projected volumes (each refused by name); quotas of emptyDir on disk (eviction's business); SELinux
//! labels; user namespaces; the alpha fields `mode` of emptyDir, `user` and `defaultUser` of files and
//! `bindMountOptions`. Nothing is remembered on disk beyond the volumes themselves.

mod container;
mod empty_dir;
mod env_file;
mod environment;
mod error;
mod expand;
mod field;
mod folders;
mod gather;
mod host_path;
mod hostname;
mod hosts;
mod mount_table;
mod mounts;
mod nested;
mod node;
mod ownership;
mod path;
mod projection;
mod quantity;
mod resolver;
mod resource_field;
mod service_variables;
mod set_up;
mod sharing;
mod source;
mod subpath;
mod tear_down;
#[cfg(test)]
mod testing;
mod tmpfs;
mod token;
mod volume;
mod writer;

pub use environment::environment;
pub use error::{EnvError, MountError, Problem, SourceError, TearDownError, VolumeError, VolumeErrors};
pub use expand::expand;
pub use folders::{BadName, PodFolders, PodLogs};
pub use hostname::{HostName, NameError};
pub use hosts::{hosts_file, hosts_file_of_node};
pub use mounts::{MountRequest, mounts};
pub use node::Node;
pub use resolver::{ClusterDns, HostDns, Resolver, ResolverError, ResolverWarning, resolver};
pub use set_up::{PodVolumes, Refreshed};
pub use sharing::share_mounts;
pub use source::{ObjectSource, Token};
pub use tear_down::tear_down;
