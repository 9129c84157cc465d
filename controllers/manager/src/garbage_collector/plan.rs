//! What to do about one object: pure.
//!
//! In: the object as the API has it now, and what became of each of its owners. Out: [`Step`]s. Every step is
//! carried out only if the object is still the one that was judged (`act.rs`).
//!
//! Deliberately absent: the end of a deletion in the foreground, which is the graph's to tell (`Graph::blocking`).
//!
//! Source: `pkg/controller/garbagecollector/garbagecollector.go` of Kubernetes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::{
    graph::Sight,
    identity::{FOREGROUND, ORPHAN, Standing, Uid},
};

/// An object as the API has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Live {
    pub(super) uid: Uid,
    pub(super) resource_version: String,
    pub(super) owners: Vec<OwnerReference>,
    pub(super) finalizers: Vec<String>,
    pub(super) standing: Standing,
}

impl Live {
    fn has_finalizer(&self, wanted: &str) -> bool {
        self.finalizers.iter().any(|finalizer| finalizer == wanted)
    }
}

/// What became of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is there.
    Solid,
    /// It is being deleted, and waits until its dependents are gone.
    AwaitingDependents,
    /// It is not there.
    Dangling,
    /// It is not there, and was deleted so that its dependents stay.
    LetGo,
    /// It lies in a namespace and its dependent in none, so that nobody can say which one is meant. The dependent
    /// is left in peace.
    Impossible,
}

/// What the graph knows of an object's dependents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dependents {
    None,
    Some,
    /// At least one of them waits for dependents of its own. As an owner of this object waits too, the two may wait
    /// for each other in a circle.
    SomeAwaiting,
}

/// What happens to the dependents of an object that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// To leave the object these owners only.
    SetOwners(Vec<OwnerReference>),
    /// To delete the object.
    Delete(Propagation),
}

/// What an object asks for by how it is known, before anybody looks at its owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Nothing: it is on its way out.
    None,
    /// Whether it is there at all.
    Existence,
    /// Whether its owners are there.
    Owners,
    /// Whether its dependents are gone.
    Dependents,
}

/// What is to be found out about an object.
pub(super) fn interest(sight: Sight) -> Interest {
    match sight {
        Sight::Assumed => Interest::Existence,
        Sight::Observed(Standing::Living) => Interest::Owners,
        Sight::Observed(Standing::AwaitingDependents) => Interest::Dependents,
        Sight::Observed(Standing::Leaving | Standing::Orphaning) => Interest::None,
    }
}

/// Decides about an object, given the fate of each of its owners, in their order.
pub(super) fn plan(live: &Live, fates: &[Fate], dependents: Dependents) -> Vec<Step> {
    let is = |wanted: Fate| fates.contains(&wanted);
    let keep = |wanted: &[Fate]| -> Vec<OwnerReference> {
        let judged = live.owners.iter().zip(fates);
        judged.filter(|(_, fate)| wanted.contains(fate)).map(|(owner, _)| owner.clone()).collect()
    };
    if live.owners.is_empty() {
        return Vec::new();
    }
    if is(Fate::Solid) || is(Fate::LetGo) || is(Fate::Impossible) {
        let kept = keep(&[Fate::Solid, Fate::Impossible]);
        return if kept.len() == live.owners.len() { Vec::new() } else { vec![Step::SetOwners(kept)] };
    }
    if is(Fate::AwaitingDependents) {
        return match dependents {
            Dependents::None => vec![Step::Delete(own_propagation(live))],
            Dependents::Some => vec![Step::Delete(Propagation::Foreground)],
            Dependents::SomeAwaiting => {
                let mut steps = unblock(&live.owners);
                steps.push(Step::Delete(Propagation::Foreground));
                steps
            }
        };
    }
    vec![Step::Delete(own_propagation(live))]
}

/// The owners that a dependent keeps when one of them lets it go; `None` when nothing changes.
pub(super) fn without_owner(live: &Live, owner: &Uid) -> Option<Vec<OwnerReference>> {
    let kept: Vec<_> = live.owners.iter().filter(|it| it.uid != owner.as_str()).cloned().collect();
    (kept.len() != live.owners.len()).then_some(kept)
}

/// The finalizers that remain without this one; `None` when nothing changes.
pub(super) fn without_finalizer(live: &Live, finalizer: &str) -> Option<Vec<String>> {
    let kept: Vec<_> = live.finalizers.iter().filter(|it| *it != finalizer).cloned().collect();
    (kept.len() != live.finalizers.len()).then_some(kept)
}

/// Lets no owner wait for this object any more.
fn unblock(owners: &[OwnerReference]) -> Vec<Step> {
    if owners.iter().all(|owner| owner.block_owner_deletion != Some(true)) {
        return Vec::new();
    }
    let unblocked =
        owners.iter().map(|owner| OwnerReference { block_owner_deletion: Some(false), ..owner.clone() });
    vec![Step::SetOwners(unblocked.collect())]
}

/// What the object's own finalizers wish for its dependents.
fn own_propagation(live: &Live) -> Propagation {
    match () {
        () if live.has_finalizer(ORPHAN) => Propagation::Orphan,
        () if live.has_finalizer(FOREGROUND) => Propagation::Foreground,
        () => Propagation::Background,
    }
}

#[cfg(test)]
mod tests;
