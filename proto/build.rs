//! Compiles `proto/` to Rust with compilers that are crates themselves: no protoc has to be installed.

use std::error::Error;

/// Every file that declares a package; imports resolve against the same root.
const SOURCES: [&str; 7] = [
    "cri/v1.proto",
    "etcd/auth.proto",
    "etcd/kv.proto",
    "etcd/rpc.proto",
    "etcd/v3election.proto",
    "etcd/v3lock.proto",
    "peer.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(SOURCES, ["proto"])?;
    // Bytes fields share the receive buffer instead of copying out of it.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
