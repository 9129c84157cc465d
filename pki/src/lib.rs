//! Certificate authorities, certificates, signing keys and kubeconfig files of a Keelson cluster.
//!
//! In: a folder, an inventory of what it shall hold ([`identity`]) and the present time.
//! Out: all of that in the folder, and a [`Report`] of what was done.
//!
//! [`ensure`] runs the stations in this order: `observe` reads what the folder holds, [`plan`] decides
//! (pure: same input, same plan), `act` carries the plan out. Running it twice changes nothing.
//!
//! Invariants:
//!
//! * P1. A valid private key is never overwritten. Renewal issues a new certificate for the present key, so
//!   replacing one file is enough and a reader never meets a key and a certificate that do not match.
//! * P2. Private keys, and kubeconfig files, which hold one, are readable by their owner alone, from the first
//!   byte on.
//! * P3. A file appears whole or not at all: written aside, synced, renamed, its folder synced.
//! * P4. A damaged file stops everything before anything is written; the error names the file and the cure.
//! * P5. A kubeconfig file that holds what it should is left alone: `kubectl config` may have added to it.
//!
//! Deliberately absent: revocation lists, certificate requests from afar, and any use of the network or the
//! system clock (the caller passes the time).

pub mod name;

pub mod identity;

mod observe;

pub mod plan;

mod act;

mod kubeconfig;

mod file;

mod error;

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

pub use crate::error::PkiError;
use crate::identity::Inventory;
use crate::plan::Step;

/// What one run of [`ensure`] found and did.
#[derive(Debug)]
pub struct Report {
    /// The steps that were carried out, in order; empty if everything was in place.
    pub done: Vec<Step>,
    /// Authorities that expire soon, by their certificate's path. They are never replaced by themselves:
    /// whoever trusts the cluster has to be given the new certificate first.
    pub expiring: Vec<(PathBuf, OffsetDateTime)>,
}

/// Makes sure that `dir` holds everything in `inventory`, and the authorities that it names.
///
/// Holds a file lock in `dir` meanwhile, so that two runs at once cannot mix their files.
///
/// # Errors
///
/// [`PkiError`]; nothing was written unless the error is [`PkiError::Write`] or [`PkiError::Issue`].
pub fn ensure(dir: &Path, inventory: &Inventory, now: OffsetDateTime) -> Result<Report, PkiError> {
    file::make_private_dir(dir)?;
    let _lock = file::lock(dir)?;
    let observed = observe::observe(dir, inventory)?;
    let plan = plan::plan(dir, inventory, &observed, now)?;
    act::act(dir, &plan.steps, now)?;
    Ok(Report { done: plan.steps, expiring: plan.expiring })
}

#[cfg(test)]
mod tests;
