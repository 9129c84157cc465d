//! Lists that merge: objects by merge key, scalars as a set.
//!
//! The order of the outcome is upstream's: the items of the patch in the patch's order (or in that of
//! `$setElementOrder`), the others in the object's order, and the two interleaved as the object has them.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::{BAD_ELEMENT_ORDER, BAD_PRIMITIVE_LIST, Merger, PATCH, Place, clean, unknown_directive};
use crate::{go_text::print, patch::PatchError};

/// How the lists of one field merge.
pub(super) struct Lists<'s> {
    pub(super) merger: Merger<'s>,
    pub(super) item: Place,
    pub(super) merge_key: Option<&'s str>,
}

/// What makes an item the same as another one: its text, or that of its merge key.
type Identity = String;

impl Lists<'_> {
    /// Merges without a given order.
    pub(super) fn merge(&self, old: Vec<Value>, new: Vec<Value>) -> Result<Vec<Value>, PatchError> {
        if old.is_empty() && new.is_empty() {
            return Ok(old);
        }
        let old_order = self.identities_if_present(&old);
        let new_order = self.identities_if_present(&new);
        let merged = self.combine(old, new)?;
        self.order(merged, &new_order, &old_order)
    }

    /// Merges, then orders by `$setElementOrder`; `None` if there is nothing to order.
    pub(super) fn merge_in_order(
        &self,
        old: Option<Vec<Value>>,
        new: Option<Vec<Value>>,
        order: &[Value],
        merges: bool,
    ) -> Result<Option<Vec<Value>>, PatchError> {
        self.check_order(new.as_deref().unwrap_or_default(), order)?;
        let old_order = self.identities_if_present(old.as_deref().unwrap_or_default());
        let merged = match (old, new) {
            (None, None) => return Ok(None),
            (Some(old), None) => old,
            (None, Some(new)) => new.into_iter().filter_map(clean).collect(),
            (Some(_), Some(new)) if !merges => new,
            (Some(old), Some(new)) => self.merge(old, new)?,
        };
        let order = order.iter().map(|item| self.identity(item)).collect::<Result<Vec<_>, _>>()?;
        self.order(merged, &order, &old_order).map(Some)
    }

    /// What both lists hold, in any order.
    fn combine(&self, mut old: Vec<Value>, new: Vec<Value>) -> Result<Vec<Value>, PatchError> {
        if !same_kind(&old, &new)? {
            old.extend(new);
            let mut seen = HashSet::new();
            old.retain(|item| seen.insert(item.to_string()));
            return Ok(old);
        }
        if self.merge_key.is_none() {
            let message = "cannot merge lists without merge key for struct";
            return Err(PatchError::failed(message));
        }
        let (old, new) = self.obey_directives(old, new)?;
        self.merge_objects(old, new)
    }

    /// Obeys `$patch` in items of the patch; returns both lists without them.
    fn obey_directives(
        &self,
        mut old: Vec<Value>,
        new: Vec<Value>,
    ) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
        let mut plain = Vec::with_capacity(new.len());
        let mut doomed = HashSet::new();
        let mut replace = false;
        for item in new {
            match item.get(PATCH).map(Value::as_str) {
                None => plain.push(item),
                Some(Some("delete")) => drop(doomed.insert(self.identity(&item)?)),
                Some(Some("replace")) => replace = true,
                Some(Some("merge")) => {
                    let message = "merging lists cannot yet be specified in the patch";
                    return Err(PatchError::failed(message));
                }
                Some(_) => {
                    let directive = item[PATCH].clone();
                    return Err(unknown_directive(&directive, object_of(item)));
                }
            }
        }
        if replace {
            return Ok((plain, Vec::new()));
        }
        if !doomed.is_empty() {
            old.retain(|item| self.identity(item).map_or(true, |identity| !doomed.contains(&identity)));
        }
        Ok((old, plain))
    }

    /// Merges each object of the patch into the first one of the same identity, or appends it.
    fn merge_objects(&self, mut old: Vec<Value>, new: Vec<Value>) -> Result<Vec<Value>, PatchError> {
        let mut positions: HashMap<Identity, usize> = HashMap::new();
        for (at, item) in old.iter().enumerate() {
            if let Ok(identity) = self.identity(item) {
                positions.entry(identity).or_insert(at);
            }
        }
        for item in new {
            let identity = self.identity(&item)?;
            match positions.get(&identity) {
                Some(at) => {
                    let target = object_of(old[*at].take());
                    let merged = self.merger.merge(target, object_of(item), self.item)?;
                    old[*at] = Value::Object(merged);
                }
                None => {
                    positions.insert(identity, old.len());
                    old.extend(clean(item));
                }
            }
        }
        Ok(old)
    }

    /// Puts a merged list in order: what `first` names in that order, the others as in `old_order`.
    fn order(
        &self,
        merged: Vec<Value>,
        first: &[Identity],
        old_order: &[Identity],
    ) -> Result<Vec<Value>, PatchError> {
        let wanted = ranks(first);
        let live = ranks(old_order);
        let (mut patched, mut others) = (Vec::new(), Vec::new());
        for item in merged {
            let identity = self.identity(&item)?;
            let live = live.get(identity.as_str()).copied();
            match wanted.get(identity.as_str()) {
                Some(rank) => patched.push((*rank, live, item)),
                None => others.push((live.unwrap_or(usize::MAX), live, item)),
            }
        }
        patched.sort_by_key(|(rank, ..)| *rank);
        others.sort_by_key(|(rank, ..)| *rank);
        Ok(interleave(patched, others))
    }

    /// The patch's items must stand in the order that the patch itself asks for.
    fn check_order(&self, new: &[Value], order: &[Value]) -> Result<(), PatchError> {
        if new.is_empty() || order.is_empty() {
            return Ok(());
        }
        let mut wanted = order.iter();
        for item in new.iter().filter(|item| item.get(PATCH).is_none()) {
            let identity = self.identity(item)?;
            let mut found = false;
            for candidate in wanted.by_ref() {
                found = self.identity(candidate)? == identity;
                if found {
                    break;
                }
            }
            if !found {
                let [new, order] = [new, order].map(|list| print(&Value::from(list)));
                let message = format!(
                    "The order in patch list:\n{new}\n doesn't match $setElementOrder list:\n{order}\n"
                );
                return Err(PatchError::failed(message));
            }
        }
        Ok(())
    }

    fn identity(&self, item: &Value) -> Result<Identity, PatchError> {
        let Some(key) = self.merge_key else {
            return match item {
                Value::Object(_) | Value::Array(_) => Err(PatchError::malformed(BAD_ELEMENT_ORDER)),
                scalar => Ok(scalar.to_string()),
            };
        };
        match item {
            Value::Object(object) => match object.get(key) {
                Some(value) => Ok(value.to_string()),
                None => {
                    let map = print(item);
                    Err(PatchError::failed(format!("map: {map} does not contain declared merge key: {key}")))
                }
            },
            other => Err(PatchError::failed(format!("value {} is not a map", print(other)))),
        }
    }

    /// The identities of the items that have one; the others are reported where they are merged.
    fn identities_if_present(&self, items: &[Value]) -> Vec<Identity> {
        items.iter().filter_map(|item| self.identity(item).ok()).collect()
    }
}

