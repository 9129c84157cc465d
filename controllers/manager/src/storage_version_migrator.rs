//! Writes all objects of a resource again, where a StorageVersionMigration asks for it.
//!
//! In: migrations, and what the API serves. Out: the `resourceVersion` from which on nothing has to be written again; an
//! empty patch of every object that is older; conditions. A patch names the version of the object that was listed: who
//! was faster has written it again.
//!
//! Deliberately absent: a cache of the objects. They are listed in pages, and only their metadata.

mod conditions;

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};
use k8s_openapi::{
    api::storagemigration::v1::StorageVersionMigration,
    jiff::{SignedDuration, Timestamp},
};
use keelson_controller_runtime::{Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, PartialObjectMeta, Patch, PatchParams, PostParams},
    core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery},
};
use serde_json::json;

use self::conditions::{End, ended, with_end, with_start};
use crate::{changes::newest, context::Context, pod_control::IN_FLIGHT};

/// The controller's name in logs, and of who has written the objects.
const NAME: &str = "storage-version-migrator-controller";

/// How many migrations are worked on at once.
const WORKERS: usize = 5;

/// How many objects are listed at a time.
const PAGE: u32 = 500;

/// How long a resource that nobody knows may take to appear, and how often it is looked for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);
const PAUSE: Duration = Duration::from_secs(5);

/// What a resource must allow.
const VERBS: [&str; 2] = ["list", "patch"];

/// What did not work; it is worth another try.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot learn what the API serves")]
    Discovery(#[source] kube::Error),
    #[error("cannot list the objects")]
    List(#[source] kube::Error),
    #[error("cannot write an object again")]
    Patch(#[source] kube::Error),
    #[error("cannot write the migration's status")]
    Status(#[source] kube::Error),
}

/// Reconciles one migration at a time.
struct Controller {
    client: Client,
    migrations: Informer<StorageVersionMigration>,
}

/// Works until it is dropped.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let controller = Controller { client, migrations: context.storage_version_migrations() };
    let queue = WorkQueue::new("storage_version_migrator");
    let enqueue = queue.clone();
    controller.migrations.on_change(move |change| enqueue.add(ObjectKey::of(&**newest(change))));
    controller.migrations.synced().await;
    work(NAME, queue, WORKERS, Arc::new(controller)).await;
}

impl Reconcile for Controller {
    type Key = ObjectKey;
    type Error = Error;

    async fn reconcile(&self, key: &ObjectKey) -> Result<Next, Error> {
        let Some(migration) = self.migrations.get(key).filter(|it| !ended(it)) else {
            return Ok(Next::Done);
        };
        let resource = match self.find(&migration).await? {
            Found::Resource(resource) => resource,
            Found::Nothing if is_young(&migration, Timestamp::now()) => return Ok(Next::After(PAUSE)),
            Found::Nothing => return self.fail(&migration, "resource does not exist in discovery").await,
            Found::Unfit => return self.fail(&migration, "resource cannot be listed and patched").await,
        };
        let begun = migration.status.as_ref().and_then(|status| status.resource_version.as_deref());
        match begun.filter(|version| !version.is_empty()) {
            None => self.begin(&migration, &resource).await,
            Some(version) => match self.migrate(&resource, version).await? {
                Ok(count) => {
                    self.tell(with_end(&migration, &End::Succeeded { count }, Timestamp::now())).await
                }
                Err(refusal) => self.fail(&migration, &refusal).await,
            },
        }
    }
}

/// What is known of a migration's resource.
#[derive(Debug, PartialEq)]
enum Found {
    Resource(ApiResource),
    Nothing,
    /// It cannot be written again.
    Unfit,
}

impl Controller {
    async fn find(&self, migration: &StorageVersionMigration) -> Result<Found, Error> {
        let (core, groups) = futures_util::try_join!(
            self.client.list_core_api_versions_aggregated(),
            self.client.list_api_groups_aggregated()
        )
        .map_err(Error::Discovery)?;
        let wanted = migration.spec.as_ref().map(|spec| spec.resource.clone()).unwrap_or_default();
        Ok(find(&[core, groups], &wanted.group, &wanted.resource))
    }

    /// Notes up to where objects are to be written again: what is written from now on is written as it shall be.
    async fn begin(
        &self,
        migration: &StorageVersionMigration,
        resource: &ApiResource,
    ) -> Result<Next, Error> {
        let objects: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let first = objects.list_metadata(&ListParams::default().limit(1)).await.map_err(Error::List)?;
        let version = first.metadata.resource_version.unwrap_or_default();
        self.tell(with_start(migration, version, Timestamp::now())).await
    }

    /// How many objects have been looked at; `Err` in it: why one cannot be written.
    async fn migrate(&self, resource: &ApiResource, version: &str) -> Result<Result<usize, String>, Error> {
        let objects: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let mut page = ListParams::default().limit(PAGE);
        let mut count = 0;
        loop {
            let list = objects.list_metadata(&page).await.map_err(Error::List)?;
            count += list.items.len();
            let older = list.items.into_iter().filter(|object| is_older(object, version));
            let writes = stream::iter(older).map(|object| self.write_again(resource, object));
            match writes.buffer_unordered(IN_FLIGHT).try_collect::<()>().await {
                Ok(()) => {}
                Err(error) if is_worth_another_try(&error) => return Err(Error::Patch(error)),
                Err(error) => return Ok(Err(error.to_string())),
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(Ok(count)),
            }
        }
    }

    /// Who was faster has written the object again, or removed it.
    async fn write_again(
        &self,
        resource: &ApiResource,
        object: PartialObjectMeta<DynamicObject>,
    ) -> kube::Result<()> {
        let metadata = object.metadata;
        let name = metadata.name.as_deref().unwrap_or_default();
        let objects: Api<DynamicObject> = match metadata.namespace.as_deref() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, resource),
            None => Api::all_with(self.client.clone(), resource),
        };
        let patch = Patch::Merge(json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"uid": metadata.uid, "resourceVersion": metadata.resource_version},
        }));
        let by = PatchParams { field_manager: Some(NAME.to_owned()), ..PatchParams::default() };
        match objects.patch_metadata(name, &by, &patch).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn fail(&self, migration: &StorageVersionMigration, why: &str) -> Result<Next, Error> {
        let end = End::Failed { why: why.to_owned() };
        self.tell(with_end(migration, &end, Timestamp::now())).await
    }

    /// Writes the status. Who was faster wakes this controller again.
    async fn tell(&self, migration: StorageVersionMigration) -> Result<Next, Error> {
        let migrations: Api<StorageVersionMigration> = Api::all(self.client.clone());
        let name = migration.metadata.name.as_deref().unwrap_or_default();
        match migrations.replace_status(name, &PostParams::default(), &migration).await {
            Ok(_) => Ok(Next::Done),
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(Next::Done),
            Err(error) => Err(Error::Status(error)),
        }
    }
}

