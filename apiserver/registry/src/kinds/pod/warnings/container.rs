//! One container: what it asks for, and its environment.

use std::collections::BTreeSet;

use super::warn_fractional;
use crate::place::Place;

/// Warns of parts of bytes.
pub(super) fn resources(container: &Place<'_>, warnings: &mut Vec<String>) {
    let resources = container.child("resources");
    for name in ["memory", "ephemeral-storage"] {
        for list in ["limits", "requests"] {
            warn_fractional(&resources.child(list).key(name), warnings);
        }
    }
}

/// Warns of a variable that is set again without building on its earlier value.
pub(super) fn environment(container: &Place<'_>, warnings: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for variable in container.child("env").items() {
        let name = variable.child("name").text();
        if seen.insert(name) {
            continue;
        }
        let (reference, value) = (format!("$({name})"), variable.child("value").text());
        let builds_on_it = value.contains(&reference) && value != reference;
        if variable.child("valueFrom").is_set() || !builds_on_it {
            let what =
                format!("hides previous definition of {name:?}, which may be dropped when using apply");
            warnings.push(format!("{}: {what}", variable.path()));
        }
    }
}
