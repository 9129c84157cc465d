//! What every engine must do, as one suite that all of them run.
//!
//! In: a maker of empty disks. Out: nothing, or a panic that names the broken promise. [`run`] needs no faults;
//! [`run_crashes`] takes the machine down between a write and a look at what is left. Each promise is also a
//! public function, so that a power-cut test can pick single ones.
//!
//! Deliberately absent: damage and I/O errors (E6, E7). How to cause them differs between engines, so each
//! tests them by itself.

pub mod crashes;
pub mod folders;
pub mod reads;
pub mod stores;
pub mod writes;

use std::sync::Arc;

use super::{Batch, Disk, Engine, Family, Read, Role};

/// A promise that holds on an empty disk without faults.
pub type Promise = fn(&dyn Disk);

/// A promise about what a crash leaves.
pub type CrashPromise = fn(&mut dyn Crashable);

/// All promises that need no crash, by name.
pub const PROMISES: &[(&str, Promise)] = &[
    ("reads: an absent key is none", reads::absent_key_is_none),
    ("reads: seek finds the first entry at or after", reads::seek_finds_first_at_or_after),
    ("reads: seek_back finds the last entry at or before", reads::seek_back_finds_last_at_or_before),
    ("reads: next walks to the end and stays there", reads::next_walks_to_the_end_and_stays),
    ("reads: a fresh cursor stands nowhere", reads::fresh_cursor_stands_nowhere),
    ("reads: keys are ordered as unsigned bytes", reads::keys_are_ordered_as_unsigned_bytes),
    ("reads: a prefix cursor finds what begins so", reads::prefix_cursor_finds_what_begins_so),
    ("reads: a cursor shows the moment it was made", reads::cursor_shows_the_moment_it_was_made),
    ("reads: views stand still (E5)", reads::views_stand_still),
    ("reads: views outlive their handle (E5)", reads::views_outlive_their_handle),
    ("writes: the last write to a key wins (E1)", writes::last_write_to_a_key_wins),
    ("writes: every write is visible at once (E2)", writes::every_write_is_visible_at_once),
    ("writes: families are isolated", writes::families_are_isolated),
    ("writes: families of the other role are refused", writes::other_roles_families_are_refused),
    ("writes: a refused batch changes nothing (E1)", writes::refused_batch_changes_nothing),
    ("writes: delete_range takes the start and leaves the end", writes::delete_range_takes_start_leaves_end),
    ("writes: an empty or inverted range deletes nothing", writes::empty_or_inverted_range_deletes_nothing),
    ("writes: delete_range sees what the batch put before it", writes::delete_range_follows_batch_order),
    ("writes: empty keys, empty values and big values", writes::empty_and_big_values),
    ("writes: readers never see half a batch (E1)", writes::readers_never_see_half_a_batch),
    ("stores: synced data is there after reopening (E3)", stores::synced_data_survives_reopening),
    ("stores: a store is open once", stores::store_is_open_once),
    ("stores: the role is remembered", stores::role_is_remembered),
    ("stores: two stores are apart", stores::two_stores_are_apart),
    ("stores: size grows with the data", stores::size_grows_with_the_data),
    ("stores: remove makes the name empty", stores::remove_makes_the_name_empty),
    ("stores: readers outlive removal", stores::readers_outlive_removal),
    ("stores: names are plain", stores::names_are_plain),
    ("folders: list is sorted and complete", folders::list_is_sorted_and_complete),
    ("folders: files are read as written", folders::files_are_read_as_written),
    ("folders: what is missing is an error", folders::missing_is_an_error),
    ("folders: a foreign folder does not open", folders::foreign_folder_does_not_open),
    ("folders: a checkpoint holds its moment", folders::checkpoint_holds_its_moment),
    ("folders: a captured moment stays", folders::captured_moment_stays),
    ("folders: a checkpoint never replaces anything", folders::checkpoint_never_replaces),
    ("folders: a copied checkpoint opens", folders::copied_checkpoint_opens),
];

/// All promises about crashes, by name.
pub const CRASH_PROMISES: &[(&str, CrashPromise)] = &[
    ("crashes: what was synced survives (E3)", crashes::synced_survives),
    ("crashes: what is lost is lost from the end (E4)", crashes::lost_from_the_end),
    ("crashes: a batch survives whole or not at all (E1)", crashes::batches_survive_whole),
    ("crashes: a sync covers every family (E3)", crashes::sync_covers_every_family),
    ("crashes: synced deletes stay deleted (E3)", crashes::synced_deletes_stay_deleted),
    ("crashes: a checkpoint is durable", crashes::checkpoint_is_durable),
    ("crashes: a synced folder is durable", crashes::synced_folder_is_durable),
    ("crashes: a removed store stays removed", crashes::removed_store_stays_removed),
    ("crashes: writing goes on after a crash", crashes::writing_goes_on),
];

/// A disk whose machine can be taken down.
pub trait Crashable {
    /// The disk as it is now.
    fn disk(&self) -> Arc<dyn Disk>;

    /// Takes the machine down and up again; [`Self::disk`] is then what is left. Which unsynced batches survive
    /// is the implementation's choice; handles from before are not used again.
    fn crash(&mut self);
}

/// Checks all [`PROMISES`], each on a disk of its own.
///
/// # Panics
///
/// At the first promise that is broken.
pub fn run(make: &mut dyn FnMut() -> Arc<dyn Disk>) {
    for (name, promise) in PROMISES {
        let guard = Named(name);
        promise(&*make());
        drop(guard);
    }
}

/// Checks all [`CRASH_PROMISES`], each on a machine of its own.
///
/// # Panics
///
/// At the first promise that is broken.
pub fn run_crashes(make: &mut dyn FnMut() -> Box<dyn Crashable>) {
    for (name, promise) in CRASH_PROMISES {
        let guard = Named(name);
        promise(&mut *make());
        drop(guard);
    }
}

/// Says which promise was being checked when a check panics.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broken promise: {}", self.0);
        }
    }
}

/// A family of each role to test with, where the role does not matter.
const FAMILY: Family = Family::Keys;

fn open(disk: &dyn Disk, name: &str, role: Role) -> Arc<dyn Engine> {
    disk.open(name, role).expect("a store opens on a disk without faults")
}

fn write(engine: &dyn Engine, fill: impl FnOnce(&mut Batch)) {
    let mut batch = Batch::default();
    fill(&mut batch);
    engine.write(batch).expect("a batch is written on a disk without faults");
}

fn put(engine: &dyn Engine, key: &str, value: &str) {
    write(engine, |batch| batch.put(FAMILY, key.to_owned(), value.to_owned()));
}

fn sync(engine: &dyn Engine) {
    engine.sync().expect("a sync succeeds on a disk without faults");
}

fn get(reader: &(impl Read + ?Sized), family: Family, key: &str) -> Option<String> {
    let value = reader.get(family, key.as_bytes()).expect("a read succeeds on a disk without faults");
    value.map(|value| text(&value))
}

/// All entries of a family, by a cursor from the lowest key.
fn entries(reader: &(impl Read + ?Sized), family: Family) -> Vec<(String, String)> {
    let mut cursor = reader.cursor(family);
    cursor.seek(b"").expect("a seek succeeds on a disk without faults");
    let mut found = Vec::new();
    while let Some((key, value)) = cursor.entry() {
        found.push((text(key), text(value)));
        cursor.next().expect("a cursor moves on a disk without faults");
    }
    found
}

fn keys(reader: &(impl Read + ?Sized), family: Family) -> Vec<String> {
    entries(reader, family).into_iter().map(|(key, _)| key).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