/// Deletes scalars from a list.
pub(super) fn delete_scalars(items: &mut Vec<Value>, doomed: &[Value]) -> Result<(), PatchError> {
    if items.iter().chain(doomed).any(|item| item.is_object() || item.is_array()) {
        return Err(PatchError::malformed(BAD_PRIMITIVE_LIST));
    }
    let doomed: HashSet<String> = doomed.iter().map(Value::to_string).collect();
    items.retain(|item| !doomed.contains(&item.to_string()));
    Ok(())
}

/// Whether all items are objects, or all are scalars of one kind.
fn same_kind(old: &[Value], new: &[Value]) -> Result<bool, PatchError> {
    let mut kinds = old.iter().chain(new).map(std::mem::discriminant);
    let first = old.iter().chain(new).next();
    match first {
        Some(Value::Array(_)) => return Err(PatchError::unprocessable("lists of lists are not supported")),
        Some(item) if kinds.any(|kind| kind != std::mem::discriminant(item)) => {
            let [old, new] = [old, new].map(|list| print(&Value::from(list)));
            let message = format!("list element types are not identical: [{old} {new}]");
            return Err(PatchError::failed(message));
        }
        _ => {}
    }
    Ok(matches!(first, Some(Value::Object(_))))
}

fn object_of(item: Value) -> Map<String, Value> {
    match item {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The first position of each identity.
fn ranks(identities: &[Identity]) -> HashMap<&str, usize> {
    let mut ranks = HashMap::with_capacity(identities.len());
    for (at, identity) in identities.iter().enumerate() {
        ranks.entry(identity.as_str()).or_insert(at);
    }
    ranks
}

/// Merges two ordered lists: an item of `others` comes before the first item of `patched` that stood behind it.
fn interleave(
    patched: Vec<(usize, Option<usize>, Value)>,
    others: Vec<(usize, Option<usize>, Value)>,
) -> Vec<Value> {
    let mut out = Vec::with_capacity(patched.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, live, item) in patched {
        let before = |other: &(usize, Option<usize>, Value)| {
            other.1.zip(live).is_some_and(|(other, this)| other < this)
        };
        while let Some((_, _, other)) = others.next_if(before) {
            out.push(other);
        }
        out.push(item);
    }
    out.extend(others.map(|(_, _, item)| item));
    out
}
