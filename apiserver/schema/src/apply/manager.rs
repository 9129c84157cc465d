//! One write of one manager: what it manages afterwards, and what the others do.
//!
//! In: the object as it is, and what the manager makes of it or wants of it. Out: the entries for the new object; for
//! an apply also the object.
//!
//! An update takes every field that it changes from whoever had it. An apply manages what its configuration has: fields
//! that it had and does not want any more go, fields of others that it wants otherwise are [`Conflicts`] unless it forces.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::check::{check, joined};
use super::compare::{Comparison, compare};
use super::field_set::FieldSet;
use super::last_applied;
use super::leaves::leaves;
use super::managers::{self, Conflicts, Entry, Operation};
use super::merge::merge;
use super::place::Place;
use super::prune::prune;
use crate::model::{Schema, TypeId};

/// Who has made an object that nobody managed before it was first applied.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// Fields that nobody manages: they say which object it is, or are the server's.
static NOBODYS: LazyLock<FieldSet> = LazyLock::new(|| {
    let metadata = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let below: Vec<[&str; 2]> = metadata.iter().map(|name| ["metadata", name]).collect();
    let mut paths: Vec<&[&str]> = vec![&["apiVersion"], &["kind"], &["metadata"]];
    paths.extend(below.iter().map(<[&str; 2]>::as_slice));
    FieldSet::of(&paths)
});

/// The versions of a kind.
pub trait Versions: std::fmt::Debug + Sync {
    /// The kind's type in a version; `None` if it has none there.
    fn ty(&self, api_version: &str) -> Option<TypeId>;

    /// The object in that version; `None` if it cannot be said there.
    fn convert(&self, object: &Value, api_version: &str) -> Option<Value>;
}

/// What a write adds or changes, and what it removes.
type Split = (FieldSet, FieldSet);

/// The same write in every version in which somebody manages something.
struct Changes {
    own: Split,
    /// By version; `None` for one that the kind does not have.
    others: BTreeMap<String, Option<Split>>,
}

impl Changes {
    /// As the manager of this entry sees it.
    fn seen_by(&self, entry: &Entry) -> Option<&Split> {
        self.others.get(&entry.api_version).map_or(Some(&self.own), Option::as_ref)
    }
}

/// A manager that is about to write.
#[derive(Clone, Copy, Debug)]
pub struct FieldManager<'a> {
    /// The graph of types.
    pub schema: &'a Schema,
    /// The object's type.
    pub ty: TypeId,
    /// The object's `apiVersion`, in which the manager speaks.
    pub api_version: &'a str,
    /// The object's `kind`.
    pub kind: &'a str,
    /// Fields that this write resets, with all below: it cannot manage them.
    pub reset: &'a FieldSet,
    /// Its name; empty if it is not known.
    pub name: &'a str,
    /// Through which subresource it writes; empty for the object itself.
    pub subresource: &'a str,
    /// When, in RFC 3339, UTC, to the second.
    pub now: &'a str,
    /// The kind's other versions; `None` where it is the same in all of them.
    pub versions: Option<&'a dyn Versions>,
}

/// Why a configuration cannot be applied.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApplyError {
    /// The configuration has a wrong form: 400.
    #[error("{message}")]
    Malformed {
        /// What is wrong.
        message: String,
    },
    /// It does not fit the type, or the object's own entries cannot be read: upstream answers 500.
    #[error("{message}")]
    Unfit {
        /// What is wrong.
        message: String,
    },
    /// Others manage what it wants otherwise: 409.
    #[error("{0}")]
    Conflicts(Conflicts),
}

