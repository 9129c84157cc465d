//! What has to be done: pure, from what is wanted, what was observed and the time.

use std::fmt;
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use crate::error::PkiError;
use crate::identity::{Authority, Identity, Inventory, Kubeconfig, SigningKey, certificate_path, key_path};
use crate::observe::{CertificateFacts, KubeconfigFacts, Observed, Pair};

/// How long an authority is valid: the customary ten years.
pub const AUTHORITY_VALIDITY: Duration = Duration::days(3650);

/// How long a certificate is valid: the customary year.
pub const CERTIFICATE_VALIDITY: Duration = Duration::days(365);

/// A certificate is renewed, and an authority's end is reported, when it is nearer than this.
pub const RENEW_BEFORE_END: Duration = Duration::days(90);

/// Certificates begin this long before they are made, because the clocks of two hosts differ, by an hour where one of them
/// was set to the wrong zone.
pub const BACKDATED: Duration = Duration::hours(2);

/// One change of the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take other users' permissions away from a private file.
    Protect(PathBuf),
    /// Make an authority's certificate.
    MakeAuthority(Authority, Key),
    /// Make an identity's certificate.
    Issue(Identity, Key, Reason),
    /// Write the public half of a signing key, after making the key where there is none.
    Publish(SigningKey, Key),
    /// Write a kubeconfig file.
    WriteKubeconfig(Kubeconfig, Reason),
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
    /// It holds another key, certificate, authority or URL.
    Outdated,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "there was none",
            Self::OtherKey => "it belonged to another key",
            Self::OtherAuthority => "it was not signed by the present authority",
            Self::OtherNames => "its names or usages changed",
            Self::Validity => "it had expired, was about to, or had not begun",
            Self::Outdated => "the certificates or the URL in it were not the present ones",
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
    inventory: &Inventory,
    observed: &Observed,
    now: OffsetDateTime,
) -> Result<Plan, PkiError> {
    let mut plan =
        Plan { steps: observed.exposed.iter().cloned().map(Step::Protect).collect(), expiring: Vec::new() };
    plan_authorities(dir, observed, now, &mut plan)?;
    for identity in &inventory.identities {
        plan.steps.extend(plan_identity(dir, identity, observed, now)?);
    }
    for signing_key in &inventory.signing_keys {
        plan.steps.extend(plan_signing_key(dir, signing_key, observed)?);
    }
    for kubeconfig in &inventory.kubeconfigs {
        let reason = reason_to_write(kubeconfig, observed, &plan.steps);
        plan.steps.extend(reason.map(|reason| Step::WriteKubeconfig(kubeconfig.clone(), reason)));
    }
    Ok(plan)
}

fn plan_authorities(
    dir: &Path,
    observed: &Observed,
    now: OffsetDateTime,
    plan: &mut Plan,
) -> Result<(), PkiError> {
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
    Ok(())
}

fn plan_identity(
    dir: &Path,
    identity: &Identity,
    observed: &Observed,
    now: OffsetDateTime,
) -> Result<Option<Step>, PkiError> {
    let Some(reason) = reason_to_issue(identity, observed, now) else { return Ok(None) };
    let authority = observed.authorities.get(&identity.authority);
    let can_sign = authority.is_none_or(|pair| pair.key.is_some() || pair.certificate.is_none());
    if !can_sign {
        let key = key_path(dir, identity.authority.stem());
        return Err(PkiError::AuthorityKeyMissing { key, needed_for: format!("{}.crt", identity.stem) });
    }
    let has_key = observed.identities.get(&identity.stem).is_some_and(|pair| pair.key.is_some());
    let key = if has_key { Key::Present } else { Key::New };
    Ok(Some(Step::Issue(identity.clone(), key, reason)))
}

/// A lost signing key is not replaced as long as its public half is there: somebody may still hold it, and what
/// it signed would be refused from now on.
fn plan_signing_key(
    dir: &Path,
    signing_key: &SigningKey,
    observed: &Observed,
) -> Result<Option<Step>, PkiError> {
    let Some(pair) = observed.signing_keys.get(&signing_key.stem) else { return Ok(None) };
    match (&pair.key, &pair.published) {
        (Some(key), Some(published)) if key == published => Ok(None),
        (Some(_), _) => Ok(Some(Step::Publish(signing_key.clone(), Key::Present))),
        (None, None) => Ok(Some(Step::Publish(signing_key.clone(), Key::New))),
        (None, Some(_)) => Err(PkiError::SigningKeyMissing { key: key_path(dir, &signing_key.stem) }),
    }
}

/// A kubeconfig file follows what is in it: it is written when one of these was, earlier in the plan.
fn reason_to_write(kubeconfig: &Kubeconfig, observed: &Observed, steps: &[Step]) -> Option<Reason> {
    let is_source = |step: &Step| match step {
        Step::MakeAuthority(authority, _) => *authority == kubeconfig.authority,
        Step::Issue(identity, ..) => identity.stem == kubeconfig.identity,
        Step::Protect(_) | Step::Publish(..) | Step::WriteKubeconfig(..) => false,
    };
    match observed.kubeconfigs.get(&kubeconfig.identity)? {
        KubeconfigFacts::Absent => Some(Reason::Absent),
        KubeconfigFacts::Outdated => Some(Reason::Outdated),
        KubeconfigFacts::Current => steps.iter().any(is_source).then_some(Reason::Outdated),
    }
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
        && facts.organization.as_str() == identity.organization.unwrap_or_default()
        && facts.usages == identity.usages
        && facts.hosts == identity.hosts
        && !facts.is_authority
}

/// A certificate that already lasts as long as its authority cannot be bettered by renewal.
fn validity_will_do(facts: &CertificateFacts, authority_end: OffsetDateTime, now: OffsetDateTime) -> bool {
    let has_time = facts.not_after - now >= RENEW_BEFORE_END || facts.not_after >= authority_end;
    facts.not_before <= now && now < facts.not_after && has_time
}
