//! A naive API with three kinds, two of them in namespaces, and slow informers.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard},
};

use tokio::time::timeout;

use super::*;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// A user creates an object that names these objects as its owners, whether or not they still exist.
    Create { kind: usize, space: usize, owners: Vec<(usize, bool)> },
    /// A user deletes one.
    Delete { object: usize, propagation: Propagation },
    /// A user changes whom an object names as its owners.
    SetOwners { object: usize, owners: Vec<(usize, bool)> },
    /// The informer of a kind shows the next of its changes.
    Show { kind: usize },
    /// The collector tries the next thing; what comes next in the history happens between its requests.
    Attempt,
}

/// An object as the API stores it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) at: Coordinates,
    pub(super) owners: Vec<OwnerReference>,
    finalizers: Vec<String>,
    is_leaving: bool,
    version: u64,
}

impl Stored {
    fn standing(&self) -> Standing {
        let has = |wanted: &str| self.finalizers.iter().any(|it| it == wanted);
        match () {
            () if !self.is_leaving => Standing::Living,
            () if has(ORPHAN) => Standing::Orphaning,
            () if has(FOREGROUND) => Standing::AwaitingDependents,
            () => Standing::Leaving,
        }
    }

    fn seen(&self) -> Seen {
        let owners = self.owners.iter().map(Owner::from).collect();
        Seen { at: self.at.clone(), owners, standing: self.standing() }
    }
}

/// What there is, and what went wrong.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) objects: BTreeMap<Uid, Stored>,
    /// All there ever were, in the order of their creation.
    born: Vec<Coordinates>,
    /// Changes that informers have yet to show, by kind.
    unseen: [VecDeque<Result<Seen, Uid>>; 3],
    /// What users do between two requests of the collector.
    meanwhile: VecDeque<Act>,
    version: u64,
    /// Objects that the collector deleted although an owner was there, or somebody had deleted them already.
    pub(super) wronged: Vec<String>,
}

/// An owner of this number or a higher one is object 0, 1, … by a wrong name.
pub(super) const MISSPELT: usize = 8;

const KINDS: [&str; 3] = ["Alpha", "Beta", "Clusterwide"];

fn kind_of(at: &Coordinates) -> usize {
    KINDS.iter().position(|kind| *kind == at.kind).unwrap()
}

impl World {
    fn owners(&self, owners: &[(usize, bool)]) -> Vec<OwnerReference> {
        let named = owners.iter().filter_map(|(n, blocks)| Some((n, self.born.get(n % MISSPELT)?, *blocks)));
        let reference = |(n, at, blocks): (&usize, &Coordinates, bool)| OwnerReference {
            api_version: at.api_version.clone(),
            kind: at.kind.clone(),
            name: if *n < MISSPELT { at.name.clone() } else { "misspelt".to_owned() },
            uid: at.uid.to_string(),
            block_owner_deletion: Some(blocks),
            controller: None,
        };
        let mut references: Vec<_> = named.map(reference).collect();
        references.dedup_by(|a, b| a.uid == b.uid);
        references
    }

    fn user(&mut self, act: Act) {
        match act {
            Act::Create { kind, space, owners } => {
                let name = format!("o{}", self.born.len());
                let at = Coordinates {
                    api_version: "v1".into(),
                    kind: KINDS[kind].into(),
                    namespace: if kind == 2 { String::new() } else { format!("n{}", space.min(1)) },
                    uid: Uid::from(format!("{:04}", self.born.len()).as_str()),
                    name,
                };
                let owners = self.owners(&owners);
                self.born.push(at.clone());
                let uid = at.uid.clone();
                let stored = Stored { at, owners, finalizers: Vec::new(), is_leaving: false, version: 0 };
                self.objects.insert(uid.clone(), stored);
                self.written(&uid);
            }
            Act::Delete { object, propagation } => {
                let Some(at) = self.born.get(object).cloned() else { return };
                if self.objects.get(&at.uid).is_some_and(|stored| !stored.is_leaving) {
                    self.delete(&at.uid, propagation);
                }
            }
            Act::SetOwners { object, owners } => {
                let Some(at) = self.born.get(object).cloned() else { return };
                let owners = self.owners(&owners);
                if let Some(stored) = self.objects.get_mut(&at.uid) {
                    stored.owners = owners;
                    self.written(&at.uid);
                }
            }
            Act::Show { .. } | Act::Attempt => unreachable!("not a user's"),
        }
    }

