//! Distribution of endpoints over slices with as few writes as possible: pure.
//!
//! In: the endpoints wanted, in groups that cannot share a slice, and the slices there are. Out: slices to create, to
//! update and to delete. Every slice that is not written costs nothing on each node that watches, so endpoints stay
//! where they are, new ones go first into slices that are written anyway, then into one slice with room for all of
//! them, then into new slices. Deliberately absent: moving endpoints together when slices have become sparse; that
//! would save slices and cost writes.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;

use crate::backends::{Family, TRIGGER_TIME_ANNOTATION};

/// What all endpoints of a slice have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    address_type: String,
    ports: Vec<Port>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    name: String,
    number: Option<i32>,
    protocol: String,
    application: Option<String>,
}

impl Group {
    /// Of endpoints with addresses of this family and these ports.
    pub(crate) fn new(family: Family, ports: &[EndpointPort]) -> Self {
        Self::with(family.name(), ports)
    }

    /// Whether its addresses are of this family.
    pub(crate) fn is_of(&self, family: Family) -> bool {
        self.address_type == family.name()
    }

    fn of(slice: &EndpointSlice) -> Self {
        Self::with(&slice.address_type, slice.ports.as_deref().unwrap_or_default())
    }

    fn with(address_type: &str, ports: &[EndpointPort]) -> Self {
        let mut ports: Vec<Port> = ports.iter().map(Port::of).collect();
        ports.sort();
        Self { address_type: address_type.to_owned(), ports }
    }
}

impl Port {
    fn of(port: &EndpointPort) -> Self {
        Self {
            name: port.name.clone().unwrap_or_default(),
            number: port.port,
            protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
            application: port.app_protocol.clone(),
        }
    }

    fn build(&self) -> EndpointPort {
        EndpointPort {
            name: Some(self.name.clone()),
            port: self.number,
            protocol: Some(self.protocol.clone()),
            app_protocol: self.application.clone(),
        }
    }
}

/// The endpoints wanted. A group without endpoints asks for one empty slice: a Service has one even if nobody is
/// behind it, so that watchers can tell *nobody* from *not yet known*.
pub(crate) type Wanted = BTreeMap<Group, Vec<Endpoint>>;

/// What slices of one owner have in common.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) namespace: String,
    /// The name of the owner; slices are named after it.
    pub(crate) name: String,
    pub(crate) owner: OwnerReference,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: Annotations,
}

/// Which annotations slices have.
#[derive(Clone, Debug)]
pub(crate) enum Annotations {
    /// Those they have, with the time of the change that is being followed.
    Trigger(Option<Timestamp>),
    /// Exactly these.
    Exactly(BTreeMap<String, String>),
}

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// To be named by the server.
    pub(crate) create: Vec<EndpointSlice>,
    /// Each with the `resourceVersion` of what it replaces.
    pub(crate) update: Vec<EndpointSlice>,
    pub(crate) delete: Vec<Arc<EndpointSlice>>,
}

/// Decides. No slice gets more than `limit` endpoints. Slices of another owner, one that had the same name before, are
/// deleted.
pub(crate) fn pack(head: &Head, wanted: Wanted, existing: &[Arc<EndpointSlice>], limit: usize) -> Changes {
    let mut changes = Changes::default();
    let mut groups: BTreeMap<Group, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        if head.owns(slice) {
            groups.entry(Group::of(slice)).or_default().push(Arc::clone(slice));
        } else {
            changes.delete.push(Arc::clone(slice));
        }
    }
    let mut spare = Vec::new();
    for (group, endpoints) in wanted {
        let slices = groups.remove(&group).unwrap_or_default();
        let packed = Packing::new(head, slices, endpoints, limit).packed(limit);
        spare.extend(packed.spare);
        changes.update.extend(packed.update);
        changes.create.extend(packed.create.into_iter().map(|endpoints| head.slice(&group, endpoints)));
    }
    spare.extend(groups.into_values().flatten());
    head.reuse(&mut changes, spare);
    changes
}

