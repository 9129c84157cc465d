//! What a migration's status says. Pure; types and reasons are upstream's.

use k8s_openapi::{
    api::storagemigration::v1::{StorageVersionMigration, StorageVersionMigrationStatus},
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

/// How a migration has ended.
pub(super) enum End {
    /// So many objects are written as they shall be.
    Succeeded {
        count: usize,
    },
    Failed {
        why: String,
    },
}

/// Whether nothing is to be done any more.
pub(super) fn ended(migration: &StorageVersionMigration) -> bool {
    let conditions = migration.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|it| it.status == "True").any(|it| matches!(it.type_.as_str(), "Succeeded" | "Failed"))
}

/// The migration, under way from this version on.
pub(super) fn with_start(
    migration: &StorageVersionMigration,
    version: String,
    now: Timestamp,
) -> StorageVersionMigration {
    let mut migration = migration.clone();
    let status = migration.status.get_or_insert_default();
    status.resource_version = Some(version);
    set(status, condition("Running", "StorageVersionMigrationInProgress", "The migration is running", now));
    migration
}

/// The migration at its end.
pub(super) fn with_end(
    migration: &StorageVersionMigration,
    end: &End,
    now: Timestamp,
) -> StorageVersionMigration {
    let mut migration = migration.clone();
    let status = migration.status.get_or_insert_default();
    match end {
        End::Succeeded { count } => {
            let running = match count {
                0 => "The migration is running".to_owned(),
                count => format!("The migration is running, {count} objects verified migrated"),
            };
            set(status, condition("Running", "StorageVersionMigrationInProgress", &running, now));
            set(
                status,
                condition("Succeeded", "StorageVersionMigrationSucceeded", "Migration completed", now),
            );
        }
        End::Failed { why } => set(status, condition("Failed", "StorageVersionMigrationFailed", why, now)),
    }
    migration
}

fn condition(kind: &str, reason: &str, message: &str, now: Timestamp) -> Condition {
    Condition {
        type_: kind.to_owned(),
        status: "True".to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: Time(now),
        observed_generation: None,
    }
}

/// Puts a condition in the place of one of its type, since when it is so.
fn set(status: &mut StorageVersionMigrationStatus, mut new: Condition) {
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|it| it.type_ == new.type_) {
        Some(old) => {
            if old.status == new.status {
                new.last_transition_time = old.last_transition_time.clone();
            }
            *old = new;
        }
        None => conditions.push(new),
    }
}
