//! How RocksDB is set up for a state, with memory for a machine that has little.
//!
//! In: [`RocksOptions`]. Out: open databases. The choices that correctness hangs on are in [`for_database`];
//! everything else is tuning.

use std::path::Path;

use keelson_store_core::{
    engine::{EngineError, Family, Role},
    schema,
};
use keelson_store_log::LogOptions;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Env, LogLevel, Options, SliceTransform, WriteBufferManager,
};

use crate::error::{open_error, rocks_error};

const MEBIBYTE: usize = 1 << 20;

/// A table with at least this part of deletions is merged at once with what it deletes.
const MOSTLY_DELETIONS: f64 = 0.75;

/// So many tables of the first level are merged into the next at once.
const YOUNG_TABLES: i32 = 8;

/// So many buffers' worth of tables make the level below the first: as much as is merged into it.
const BASE_BUFFERS: usize = 4;

/// A disk has room for at least so many segments of the log, and for as much of the state.
const LEAST_SEGMENTS: u64 = 3;

/// What is read, checked and unpacked in one piece. Small pieces cost a call of the system each when tables are merged, and
/// large indexes.
const BLOCK_BYTES: usize = 16 << 10;

/// Tables are written to the disk in such pieces, one after the other: on a disk that is shared with the log, what is under
/// way is what the log's next sync waits for.
const WRITE_OUT_BYTES: usize = 256 << 10;

/// How much of a buffer its filter takes.
const BUFFER_FILTER_RATIO: f64 = 0.01;

/// How much memory and how many threads one disk may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RocksOptions {
    /// Cache of table blocks, indexes and filters, shared by all stores of the disk. Bytes.
    pub block_cache_bytes: usize,
    /// How logs lie on the disk.
    pub log: LogOptions,
    /// How much a family of the state collects in memory before all families are written out. Bytes.
    pub state_buffer_bytes: usize,
    /// When the buffers of all stores together pass this, the fullest store is written out. Bytes.
    pub all_buffers_bytes: usize,
    /// Threads for writing out and compacting, shared by the process.
    pub background_jobs: u16,
}

impl Default for RocksOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 16 * MEBIBYTE,
            log: LogOptions::default(),
            state_buffer_bytes: 16 * MEBIBYTE,
            all_buffers_bytes: 32 * MEBIBYTE,
            background_jobs: 2,
        }
    }
}

impl RocksOptions {
    /// What must stay free on a disk on which so much is used: a member may have acknowledged all that is in memory.
    pub(crate) fn reserve(&self, used: u64) -> u64 {
        self.unwritten() + used.min(self.merged())
    }

    /// The smallest disk on which a member can work: the log, as much again of the state, and the reserve of both.
    pub(crate) fn least_disk(&self) -> u64 {
        let used = LEAST_SEGMENTS * self.log.segment_bytes;
        used + self.reserve(used)
    }

    /// What is in memory only: one half is filled while the other is written out. And the log begins another segment, of its
    /// full length, for whatever is written meanwhile.
    fn unwritten(&self) -> u64 {
        2 * self.all_buffers_bytes as u64 + self.log.segment_bytes
    }

    /// What merges write before anything goes that they have read; they read no more than there is.
    fn merged(&self) -> u64 {
        let young = YOUNG_TABLES as usize + BASE_BUFFERS;
        u64::from(self.background_jobs) * (young * self.state_buffer_bytes) as u64
    }
}

/// The options, and what all stores of a disk share.
pub(crate) struct Tuning {
    pub(crate) options: RocksOptions,
    cache: Cache,
    buffers: WriteBufferManager,
}

impl Tuning {
    pub(crate) fn new(options: &RocksOptions) -> Self {
        yield_to_others();
        Self {
            options: *options,
            cache: Cache::new_lru_cache(options.block_cache_bytes),
            // It never makes writers wait: a full disk must be an error and not a hang.
            buffers: WriteBufferManager::new_write_buffer_manager(options.all_buffers_bytes, false),
        }
    }
}

/// Has the process's threads that merge tables give way to those that answer. Writing out, which memory depends on, does not.
fn yield_to_others() {
    // RocksDB always has an environment; without one, merging would only be less polite.
    if let Ok(mut environment) = Env::new() {
        environment.lower_thread_pool_cpu_priority();
    }
}

impl std::fmt::Debug for Tuning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.options.fmt(f)
    }
}

/// Makes a database in an empty folder.
pub(crate) fn create(path: &Path, tuning: &Tuning) -> Result<DB, EngineError> {
    let mut options = for_database(tuning);
    options.create_if_missing(true);
    options.set_error_if_exists(true);
    options.create_missing_column_families(true);
    let opened = DB::open_cf_descriptors(&options, path, families(tuning));
    opened.map_err(|error| rocks_error("create", path, error))
}

/// Opens a database that is there; one whose parts are missing is not made anew.
pub(crate) fn open(path: &Path, tuning: &Tuning) -> Result<DB, EngineError> {
    let opened = DB::open_cf_descriptors(&for_database(tuning), path, families(tuning));
    opened.map_err(|error| open_error(path, error))
}

fn families(tuning: &Tuning) -> Vec<ColumnFamilyDescriptor> {
    Family::of(Role::State)
        .map(|family| ColumnFamilyDescriptor::new(family.name(), for_family(family, tuning)))
        .collect()
}

