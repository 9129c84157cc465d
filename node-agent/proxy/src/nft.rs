//! Scripts for `nft`: the whole table, or what has changed. Pure.
//!
//! In: the table as it is to be, and as it is. Out: text for `nft -f`, which carries out all of it or nothing. The
//! order matters: things are made before they are referred to, and referred to no more before they are deleted.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::routes::family::Family;
use crate::table::{CLIENTS, Chain, Map, NAME, Set, Table};

/// Elements of the sets that the kernel fills itself, by the sets' names: clients that stay with their endpoints.
pub(crate) type Clients = BTreeMap<String, String>;

/// Replaces whatever there is by this table. Clients stay where they are, as far as there are such sets.
pub(crate) fn replace(family: Family, table: &Table, clients: &Clients) -> String {
    let target = target(family);
    // Deleting what is not there is an error; making what is there is none.
    let text = format!("add table {target}\ndelete table {target}\nadd table {target}\n");
    let mut script = Script { target, text };
    script.text += &change(family, &Table::default(), table);
    for (name, elements) in clients.iter().filter(|(name, _)| table.sets.contains_key(*name)) {
        script.line("add", "element", name, &format!("{{ {elements} }}"));
    }
    script.text
}

/// The clients among what `nft list sets` has listed of the family. What it says of an element can be said to it.
pub(crate) fn clients(family: Family, listed: &str) -> Clients {
    let mut clients = Clients::new();
    let start = format!("table {} {{\n", target(family));
    let Some((_, table)) = listed.split_once(&start) else { return clients };
    let table = table.split_once("\n}").map_or(table, |(table, _)| table);
    for set in table.split("\tset ").skip(1) {
        let Some((name, set)) = set.split_once(" {") else { continue };
        let Some((_, elements)) = set.split_once("elements = {") else { continue };
        let Some((elements, _)) = elements.split_once('}') else { continue };
        if name.starts_with(CLIENTS) {
            let words: Vec<&str> = elements.split_whitespace().collect();
            clients.insert(name.to_owned(), words.join(" "));
        }
    }
    clients
}

/// Makes `old` into `new`. Empty where they are the same.
pub(crate) fn change(family: Family, old: &Table, new: &Table) -> String {
    let mut script = Script { target: target(family), text: String::new() };
    script.define(old, new);
    script.fill_chains(old, new);
    script.fill_maps(old, new);
    script.clear(old, new);
    script.text
}

/// Whether the family's table is among those that `nft list tables` has listed.
pub(crate) fn is_among(family: Family, listed: &str) -> bool {
    let line = format!("table {}", target(family));
    listed.lines().any(|listed| listed.trim() == line)
}

fn target(family: Family) -> String {
    format!("{} {NAME}", family.name())
}

struct Script {
    target: String,
    text: String,
}

impl Script {
    fn line(&mut self, verb: &str, what: &str, name: &str, rest: &str) {
        let target = &self.target;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{verb} {what} {target} {name} {rest}");
    }

    /// Makes what is new, empty.
    fn define(&mut self, old: &Table, new: &Table) {
        for (name, Set { definition, .. }) in added(&old.sets, &new.sets) {
            self.line("add", "set", name, &format!("{{ {definition} }}"));
        }
        for (name, chain) in added(&old.chains, &new.chains) {
            let hook = chain.hook.map(|hook| format!("{{ {hook} }}"));
            self.line("add", "chain", name, hook.as_deref().unwrap_or_default());
        }
        for (name, Map { definition, .. }) in added(&old.maps, &new.maps) {
            self.line("add", "map", name, &format!("{{ {definition} }}"));
        }
    }

    fn fill_chains(&mut self, old: &Table, new: &Table) {
        for (name, chain) in &new.chains {
            match old.chains.get(name) {
                Some(before) if before.rules == chain.rules => {}
                Some(_) => {
                    self.line("flush", "chain", name, "");
                    self.rules(name, chain);
                }
                None => self.rules(name, chain),
            }
        }
    }

    fn rules(&mut self, name: &str, chain: &Chain) {
        for rule in &chain.rules {
            self.line("add", "rule", name, rule);
        }
    }

    fn fill_maps(&mut self, old: &Table, new: &Table) {
        for (name, map) in &new.maps {
            let before = old.maps.get(name).map(|map| &map.elements);
            let known = |key: &String| before.and_then(|elements| elements.get(key));
            let gone =
                before.into_iter().flatten().filter(|(key, value)| map.elements.get(*key) != Some(value));
            for (key, value) in gone {
                self.line("delete", "element", name, &format!("{{ {key} : {value} }}"));
            }
            for (key, value) in map.elements.iter().filter(|(key, value)| known(key) != Some(value)) {
                self.line("add", "element", name, &format!("{{ {key} : {value} }}"));
            }
        }
        for (name, set) in &new.sets {
            let before = old.sets.get(name).map(|set| &set.elements);
            for element in before.into_iter().flatten().filter(|element| !set.elements.contains(*element)) {
                self.line("delete", "element", name, &format!("{{ {element} }}"));
            }
            let is_new = |element: &&String| !before.is_some_and(|before| before.contains(*element));
            for element in set.elements.iter().filter(is_new) {
                self.line("add", "element", name, &format!("{{ {element} }}"));
            }
        }
    }

    /// Deletes what is no longer there. Chains refer to each other and to sets, so all are emptied first.
    fn clear(&mut self, old: &Table, new: &Table) {
        for (name, _) in added(&new.chains, &old.chains) {
            self.line("flush", "chain", name, "");
        }
        for (name, _) in added(&new.chains, &old.chains) {
            self.line("delete", "chain", name, "");
        }
        for (name, _) in added(&new.sets, &old.sets) {
            self.line("delete", "set", name, "");
        }
    }
}

/// What is in `new` and not in `old`, by name.
fn added<'a, K: Ord, V>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    new.iter().filter(|(name, _)| !old.contains_key(*name))
}
