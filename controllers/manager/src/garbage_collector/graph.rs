//! The graph of who owns whom: pure.
//!
//! In: what informers saw of objects ([`Graph::observe`], [`Graph::gone`]), and what the API said of owners that no
//! informer has shown ([`Graph::absent`]). Out: what is worth an attempt ([`Todo`]).
//!
//! An owner that dependents name but no informer has shown is a node too, an assumed one. What is assumed is asked
//! for at the API before anything follows from it; the graph itself never says that an object may be deleted.
//!
//! Deliberately absent: requests, the decision about an object (`plan.rs`), time.
//!
//! Source: `pkg/controller/garbagecollector/{graph,graph_builder}.go` of Kubernetes.

use std::collections::{BTreeSet, HashMap};

use super::{
    identity::{Coordinates, Owner, Seen, Standing, Uid},
    memory::Memory,
};

/// How many absent owners are remembered, upstream's number.
const ABSENT_OWNERS: usize = 500;

/// How many owners are remembered that have let their dependents go.
const ORPHANING_OWNERS: usize = 500;

/// What a change made worth doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// To look whether the object is to be deleted, or its deletion to be finished.
    Delete(Uid),
    /// To look whether an assumed object is there.
    Verify(Uid),
    /// The same, after a while.
    VerifyLater(Uid),
    /// To let the dependents of the object go.
    Orphan(Uid),
    /// To tell that the dependent names an owner in a namespace that is not the owner's.
    Report(Box<Misplaced>),
}

/// A dependent that looks for its owner in the wrong namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Misplaced {
    pub(super) dependent: Coordinates,
    pub(super) owner: Coordinates,
}

/// How an object is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Dependents name it.
    Assumed,
    /// An informer shows it.
    Observed(Standing),
}

#[derive(Debug)]
struct Node {
    /// Of an assumed node: as one of its dependents names it.
    at: Coordinates,
    owners: Vec<Owner>,
    dependents: BTreeSet<Uid>,
    sight: Sight,
}

impl Node {
    fn assumed(at: Coordinates) -> Self {
        Self { at, owners: Vec::new(), dependents: BTreeSet::new(), sight: Sight::Assumed }
    }

    /// Whether the object is known to be just so. Most changes concern nothing that the graph knows of.
    fn shows(&self, seen: &Seen) -> bool {
        self.sight == Sight::Observed(seen.standing) && self.at == seen.at && self.owners == seen.owners
    }

    fn awaits_dependents(&self) -> bool {
        self.sight == Sight::Observed(Standing::AwaitingDependents)
    }

    fn is_blocking(&self, owner: &Uid) -> bool {
        self.owners.iter().any(|it| it.uid == *owner && it.blocks)
    }
}

/// An object for which another one waits before it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blocking {
    pub(super) dependent: Uid,
    /// Whether it waits for dependents of its own, and needs no attempt.
    pub(super) awaits_dependents: bool,
}

/// All objects that informers show, and all owners that these name.
#[derive(Debug)]
pub(super) struct Graph {
    nodes: HashMap<Uid, Node>,
    absent: Memory<Coordinates>,
    orphaned: Memory<Uid>,
}

impl Graph {
    pub(super) fn new() -> Self {
        Self {
            nodes: HashMap::new(),
            absent: Memory::new(ABSENT_OWNERS),
            orphaned: Memory::new(ORPHANING_OWNERS),
        }
    }

    /// Where an object is and how it is known; `None` when nobody speaks of it any more.
    pub(super) fn find(&self, uid: &Uid) -> Option<(&Coordinates, Sight)> {
        self.nodes.get(uid).map(|node| (&node.at, node.sight))
    }

    /// Those who name this owner.
    pub(super) fn dependents(&self, uid: &Uid) -> Vec<Coordinates> {
        self.dependents_of(uid).map(|node| node.at.clone()).collect()
    }

    /// Whether a dependent of this object waits for dependents of its own: a sign of a circle.
    pub(super) fn has_awaiting_dependent(&self, uid: &Uid) -> bool {
        self.dependents_of(uid).any(Node::awaits_dependents)
    }

