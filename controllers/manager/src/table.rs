//! THE table of controllers: whoever is not in it does not run.

use std::pin::Pin;
use std::sync::Arc;

use kube::Client;

use crate::context::Context;
use crate::{
    deployment, disruption, endpoint_slice, endpoint_slice_mirroring, endpoints, garbage_collector, job,
    namespace, node_ipam, node_lifecycle, pod_gc, replica_set, root_ca, service_account, service_cidr,
    storage_version_migrator, taint_eviction, ttl_after_finished,
};

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
        name: "disruption-controller",
        service_account: "disruption-controller",
        run: |context, client| Box::pin(disruption::run(context, client)),
    },
    Controller {
        name: "endpoints-controller",
        service_account: "endpoint-controller",
        run: |context, client| Box::pin(endpoints::run(context, client)),
    },
    Controller {
        name: "endpointslice-controller",
        service_account: "endpointslice-controller",
        run: |context, client| Box::pin(endpoint_slice::run(context, client)),
    },
    Controller {
        name: "endpointslice-mirroring-controller",
        service_account: "endpointslicemirroring-controller",
        run: |context, client| Box::pin(endpoint_slice_mirroring::run(context, client)),
    },
    Controller {
        name: "garbage-collector-controller",
        service_account: "generic-garbage-collector",
        run: |context, client| Box::pin(garbage_collector::run(context, client)),
    },
    Controller {
        name: "job-controller",
        service_account: "job-controller",
        run: |context, client| Box::pin(job::run(context, client)),
    },
    Controller {
        name: "namespace-controller",
        service_account: "namespace-controller",
        run: |context, client| Box::pin(namespace::run(context, client)),
    },
    Controller {
        name: "node-ipam-controller",
        service_account: "node-controller",
        run: |context, client| Box::pin(node_ipam::run(context, client)),
    },
    Controller {
        name: "node-lifecycle-controller",
        service_account: "node-controller",
        run: |context, client| Box::pin(node_lifecycle::run(context, client)),
    },
    Controller {
        name: "pod-garbage-collector-controller",
        service_account: "pod-garbage-collector",
        run: |context, client| Box::pin(pod_gc::run(context, client)),
    },
    Controller {
        name: "replicaset-controller",
        service_account: "replicaset-controller",
        run: |context, client| Box::pin(replica_set::run(context, client)),
    },
    Controller {
        name: "replicationcontroller-controller",
        service_account: "replication-controller",
        run: |context, client| Box::pin(replica_set::run_for_replication_controllers(context, client)),
    },
    Controller {
        name: "root-ca-certificate-publisher-controller",
        service_account: "root-ca-cert-publisher",
        run: |context, client| Box::pin(root_ca::run(context, client)),
    },
    Controller {
        name: "service-cidr-controller",
        service_account: "service-cidrs-controller",
        run: |context, client| Box::pin(service_cidr::run(context, client)),
    },
    Controller {
        name: "serviceaccount-controller",
        service_account: "service-account-controller",
        run: |context, client| Box::pin(service_account::run(context, client)),
    },
    Controller {
        name: "storage-version-migrator-controller",
        service_account: "storage-version-migrator-controller",
        run: |context, client| Box::pin(storage_version_migrator::run(context, client)),
    },
    Controller {
        name: "taint-eviction-controller",
        service_account: "node-controller",
        run: |context, client| Box::pin(taint_eviction::run(context, client)),
    },
    Controller {
        name: "ttl-after-finished-controller",
        service_account: "ttl-after-finished-controller",
        run: |context, client| Box::pin(ttl_after_finished::run(context, client)),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controllers_stand_in_order_and_no_two_are_alike() {
        assert!(CONTROLLERS.is_sorted_by(|a, b| a.name < b.name));
        // Upstream's role for what concerns nodes is one.
        let own = || {
            CONTROLLERS.iter().map(|it| it.service_account).filter(|account| *account != "node-controller")
        };
        let accounts: std::collections::BTreeSet<_> = own().collect();
        assert_eq!(accounts.len(), own().count());
    }
}
