//! Which objects belong to a controller: those that it controls and selects.
//!
//! In: an owner with a selector, and candidates (what it controls, and what nobody controls). Out: those that are its
//! own, after orphans that match were adopted and those that match no longer were released. Adoption is preceded by a
//! live look at the owner: a cache may still show one that was deleted and made anew. Deliberately absent: taking an
//! object away from another controller.

pub(crate) mod kin;

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keelson_controller_runtime::{ObjectKey, controller_of, new_controller_ref};
use kube::api::{Patch, PatchParams};
use kube::core::{Selector, SelectorExt};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::refusals::is_gone;

/// Who claims, and what.
pub(crate) struct Claimant<'a, O> {
    /// The controller's own client.
    pub(crate) client: &'a Client,
    /// The object that owns.
    pub(crate) owner: &'a O,
    /// The labels of what it owns.
    pub(crate) selector: &'a Selector,
    /// What an adopted object gets and a released one loses, so that it does not vanish unnoticed.
    pub(crate) finalizer: Option<&'static str>,
}

/// Not all that should be adopted or released was. Worth another try.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
    /// The owner in the cache is not the one that exists now.
    #[error("original {0} is gone: there is none, or another one of that name")]
    OwnerGone(ObjectKey),
    /// The owner is being deleted, which the cache does not show yet.
    #[error("{0} has just been deleted")]
    OwnerDeleted(ObjectKey),
    /// The owner could not be read, or an object not be changed.
    #[error("cannot settle what belongs to {owner}")]
    Api {
        /// The owner.
        owner: ObjectKey,
        /// What the API said.
        source: kube::Error,
    },
}

/// What to do about a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// It is the owner's, and shall be.
    Own,
    /// It is nobody's, and shall be the owner's.
    Adopt,
    /// It is the owner's, and shall be nobody's.
    Release,
    /// It is none of the owner's business.
    Ignore,
}

fn decide(owner: &ObjectMeta, object: &ObjectMeta, matches: bool) -> Decision {
    let owner_stays = owner.deletion_timestamp.is_none();
    match controller_of(object) {
        Some(controller) if Some(&controller.uid) != owner.uid.as_ref() => Decision::Ignore,
        Some(_) if matches => Decision::Own,
        Some(_) if owner_stays => Decision::Release,
        Some(_) => Decision::Ignore,
        None if matches && owner_stays && object.deletion_timestamp.is_none() => Decision::Adopt,
        None => Decision::Ignore,
    }
}

impl<O> Claimant<'_, O>
where
    O: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    /// The owner's own among `candidates`, all of its namespace. On an error the rest of them has been settled
    /// nevertheless.
    pub(crate) async fn claim<K>(&self, candidates: Vec<Arc<K>>) -> Result<Vec<Arc<K>>, ClaimError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &self.key().namespace);
        let mut own = Vec::with_capacity(candidates.len());
        let mut owner_confirmed = false;
        let mut failed = None;
        for candidate in candidates {
            match decide(self.owner.meta(), candidate.meta(), self.selects(candidate.meta())) {
                Decision::Own => own.push(candidate),
                Decision::Ignore => {}
                Decision::Release => {
                    if let Err(error) = self.release(&objects, candidate.meta()).await {
                        failed = Some(error);
                    }
                }
                Decision::Adopt => match self.adopt(&objects, candidate.meta(), &mut owner_confirmed).await {
                    Ok(adopted) => own.extend(adopted.map(Arc::new)),
                    Err(error) => failed = Some(error),
                },
            }
        }
        failed.map_or(Ok(own), Err)
    }

    /// Whether an object is the owner's own as it is.
    pub(crate) fn owns(&self, object: &ObjectMeta) -> bool {
        let controller = controller_of(object).map(|controller| &controller.uid);
        controller.is_some() && controller == self.owner.meta().uid.as_ref() && self.selects(object)
    }

    fn selects(&self, object: &ObjectMeta) -> bool {
        match &object.labels {
            Some(labels) => self.selector.matches(labels),
            None => self.selector.matches(&Default::default()),
        }
    }

    /// Takes in an orphan; `None` if it is gone.
    async fn adopt<K>(
        &self,
        objects: &Api<K>,
        orphan: &ObjectMeta,
        owner_confirmed: &mut bool,
    ) -> Result<Option<K>, ClaimError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        if !*owner_confirmed {
            self.confirm_owner().await?;
            *owner_confirmed = true;
        }
        let mut metadata = json!({"ownerReferences": [new_controller_ref(self.owner)], "uid": orphan.uid});
        if let Some(finalizer) = self.finalizer {
            metadata["finalizers"] = json!([finalizer]);
        }
        self.patch(objects, orphan, metadata).await
    }

    async fn release<K>(&self, objects: &Api<K>, object: &ObjectMeta) -> Result<(), ClaimError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let owner = json!({"$patch": "delete", "uid": self.owner.meta().uid});
        let mut metadata = json!({"ownerReferences": [owner], "uid": object.uid});
        if let Some(finalizer) = self.finalizer {
            metadata["$deleteFromPrimitiveList/finalizers"] = json!([finalizer]);
        }
        self.patch(objects, object, metadata).await.map(drop)
    }

    /// `None` if the object is gone, another one has its name, or another controller has it or let it go.
    async fn patch<K>(
        &self,
        objects: &Api<K>,
        object: &ObjectMeta,
        metadata: Value,
    ) -> Result<Option<K>, ClaimError>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let name = object.name.as_deref().unwrap_or_default();
        let patch = Patch::Strategic(json!({"metadata": metadata}));
        match objects.patch(name, &PatchParams::default(), &patch).await {
            Ok(patched) => Ok(Some(patched)),
            Err(error) if is_gone(&error) => Ok(None),
            Err(kube::Error::Api(status)) if status.is_invalid() => Ok(None),
            Err(source) => Err(ClaimError::Api { owner: self.key(), source }),
        }
    }

    /// Asks the API itself whether the owner is there to stay.
    async fn confirm_owner(&self) -> Result<(), ClaimError> {
        let key = self.key();
        let owners: Api<O> = Api::namespaced(self.client.clone(), &key.namespace);
        match owners.get_opt(&key.name).await {
            Err(source) => Err(ClaimError::Api { owner: key, source }),
            Ok(Some(found)) if found.meta().uid == self.owner.meta().uid => {
                match found.meta().deletion_timestamp {
                    None => Ok(()),
                    Some(_) => Err(ClaimError::OwnerDeleted(key)),
                }
            }
            Ok(_) => Err(ClaimError::OwnerGone(key)),
        }
    }

    fn key(&self) -> ObjectKey {
        ObjectKey::of(self.owner)
    }
}

#[cfg(test)]
mod tests;
