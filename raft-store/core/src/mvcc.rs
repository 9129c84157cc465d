//! Multi-version keys: every version of a key that a revision at or above the compacted one may read.
//!
//! In: a [`Read`](crate::engine::Read) and a revision; for writes an [`Overlay`] and a transaction. Out: what
//! the keys were at that revision; for writes the changes, which are also the watch events. The versions of a
//! key lie next to each other, newest first (see [`crate::schema`]), so reading at a revision is one seek per
//! key.
//!
//! * **M1** A transaction that changes something takes the next revision; one that does not, takes none.
//! * **M2** A revision changes a key at most once.
//! * **M3** A transaction that is refused changes nothing: everything is checked before anything is written.
//! * **M4** Reads in a transaction see what it has written before them; its compares see nothing of it.
//!
//! Deliberately absent: an index of all keys in memory. What writes need to know of keys without a search is in [`known`]; other
//! caches belong to the engine.

mod contents;
mod known;
mod overlay;
mod range;
mod scan;
mod txn;
mod writer;

pub use contents::{ContentsHash, contents_hash};
pub use overlay::Overlay;
pub use range::range;
pub use scan::{Scan, Visible, newest, version};

pub(crate) use known::Known;
pub(crate) use txn::execute;
pub(crate) use writer::Writer;