    fn delete(&mut self, uid: &Uid, propagation: Propagation) {
        let Some(stored) = self.objects.get_mut(uid) else { return };
        stored.is_leaving = true;
        stored.finalizers = match propagation {
            Propagation::Background => Vec::new(),
            Propagation::Foreground => vec![FOREGROUND.to_owned()],
            Propagation::Orphan => vec![ORPHAN.to_owned()],
        };
        self.written(uid);
    }

    /// Gives the object a new version, or lets it go if it waited for this change.
    fn written(&mut self, uid: &Uid) {
        self.version += 1;
        let Some(stored) = self.objects.get_mut(uid) else { return };
        stored.version = self.version;
        let kind = kind_of(&stored.at);
        if stored.is_leaving && stored.finalizers.is_empty() {
            self.objects.remove(uid);
            self.unseen[kind].push_back(Err(uid.clone()));
        } else {
            let seen = stored.seen();
            self.unseen[kind].push_back(Ok(seen));
        }
    }

    /// The object that a reference means, if it is there.
    fn owner(&self, reference: &OwnerReference, namespace: &str) -> Option<&Stored> {
        let owner = Owner::from(reference);
        let stored = self.objects.get(&owner.uid)?;
        let is_reachable = stored.at.namespace.is_empty() || stored.at.namespace == namespace;
        (is_reachable && owner.names(&stored.at)).then_some(stored)
    }

    fn name(stored: &Stored) -> String {
        format!("{} {:?} {:?}", stored.at, stored.owners, stored.finalizers)
    }

    /// Objects that name an owner that is not there.
    pub(super) fn dangling(&self) -> Vec<String> {
        let dangles = |stored: &&Stored| {
            stored.owners.iter().any(|owner| {
                let is_impossible = stored.at.namespace.is_empty() && owner.kind != KINDS[2];
                !is_impossible && self.owner(owner, &stored.at.namespace).is_none()
            })
        };
        self.objects.values().filter(dangles).map(Self::name).collect()
    }

    /// Objects whose deletion has not ended, although nobody is left to wait for.
    pub(super) fn stuck(&self) -> Vec<String> {
        self.objects.values().filter(|stored| stored.is_leaving).map(Self::name).collect()
    }
}

#[derive(Default)]
pub(super) struct Model(Mutex<World>);

impl Model {
    pub(super) fn world(&self) -> World {
        self.0.lock().unwrap().clone()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// The world as a request finds it: after whatever users did meanwhile.
    fn request(&self) -> MutexGuard<'_, World> {
        let mut world = self.lock();
        if let Some(act) = world.meanwhile.pop_front() {
            world.user(act);
        }
        world
    }

    /// Lets a history happen. What users do right after an attempt happens in its midst.
    pub(super) async fn play(&self, collector: &Collector<Self>, history: &[Act]) {
        let mut history = history.iter().cloned().peekable();
        while let Some(act) = history.next() {
            match act {
                Act::Show { kind } => drop(self.show(collector, kind)),
                Act::Attempt => {
                    while let Some(act) = history.next_if(|it| !matches!(it, Act::Show { .. } | Act::Attempt))
                    {
                        self.lock().meanwhile.push_back(act);
                    }
                    self.attempt(collector).await;
                    while !self.lock().meanwhile.is_empty() {
                        drop(self.request());
                    }
                }
                act => self.lock().user(act),
            }
        }
    }

