//! A fresh cluster, on a store in memory.

use keelson_api_registry::{
    bootstrap_roles,
    object::Object,
    resources::{self, ResourceInfo},
};
use serde_json::{Value, json};

use super::*;
use crate::testing::with_store;

fn options(name: &str, address: &str) -> ServerOptions {
    ServerOptions::new(name.to_owned(), address.parse().unwrap(), 6443, String::new())
}

fn resource(group: &str, plural: &str) -> &'static ResourceInfo {
    resources::find(group, "v1", plural).unwrap()
}

async fn object(
    objects: &ObjectStore,
    resource: &'static ResourceInfo,
    namespace: &str,
    name: &str,
) -> Option<Object> {
    objects.get(resource, namespace, name).await.unwrap().map(|stored| stored.object)
}

async fn listed(objects: &ObjectStore) -> Vec<Value> {
    let endpoints = object(objects, resource("", "endpoints"), "default", "kubernetes").await.unwrap();
    let subsets = endpoints.list(&["subsets"]).iter();
    subsets
        .flat_map(|subset| subset["addresses"].as_array().unwrap().clone())
        .map(|mut it| it["ip"].take())
        .collect()
}

#[test]
fn two_servers_that_start_at_once_make_one_cluster() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let (one, two) = (options("one", "192.0.2.1"), options("two", "192.0.2.2"));
        tokio::join!(fill(&objects, &one), fill(&objects, &two));
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            let namespace = object(&objects, resource("", "namespaces"), "", name).await.unwrap();
            assert_eq!(namespace.text(&["status", "phase"]), "Active");
        }
        let roles = resource("rbac.authorization.k8s.io", "clusterroles");
        for role in bootstrap_roles::cluster_roles() {
            assert!(object(&objects, roles, "", role.name()).await.is_some(), "{}", role.name());
        }
        let service = object(&objects, resource("", "services"), "default", "kubernetes").await.unwrap();
        assert_eq!(service.text(&["spec", "clusterIP"]), "10.96.0.1");
        let addresses = resource("networking.k8s.io", "ipaddresses");
        let address = object(&objects, addresses, "", "10.96.0.1").await.unwrap();
        let parent = json!({"resource": "services", "namespace": "default", "name": "kubernetes"});
        assert_eq!(address.0["spec"]["parentRef"], parent);
    });
}

#[test]
fn what_was_there_before_is_left_alone_and_what_is_missing_comes_back() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let options = options("one", "192.0.2.1");
        fill(&objects, &options).await;
        let roles = resource("rbac.authorization.k8s.io", "clusterroles");
        let stored = objects.get(roles, "", "system:kube-dns").await.unwrap().unwrap();
        let mut emptied = stored.object.clone();
        emptied.remove(&["rules"]);
        objects.replace(roles, &emptied, stored.revision, Default::default()).await.unwrap().unwrap();
        let classes = resource("scheduling.k8s.io", "priorityclasses");
        let before = objects.get(classes, "", "system-node-critical").await.unwrap().unwrap();

        fill(&objects, &options).await;
        let repaired = object(&objects, roles, "", "system:kube-dns").await.unwrap();
        assert_eq!(repaired.list(&["rules"]), stored.object.list(&["rules"]));
        let after = objects.get(classes, "", "system-node-critical").await.unwrap().unwrap();
        assert_eq!(before.revision, after.revision);
    });
}

#[test]
fn the_service_leads_to_the_servers_that_live() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let (one, two) = (options("one", "192.0.2.1"), options("two", "192.0.2.2"));
        fill(&objects, &one).await;
        let (mut first, mut second) = (Presence::of(&one), Presence::of(&two));
        first.round(&objects, &one).await.unwrap();
        assert_eq!(listed(&objects).await, ["192.0.2.1"]);
        second.round(&objects, &two).await.unwrap();
        assert_eq!(listed(&objects).await, ["192.0.2.1", "192.0.2.2"]);
        let services = resource("", "services");
        let service = objects.get(services, "default", "kubernetes").await.unwrap().unwrap();
        let claims = services.strategy.claims(&service.object);
        objects.remove(services, "default", "kubernetes", service.revision, &claims).await.unwrap().unwrap();
        first.round(&objects, &one).await.unwrap();
        assert!(object(&objects, services, "default", "kubernetes").await.is_some());
        second.leave(&objects, &two).await.unwrap();
        assert_eq!(listed(&objects).await, ["192.0.2.1"]);
        let slices = resource("discovery.k8s.io", "endpointslices");
        let slice = object(&objects, slices, "default", "kubernetes").await.unwrap();
        assert_eq!(slice.0["endpoints"][0]["addresses"], json!(["192.0.2.1"]));
    });
}

#[test]
fn a_server_that_comes_back_takes_its_lease_again() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let one = options("one", "192.0.2.1");
        Presence::of(&one).round(&objects, &one).await.unwrap();
        let mut again = Presence::of(&one);
        again.round(&objects, &one).await.unwrap();
        let leases = resource("coordination.k8s.io", "leases");
        let found = objects.list(leases, "kube-system", &Default::default()).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(listed(&objects).await, ["192.0.2.1"]);
    });
}

#[test]
fn a_server_that_leaves_is_not_put_back_by_one_that_looked_before() {
    with_store(async |store| {
        let objects = ObjectStore::open(store);
        let (one, two) = (options("one", "192.0.2.1"), options("two", "192.0.2.2"));
        fill(&objects, &one).await;
        let (mut first, mut second) = (Presence::of(&one), Presence::of(&two));
        first.round(&objects, &one).await.unwrap();
        let looked = endpoints::Found::look(&objects).await.unwrap();
        second.round(&objects, &two).await.unwrap();
        let both = ["192.0.2.1:6443", "192.0.2.2:6443"].map(|address| address.parse().unwrap());
        second.leave(&objects, &two).await.unwrap();

        let settled = looked.settle(&objects, &both, both[0], (one.clock)()).await.unwrap();
        assert!(!settled, "what was looked at is not there any more");
        assert_eq!(listed(&objects).await, ["192.0.2.1"]);
        first.round(&objects, &one).await.unwrap();
        assert_eq!(listed(&objects).await, ["192.0.2.1"]);
    });
}
