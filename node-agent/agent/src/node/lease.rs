//! The Lease by which the node says that it lives.
//!
//! In: the time. Out: `kube-node-lease/<node>`, renewed every few seconds. Whoever judges nodes looks at whether it
//! changes. With an unreachable API nothing happens here: pods go on running.

use std::convert::Infallible;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Where the Leases of nodes are.
const NAMESPACE: &str = "kube-node-lease";

/// How often the Lease holds, and how often it is renewed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) duration: Duration,
    pub(crate) period: Duration,
}

/// Renews the Lease for ever. `owner`: the uid of the Node, which goes into the Lease once it is known.
pub(crate) async fn keep(
    client: &Client,
    node: &str,
    times: Times,
    owner: impl Fn() -> Option<String>,
) -> Infallible {
    let api: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    let mut last = None;
    let mut ticks = interval(times.period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let round = renew(&api, last.take(), node, times.duration, owner());
        match timeout(times.period, round).await {
            Ok(Ok(lease)) => last = Some(lease),
            Ok(Err(error)) => tracing::warn!(%error, "cannot renew the node's Lease"),
            Err(_) => tracing::warn!("the API does not answer: the node's Lease is not renewed"),
        }
    }
}

/// One renewal: of the Lease as it was last seen, else of the one that the API has, else of a new one.
async fn renew(
    api: &Api<Lease>,
    last: Option<Lease>,
    node: &str,
    duration: Duration,
    owner: Option<String>,
) -> Result<Lease, kube::Error> {
    let post = PostParams::default();
    let now = Timestamp::now();
    if let Some(last) = last {
        match api.replace(node, &post, &renewed(last, node, duration, owner.clone(), now)).await {
            // Somebody has changed it, or it is gone with the Node: then this version of it is not wanted any more.
            Err(kube::Error::Api(status)) if (400..500).contains(&status.code) => {}
            done => return done,
        }
    }
    match api.get_opt(node).await? {
        Some(lease) => api.replace(node, &post, &renewed(lease, node, duration, owner, now)).await,
        None => api.create(&post, &renewed(Lease::default(), node, duration, owner, now)).await,
    }
}

fn renewed(mut lease: Lease, node: &str, duration: Duration, owner: Option<String>, now: Timestamp) -> Lease {
    lease.metadata = ObjectMeta {
        name: Some(node.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        owner_references: owner.map(|uid| vec![reference(node, uid)]).or(lease.metadata.owner_references),
        managed_fields: None,
        ..lease.metadata
    };
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(node.to_owned()),
        lease_duration_seconds: Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)),
        renew_time: Some(MicroTime(now)),
        ..lease.spec.unwrap_or_default()
    });
    lease
}

fn reference(node: &str, uid: String) -> OwnerReference {
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: node.to_owned(),
        uid,
        ..OwnerReference::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn a_lease_names_its_holder_and_keeps_what_others_wrote() {
        let mut lease = Lease::default();
        lease.metadata.resource_version = Some("5".into());
        lease.spec = Some(LeaseSpec { lease_transitions: Some(2), ..LeaseSpec::default() });
        let lease = renewed(lease, "n1", Duration::from_secs(40), Some("u".into()), at(3));
        let spec = lease.spec.unwrap();
        assert_eq!(spec.holder_identity.as_deref(), Some("n1"));
        assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(40), Some(2)));
        assert_eq!(spec.renew_time, Some(MicroTime(at(3))));
        assert_eq!(lease.metadata.resource_version.as_deref(), Some("5"));
        assert_eq!(lease.metadata.owner_references.unwrap()[0].uid, "u");
    }
}
