//! Compiles `proto/` to Rust with compilers that are crates themselves: no protoc has to be installed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

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
    // What clients are told who ask a server what it serves.
    let mut etcd = descriptors.clone();
    etcd.file.retain(|file| file.name().starts_with("etcd/"));
    let folder = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(folder.join("etcd.descriptors"), etcd.encode_to_vec())?;
    // Bytes fields share the receive buffer instead of copying out of it.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
