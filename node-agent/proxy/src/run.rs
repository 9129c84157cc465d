//! Keeps the packet filter true.
//!
//! In: informers. Out: rules, after every change, and again from scratch after a failure or when somebody has removed
//! them. Waits for all Services and slices before the first rules: half of them would refuse traffic that yesterday's
//! rules still lead right.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use keelson_controller_runtime::Informer;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::act::{self, RulesError};
use crate::nft::Clients;
use crate::routes::family::{FAMILIES, Family, Network};
use crate::routes::{self, Node, Route};
use crate::table::{self, Table};
use crate::{flows, nft};

/// What has to be known beside what the API says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// This node's name.
    pub node: String,
    /// The network of all pods. Traffic from elsewhere to ClusterIPs, and from pods to elsewhere, looks as if the node
    /// had sent it. `None`: only what has to.
    pub pods: Option<Network>,
    /// `ClusterIP`s that this node answers itself, as the one of its DNS.
    pub own_cluster_ips: BTreeSet<IpAddr>,
}

/// The least time between two changes of the rules: many objects change together.
const PACE: Duration = Duration::from_millis(50);

/// How often is looked whether the rules are still there: whoever reloads the machine's own packet filter may flush all.
const LOOK: Duration = Duration::from_secs(30);

/// How soon rules that were refused are tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Keeps the rules of this network namespace true, until dropped; the caller runs the informers.
pub async fn run(
    services: &Informer<Service>,
    slices: &Informer<EndpointSlice>,
    options: Options,
) -> Infallible {
    let changed = Arc::new(Notify::new());
    let (on_service, on_slice) = (changed.clone(), changed.clone());
    services.on_change(move |_| on_service.notify_one());
    slices.on_change(move |_| on_slice.notify_one());
    services.synced().await;
    slices.synced().await;
    follow(services, slices, &changed, &options).await
}

async fn follow(
    services: &Informer<Service>,
    slices: &Informer<EndpointSlice>,
    changed: &Notify,
    options: &Options,
) -> Infallible {
    let node = Node { name: options.node.clone(), own_cluster_ips: options.own_cluster_ips.clone() };
    let mut proxy = Proxy::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let routes = routes::routes(&services.list(), &slices.list(), &node);
        match proxy.update(routes, options.pods).await {
            Ok(()) => {
                pause = FIRST_PAUSE;
                sleep(PACE).await;
                proxy.watch_rules_until(changed.notified()).await;
            }
            Err(error) => {
                tracing::error!(%error, retry_seconds = pause.as_secs(), "Service traffic is not up to date");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// What is in the packet filter, as far as is known.
#[derive(Default)]
struct Proxy {
    /// `None`: not known, because nothing was done yet, or the last change failed.
    applied: Option<[Table; 2]>,
    /// Whether it has refused to replace everything.
    refused: bool,
    /// `None`: the connection tracker was not compared with any yet.
    routes: Option<Vec<Route>>,
    /// Whether it was told that flows cannot be forgotten.
    complained: bool,
}

impl Proxy {
    async fn update(&mut self, routes: Vec<Route>, pods: Option<Network>) -> Result<(), RulesError> {
        let wanted = FAMILIES.map(|family| {
            let of_family = routes.iter().filter(|route| Family::of(route.cluster_ip) == family);
            table::table(family, of_family, pods)
        });
        let script = match &self.applied {
            Some(applied) => change(applied, &wanted),
            None => replace(&wanted, &self.clients().await),
        };
        if !script.is_empty() {
            // Of a change that was refused nothing is known; the next script replaces everything.
            self.refused = self.applied.take().is_none();
            act::apply(&script).await?;
            self.refused = false;
            tracing::debug!(
                routes = routes.len(),
                bytes = script.len(),
                "changed the rules of Service traffic"
            );
        }
        self.applied = Some(wanted);
        if let Err(error) = self.forget_flows(&routes).await {
            self.routes = None;
            if !std::mem::replace(&mut self.complained, true) {
                tracing::warn!(%error, "cannot use conntrack: UDP clients may keep sending to endpoints that are gone");
            }
            return Ok(());
        }
        self.routes = Some(routes);
        Ok(())
    }

    /// Clients to keep with their endpoints when the tables are replaced. None if that was refused before: then this may
    /// be the reason.
    async fn clients(&self) -> [Clients; 2] {
        match self.refused {
            true => Default::default(),
            false => act::clients().await,
        }
    }

    /// Frees flows of UDP that lead elsewhere than the routes.
    async fn forget_flows(&self, routes: &[Route]) -> io::Result<()> {
        let before = self.routes.as_deref();
        if before.is_some_and(|before| flows::udp(before).eq(flows::udp(routes))) {
            return Ok(());
        }
        let stale = flows::stale(&act::tracked().await?, before.unwrap_or_default(), routes);
        act::forget(&stale).await
    }

    /// Until this happens, or somebody has removed the rules.
    async fn watch_rules_until(&mut self, event: impl Future<Output = ()>) {
        let mut event = pin!(event);
        while timeout(LOOK, &mut event).await.is_err() {
            match act::tables_are_there().await {
                Ok(true) => {}
                Ok(false) => {
                    tracing::warn!("somebody has removed the rules of Service traffic; making them anew");
                    self.applied = None;
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot tell whether the rules of Service traffic stand")
                }
            }
        }
    }
}

fn change(applied: &[Table; 2], wanted: &[Table; 2]) -> String {
    let tables = FAMILIES.into_iter().zip(applied.iter().zip(wanted));
    tables.map(|(family, (applied, wanted))| nft::change(family, applied, wanted)).collect()
}

fn replace(wanted: &[Table; 2], clients: &[Clients; 2]) -> String {
    let tables = FAMILIES.into_iter().zip(wanted.iter().zip(clients));
    tables.map(|(family, (wanted, clients))| nft::replace(family, wanted, clients)).collect()
}

#[cfg(test)]
mod tests;
