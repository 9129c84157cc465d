//! What is wrong with disks and shares of clouds.
//!
//! In: a source of the named kind. Out: what is wrong with it beside what it lacks.
//!
//! Deliberately absent: clouds themselves.

use keelson_api_schema::format::check_range;

use super::{Owner, needed};
use crate::{field::FieldError, place::Place};

/// How a disk's URI begins, by whether Azure manages it, and how upstream describes it.
const MANAGED: (&str, &str) = (
    "/subscriptions/",
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
);
const BLOB: (&str, &str) =
    ("https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd");

/// A disk may be used as a whole, which is partition 0, although upstream's words leave that out.
pub(super) fn partition(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let partition = source.child("partition");
    if partition.integer().is_some_and(|number| !(0..=255).contains(&number)) {
        errors.extend(partition.each_invalid(check_range(-1, 1, 255)));
    }
}

/// `azureDisk`.
pub(super) fn azure_disk(source: &Place<'_>, errors: &mut Vec<FieldError>) {
    let (caching, kind, uri) = (source.child("cachingMode"), source.child("kind"), source.child("diskURI"));
    if caching.is_set() {
        caching.one_of(&["None", "ReadOnly", "ReadWrite"], errors);
    }
    if !kind.is_set() {
        return;
    }
    kind.one_of(&["Dedicated", "Managed", "Shared"], errors);
    let (start, form) = if kind.text() == "Managed" { MANAGED } else { BLOB };
    if !uri.text().starts_with(start) {
        errors.push(FieldError::not_supported(uri.path(), uri.text(), &[form]));
    }
}

/// `azureFile`.
pub(super) fn azure_file(source: &Place<'_>, owner: Owner<'_>, errors: &mut Vec<FieldError>) {
    match owner {
        Owner::PersistentVolume(_) if source.child("secretNamespace").is_set() => {
            needed(source, &["secretNamespace"], errors);
        }
        Owner::Pod | Owner::PersistentVolume(_) => {}
    }
}