    /// Those who keep this object from going. Whoever looks for it in another namespace is none of its dependents, and
    /// of those who wait for each other in a circle nobody keeps anybody.
    pub(super) fn blocking(&self, uid: &Uid) -> Vec<Blocking> {
        let namespace = self.nodes.get(uid).map_or("", |node| &node.at.namespace);
        self.dependents_of(uid)
            .filter(|node| namespace.is_empty() || node.at.namespace == namespace)
            .filter(|node| node.is_blocking(uid) && !self.awaits(&node.at.uid, uid))
            .map(|node| Blocking {
                dependent: node.at.uid.clone(),
                awaits_dependents: node.awaits_dependents(),
            })
            .collect()
    }

    /// Whether an owner is known to exist no more, or never to have existed where its dependent looks for it.
    pub(super) fn is_absent(&self, owner: &Coordinates) -> bool {
        self.absent.has(owner) || self.absent.has(&owner.without_namespace())
    }

    /// Notes that an owner is not where its dependent looks for it.
    pub(super) fn note_absent(&mut self, owner: Coordinates) {
        self.absent.add(owner);
    }

    /// Whether this owner was deleted so that its dependents stay.
    pub(super) fn is_orphaned(&self, owner: &Uid) -> bool {
        self.orphaned.has(owner)
    }

    /// Notes that dependents of this owner stay, also those that no informer has shown yet.
    pub(super) fn note_orphaned(&mut self, owner: Uid) {
        self.orphaned.add(owner);
    }

    /// Takes in an object as it is now.
    pub(super) fn observe(&mut self, seen: &Seen) -> Vec<Todo> {
        if self.nodes.get(&seen.at.uid).is_some_and(|node| node.shows(seen)) {
            return Vec::new();
        }
        let uid = seen.at.uid.clone();
        let mut todo = Vec::new();
        let node = self.nodes.entry(uid.clone()).or_insert_with(|| Node::assumed(seen.at.clone()));
        let before = std::mem::replace(&mut node.sight, Sight::Observed(seen.standing));
        let assumed_at = std::mem::replace(&mut node.at, seen.at.clone());
        let owners_before = std::mem::replace(&mut node.owners, seen.owners.clone());
        if before == Sight::Assumed && assumed_at != seen.at {
            self.doubt_dependents(&seen.at, &mut todo);
        }
        if owners_before != seen.owners {
            self.unlink(&uid, &owners_before, &seen.owners, &mut todo);
            let new: Vec<_> = seen.owners.iter().filter(|it| !owners_before.contains(it)).cloned().collect();
            self.link(&seen.at, &new, &mut todo);
        }
        if before != Sight::Observed(seen.standing) {
            self.enter(&uid, seen.standing, &mut todo);
        }
        todo
    }

    /// Takes in that an informer saw the object go.
    pub(super) fn gone(&mut self, uid: &Uid) -> Vec<Todo> {
        match self.nodes.get(uid) {
            Some(node) => {
                let at = node.at.clone();
                self.remove(&at)
            }
            None => Vec::new(),
        }
    }

    /// Takes in that the API has no such object at this place.
    pub(super) fn absent(&mut self, at: &Coordinates) -> Vec<Todo> {
        let Some(node) = self.nodes.get(&at.uid) else { return Vec::new() };
        let (matching, others) = self.partition(at);
        let is_meant = at.covers(&node.at);
        match node.sight {
            Sight::Assumed if others.is_empty() => self.remove(at),
            // Some name it otherwise: what they name has yet to be looked for.
            Sight::Assumed => {
                let mut todo = self.attempt_dependents_of_absent(at, matching);
                if is_meant {
                    todo.extend(self.assume_elsewhere(at, |place| at.covers(place)));
                }
                todo
            }
            Sight::Observed(_) if is_meant => self.remove(at),
            // An informer shows it elsewhere, and is right.
            Sight::Observed(_) => self.attempt_dependents_of_absent(at, matching),
        }
    }

    /// Takes in that an owner in a namespace cannot be where a dependent among the objects of the cluster looks for it.
    pub(super) fn impossible(&mut self, at: &Coordinates) -> Vec<Todo> {
        let is_assumed = self.find(&at.uid) == Some((at, Sight::Assumed));
        let other = is_assumed.then(|| self.assume_elsewhere(at, |place| place.namespace.is_empty()));
        other.flatten().into_iter().collect()
    }

