//! The store in files: what a snapshot that is saved holds, what a continuous backup adds to it, and how a
//! new cluster is made of them.
//!
//! In: a [`StateView`](crate::state::StateView), or such a file. Out: the file, or a disk with which a
//! cluster begins whose keys are the file's.
//!
//! The file holds what the store was at one revision: every key with its revisions and its lease, every lease, and users
//! and roles. It depends on no storage engine and on no layout of one.
//!
//! * **X1** Nothing is taken from a file whose checksum does not fit, and what was restored is read back and
//!   compared.
//! * **X2** The same view makes the same bytes, so the length is known before the first of them is sent.
//! * **X3** A restored cluster is another cluster: it has its own id and its own replicas, and its revisions
//!   begin far beyond the file's, with all older ones compacted. No client sees a revision come back.
//!
//! Deliberately absent: history (older revisions are compacted by the restore anyway), members (a restored
//! cluster has its own), and etcd's file format, which is that of its storage engine.

mod backup;
mod file;
mod format;
mod journal;
mod read;
mod restore;
mod survivor;
mod write;

pub use backup::{BackupOptions, Route, Until, route, run as back_up};
pub use file::create as create_file;
pub use format::{FormatError, Head, Totals};
pub use read::{Contents, ImportError, Item, read};
pub use restore::{RestoreError, RestoreOptions, Restored, Source, Summary, restore};
pub use survivor::{Lost, Survivor, SurvivorError};
pub use write::{Sealed, write};

#[cfg(test)]
mod tests;
