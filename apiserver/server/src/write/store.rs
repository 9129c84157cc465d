//! The last station: compare and set, with what an object claims in the same transaction.
//!
//! Whether a claim is free is known only once it is made. When it is not, and the server had chosen it, another one
//! is chosen; when the client had chosen it, the client is told.
//!
//! A dry run ends here, with the answer that the store would give but for claims, which only a write can make.

use std::collections::BTreeSet;

use keelson_api_registry::{object::Object, status::ApiError, strategy::Claim};
use keelson_store_core::id::Revision;

use super::{ATTEMPTS, Stored, Write};
use crate::{
    allocation::{self, Chosen, Known},
    storage::{ClaimChange, WriteFailure},
};

impl Write<'_> {
    /// Writes a new object.
    pub(super) async fn insert(&self, object: Object) -> Result<Stored, ApiError> {
        let resource = self.target.resource;
        let mut lost = BTreeSet::new();
        for _ in 0..ATTEMPTS {
            let (object, chosen) = self.filled(&object, &[], &lost).await?;
            if self.dry_run {
                return self.pretend_to_insert(object).await;
            }
            let claims = allocation::claims(resource, &object, self.call.now);
            match self.server.objects.create(resource, &object, &claims).await {
                Ok(stored) => return Ok(stored),
                Err(failure) => note(failure, &chosen, &mut lost)?,
            }
        }
        Err(self.overtaken())
    }

    /// Writes an object in place of one. `None`: that is not there any more.
    pub(super) async fn exchange(
        &self,
        current: &Stored,
        object: Object,
    ) -> Result<Option<Stored>, ApiError> {
        let resource = self.target.resource;
        let had = resource.strategy.claims(&current.object);
        let mut lost = BTreeSet::new();
        for _ in 0..ATTEMPTS {
            let (object, chosen) = self.filled(&object, &had, &lost).await?;
            if self.dry_run {
                return Ok(Some(self.as_if_stored(object, current.revision)));
            }
            let wants = allocation::claims(resource, &object, self.call.now);
            let claims = ClaimChange::between(&had, &wants);
            match self.server.objects.replace(resource, &object, current.revision, claims).await {
                Ok(replaced) => return Ok(replaced),
                Err(failure) => note(failure, &chosen, &mut lost)?,
            }
        }
        Err(self.overtaken())
    }

    /// Removes an object, whose last form was to be `last`. `None`: it is not there any more.
    pub(super) async fn remove(&self, current: &Stored, last: Object) -> Result<Option<Stored>, ApiError> {
        if self.dry_run {
            return Ok(Some(self.as_if_stored(last, current.revision)));
        }
        let super::Target { resource, namespace, name, .. } = self.target;
        let claims = resource.strategy.claims(&current.object);
        let removed =
            self.server.objects.remove(resource, namespace, name, current.revision, &claims).await?;
        Ok(removed.map(|revision| {
            let mut last = last;
            last.set(&["metadata", "resourceVersion"], revision.to_string());
            self.as_if_stored(last, revision)
        }))
    }

    async fn pretend_to_insert(&self, object: Object) -> Result<Stored, ApiError> {
        let resource = self.target.resource;
        match self.server.objects.get(resource, object.namespace(), object.name()).await? {
            Some(_) => Err(ApiError::already_exists(resource, object.name())),
            None => Ok(self.as_if_stored(object, Revision::ZERO)),
        }
    }

    /// The object with what the server chooses for it, and which of its claims those are.
    async fn filled(
        &self,
        object: &Object,
        held: &[Claim],
        lost: &BTreeSet<String>,
    ) -> Result<(Object, Chosen), ApiError> {
        let mut object = object.clone();
        let objects = &self.server.objects;
        let known = Known { held, lost };
        let chosen = self.server.allocator.fill(objects, self.target.resource, &mut object, known).await?;
        Ok((object, chosen))
    }
}

/// Remembers a claim that another object has, so that the next choice is another.
fn note(failure: WriteFailure, chosen: &Chosen, lost: &mut BTreeSet<String>) -> Result<(), ApiError> {
    match failure {
        WriteFailure::Taken { claim, .. } if chosen.contains(&claim) => {
            lost.insert(claim.key);
            Ok(())
        }
        other => Err(other.into()),
    }
}
