//! The etcd v3 API, generated from etcd's own protobuf files (`proto/etcd/ORIGIN.md` says which and how
//! changed).
//!
//! The generated modules refer to each other by package name, so they stand side by side under those names;
//! the short names [`rpc`], [`kv`], [`auth`], [`lock`] and [`election`], after etcd's files, are the ones to
//! use.

pub use authpb as auth;
pub use etcdserverpb as rpc;
pub use mvccpb as kv;
pub use v3electionpb as election;
pub use v3lockpb as lock;

/// The files that these modules were generated from, as an encoded `FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/etcd.descriptors"));

macro_rules! package {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        // The comments in these files are etcd's, written for protobuf readers.
        #[allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)]
        pub mod $name {
            include!(concat!(env!("OUT_DIR"), "/", stringify!($name), ".rs"));
        }
    };
}

package! {
    /// Users, roles and permissions.
    authpb
}

package! {
    /// Keys, values and events.
    mvccpb
}

package! {
    /// The services KV, Watch, Lease, Cluster, Maintenance and Auth, and their messages.
    etcdserverpb
}

package! {
    /// Leader election on top of leases.
    v3electionpb
}

package! {
    /// Locks on top of leases.
    v3lockpb
}