/// The slices of one group while endpoints are distributed.
struct Packing<'a> {
    head: &'a Head,
    /// What is still to be placed.
    remaining: BTreeMap<Identity, Endpoint>,
    /// Slices that stay, those to be written first.
    written: Vec<Draft>,
    unchanged: Vec<Draft>,
    spare: Vec<Arc<EndpointSlice>>,
}

struct Draft {
    slice: Arc<EndpointSlice>,
    endpoints: Vec<Endpoint>,
}

struct Packed {
    create: Vec<Vec<Endpoint>>,
    update: Vec<EndpointSlice>,
    spare: Vec<Arc<EndpointSlice>>,
}

impl<'a> Packing<'a> {
    /// Leaves every endpoint that is wanted where it is.
    fn new(head: &'a Head, slices: Vec<Arc<EndpointSlice>>, wanted: Vec<Endpoint>, limit: usize) -> Self {
        let wants_empty = wanted.is_empty();
        let remaining = wanted.into_iter().map(|endpoint| (Identity::of(&endpoint), endpoint)).collect();
        let mut packing =
            Self { head, remaining, written: Vec::new(), unchanged: Vec::new(), spare: Vec::new() };
        for slice in slices {
            packing.keep(slice, limit, wants_empty);
        }
        if wants_empty && packing.written.is_empty() && packing.unchanged.is_empty() {
            packing.empty_one();
        }
        packing
    }

    fn keep(&mut self, slice: Arc<EndpointSlice>, limit: usize, wants_empty: bool) {
        let old = slice.endpoints.as_deref().unwrap_or_default();
        let mut endpoints = Vec::with_capacity(old.len());
        for endpoint in old.iter().take(limit) {
            endpoints.extend(self.remaining.remove(&Identity::of(endpoint)));
        }
        let is_unchanged = endpoints == old && self.head.is_on(&slice);
        let is_the_empty_one = wants_empty && is_unchanged && self.unchanged.is_empty();
        match (endpoints.is_empty(), is_unchanged) {
            (true, _) if !is_the_empty_one => self.spare.push(slice),
            (_, true) => self.unchanged.push(Draft { slice, endpoints }),
            (_, false) => self.written.push(Draft { slice, endpoints }),
        }
    }

    /// Makes one of the spare slices the empty one.
    fn empty_one(&mut self) {
        if let Some(slice) = self.spare.pop() {
            self.written.push(Draft { slice, endpoints: Vec::new() });
        }
    }

    fn packed(mut self, limit: usize) -> Packed {
        let has_slice = !self.written.is_empty() || !self.unchanged.is_empty();
        let mut create = Vec::new();
        if self.remaining.is_empty() && !has_slice {
            create.push(Vec::new());
        }
        // The fullest first: the others may become empty one day.
        self.written.sort_by_key(|draft| Reverse(draft.endpoints.len()));
        for draft in &mut self.written {
            fill(&mut draft.endpoints, &mut self.remaining, limit);
        }
        while !self.remaining.is_empty() {
            let mut endpoints = Vec::new();
            match self.fitting(limit) {
                Some(mut draft) => {
                    fill(&mut draft.endpoints, &mut self.remaining, limit);
                    self.written.push(draft);
                }
                None => {
                    fill(&mut endpoints, &mut self.remaining, limit);
                    create.push(endpoints);
                }
            }
        }
        let update = self.written.into_iter();
        let update = update.map(|draft| self.head.put_on(&draft.slice, None, draft.endpoints)).collect();
        Packed { create, update, spare: self.spare }
    }

    /// Of the unchanged slices with room for all that remain the fullest.
    fn fitting(&mut self, limit: usize) -> Option<Draft> {
        let count = self.remaining.len();
        let fits = |(_, draft): &(usize, &Draft)| draft.endpoints.len() + count <= limit;
        let all = self.unchanged.iter().enumerate().filter(fits);
        let (at, _) = all.max_by_key(|(at, draft)| (draft.endpoints.len(), Reverse(*at)))?;
        Some(self.unchanged.remove(at))
    }
}

