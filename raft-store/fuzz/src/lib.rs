//! What may never happen to the store's decoders, whatever a disk, a peer or a client hands them.
//!
//! In: any bytes. Out: nothing; a target panics when one of its promises is broken. What is decoded is encoded again and
//! must come out the same; what a log could hold is applied.
//!
//! An ordinary test runs every target over the seeds of `corpus/` and over mutations of them, everywhere. Where there is
//! cargo-fuzz and a nightly compiler, `make fuzz` lets libFuzzer look for more.
//!
//! Deliberately absent: what only RocksDB reads (its files have their own tests, on real damage).

pub mod files;
mod log;
mod messages;
mod rows;

/// Something that takes any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and its folder below `corpus/`.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "command", run: log::command },
    Target { name: "entry", run: log::entry },
    Target { name: "record", run: log::record },
    Target { name: "segment", run: log::segment },
    Target { name: "row", run: rows::row },
    Target { name: "frame", run: messages::frame },
    Target { name: "message", run: messages::message },
    Target { name: "request", run: messages::request },
    Target { name: "snapshot", run: files::snapshot },
    Target { name: "journal", run: files::journal },
];
