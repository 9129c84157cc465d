//! The Lease by which a server says that it lives, and who else does.
//!
//! In: the time, and the Leases of all servers. Out: this server's Lease renewed, and the addresses of those that
//! live. Whether another server lives is judged by whether its Lease changes, not by comparing clocks.

use std::{collections::HashMap, convert::Infallible, net::SocketAddr, time::Duration};

use keelson_api_registry::{
    object::Object,
    resources::{self, ResourceInfo},
    status::ApiError,
};
use keelson_api_schema::format::check_label_value;
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::{Instant, sleep};

use super::{contents, endpoints, ensure};
use crate::{
    selection::Selection,
    server::ServerOptions,
    storage::{ClaimChange, ObjectStore, Stored},
    uid,
};

/// How often the Lease is renewed, and the endpoints are looked after.
const RENEWAL: Duration = Duration::from_secs(5);

/// How long a Lease holds that is not renewed.
const DURATION: Duration = Duration::from_secs(15);

/// How long the Lease of a dead server is kept for people to see.
const MEMORY: time::Duration = time::Duration::hours(1);

/// How often endpoints are written anew that another server has just written; the next round sees to the rest.
const ATTEMPTS: u32 = 10;

/// Where the Leases are.
const NAMESPACE: &str = "kube-system";

/// The label by which they are found, upstream's.
const LABEL: &str = "apiserver.kubernetes.io/identity=kube-apiserver";

/// The annotation that says where the server is reached: `192.0.2.1:6443`.
const ADDRESS: &str = "keelson.dev/advertise-address";

/// One server's presence in the cluster.
pub(super) struct Presence {
    /// The Lease's name, the same after a restart.
    name: String,
    /// This run of the server.
    holder: String,
    address: SocketAddr,
    others: Witness,
}

impl Presence {
    /// Of the server with these options.
    pub(super) fn of(options: &ServerOptions) -> Self {
        let name = lease_name(&options.identity);
        Self {
            holder: format!("{name}_{}", uid::random()),
            name,
            address: SocketAddr::new(options.advertise_address, options.secure_port),
            others: Witness::default(),
        }
    }

    /// Says again and again that this server is there, and keeps the endpoints right. A round that fails is made up
    /// for by the next.
    pub(super) async fn keep(&mut self, objects: &ObjectStore, options: &ServerOptions) -> Infallible {
        loop {
            if let Err(error) = self.round(objects, options).await {
                super::tell("renewing the Lease of this server", &error);
            }
            sleep(RENEWAL).await;
        }
    }

    /// One renewal, and the endpoints after it.
    pub(super) async fn round(
        &mut self,
        objects: &ObjectStore,
        options: &ServerOptions,
    ) -> Result<(), ApiError> {
        let now = (options.clock)();
        self.renew(objects, options, now).await?;
        forget_the_dead(objects, &leases(objects).await?, now).await?;
        if let Some(service) = contents::service(options) {
            // Somebody may have deleted it.
            ensure::one(objects, &ensure::Wanted::once(service), now).await?;
        }
        self.settle(objects, now).await
    }

    /// Says that this server is not there any more.
    pub(super) async fn leave(
        &mut self,
        objects: &ObjectStore,
        options: &ServerOptions,
    ) -> Result<(), ApiError> {
        let now = (options.clock)();
        let resource = lease_resource()?;
        if let Some(stored) = objects.get(resource, NAMESPACE, &self.name).await?
            && stored.object.text(&["spec", "holderIdentity"]) == self.holder
        {
            objects.remove(resource, NAMESPACE, &self.name, stored.revision, &[]).await?;
        }
        self.settle(objects, now).await
    }

    /// Makes the endpoints say who lives. Servers that do so at once, or leave meanwhile, write the same in the end.
    async fn settle(&mut self, objects: &ObjectStore, now: OffsetDateTime) -> Result<(), ApiError> {
        for _ in 0..ATTEMPTS {
            let found = endpoints::Found::look(objects).await?;
            let alive = self.others.alive(&leases(objects).await?, now, Instant::now());
            if found.settle(objects, &alive, self.address, now).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn renew(
        &self,
        objects: &ObjectStore,
        options: &ServerOptions,
        now: OffsetDateTime,
    ) -> Result<(), ApiError> {
        let resource = lease_resource()?;
        let lease = self.lease(options, now);
        let Some(stored) = objects.get(resource, NAMESPACE, &self.name).await? else {
            return ensure::one(objects, &ensure::Wanted::once(lease), now).await;
        };
        let mut renewed = stored.object;
        for path in [&["spec"][..], &["metadata", "labels"], &["metadata", "annotations"]] {
            if let Some(value) = lease.get(path) {
                renewed.set(path, value.clone());
            }
        }
        let written = objects.replace(resource, &renewed, stored.revision, ClaimChange::default()).await?;
        match written {
            Some(_) => Ok(()),
            None => Err(ApiError::stale(resource, &self.name)),
        }
    }

    fn lease(&self, options: &ServerOptions, now: OffsetDateTime) -> Object {
        let mut lease = Object(json!({
            "kind": "Lease",
            "apiVersion": "coordination.k8s.io/v1",
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
                "labels": {"apiserver.kubernetes.io/identity": "kube-apiserver"},
                "annotations": {ADDRESS: self.address.to_string()},
            },
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": DURATION.as_secs(),
                "renewTime": micro_time(now),
            },
        }));
        if check_label_value(&options.identity).is_empty() {
            let path = ["metadata", "labels", "kubernetes.io/hostname"];
            lease.set(&path, options.identity.as_str());
        }
        lease
    }
}