/// The options of a whole database. The first block is what the contract hangs on.
fn for_database(tuning: &Tuning) -> Options {
    let mut options = one_piece_at_a_time();
    options.create_if_missing(false);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
    options.set_track_and_verify_wals_in_manifest(true);
    // Writes bypass RocksDB's own log: without this the families would come back from different moments.
    options.set_atomic_flush(true);
    // The state machine is the only writer: each insertion begins where the one before it ended.
    options.set_allow_concurrent_memtable_write(false);
    // Every table stays open, so that readers of a removed store never need its folder again.
    options.set_max_open_files(-1);

    options.set_write_buffer_manager(&tuning.buffers);
    options.set_max_background_jobs(i32::from(tuning.options.background_jobs));
    options.set_bytes_per_sync(WRITE_OUT_BYTES as u64);
    options.set_log_level(LogLevel::Warn);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(MEBIBYTE);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// RocksDB's defaults, but that a table's next piece waits for the one before ([`WRITE_OUT_BYTES`]).
fn one_piece_at_a_time() -> Options {
    let options = Options::default().get_options_from_string("strict_bytes_per_sync=true");
    options.expect("RocksDB knows its own option")
}

fn for_family(family: Family, tuning: &Tuning) -> Options {
    let mut options = Options::default();
    compress(family, &mut options);
    options.set_write_buffer_size(tuning.options.state_buffer_bytes);
    // Else a table of deletions lies on top of what it deletes until there are other reasons to merge them.
    options.add_compact_on_deletion_collector_factory(0, 0, MOSTLY_DELETIONS);
    // The first level as large as what is merged into it; and what is merged at once must fit into the room that is kept
    // on a disk that is nearly full.
    options.set_max_bytes_for_level_base((BASE_BUFFERS * tuning.options.state_buffer_bytes) as u64);
    options.set_target_file_size_base(2 * tuning.options.state_buffer_bytes as u64);
    options.set_max_compaction_bytes(YOUNG_TABLES as u64 * tuning.options.state_buffer_bytes as u64);
    options.set_level_zero_file_num_compaction_trigger(YOUNG_TABLES);
    options.set_max_write_buffer_number(3);
    // A family that holds next to nothing should cost next to nothing.
    options.set_arena_block_size(64 * 1024);
    options.set_block_based_table_factory(&tables(family, tuning));
    if filter(family) == Filter::Prefixes {
        options.set_prefix_extractor(shared_prefixes());
        options.set_memtable_prefix_bloom_ratio(BUFFER_FILTER_RATIO);
    }
    options
}

fn compress(family: Family, options: &mut Options) {
    let (young, old) = (DBCompressionType::None, DBCompressionType::Lz4);
    match family {
        // It is written in order, so tables follow each other, and move down as they are if they need not change.
        Family::Changes => options.set_compression_type(old),
        // What is written out first is soon merged into what is there, and compressed then.
        Family::Keys
        | Family::Leases
        | Family::LeaseKeys
        | Family::Meta
        | Family::LogMeta
        | Family::LogEntries => {
            options.set_compression_per_level(&[young, old, old, old, old, old, old]);
        }
    }
}

fn tables(family: Family, tuning: &Tuning) -> BlockBasedOptions {
    let mut tables = BlockBasedOptions::default();
    tables.set_block_size(BLOCK_BYTES);
    tables.set_block_cache(&tuning.cache);
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In one piece the index of a large table is more than a part of the cache holds, and would be read and decompressed
    // anew for every key.
    tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_pin_top_level_index_and_filter(true);
    let filter = filter(family);
    if filter != Filter::None {
        tables.set_bloom_filter(10.0, false);
        tables.set_whole_key_filtering(filter == Filter::Keys);
    }
    tables
}

/// What a family's filters know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    /// It is read by cursor over many keys, where a filter is no help.
    None,
    /// It is asked for single keys, which may be absent.
    Keys,
    /// It is asked for the versions of single keys, which may be new.
    Prefixes,
}

const fn filter(family: Family) -> Filter {
    match family {
        Family::Meta | Family::Leases | Family::LeaseKeys => Filter::Keys,
        Family::Keys => Filter::Prefixes,
        // Those of the log do not lie here.
        Family::Changes | Family::LogMeta | Family::LogEntries => Filter::None,
    }
}

/// The prefix under which the filters know a key of [`Filter::Prefixes`]; what has none is not filtered.
fn shared_prefixes() -> SliceTransform {
    SliceTransform::create(
        "keelson.shared-prefix",
        |key| schema::shared_prefix(key).unwrap_or(key),
        Some(|key| schema::shared_prefix(key).is_some()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn the_reserve_holds_what_is_in_memory_a_segment_and_what_is_merged() {
        let options = RocksOptions::default();
        assert_eq!(options.reserve(0), (64 + 16) * MIB);
        assert_eq!(options.reserve(100 * MIB), (64 + 16 + 100) * MIB, "no more is merged than there is");
        assert_eq!(options.reserve(1 << 40), (64 + 16 + 2 * (128 + 64)) * MIB);
    }

    #[test]
    fn on_the_smallest_disk_log_and_state_have_room_beside_the_reserve() {
        let options = RocksOptions::default();
        assert_eq!(options.least_disk(), 176 * MIB);
        let free = options.least_disk() - 2 * options.log.segment_bytes;
        assert!(free >= options.reserve(options.least_disk() - free), "writes go on beside two segments");
    }
}