fn fill(endpoints: &mut Vec<Endpoint>, remaining: &mut BTreeMap<Identity, Endpoint>, limit: usize) {
    while endpoints.len() < limit {
        let Some((_, endpoint)) = remaining.pop_first() else { return };
        endpoints.push(endpoint);
    }
}

/// What makes an endpoint the same one when its condition changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    addresses: Vec<String>,
    hostname: Option<String>,
    target: Option<[Option<String>; 4]>,
}

impl Identity {
    fn of(endpoint: &Endpoint) -> Self {
        let mut addresses = endpoint.addresses.clone();
        addresses.sort();
        let target = endpoint.target_ref.clone();
        let target = target.map(|target| [target.kind, target.namespace, target.name, target.uid]);
        Self { addresses, hostname: endpoint.hostname.clone(), target }
    }
}

impl Head {
    fn owns(&self, slice: &EndpointSlice) -> bool {
        slice.metadata.owner_references.iter().flatten().any(|owner| {
            (&owner.api_version, &owner.kind, &owner.uid)
                == (&self.owner.api_version, &self.owner.kind, &self.owner.uid)
        })
    }

    /// Whether labels and annotations are as they should be.
    fn is_on(&self, slice: &EndpointSlice) -> bool {
        let none = BTreeMap::new();
        let has_annotations = match &self.annotations {
            // A time alone is no reason to write.
            Annotations::Trigger(_) => true,
            Annotations::Exactly(wanted) => slice.metadata.annotations.as_ref().unwrap_or(&none) == wanted,
        };
        has_annotations && slice.metadata.labels.as_ref().unwrap_or(&none) == &self.labels
    }

    fn slice(&self, group: &Group, endpoints: Vec<Endpoint>) -> EndpointSlice {
        let metadata = ObjectMeta {
            namespace: Some(self.namespace.clone()),
            generate_name: Some(self.prefix()),
            owner_references: Some(vec![self.owner.clone()]),
            ..ObjectMeta::default()
        };
        let bare = EndpointSlice {
            address_type: group.address_type.clone(),
            ports: Some(group.ports.iter().map(Port::build).collect()),
            metadata,
            ..EndpointSlice::default()
        };
        self.put_on(&bare, None, endpoints)
    }

    /// What the names of slices begin with.
    fn prefix(&self) -> String {
        const LONGEST: usize = 253;
        if self.name.len() < LONGEST { format!("{}-", self.name) } else { self.name.clone() }
    }

    /// The slice with these endpoints and, if given, these ports.
    fn put_on(
        &self,
        slice: &EndpointSlice,
        ports: Option<Vec<EndpointPort>>,
        endpoints: Vec<Endpoint>,
    ) -> EndpointSlice {
        let mut slice = slice.clone();
        slice.endpoints = Some(endpoints);
        slice.ports = ports.or(slice.ports);
        slice.metadata.labels = Some(self.labels.clone());
        match &self.annotations {
            Annotations::Exactly(wanted) => slice.metadata.annotations = Some(wanted.clone()),
            Annotations::Trigger(time) => {
                let annotations = slice.metadata.annotations.get_or_insert_default();
                match time {
                    Some(time) => {
                        drop(annotations.insert(TRIGGER_TIME_ANNOTATION.to_owned(), time.to_string()));
                    }
                    None => drop(annotations.remove(TRIGGER_TIME_ANNOTATION)),
                }
            }
        }
        slice
    }

    /// Turns creations into updates of spare slices; what is left of these is deleted.
    fn reuse(&self, changes: &mut Changes, mut spare: Vec<Arc<EndpointSlice>>) {
        for slice in std::mem::take(&mut changes.create) {
            // The type of addresses cannot change.
            match spare.iter().position(|old| old.address_type == slice.address_type) {
                None => changes.create.push(slice),
                Some(at) => {
                    let endpoints = slice.endpoints.unwrap_or_default();
                    changes.update.push(self.put_on(&spare.swap_remove(at), slice.ports, endpoints));
                }
            }
        }
        changes.delete.extend(spare);
    }
}

#[cfg(test)]
mod tests;
