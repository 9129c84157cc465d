//! Certificate authorities and certificates of a Keelson cluster.
//!
//! In: a folder, a table of identities ([`identity`]) and the present time.
//! Out: a key and a certificate for every identity in that folder, and a [`Report`] of what was done.
//!
//! [`ensure`] runs the stations in this order: `observe` reads what the folder holds, [`plan`] decides
//! (pure: same input, same plan), `act` carries the plan out. Running it twice changes nothing.
//!
//! Invariants:
//!
//! * P1. A valid private key is never overwritten. Renewal issues a new certificate for the present key, so
//!   replacing one file is enough and a reader never meets a key and a certificate that do not match.
//! * P2. Private keys are readable by their owner alone, from the first byte on.
//! * P3. A file appears whole or not at all: written aside, synced, renamed, its folder synced.
//! * P4. A damaged file stops everything before anything is written; the error names the file and the cure.
//!
//! Deliberately absent: revocation lists, certificate requests from afar, and any use of the network or the
//! system clock (the caller passes the time).

pub mod identity;

mod observe;

pub mod plan;

mod act;

mod file;

mod error;

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

pub use crate::error::PkiError;
use crate::identity::Identity;
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

/// Makes sure that `dir` holds a valid key and certificate for each of `identities`, and for every authority
/// that one of them names.
///
/// Holds a file lock in `dir` meanwhile, so that two runs at once cannot mix their files.
///
/// # Errors
///
/// [`PkiError`]; nothing was written unless the error is [`PkiError::Write`] or [`PkiError::Issue`].
pub fn ensure(dir: &Path, identities: &[Identity], now: OffsetDateTime) -> Result<Report, PkiError> {
    file::make_private_dir(dir)?;
    let _lock = file::lock(dir)?;
    let observed = observe::observe(dir, identities)?;
    let plan = plan::plan(dir, identities, &observed, now)?;
    act::act(dir, &plan.steps, now)?;
    Ok(Report { done: plan.steps, expiring: plan.expiring })
}

#[cfg(test)]
mod tests;