    /// Shows everything and tries everything until nothing happens any more.
    pub(super) async fn settle(&self, collector: &Collector<Self>) {
        for _ in 0..10_000 {
            (0..3).for_each(|kind| self.show_all(collector, kind));
            if !self.attempt(collector).await && self.lock().unseen.iter().all(VecDeque::is_empty) {
                return;
            }
        }
        panic!("the collector never comes to rest");
    }

    fn show(&self, collector: &Collector<Self>, kind: usize) -> bool {
        let change = self.lock().unseen[kind].pop_front();
        match change {
            Some(Ok(seen)) => collector.observe(&seen),
            Some(Err(uid)) => collector.gone(&uid),
            None => return false,
        }
        true
    }

    fn show_all(&self, collector: &Collector<Self>, kind: usize) {
        while self.show(collector, kind) {}
    }

    async fn attempt(&self, collector: &Collector<Self>) -> bool {
        let queue = collector.queue();
        let Ok(attempt) = timeout(Duration::from_secs(3600), queue.next()).await else { return false };
        match collector.reconcile(&attempt).await {
            Ok(Next::Done) => queue.forget(&attempt),
            Ok(Next::After(delay)) => queue.add_after(attempt.clone(), delay),
            Err(_) => queue.add_rate_limited(attempt.clone()),
        }
        queue.done(&attempt);
        true
    }
}

fn conflict() -> RequestError {
    RequestError::Conflict(kube::Error::LinesCodecMaxLineLengthExceeded)
}

impl Objects for Model {
    fn kind(&self, _api_version: &str, kind: &str) -> Option<Kind> {
        Some(Kind { is_namespaced: kind != KINDS[2], is_watched: true })
    }

    async fn get(&self, at: &Coordinates) -> Result<Option<Live>, RequestError> {
        let world = self.request();
        let place =
            |it: &Stored| (&it.at.kind, &it.at.namespace, &it.at.name) == (&at.kind, &at.namespace, &at.name);
        Ok(world.objects.values().find(|it| place(it)).map(|stored| Live {
            uid: stored.at.uid.clone(),
            resource_version: stored.version.to_string(),
            owners: stored.owners.clone(),
            finalizers: stored.finalizers.clone(),
            standing: stored.standing(),
        }))
    }

    async fn set_owners(
        &self,
        at: &Coordinates,
        resource_version: &str,
        owners: &[OwnerReference],
    ) -> Result<Written, RequestError> {
        let mut world = self.request();
        let Some(stored) = world.objects.get_mut(&at.uid) else { return Ok(Written::Gone) };
        if stored.version.to_string() != resource_version {
            return Err(conflict());
        }
        stored.owners = owners.to_vec();
        world.written(&at.uid);
        Ok(Written::As(world.version.to_string()))
    }

    async fn set_finalizers(
        &self,
        at: &Coordinates,
        resource_version: &str,
        finalizers: &[String],
    ) -> Result<Written, RequestError> {
        let mut world = self.request();
        let Some(stored) = world.objects.get_mut(&at.uid) else { return Ok(Written::Gone) };
        if stored.version.to_string() != resource_version {
            return Err(conflict());
        }
        stored.finalizers = finalizers.to_vec();
        world.written(&at.uid);
        Ok(Written::As(world.version.to_string()))
    }

    async fn delete(
        &self,
        at: &Coordinates,
        resource_version: &str,
        propagation: Propagation,
    ) -> Result<(), RequestError> {
        let mut world = self.request();
        let Some(stored) = world.objects.get(&at.uid).cloned() else { return Ok(()) };
        if stored.version.to_string() != resource_version {
            return Err(conflict());
        }
        let keeps = |reference: &OwnerReference| {
            let is_impossible = stored.at.namespace.is_empty() && reference.kind != KINDS[2];
            let owner = world.owner(reference, &stored.at.namespace);
            is_impossible || owner.is_some_and(|owner| owner.standing() != Standing::AwaitingDependents)
        };
        if stored.is_leaving || stored.owners.is_empty() || stored.owners.iter().any(keeps) {
            let wronged = World::name(&stored);
            world.wronged.push(wronged);
        }
        world.delete(&at.uid, propagation);
        Ok(())
    }
}
