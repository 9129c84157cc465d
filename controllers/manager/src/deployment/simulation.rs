//! Whole rollouts in a small world, step by step and in random order.
//!
//! The world has what the plan sees (a deployment, its sets with a status that may be old) and what it does not see
//! (pods, which come and go when the ReplicaSet controller gets to it, and become ready when they like, or never).
//! Checked is what a rolling update promises: enough pods available, not too many in all, and that it ends.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentStrategy, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use proptest::prelude::*;

use super::annotations::REVISION;
use super::bounds::{bounds, desired};
use super::draft::Step;
use super::plan::{Observed, Plan, plan};
use super::samples::{at, condition_line, deployment, recreate, rolling, set_status, template};

/// The one template whose pods never become ready.
const BROKEN: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pod {
    Unready,
    Ready,
    Terminating,
}

struct Set {
    observed: Arc<ReplicaSet>,
    pods: Vec<Pod>,
}

struct World {
    deployment: Deployment,
    sets: Vec<Set>,
    seconds: i64,
}

/// In short: what is wanted, and each set's template, wanted pods, pods, and status.
impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} pods, {:?}", self.desired(), bounds(&self.deployment))?;
        for set in &self.sets {
            let status = set.observed.status.as_ref();
            let told =
                status.map(|status| (status.replicas, status.available_replicas, status.observed_generation));
            let containers = set.observed.spec.template.iter().flat_map(|template| &template.spec);
            let image =
                containers.flat_map(|spec| &spec.containers).find_map(|container| container.image.clone());
            let generation = set.observed.metadata.generation;
            writeln!(f, "{image:?}@{generation:?} {} {:?} {told:?}", set.wanted(), set.pods)?;
        }
        Ok(())
    }
}

/// What may happen next. Numbers pick a set or a pod of those that there are.
#[derive(Clone, Debug)]
enum Event {
    /// The Deployment controller makes a plan and carries it out.
    Plan,
    /// The ReplicaSet controller creates and deletes the pods of a set, but its status is not written.
    Pods(usize),
    /// The ReplicaSet controller does so, and writes the status: what it saw before.
    Sync(usize),
    /// A pod becomes ready, or a terminating one is gone.
    Pod(usize, usize),
    /// The user writes another template.
    Template(u8),
    /// The user wants another number of pods.
    Scale(i32),
}

impl Set {
    fn count(&self, state: Pod) -> usize {
        self.pods.iter().filter(|pod| **pod == state).count()
    }

    fn living(&self) -> usize {
        self.pods.len() - self.count(Pod::Terminating)
    }

    fn wanted(&self) -> usize {
        usize::try_from(self.observed.spec.replicas.unwrap()).unwrap()
    }

    fn is_broken(&self) -> bool {
        self.observed.spec.template.as_ref().unwrap().spec == template(&image(BROKEN)).spec
    }

    /// As the ReplicaSet controller does it: pods that are not ready go first.
    fn settle_pods(&mut self) {
        while self.living() < self.wanted() {
            self.pods.push(Pod::Unready);
        }
        while self.living() > self.wanted() {
            let unready = self.pods.iter().position(|pod| *pod == Pod::Unready);
            let victim = unready.or_else(|| self.pods.iter().position(|pod| *pod == Pod::Ready)).unwrap();
            self.pods[victim] = Pod::Terminating;
        }
    }

    fn sync(&mut self) {
        let count = |count: usize| i32::try_from(count).unwrap();
        let mut status = set_status(count(self.living()), count(self.count(Pod::Ready)));
        status.observed_generation = self.observed.metadata.generation;
        Arc::make_mut(&mut self.observed).status = Some(status);
        self.settle_pods();
    }

    fn settle_pod(&mut self, index: usize) {
        match self.pods[index] {
            Pod::Unready if !self.is_broken() => self.pods[index] = Pod::Ready,
            Pod::Unready | Pod::Ready => {}
            Pod::Terminating => drop(self.pods.remove(index)),
        }
    }
}

impl World {
    fn new(replicas: i32, strategy: DeploymentStrategy) -> Self {
        let mut deployment = deployment(&image(0), replicas);
        deployment.spec.strategy = Some(strategy);
        Self { deployment, sets: Vec::new(), seconds: 0 }
    }

