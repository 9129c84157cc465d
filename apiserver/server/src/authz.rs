//! May they.
//!
//! In: a [`User`] and what they ask for. Out: [`Allowed`], without which no handler runs, or upstream's refusal.
//! RBAC decides, always; the one exception is the group `system:masters`, which is upstream's way to repair roles
//! that lock everybody out.
//!
//! The rules come from a [`Policy`] that follows the Role and RoleBinding objects in the cache; nothing here
//! waits. Deliberately absent: a switch that turns authorization off.

use std::sync::{Arc, PoisonError, RwLock};

use keelson_api_registry::status::ApiError;

use crate::authn::User;

pub mod attributes;

pub mod rbac;

pub mod policy;

pub mod escalation;

pub mod follow;

use attributes::Attributes;
use policy::{Decision, Policy};

/// The group that may do anything.
pub const MASTERS: &str = "system:masters";

/// Proof that the authorizer let a request pass: only it can make one, and no handler runs without it.
#[derive(Debug)]
pub struct Allowed(());

impl Allowed {
    /// For tests of what comes after authorization.
    #[cfg(test)]
    pub(crate) const fn for_test() -> Self {
        Self(())
    }
}

/// Decides who may do what.
#[derive(Debug, Default)]
pub struct Authorizer {
    policy: RwLock<Arc<Policy>>,
}

impl Authorizer {
    /// Lets a request pass.
    ///
    /// # Errors
    /// 403 in upstream's words.
    pub fn authorize(&self, user: &User, asked: &Attributes<'_>) -> Result<Allowed, ApiError> {
        match self.decide(user, asked) {
            Decision::Allowed { .. } => Ok(Allowed(())),
            Decision::Denied { reason } => Err(asked.forbidden(user, &reason)),
        }
    }

    /// Decides without the consequence.
    pub fn decide(&self, user: &User, asked: &Attributes<'_>) -> Decision {
        if user.is_in(MASTERS) {
            return Decision::Allowed { reason: String::new() };
        }
        self.policy().decide(user, asked)
    }

    /// Whether `user` may do that.
    pub fn allows(&self, user: &User, asked: &Attributes<'_>) -> bool {
        matches!(self.decide(user, asked), Decision::Allowed { .. })
    }

    /// Lets a request pass that everybody may make: probes must be answered also while there are no roles yet.
    pub(crate) const fn public(&self) -> Allowed {
        Allowed(())
    }

    /// The roles and bindings as they are known now.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over new roles and bindings.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}