impl FieldManager<'_> {
    /// The managed fields of `new`, which takes the place of `live`. `None`: there are none. An object that nobody
    /// managed is not managed from then on either, until it is applied.
    #[must_use]
    pub fn update(&self, live: Option<&Value>, new: &Value) -> Option<Value> {
        let had = live.and_then(list_of);
        let given = list_of(new).filter(|_| self.subresource.is_empty());
        let comparison = self.compare(live, new);
        let entries = match given {
            Some(given) if managers::is_reset(given) => Vec::new(),
            Some(given) if had != Some(given) => match managers::read(Some(given)) {
                Ok(entries) if !entries.is_empty() => entries,
                _ => managers::read(had).unwrap_or_default(),
            },
            _ => {
                if comparison.is_empty() {
                    return had.cloned();
                }
                managers::read(had).unwrap_or_default()
            }
        };
        let changes = self.changes(&entries, comparison, live, new);
        managers::write(self.updated(entries, live.is_none(), changes))
    }

    /// Applies a configuration to `live`, or makes a new object of it: the object with its managed fields, not canonical
    /// yet.
    ///
    /// # Errors
    /// As [`ApplyError`] says.
    pub fn apply(&self, live: Option<&Value>, config: &Value, force: bool) -> Result<Value, ApplyError> {
        self.check(config)?;
        let zero = self.zero();
        let unread = |why| ApplyError::Unfit { message: format!("failed to decode managed fields: {why}") };
        let mut entries = managers::read(live.and_then(list_of)).map_err(unread)?;
        if let (true, Some(live)) = (entries.is_empty(), live) {
            let first = FieldManager { name: BEFORE_FIRST_APPLY, ..*self };
            entries = first.updated(entries, true, self.changes(&[], self.compare(None, live), None, live));
        }
        let live = live.unwrap_or(&zero);
        let applied = match self.applied(&entries, live, config, force) {
            Err(ApplyError::Conflicts(conflicts)) if self.name == last_applied::KUBECTL => {
                self.take_over(&entries, live, config, conflicts)
            }
            other => other,
        };
        let (mut object, entries) = applied?;
        if self.name == last_applied::KUBECTL {
            last_applied::refresh(&mut object, config);
        }
        set_list(&mut object, managers::write(entries));
        Ok(object)
    }

    fn check(&self, config: &Value) -> Result<(), ApplyError> {
        let malformed = |message: String| Err(ApplyError::Malformed { message });
        let text = |path: &[&str]| {
            let found = path.iter().try_fold(config, |value, name| value.get(name));
            found.and_then(Value::as_str).unwrap_or_default()
        };
        let (api_version, kind) = (text(&["apiVersion"]), text(&["kind"]));
        let separator = if api_version.contains('/') { "" } else { "/" };
        let described = format!("{separator}{api_version}, Kind={kind}");
        if api_version != self.api_version || kind != self.kind {
            return malformed(format!("invalid object type: {described}"));
        }
        if config
            .get("metadata")
            .and_then(|metadata| metadata.get("managedFields"))
            .is_some_and(|v| !v.is_null())
        {
            return malformed("metadata.managedFields must be nil".to_owned());
        }
        let errors = check(self.place(), config);
        if errors.is_empty() {
            return Ok(());
        }
        let (namespace, name) = (text(&["metadata", "namespace"]), text(&["metadata", "name"]));
        let errors = joined(&errors);
        let message =
            format!("failed to create typed patch object ({namespace}/{name}; {described}): {errors}");
        Err(ApplyError::Unfit { message })
    }

    /// The object and the entries once the configuration is applied.
    fn applied(
        &self,
        before: &[Entry],
        live: &Value,
        config: &Value,
        force: bool,
    ) -> Result<(Value, Vec<Entry>), ApplyError> {
        let mut own = self.entry(Operation::Apply);
        let mut entries = before.to_vec();
        own.fields = leaves(self.place(), config);
        own.fields.subtract_trees(self.reset);
        let last = replace(&mut entries, own.clone());
        let mut managed = FieldSet::default();
        entries.iter().for_each(|entry| managed.add(entry.fields.clone()));
        let last_fields = last.as_ref().map(|last| last.fields.clone()).unwrap_or_default();
        let merged = merge(self.place(), live, config);
        let object = prune(self.place(), merged, &last_fields, &managed);
        let changes = self.changes(&entries, self.compare(Some(live), &object), Some(live), &object);
        self.keep_by_version(&mut entries);
        if !force {
            refuse_conflicts(&entries, &own, &changes)?;
        }
        yield_fields(&mut entries, &own, &changes);
        if let Some(own) = entries.iter_mut().find(|entry| entry.is_of(&own)) {
            own.fields.subtract(&NOBODYS);
            own.time = last.map(|last| last.time).unwrap_or_default();
        }
        entries.retain(|entry| !entry.fields.is_empty());
        let is_news = object != *live || !same_entries(&entries, before);
        if let Some(own) = entries.iter_mut().find(|entry| entry.is_of(&own) && is_news) {
            self.now.clone_into(&mut own.time);
        }
        Ok((object, entries))
    }

    /// Forces where all that is in conflict was set by client-side apply and has not changed since.
    fn take_over(
        &self,
        entries: &[Entry],
        live: &Value,
        config: &Value,
        conflicts: Conflicts,
    ) -> Result<(Value, Vec<Entry>), ApplyError> {
        let Some(unchanged) = last_applied::unchanged(self.place(), live, self.api_version) else {
            return Err(ApplyError::Conflicts(conflicts));
        };
        let mut allowed = Vec::new();
        unchanged.describe("", &mut allowed);
        let left = conflicts.0.into_iter().filter(|conflict| !allowed.contains(&conflict.field));
        let left: Vec<_> = left.collect();
        match left.is_empty() {
            true => self.applied(entries, live, config, true),
            false => Err(ApplyError::Conflicts(Conflicts(left))),
        }
    }

    /// The entries once this manager has changed an object.
    fn updated(&self, mut entries: Vec<Entry>, is_new: bool, changes: Changes) -> Vec<Entry> {
        if entries.is_empty() && !is_new {
            return entries;
        }
        let own = self.entry(Operation::Update);
        self.keep_by_version(&mut entries);
        yield_fields(&mut entries, &own, &changes);
        entries.retain(|entry| !entry.fields.is_empty());
        let (changed, removed) = changes.own;
        match entries.iter_mut().find(|entry| entry.is_of(&own)) {
            Some(known) => {
                known.fields.subtract(&removed);
                if !changed.is_empty() {
                    known.fields.add(changed);
                    known.time = own.time;
                }
            }
            None => entries.push(Entry { fields: changed, ..own }),
        }
        entries.retain(|entry| !entry.fields.is_empty());
        managers::cap(&mut entries);
        entries
    }

    /// A change, which is known in this manager's version, in the versions of these entries.
    fn changes(&self, entries: &[Entry], own: Comparison, live: Option<&Value>, new: &Value) -> Changes {
        let mut others = BTreeMap::new();
        let foreign = entries.iter().map(|entry| &entry.api_version).filter(|it| *it != self.api_version);
        if let Some(versions) = self.versions {
            for version in foreign {
                others
                    .entry(version.clone())
                    .or_insert_with(|| self.changes_in(versions, version, live, new));
            }
        }
        Changes { own: own.split(), others }
    }

    /// A change in another version. What cannot be said there takes nothing from its managers.
    fn changes_in(
        &self,
        versions: &dyn Versions,
        version: &str,
        live: Option<&Value>,
        new: &Value,
    ) -> Option<Split> {
        let there = FieldManager { ty: versions.ty(version)?, api_version: version, ..*self };
        let converted = |object| versions.convert(object, version);
        let both = match live {
            Some(live) => converted(live).zip(converted(new)).map(|(live, new)| (Some(live), new)),
            None => converted(new).map(|new| (None, new)),
        };
        let compared = both.map(|(live, new)| there.compare(live.as_ref(), &new).split());
        Some(compared.unwrap_or_default())
    }

    fn compare(&self, live: Option<&Value>, new: &Value) -> Comparison {
        let comparison = match live {
            Some(live) => compare(self.place(), live, new),
            None => compare(self.place(), &self.zero(), new),
        };
        comparison.without(|fields| {
            fields.subtract_trees(self.reset);
            fields.subtract(&NOBODYS);
        })
    }

    fn place(&self) -> Place<'_> {
        Place::root(self.schema, self.ty)
    }

    fn zero(&self) -> Value {
        self.place().zero()
    }

    fn entry(&self, operation: Operation) -> Entry {
        let manager = if self.name.is_empty() { "unknown" } else { self.name };
        Entry {
            manager: manager.to_owned(),
            operation,
            api_version: self.api_version.to_owned(),
            time: self.now.to_owned(),
            subresource: self.subresource.to_owned(),
            fields: FieldSet::default(),
        }
    }

    /// Drops the entries of versions in which there is no such kind.
    fn keep_by_version(&self, entries: &mut Vec<Entry>) {
        entries.retain(|entry| {
            let (group, version) = entry.api_version.split_once('/').unwrap_or(("", &entry.api_version));
            let is_there = || match self.versions {
                Some(versions) => versions.ty(&entry.api_version).is_some(),
                None => self.schema.lookup_kind(group, version, self.kind).is_some(),
            };
            entry.api_version == self.api_version || is_there()
        });
    }
}