    fn happen(&mut self, event: &Event) {
        self.seconds += 1;
        let count = self.sets.len().max(1);
        match event {
            Event::Plan => drop(self.plan()),
            Event::Pods(set) => self.sets.get_mut(set % count).into_iter().for_each(Set::settle_pods),
            Event::Sync(set) => self.sets.get_mut(set % count).into_iter().for_each(Set::sync),
            Event::Pod(set, pod) => {
                if let Some(set) = self.sets.get_mut(set % count)
                    && !set.pods.is_empty()
                {
                    set.settle_pod(pod % set.pods.len());
                }
            }
            Event::Template(number) => {
                self.deployment.spec.template = template(&image(*number));
                self.changed();
            }
            Event::Scale(replicas) => {
                self.deployment.spec.replicas = Some(*replicas);
                self.changed();
            }
        }
    }

    fn changed(&mut self) {
        let generation = self.deployment.metadata.generation.unwrap();
        self.deployment.metadata.generation = Some(generation + 1);
    }

    fn plan(&mut self) -> Plan {
        let sets: Vec<_> = self.sets.iter().map(|set| Arc::clone(&set.observed)).collect();
        let running: BTreeSet<_> = self
            .sets
            .iter()
            .filter(|set| !set.pods.is_empty())
            .filter_map(|set| set.observed.metadata.uid.clone())
            .collect();
        let observed = Observed { deployment: &self.deployment, sets: &sets, running: &running };
        let plan = plan(&observed, at(self.seconds));
        plan.steps.iter().for_each(|step| self.carry_out(step));
        if let Some(update) = &plan.status {
            self.deployment.status = Some(update.status.clone());
            let annotations = self.deployment.metadata.annotations.get_or_insert_default();
            annotations.extend(update.revision.clone().map(|revision| (REVISION.to_owned(), revision)));
        }
        plan
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Create(set) => {
                let mut set = (**set).clone();
                set.metadata.uid = Some(format!("uid-{}", self.seconds));
                set.metadata.creation_timestamp = Some(at(self.seconds).into());
                set.metadata.generation = Some(1);
                let is_taken = |other: &Set| other.observed.metadata.name == set.metadata.name;
                assert!(!self.sets.iter().any(is_taken), "there is a set of this template");
                self.sets.push(Set { observed: Arc::new(set), pods: Vec::new() });
            }
            Step::Update(update) => {
                let uid = &update.set.metadata.uid;
                let set = self.sets.iter_mut().find(|set| set.observed.metadata.uid == *uid).unwrap();
                let observed = Arc::make_mut(&mut set.observed);
                observed.metadata.annotations.get_or_insert_default().extend(update.annotations.clone());
                if let Some(scaling) = update.scaling {
                    assert_eq!(observed.spec.replicas, Some(i32::try_from(scaling.from).unwrap()));
                    observed.spec.replicas = Some(i32::try_from(scaling.to).unwrap());
                    observed.metadata.generation = observed.metadata.generation.map(|count| count + 1);
                }
            }
            Step::Delete(set) => {
                let index =
                    self.sets.iter().position(|other| other.observed.metadata.uid == set.metadata.uid);
                let gone = self.sets.remove(index.unwrap());
                assert_eq!((gone.wanted(), gone.living()), (0, 0), "no pod loses its set");
            }
        }
    }

    /// Everybody does his work until there is none left.
    fn come_to_rest(&mut self) {
        for _ in 0..200 {
            self.seconds += 1;
            for set in &mut self.sets {
                set.sync();
                (0..set.pods.len()).rev().for_each(|pod| set.settle_pod(pod));
                set.sync();
            }
            let plan = self.plan();
            if plan.steps.is_empty() && plan.status.is_none() {
                return;
            }
        }
        panic!("it does not come to rest: {self:?}");
    }

    fn desired(&self) -> usize {
        usize::try_from(desired(&self.deployment)).unwrap()
    }

    fn max_total(&self) -> usize {
        self.desired() + usize::try_from(bounds(&self.deployment).max_surge).unwrap()
    }

    fn min_available(&self) -> usize {
        self.desired() - usize::try_from(bounds(&self.deployment).max_unavailable).unwrap()
    }

    fn living(&self) -> usize {
        self.sets.iter().map(Set::living).sum()
    }

    fn wanted(&self) -> usize {
        self.sets.iter().map(Set::wanted).sum()
    }

    fn available(&self) -> usize {
        self.sets.iter().map(|set| set.count(Pod::Ready)).sum()
    }

    /// All pods are of the template that the deployment has, and there are as many as wanted.
    fn assert_rolled_out(&self) {
        let wanted: Vec<_> = self.sets.iter().filter(|set| set.wanted() > 0).collect();
        let of_new = |set: &&Set| {
            let own = set.observed.spec.template.as_ref().unwrap();
            own.spec == self.deployment.spec.template.spec
        };
        assert!(wanted.iter().all(of_new), "{self:?}");
        assert_eq!(
            (self.wanted(), self.living(), self.available()),
            (self.desired(), self.desired(), self.desired())
        );
        let status = self.deployment.status.as_ref().unwrap();
        assert!(condition_line(status, "Progressing").contains("NewReplicaSetAvailable"), "{status:?}");
        assert_eq!(status.observed_generation, self.deployment.metadata.generation);
    }
}

