//! Amounts of resources, and what a pod asks for.
//!
//! In: lists of quantities, and pods. Out: whole numbers: millicores, bytes, devices. Sums are held within `i64`.
//! Deliberately absent: limits. The scheduler promises requests only.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::quantity;

mod requests;

pub(crate) use requests::{requests, scoring_requests};

/// Amounts of everything but the number of pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resources {
    pub(crate) milli_cpu: i64,
    pub(crate) memory: i64,
    pub(crate) ephemeral_storage: i64,
    /// Extended resources, huge pages and the like, in the order of their names. Few have any.
    pub(crate) scalars: Vec<(Arc<str>, i64)>,
}

/// What scoring looks at: processor and memory, where pods that ask for none are taken to use a little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ComputeResources {
    pub(crate) milli_cpu: i64,
    pub(crate) memory: i64,
}

/// Which way an amount is read that is none. The API server lets none through.
#[derive(Clone, Copy)]
pub(crate) enum Unreadable {
    /// More than any node has.
    Everything,
    /// Nothing.
    Nothing,
}

impl Resources {
    pub(crate) fn of<'a>(
        amounts: impl IntoIterator<Item = (&'a str, &'a Quantity)>,
        unreadable: Unreadable,
    ) -> Self {
        let otherwise = match unreadable {
            Unreadable::Everything => i64::MAX,
            Unreadable::Nothing => 0,
        };
        let mut resources = Self::default();
        for (name, quantity) in amounts {
            let units = || quantity::units(&quantity.0).unwrap_or(otherwise);
            match name {
                "cpu" => resources.milli_cpu = quantity::milli(&quantity.0).unwrap_or(otherwise),
                "memory" => resources.memory = units(),
                "ephemeral-storage" => resources.ephemeral_storage = units(),
                name if is_scalar(name) => resources.scalars.push((name.into(), units())),
                _ => {}
            }
        }
        resources
    }

    pub(crate) fn scalar(&self, name: &str) -> i64 {
        self.scalars.iter().find(|(known, _)| **known == *name).map_or(0, |(_, amount)| *amount)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.combine(other, i64::saturating_sub);
        self.scalars.retain(|(_, amount)| *amount != 0);
    }

    /// The larger of both, resource by resource.
    pub(crate) fn raise_to(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    pub(crate) fn is_zero(&self) -> bool {
        let Self { milli_cpu, memory, ephemeral_storage, scalars } = self;
        *milli_cpu == 0
            && *memory == 0
            && *ephemeral_storage == 0
            && scalars.iter().all(|(_, amount)| *amount == 0)
    }

    /// Whether some amount is at the end of the range.
    pub(crate) fn is_saturated(&self) -> bool {
        let amounts = [self.milli_cpu, self.memory, self.ephemeral_storage];
        amounts.contains(&i64::MAX) || self.scalars.iter().any(|(_, amount)| *amount == i64::MAX)
    }

    fn combine(&mut self, other: &Self, operation: fn(i64, i64) -> i64) {
        self.milli_cpu = operation(self.milli_cpu, other.milli_cpu);
        self.memory = operation(self.memory, other.memory);
        self.ephemeral_storage = operation(self.ephemeral_storage, other.ephemeral_storage);
        for (name, amount) in &other.scalars {
            match self.scalars.binary_search_by(|(known, _)| known.cmp(name)) {
                Ok(at) => self.scalars[at].1 = operation(self.scalars[at].1, *amount),
                Err(at) => self.scalars.insert(at, (Arc::clone(name), operation(0, *amount))),
            }
        }
    }
}

impl ComputeResources {
    pub(crate) fn add(&mut self, other: Self) {
        self.milli_cpu = self.milli_cpu.saturating_add(other.milli_cpu);
        self.memory = self.memory.saturating_add(other.memory);
    }

    pub(crate) fn subtract(&mut self, other: Self) {
        self.milli_cpu = self.milli_cpu.saturating_sub(other.milli_cpu);
        self.memory = self.memory.saturating_sub(other.memory);
    }
}

/// Whether a resource other than processor, memory and disk is counted on nodes.
fn is_scalar(name: &str) -> bool {
    name.contains('/') || name.starts_with("hugepages-") || name.starts_with("attachable-volumes-")
}