/// The fields that others have and an applier wants otherwise.
fn refuse_conflicts(entries: &[Entry], own: &Entry, changes: &Changes) -> Result<(), ApplyError> {
    let others = entries.iter().filter(|entry| !entry.is_of(own));
    let seen = others.filter_map(|entry| Some((entry, changes.seen_by(entry)?)));
    let found = seen.map(|(entry, (changed, _))| (entry, entry.fields.intersection(changed)));
    let found: Vec<_> = found.filter(|(_, fields)| !fields.is_empty()).collect();
    if found.is_empty() { Ok(()) } else { Err(ApplyError::Conflicts(Conflicts::of(found))) }
}

/// Takes what was changed or removed from everybody but `own`.
fn yield_fields(entries: &mut [Entry], own: &Entry, changes: &Changes) {
    for entry in entries.iter_mut().filter(|entry| !entry.is_of(own)) {
        if let Some((changed, removed)) = changes.seen_by(entry) {
            entry.fields.subtract(changed);
            entry.fields.subtract(removed);
        }
    }
}

/// Puts an entry in the place of the same manager's.
fn replace(entries: &mut Vec<Entry>, own: Entry) -> Option<Entry> {
    match entries.iter_mut().find(|entry| entry.is_of(&own)) {
        Some(known) => Some(std::mem::replace(known, own)),
        None => {
            entries.push(own);
            None
        }
    }
}

/// Whether the same managers manage the same fields; times do not count.
fn same_entries(one: &[Entry], other: &[Entry]) -> bool {
    let has = |entry: &Entry| {
        other.iter().any(|known| {
            known.is_of(entry) && known.api_version == entry.api_version && known.fields == entry.fields
        })
    };
    one.len() == other.len() && one.iter().all(has)
}

fn list_of(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields").filter(|list| !list.is_null())
}

fn set_list(object: &mut Value, list: Option<Value>) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    match list {
        Some(list) => drop(metadata.insert("managedFields".to_owned(), list)),
        None => drop(metadata.remove("managedFields")),
    }
}
