//! May they.
//!
//! In: a [`User`] and what they ask for. Out: [`Allowed`], without which no handler runs, or upstream's refusal.
//! The group `system:masters` may do anything, which is upstream's way to repair roles that lock everybody out; nodes may
//! do what their own pods need ([`nodes`]); for all others, and for all else, RBAC decides.
//!
//! The rules come from a [`Policy`] that follows the Role and RoleBinding objects in the cache. Nothing here waits, but
//! for a node that would be refused. Deliberately absent: a switch that turns authorization off.

use std::sync::{Arc, PoisonError, RwLock};

use keelson_api_registry::status::ApiError;

use crate::{authn::User, storage::ObjectStore};

pub mod attributes;

pub mod rbac;

pub mod policy;

pub mod escalation;

pub mod follow;

pub(crate) mod nodes;

use attributes::Attributes;
use nodes::{NodeAuthorizer, node_of};
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
    pub(crate) nodes: NodeAuthorizer,
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

    /// The same, with everything that was acknowledged before the call.
    ///
    /// # Errors
    /// 403 in upstream's words; 504 and 503 where that cannot be known now.
    pub(crate) async fn authorize_now(
        &self,
        objects: &ObjectStore,
        user: &User,
        asked: &Attributes<'_>,
    ) -> Result<Allowed, ApiError> {
        match self.authorize(user, asked) {
            Err(_) if node_of(user).is_some() => {
                self.nodes.refresh(objects).await?;
                self.authorize(user, asked)
            }
            decided => decided,
        }
    }

    /// Decides without the consequence.
    pub fn decide(&self, user: &User, asked: &Attributes<'_>) -> Decision {
        if user.is_in(MASTERS) {
            return Decision::Allowed { reason: String::new() };
        }
        let why_not = match node_of(user).map(|node| self.nodes.decide(node, asked)) {
            Some(Ok(())) => return Decision::Allowed { reason: String::new() },
            Some(Err(why)) => why,
            None => String::new(),
        };
        match self.policy().decide(user, asked) {
            Decision::Denied { reason } => Decision::Denied { reason: lines(&[&why_not, &reason]) },
            allowed @ Decision::Allowed { .. } => allowed,
        }
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

/// Reasons of several, a line each.
fn lines(reasons: &[&str]) -> String {
    let told: Vec<&str> = reasons.iter().copied().filter(|reason| !reason.is_empty()).collect();
    told.join("\n")
}
