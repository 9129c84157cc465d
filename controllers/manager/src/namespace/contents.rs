//! Deletes what is in a namespace.
//!
//! In: the kinds there are. Out: what remains and why. Pods go first, because they may need the rest until their end;
//! nothing else is touched while there are pods.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, PartialObjectMeta, Preconditions, PropagationPolicy,
};
use kube::{Api, Client, ResourceExt};

use super::{is_terminating, said};

/// How many objects come with one answer.
const PAGE: u32 = 500;

/// How many requests are on their way at once.
const CONCURRENCY: usize = 8;

/// How long objects with finalizers are given before the next look.
const FINALIZER_SECONDS: i64 = 15;

type Meta = PartialObjectMeta<DynamicObject>;

/// The contents of one namespace.
pub(super) struct Contents<'a> {
    client: &'a Client,
    name: String,
    uid: Option<String>,
}

/// What an attempt to empty a namespace has come to.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) remaining: Vec<Remaining>,
    /// What could not be done, for users to read.
    pub(super) failures: Vec<String>,
}

/// What is left of a kind.
#[derive(Debug, PartialEq)]
pub(super) struct Remaining {
    pub(super) resource: String,
    pub(super) group: String,
    pub(super) count: usize,
    /// How many of them have which finalizer.
    pub(super) finalizers: BTreeMap<String, usize>,
    /// How many seconds the slowest takes to end.
    pub(super) grace_seconds: i64,
}

impl Remaining {
    pub(super) fn described(&self) -> String {
        format!("{}.{} has {} resource instances", self.resource, self.group, self.count)
    }

    fn of(kind: &ApiResource, objects: &[Meta]) -> Self {
        let mut finalizers = BTreeMap::new();
        for finalizer in objects.iter().flat_map(|object| object.finalizers()) {
            *finalizers.entry(finalizer.clone()).or_insert(0) += 1;
        }
        let grace = objects.iter().filter_map(|object| object.metadata.deletion_grace_period_seconds);
        Self {
            resource: kind.plural.clone(),
            group: kind.group.clone(),
            count: objects.len(),
            finalizers,
            grace_seconds: grace.max().unwrap_or(0),
        }
    }

    /// How long it may take until these are gone; 0 if nothing explains why they are still there.
    fn estimate_seconds(&self) -> i64 {
        match self.grace_seconds {
            0 if self.finalizers.is_empty() => 0,
            0 => FINALIZER_SECONDS,
            seconds => seconds,
        }
    }
}

impl Findings {
    /// Which finalizers hold back how many objects.
    pub(super) fn finalizers(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for (finalizer, count) in self.remaining.iter().flat_map(|remaining| &remaining.finalizers) {
            *all.entry(finalizer.clone()).or_insert(0) += count;
        }
        all
    }

    /// When to look again; `None` if nothing remains.
    pub(super) fn patience(&self) -> Option<Duration> {
        let longest = self.remaining.iter().map(Remaining::estimate_seconds).max()?;
        Some(Duration::from_secs(u64::try_from(longest / 2 + 1).unwrap_or(1)))
    }

    fn is_empty(&self) -> bool {
        self.remaining.is_empty() && self.failures.is_empty()
    }
}

impl<'a> Contents<'a> {
    pub(super) fn of(client: &'a Client, namespace: &Namespace) -> Self {
        Self { client, name: namespace.name_any(), uid: namespace.uid() }
    }

    /// Deletes what there is of these kinds.
    pub(super) async fn delete(&self, kinds: &[ApiResource]) -> kube::Result<Findings> {
        let (pods, others): (Vec<_>, Vec<_>) =
            kinds.iter().partition(|kind| kind.group.is_empty() && kind.plural == "pods");
        let findings = self.delete_kinds(&pods).await?;
        if findings.is_empty() { self.delete_kinds(&others).await } else { Ok(findings) }
    }

    async fn delete_kinds(&self, kinds: &[&ApiResource]) -> kube::Result<Findings> {
        let mut findings = Findings::default();
        let found = self.list_kinds(kinds, &mut findings).await;
        if found.is_empty() {
            return Ok(findings);
        }
        if !self.is_still_there().await? {
            // Another replica has finished this. What was found may belong to a new namespace of the same name.
            return Ok(findings);
        }
        self.delete_objects(&found, &mut findings).await;
        let kinds: Vec<_> = found.iter().map(|(kind, _)| *kind).collect();
        for (kind, objects) in self.list_kinds(&kinds, &mut findings).await {
            let remaining = Remaining::of(kind, &objects);
            if remaining.estimate_seconds() == 0 {
                findings.failures.push(format!(
                    "unexpected items still remain in namespace: {} for gvr: {}/{}, Resource={}",
                    self.name, kind.group, kind.version, kind.plural
                ));
            }
            findings.remaining.push(remaining);
        }
        Ok(findings)
    }

    /// The kinds of which there is something, with all there is.
    async fn list_kinds<'k>(
        &self,
        kinds: &[&'k ApiResource],
        findings: &mut Findings,
    ) -> Vec<(&'k ApiResource, Vec<Meta>)> {
        let lists: Vec<_> = kinds.iter().map(|kind| async { (*kind, self.list(kind).await) }).collect();
        let mut lists = stream::iter(lists).buffer_unordered(CONCURRENCY);
        let mut found = Vec::new();
        while let Some((kind, objects)) = lists.next().await {
            match objects {
                Ok(objects) if objects.is_empty() => {}
                Ok(objects) => found.push((kind, objects)),
                // A kind that has just been abolished, or one that only claims to be listable.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 405) => {}
                Err(error) => findings.failures.push(said(&error)),
            }
        }
        found
    }

    async fn list(&self, kind: &ApiResource) -> kube::Result<Vec<Meta>> {
        let api = self.api(kind);
        let mut params = ListParams::default().limit(PAGE);
        let mut objects = Vec::new();
        loop {
            let page = api.list(&params).await?;
            objects.extend(page.items);
            params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                return Ok(objects);
            }
        }
    }

    async fn is_still_there(&self) -> kube::Result<bool> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = namespaces.get_opt(&self.name).await?;
        Ok(namespace.is_some_and(|namespace| namespace.uid() == self.uid && is_terminating(&namespace)))
    }

    async fn delete_objects(&self, found: &[(&ApiResource, Vec<Meta>)], findings: &mut Findings) {
        let objects = found.iter().flat_map(|(kind, objects)| objects.iter().map(|object| (*kind, object)));
        let due = objects.filter(|(_, object)| object.metadata.deletion_timestamp.is_none());
        let deletions: Vec<_> = due.map(|(kind, object)| self.delete_object(kind, object)).collect();
        let mut deletions = stream::iter(deletions).buffer_unordered(CONCURRENCY);
        while let Some(deleted) = deletions.next().await {
            match deleted {
                Ok(()) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
                Err(error) => findings.failures.push(said(&error)),
            }
        }
    }

    async fn delete_object(&self, kind: &ApiResource, object: &Meta) -> kube::Result<()> {
        let params = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        self.api(kind).delete(&object.name_any(), &params).await.map(|_| ())
    }

    fn api(&self, kind: &ApiResource) -> Api<Meta> {
        Api::namespaced_with(self.client.clone(), &self.name, kind)
    }
}
