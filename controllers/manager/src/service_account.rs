//! Every active namespace has the ServiceAccount `default`, under which pods run that name none.
//!
//! In: namespaces and the ServiceAccounts of that name. Out: the missing ones. Deliberately absent: changing one that is
//! there, and tokens.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use keelson_controller_runtime::{Change, Informer, Next, ObjectKey, Reconcile, WorkQueue, work};
use kube::api::PostParams;
use kube::{Api, Client};

use crate::context::Context;
use crate::namespace::{is_active, is_no_place_to_create};

/// The name of the ServiceAccount.
const NAME: &str = "default";

/// The controller.
pub(crate) async fn run(context: Arc<Context>, client: Client) {
    let (namespaces, accounts) = (context.namespaces(), context.service_accounts_named_default());
    let queue = WorkQueue::new("serviceaccount");
    let enqueue = queue.clone();
    namespaces.on_change(move |change| match change {
        Change::Added(namespace) | Change::Updated { new: namespace, .. } => {
            enqueue.add(ObjectKey::of(namespace.as_ref()).name);
        }
        Change::Deleted(_) => {}
    });
    let enqueue = queue.clone();
    accounts.on_change(move |change| match change {
        Change::Added(_) | Change::Updated { .. } => {}
        Change::Deleted(account) => enqueue.add(ObjectKey::of(account.as_ref()).namespace),
    });
    namespaces.synced().await;
    accounts.synced().await;
    work("serviceaccount-controller", queue, 1, Arc::new(Reconciler { client, namespaces, accounts })).await;
}

struct Reconciler {
    client: Client,
    namespaces: Informer<Namespace>,
    accounts: Informer<ServiceAccount>,
}

impl Reconcile for Reconciler {
    /// A namespace's name.
    type Key = String;
    type Error = kube::Error;

    async fn reconcile(&self, namespace: &String) -> Result<Next, kube::Error> {
        let active = self.namespaces.get(&ObjectKey::new("", namespace)).is_some_and(|it| is_active(&it));
        if !active || self.accounts.get(&ObjectKey::new(namespace, NAME)).is_some() {
            return Ok(Next::Done);
        }
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        match accounts.create(&PostParams::default(), &account(namespace)).await {
            Ok(_) => Ok(Next::Done),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Next::Done),
            Err(error) if is_no_place_to_create(&error) => Ok(Next::Done),
            Err(error) => Err(error),
        }
    }
}

fn account(namespace: &str) -> ServiceAccount {
    let metadata = ObjectMeta {
        namespace: Some(namespace.to_owned()),
        name: Some(NAME.to_owned()),
        ..ObjectMeta::default()
    };
    ServiceAccount { metadata, ..ServiceAccount::default() }
}

#[cfg(test)]
mod tests;
