//! A set of fields: a tree of path elements, some of which are members themselves.
//!
//! In and out: `FieldsV1`, in which `{}` is a member, and `.` says of something with children that it is one too.
//!
//! Invariant: no child is empty, so equal sets are equal trees.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

use super::element;

/// What says of a node with children that it is a member too.
const SELF: &str = ".";

/// Fields of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether the path that leads here is a member.
    pub(super) member: bool,
    /// What is below, by its path element.
    pub(super) children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The set of these fields, each a path of names.
    #[must_use]
    pub fn of(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let insert = |set, name: &&str| Self::child(set, element::field(name));
            path.iter().fold(&mut set, insert).member = true;
        }
        set
    }

    pub(super) fn leaf() -> Self {
        Self { member: true, children: BTreeMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.children.is_empty()
    }

    /// Puts what is below an element in its place; what is empty is not kept.
    pub(super) fn attach(&mut self, element: &str, below: FieldSet) {
        if !below.is_empty() {
            match self.children.get_mut(element) {
                Some(known) => known.add(below),
                None => drop(self.children.insert(element.to_owned(), below)),
            }
        }
    }

    /// What is below an element; made where it is absent.
    fn child(&mut self, element: String) -> &mut FieldSet {
        self.children.entry(element).or_default()
    }

    /// Union.
    pub(super) fn add(&mut self, other: FieldSet) {
        self.member |= other.member;
        for (element, below) in other.children {
            match self.children.entry(element) {
                Entry::Occupied(mut known) => known.get_mut().add(below),
                Entry::Vacant(free) => drop(free.insert(below)),
            }
        }
    }

    /// Takes out what is in `other`; what lies below a member of it stays.
    pub(super) fn subtract(&mut self, other: &FieldSet) {
        self.member &= !other.member;
        self.shrink(other, FieldSet::subtract);
    }

    /// Takes out what is in `other`, or below a member of it.
    pub(super) fn subtract_trees(&mut self, other: &FieldSet) {
        if other.member {
            *self = Self::default();
        } else {
            self.shrink(other, FieldSet::subtract_trees);
        }
    }

    fn shrink(&mut self, other: &FieldSet, remove: fn(&mut FieldSet, &FieldSet)) {
        for (element, doomed) in &other.children {
            let Some(below) = self.children.get_mut(element) else { continue };
            remove(below, doomed);
            if below.is_empty() {
                self.children.remove(element);
            }
        }
    }

    pub(super) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet { member: self.member && other.member, children: BTreeMap::new() };
        for (element, below) in &self.children {
            if let Some(other) = other.children.get(element) {
                both.attach(element, below.intersection(other));
            }
        }
        both
    }

    /// Every member's path as messages have it; of each node the members first.
    pub(super) fn describe(&self, prefix: &str, out: &mut Vec<String>) {
        let path = |element: &str| {
            let mut path = prefix.to_owned();
            element::describe(element, &mut path);
            path
        };
        out.extend(self.children.iter().filter(|(_, below)| below.member).map(|(at, _)| path(at)));
        self.children.iter().for_each(|(at, below)| below.describe(&path(at), out));
    }

    /// Reads `FieldsV1`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(fields: &Value) -> Result<Self, String> {
        // The object as a whole is no field.
        Ok(Self { member: false, ..Self::read_node(fields)? })
    }

    fn read_node(fields: &Value) -> Result<Self, String> {
        let mut set = Self::default();
        let children = fields.as_object().ok_or("fieldsV1 is no object")?;
        for (text, below) in children {
            if text == SELF {
                set.member = true;
                continue;
            }
            let Some(element) = element::canonical(text)? else { continue };
            let mut below = Self::read_node(below)?;
            below.member |= below.children.is_empty();
            set.attach(&element, below);
        }
        Ok(set)
    }

    /// `FieldsV1`.
    pub(super) fn write(self) -> Value {
        let itself =
            (self.member && !self.children.is_empty()).then(|| (SELF.to_owned(), Value::Object(Map::new())));
        let below = self.children.into_iter().map(|(element, below)| (element, below.write()));
        Value::Object(itself.into_iter().chain(below).collect())
    }
}
