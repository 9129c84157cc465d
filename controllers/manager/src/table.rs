//! THE table of controllers: whoever is not in it does not run.

use std::pin::Pin;
use std::sync::Arc;

use kube::Client;

use crate::context::Context;
use crate::{deployment, garbage_collector, namespace, replica_set, root_ca, service_account};

/// One controller.
pub(crate) struct Controller {
    /// Upstream's name, by which logs speak of it.
    pub(crate) name: &'static str,
    /// Its ServiceAccount in `kube-system`; the role `system:controller:NAME` belongs to it.
    pub(crate) service_account: &'static str,
    /// Runs it, with its own identity. Never returns.
    pub(crate) run: fn(Arc<Context>, Client) -> Run,
}

/// A running controller.
pub(crate) type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// All controllers, by name.
pub(crate) const CONTROLLERS: &[Controller] = &[
    Controller {
        name: "deployment-controller",
        service_account: "deployment-controller",
        run: |context, client| Box::pin(deployment::run(context, client)),
    },
    Controller {
        name: "garbage-collector-controller",
        service_account: "generic-garbage-collector",
        run: |context, client| Box::pin(garbage_collector::run(context, client)),
    },
    Controller {
        name: "namespace-controller",
        service_account: "namespace-controller",
        run: |context, client| Box::pin(namespace::run(context, client)),
    },
    Controller {
        name: "replicaset-controller",
        service_account: "replicaset-controller",
        run: |context, client| Box::pin(replica_set::run(context, client)),
    },
    Controller {
        name: "root-ca-certificate-publisher-controller",
        service_account: "root-ca-cert-publisher",
        run: |context, client| Box::pin(root_ca::run(context, client)),
    },
    Controller {
        name: "serviceaccount-controller",
        service_account: "service-account-controller",
        run: |context, client| Box::pin(service_account::run(context, client)),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_stand_in_order_and_no_two_are_alike() {
        assert!(CONTROLLERS.is_sorted_by(|a, b| a.name < b.name));
        let accounts: std::collections::BTreeSet<_> =
            CONTROLLERS.iter().map(|controller| controller.service_account).collect();
        assert_eq!(accounts.len(), CONTROLLERS.len());
    }
}
