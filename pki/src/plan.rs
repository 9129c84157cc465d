//! What has to be done: pure, from what is wanted, what was observed and the time.

use std::fmt;
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use crate::error::PkiError;
use crate::identity::{Authority, Identity, certificate_path, key_path};
use crate::observe::{CertificateFacts, Observed, Pair};

/// How long an authority is valid: the customary ten years.
pub const AUTHORITY_VALIDITY: Duration = Duration::days(3650);

/// How long a certificate is valid: the customary year.
pub const CERTIFICATE_VALIDITY: Duration = Duration::days(365);

/// A certificate is renewed, and an authority's end is reported, when it is nearer than this.
pub const RENEW_BEFORE_END: Duration = Duration::days(90);

/// Certificates begin this long before they are made, because the clocks of two hosts differ.
pub const BACKDATED: Duration = Duration::minutes(5);

/// One change of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take other users' permissions away from a private key.
    Protect(PathBuf),
    /// Make an authority's certificate.
    MakeAuthority(Authority, Key),
    /// Make an identity's certificate.
    Issue(Identity, Key, Reason),
}

/// Which private key a certificate is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The one in the folder.
    Present,
    /// A new one; the folder has none.
    New,
}

/// Why a certificate is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is none.
    Absent,
    /// It belongs to another private key.
    OtherKey,
    /// Another authority signed it, or its signature is broken.
    OtherAuthority,
    /// It names another subject, other usages or other hosts than those wanted.
    OtherNames,
    /// It has expired, ends soon, or has not begun.
    Validity,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there was none",
            Self::OtherKey => "it belonged to another key",
            Self::OtherAuthority => "it was not signed by the present authority",
            Self::OtherNames => "its names or usages changed",
            Self::Validity => "it had expired, was about to, or had not begun",
        })
    }
}

/// The steps to take, and what deserves a warning.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) expiring: Vec<(PathBuf, OffsetDateTime)>,
}

/// Decides what to do. `dir` is used for names in errors only.
pub(crate) fn plan(
    dir: &Path,
    identities: &[Identity],
    observed: &Observed,
    now: OffsetDateTime,
) -> Result<Plan, PkiError> {
    let mut plan =
        Plan { steps: observed.exposed.iter().cloned().map(Step::Protect).collect(), expiring: Vec::new() };
    for (&authority, pair) in &observed.authorities {
        match (&pair.certificate, &pair.key) {
            (None, None) => plan.steps.push(Step::MakeAuthority(authority, Key::New)),
            (None, Some(_)) => plan.steps.push(Step::MakeAuthority(authority, Key::Present)),
            (Some(facts), _) => {
                check_authority(dir, authority, pair, facts, now)?;
                if facts.not_after - now < RENEW_BEFORE_END {
                    plan.expiring.push((certificate_path(dir, authority.stem()), facts.not_after));
                }
            }
        }
    }
    for identity in identities {
        let Some(reason) = reason_to_issue(identity, observed, now) else { continue };
        let can_sign = observed
            .authorities
            .get(&identity.authority)
            .is_none_or(|pair| pair.key.is_some() || pair.certificate.is_none());
        if !can_sign {
            let key = key_path(dir, identity.authority.stem());
            return Err(PkiError::AuthorityKeyMissing { key, needed_for: format!("{}.crt", identity.stem) });
        }
        let has_key = observed.identities.get(&identity.stem).is_some_and(|pair| pair.key.is_some());
        plan.steps.push(Step::Issue(identity.clone(), if has_key { Key::Present } else { Key::New }, reason));
    }
    Ok(plan)
}

/// An authority is never replaced on its own account: everyone who trusts the cluster holds a copy of it.
fn check_authority(
    dir: &Path,
    authority: Authority,
    pair: &Pair,
    facts: &CertificateFacts,
    now: OffsetDateTime,
) -> Result<(), PkiError> {
    let path = certificate_path(dir, authority.stem());
    let damaged = |problem: &str| PkiError::Damaged {
        path: path.clone(),
        problem: problem.to_owned(),
        cure: "put the authority's certificate and key back from one backup",
    };
    if !facts.is_authority {
        return Err(damaged("this is not the certificate of an authority"));
    }
    if !facts.signed_by_present_authority {
        return Err(damaged("its signature is broken"));
    }
    if pair.key.as_ref().is_some_and(|key| *key != facts.key) {
        return Err(damaged("it does not belong to the private key beside it"));
    }
    if facts.not_after <= now {
        return Err(PkiError::AuthorityExpired { path, expired_at: facts.not_after });
    }
    Ok(())
}

fn reason_to_issue(identity: &Identity, observed: &Observed, now: OffsetDateTime) -> Option<Reason> {
    let pair = observed.identities.get(&identity.stem)?;
    let (Some(key), Some(facts)) = (&pair.key, &pair.certificate) else { return Some(Reason::Absent) };
    let authority_end = observed
        .authorities
        .get(&identity.authority)
        .and_then(|authority| authority.certificate.as_ref())
        .map_or(now + AUTHORITY_VALIDITY, |authority| authority.not_after);
    if facts.key != *key {
        Some(Reason::OtherKey)
    } else if !facts.signed_by_present_authority {
        Some(Reason::OtherAuthority)
    } else if !names_agree(identity, facts) {
        Some(Reason::OtherNames)
    } else if !validity_will_do(facts, authority_end, now) {
        Some(Reason::Validity)
    } else {
        None
    }
}

fn names_agree(identity: &Identity, facts: &CertificateFacts) -> bool {
    facts.common_name == identity.common_name
        && facts.organization == identity.organization
        && facts.usages == identity.usages
        && facts.hosts == identity.hosts
        && !facts.is_authority
}

/// A certificate that already lasts as long as its authority cannot be bettered by renewal.
fn validity_will_do(facts: &CertificateFacts, authority_end: OffsetDateTime, now: OffsetDateTime) -> bool {
    let has_time = facts.not_after - now >= RENEW_BEFORE_END || facts.not_after >= authority_end;
    facts.not_before <= now && now < facts.not_after && has_time
}