/// A resource in the version that its group prefers, which comes first.
fn find(documents: &[APIGroupDiscoveryList], group: &str, plural: &str) -> Found {
    let name = |it: Option<&str>| it.unwrap_or_default().to_owned();
    for served in documents.iter().flat_map(|document| &document.items) {
        if name(served.metadata.as_ref().and_then(|it| it.name.as_deref())) != group {
            continue;
        }
        for version in &served.versions {
            let number = name(version.version.as_deref());
            let Some(resource) = version.resources.iter().find(|it| it.resource.as_deref() == Some(plural))
            else {
                continue;
            };
            return describe(group, &number, plural, resource);
        }
    }
    Found::Nothing
}

fn describe(group: &str, version: &str, plural: &str, resource: &APIResourceDiscovery) -> Found {
    if !VERBS.iter().all(|verb| resource.verbs.iter().any(|known| known == verb)) {
        return Found::Unfit;
    }
    let kind = resource.response_kind.as_ref().and_then(|kind| kind.kind.clone()).unwrap_or_default();
    Found::Resource(ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
        kind,
        plural: plural.to_owned(),
    })
}

/// Whether the migration's resource may still be about to appear.
fn is_young(migration: &StorageVersionMigration, now: Timestamp) -> bool {
    let made = migration.metadata.creation_timestamp.as_ref();
    made.is_some_and(|made| now.duration_since(made.0) < PATIENCE)
}

/// Whether an object was last written up to this version. Of a version that is no number nothing is known.
fn is_older(object: &PartialObjectMeta<DynamicObject>, version: &str) -> bool {
    let number = |text: &str| text.parse::<u64>().ok();
    let own = object.metadata.resource_version.as_deref().and_then(number);
    own.zip(number(version)).is_none_or(|(own, last)| own <= last)
}

/// Whether the fault is not the object's.
fn is_worth_another_try(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 429 || status.code >= 500,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
