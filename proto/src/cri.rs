//! The Container Runtime Interface, version 1, generated from Kubernetes' own protobuf file
//! (`proto/cri/ORIGIN.md` says which).

/// The services `RuntimeService` and `ImageService`, and their messages.
// The comments in this file are Kubernetes', written for protobuf readers.
#[allow(missing_docs, unreachable_pub, clippy::all, rustdoc::all)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/runtime.v1.rs"));
}