    /// Takes in that no informer shows this kind any more: its objects are assumptions from now on.
    pub(super) fn lose_sight(&mut self, api_version: &str, kind: &str) -> Vec<Todo> {
        let lost: Vec<Uid> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.at.api_version == api_version && node.at.kind == kind)
            .map(|(uid, _)| uid.clone())
            .collect();
        let mut todo = Vec::new();
        for uid in lost {
            let Some(node) = self.nodes.get_mut(&uid) else { continue };
            node.sight = Sight::Assumed;
            let owners = std::mem::take(&mut node.owners);
            self.unlink(&uid, &owners, &[], &mut todo);
            if !self.forget_if_unnamed(&uid) {
                todo.push(Todo::VerifyLater(uid));
            }
        }
        todo
    }

    fn dependents_of(&self, uid: &Uid) -> impl Iterator<Item = &Node> {
        let dependents = self.nodes.get(uid).into_iter().flat_map(|node| &node.dependents);
        dependents.filter_map(|uid| self.nodes.get(uid))
    }

    /// Whether the one waits for the other to go, directly or through others that wait.
    fn awaits(&self, one: &Uid, other: &Uid) -> bool {
        let mut seen = BTreeSet::from([one]);
        let mut open = vec![one];
        while let Some(uid) = open.pop() {
            if !self.nodes.get(uid).is_some_and(Node::awaits_dependents) {
                continue;
            }
            if uid == other {
                return true;
            }
            let blocking = self.dependents_of(uid).filter(|node| node.is_blocking(uid));
            open.extend(blocking.map(|node| &node.at.uid).filter(|uid| seen.insert(uid)));
        }
        false
    }

    /// Makes the object a dependent of these owners; those that are not known are assumed, and asked for.
    fn link(&mut self, dependent: &Coordinates, owners: &[Owner], todo: &mut Vec<Todo>) {
        let mut is_doubtful = false;
        for owner in owners {
            let claimed = owner.seen_from(&dependent.namespace);
            match self.nodes.get_mut(&owner.uid) {
                Some(node) => {
                    node.dependents.insert(dependent.uid.clone());
                    match Claim::of(dependent, owner, node) {
                        Claim::Plausible => {}
                        Claim::Doubtful => is_doubtful = true,
                        Claim::OtherNamespace => {
                            is_doubtful = true;
                            let misplaced = Misplaced { dependent: dependent.clone(), owner: claimed };
                            todo.push(Todo::Report(Box::new(misplaced)));
                        }
                    }
                }
                None => {
                    let mut node = Node::assumed(claimed);
                    node.dependents.insert(dependent.uid.clone());
                    self.nodes.insert(owner.uid.clone(), node);
                    todo.push(Todo::Verify(owner.uid.clone()));
                }
            }
        }
        if is_doubtful {
            todo.push(Todo::Delete(dependent.uid.clone()));
        }
    }

    /// Takes the object from owners that it names no longer, and wakes those for whom it is in the way no longer.
    fn unlink(&mut self, dependent: &Uid, before: &[Owner], now: &[Owner], todo: &mut Vec<Todo>) {
        for owner in before {
            let still_blocks = now.iter().any(|it| it.uid == owner.uid && it.blocks);
            if owner.blocks
                && !still_blocks
                && self.nodes.get(&owner.uid).is_some_and(Node::awaits_dependents)
            {
                todo.push(Todo::Delete(owner.uid.clone()));
            }
            if now.iter().any(|it| it.uid == owner.uid) {
                continue;
            }
            if let Some(node) = self.nodes.get_mut(&owner.uid) {
                node.dependents.remove(dependent);
            }
            self.forget_if_unnamed(&owner.uid);
        }
    }

    /// Drops an assumption that nobody makes any more.
    fn forget_if_unnamed(&mut self, uid: &Uid) -> bool {
        let unnamed =
            self.nodes.get(uid).is_some_and(|it| it.sight == Sight::Assumed && it.dependents.is_empty());
        if unnamed {
            self.nodes.remove(uid);
        }
        unnamed
    }

    /// What begins when an object comes to stand so.
    fn enter(&self, uid: &Uid, standing: Standing, todo: &mut Vec<Todo>) {
        match standing {
            Standing::Living | Standing::Leaving => {}
            Standing::Orphaning => todo.push(Todo::Orphan(uid.clone())),
            Standing::AwaitingDependents => {
                todo.extend(self.dependents_of(uid).map(|it| Todo::Delete(it.at.uid.clone())));
                todo.push(Todo::Delete(uid.clone()));
            }
        }
    }

    /// An owner has been seen at a place other than assumed: whoever names it otherwise may have no owner.
    fn doubt_dependents(&self, owner: &Coordinates, todo: &mut Vec<Todo>) {
        for uid in self.partition(owner).1 {
            let Some(dependent) = self.nodes.get(&uid) else { continue };
            if !owner.namespace.is_empty() && dependent.at.namespace != owner.namespace {
                let named = dependent.owners.iter().find(|it| it.uid == owner.uid);
                todo.extend(named.map(|named| {
                    let owner = named.seen_from(&dependent.at.namespace);
                    Todo::Report(Box::new(Misplaced { dependent: dependent.at.clone(), owner }))
                }));
            }
            todo.push(Todo::Delete(uid));
        }
    }

    /// The dependents of an owner: those who name it at this place, and those who name it otherwise. One that names
    /// it twice can be among both.
    fn partition(&self, owner: &Coordinates) -> (Vec<Uid>, Vec<Uid>) {
        let (mut matching, mut others) = (Vec::new(), Vec::new());
        for dependent in self.dependents_of(&owner.uid) {
            let is_elsewhere = !owner.namespace.is_empty() && owner.namespace != dependent.at.namespace;
            let mut named = dependent.owners.iter().filter(|it| it.uid == owner.uid);
            if !is_elsewhere && named.clone().any(|it| it.names(owner)) {
                matching.push(dependent.at.uid.clone());
            }
            if is_elsewhere || named.any(|it| !it.names(owner)) {
                others.push(dependent.at.uid.clone());
            }
        }
        (matching, others)
    }

    fn attempt_dependents_of_absent(&mut self, at: &Coordinates, dependents: Vec<Uid>) -> Vec<Todo> {
        if !dependents.is_empty() {
            self.absent.add(at.clone());
        }
        dependents.into_iter().map(Todo::Delete).collect()
    }

    /// Assumes the owner at another of the places where dependents look for it: the next one in order, or else the
    /// first, so that all get their turn.
    fn assume_elsewhere(
        &mut self,
        at: &Coordinates,
        is_ruled_out: impl Fn(&Coordinates) -> bool,
    ) -> Option<Todo> {
        let named: BTreeSet<Coordinates> = self
            .dependents_of(&at.uid)
            .flat_map(|node| node.owners.iter().map(|owner| owner.seen_from(&node.at.namespace)))
            .filter(|place| place.uid == at.uid && !is_ruled_out(place))
            .collect();
        let other = named.range(at..).next().or_else(|| named.first())?.clone();
        self.nodes.get_mut(&at.uid)?.at = other;
        Some(Todo::VerifyLater(at.uid.clone()))
    }

    /// Removes an object that is not there any more.
    fn remove(&mut self, at: &Coordinates) -> Vec<Todo> {
        let Some(node) = self.nodes.remove(&at.uid) else { return Vec::new() };
        let dependents = node.dependents.into_iter().filter(|uid| self.nodes.contains_key(uid)).collect();
        let mut todo = self.attempt_dependents_of_absent(at, dependents);
        self.unlink(&at.uid, &node.owners, &[], &mut todo);
        todo
    }
}

/// What the graph makes of the place at which a dependent names a known owner.
enum Claim {
    Plausible,
    /// It may name nothing.
    Doubtful,
    /// The owner has been seen in another namespace.
    OtherNamespace,
}

impl Claim {
    fn of(dependent: &Coordinates, owner: &Owner, node: &Node) -> Self {
        let same_namespace = node.at.namespace == dependent.namespace;
        match node.sight {
            Sight::Observed(_) if !node.at.namespace.is_empty() && !same_namespace => Self::OtherNamespace,
            Sight::Observed(_) if owner.names(&node.at) => Self::Plausible,
            // Not seen yet, so it may lie where either of the two looks for it.
            Sight::Assumed if owner.names(&node.at) && same_namespace => Self::Plausible,
            Sight::Observed(_) | Sight::Assumed => Self::Doubtful,
        }
    }
}

#[cfg(test)]
mod tests;