fn image(number: u8) -> String {
    format!("web:{number}")
}

fn bound() -> impl Strategy<Value = IntOrString> {
    prop_oneof![
        (0..6i32).prop_map(IntOrString::Int),
        (0..=100i32).prop_map(|percent| IntOrString::String(format!("{percent}%"))),
    ]
}

fn strategy() -> impl Strategy<Value = DeploymentStrategy> {
    (bound(), bound()).prop_map(|(surge, unavailable)| rolling(surge, unavailable))
}

/// What happens without a user.
fn work() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Plan),
        2 => (0..4usize).prop_map(Event::Pods),
        4 => (0..4usize).prop_map(Event::Sync),
        8 => (0..4usize, 0..20usize).prop_map(|(set, pod)| Event::Pod(set, pod)),
    ]
}

fn work_and_templates() -> impl Strategy<Value = Event> {
    prop_oneof![12 => work(), 1 => (0..=BROKEN).prop_map(Event::Template)]
}

fn anything() -> impl Strategy<Value = Event> {
    prop_oneof![12 => work_and_templates(), 1 => (0..12i32).prop_map(Event::Scale)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Templates change at any time, one of them is broken, statuses are old: the bounds hold after every single event,
    /// and with a template that works all pods are new in the end.
    #[test]
    fn a_rolling_update_keeps_within_its_bounds_and_ends(
        replicas in 0..12i32,
        strategy in strategy(),
        events in proptest::collection::vec(work_and_templates(), 0..150),
        last in 0..BROKEN,
    ) {
        let mut world = World::new(replicas, strategy);
        world.come_to_rest();
        world.assert_rolled_out();
        for event in &events {
            let before = world.available();
            world.happen(event);
            prop_assert!(world.wanted() <= world.max_total(), "too many wanted after {event:?}: {world:?}");
            prop_assert!(world.living() <= world.max_total(), "too many pods after {event:?}: {world:?}");
            let least = world.min_available().min(before);
            prop_assert!(world.available() >= least, "too few available after {event:?}: {world:?}");
        }
        world.come_to_rest();
        prop_assert!(world.available() >= world.min_available());
        world.happen(&Event::Template(last));
        world.come_to_rest();
        world.assert_rolled_out();
    }

    /// The number of pods changes too: no plan makes too many of them, and it ends.
    #[test]
    fn scaling_in_the_middle_of_a_rollout_adds_no_surplus_and_ends(
        replicas in 0..12i32,
        strategy in strategy(),
        events in proptest::collection::vec(anything(), 0..150),
        last in 0..BROKEN,
    ) {
        let mut world = World::new(replicas, strategy);
        for event in &events {
            let before = world.wanted();
            world.happen(event);
            prop_assert!(world.wanted() <= world.max_total().max(before), "after {event:?}: {world:?}");
        }
        world.happen(&Event::Template(last));
        world.come_to_rest();
        world.assert_rolled_out();
    }

    /// Pods of two templates never run at the same time, be they terminating or not.
    #[test]
    fn recreation_never_mixes_old_and_new_pods_and_ends(
        replicas in 0..12i32,
        events in proptest::collection::vec(anything(), 0..150),
        last in 0..BROKEN,
    ) {
        let mut world = World::new(replicas, recreate());
        for event in &events {
            world.happen(event);
            let running = world.sets.iter().filter(|set| !set.pods.is_empty()).count();
            prop_assert!(running <= 1, "after {event:?}: {world:?}");
        }
        world.happen(&Event::Template(last));
        world.come_to_rest();
        world.assert_rolled_out();
    }
}