/// Remembers when each Lease was last seen to change.
#[derive(Default)]
struct Witness {
    seen: HashMap<String, Sighting>,
}

struct Sighting {
    renewed: String,
    /// When it was first seen so; `None` when it was past its time by then.
    at: Option<Instant>,
}

impl Witness {
    /// The addresses of the servers that live. A Lease that is seen for the first time is judged by the clock; from
    /// then on it counts that it changes.
    fn alive(&mut self, leases: &[Stored], clock: OffsetDateTime, now: Instant) -> Vec<SocketAddr> {
        self.seen.retain(|name, _| leases.iter().any(|lease| lease.object.name() == name));
        let mut addresses: Vec<SocketAddr> = leases
            .iter()
            .filter(|lease| self.lives(&lease.object, clock, now))
            .filter_map(|lease| lease.object.text(&["metadata", "annotations", ADDRESS]).parse().ok())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    fn lives(&mut self, lease: &Object, clock: OffsetDateTime, now: Instant) -> bool {
        let renewed = lease.text(&["spec", "renewTime"]);
        let duration = Duration::from_secs(
            lease
                .integer(&["spec", "leaseDurationSeconds"])
                .and_then(|it| u64::try_from(it).ok())
                .unwrap_or(0),
        );
        let at = match self.seen.get(lease.name()) {
            Some(sighting) if sighting.renewed == renewed => sighting.at,
            Some(_) => Some(now),
            None => (age(renewed, clock) < duration).then_some(now),
        };
        self.seen.insert(lease.name().to_owned(), Sighting { renewed: renewed.to_owned(), at });
        at.is_some_and(|at| now.duration_since(at) < duration)
    }
}

/// How long ago a time was; none at all where the clock that wrote it is ahead, for ever where it is no time.
fn age(renewed: &str, clock: OffsetDateTime) -> Duration {
    match OffsetDateTime::parse(renewed, &Rfc3339) {
        Ok(then) => Duration::try_from(clock - then).unwrap_or(Duration::ZERO),
        Err(_) => Duration::MAX,
    }
}

async fn leases(objects: &ObjectStore) -> Result<Vec<Stored>, ApiError> {
    let resource = lease_resource()?;
    let selection = Selection::parse(resource, Some(LABEL), None)?;
    let cached = objects.list(resource, NAMESPACE, &selection).await?;
    let stored = cached.iter().map(|cached| Stored {
        object: cached.object(),
        revision: cached.revision,
        json: cached.json().clone(),
    });
    Ok(stored.collect())
}

/// Removes the Leases of servers that have been dead for long.
async fn forget_the_dead(
    objects: &ObjectStore,
    leases: &[Stored],
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    let resource = lease_resource()?;
    let memory = Duration::try_from(MEMORY).unwrap_or(Duration::MAX);
    for lease in leases.iter().filter(|lease| age(lease.object.text(&["spec", "renewTime"]), now) > memory) {
        objects.remove(resource, NAMESPACE, lease.object.name(), lease.revision, &[]).await?;
    }
    Ok(())
}

fn lease_resource() -> Result<&'static ResourceInfo, ApiError> {
    resources::find("coordination.k8s.io", "v1", "leases")
        .ok_or_else(|| ApiError::internal("the table has no Leases"))
}

/// `apiserver-` and what a hash makes of the server's name, which need not be a DNS name. As upstream: 128 bits of SHA-256
/// in base 32.
fn lease_name(identity: &str) -> String {
    use sha2::{Digest, Sha256};
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Sha256::digest(identity.as_bytes());
    let bits = hash.iter().take(16).flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    let digits = bits.chunks(5).map(|five| {
        let number = five.iter().fold(0, |number, bit| number << 1 | usize::from(*bit)) << (5 - five.len());
        char::from(DIGITS[number])
    });
    format!("apiserver-{}", digits.collect::<String>())
}

/// A time as `MicroTime` has it.
fn micro_time(at: OffsetDateTime) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
    );
    at.to_offset(time::UtcOffset::UTC).format(&format).expect("a date has all that the format names")
}

#[cfg(test)]
mod tests;
