//! One file of a log.
//!
//! In: its number and what it begins with. Out: a file of its full length, whose room is there, under its name only when
//! all that is durable (L3); reads that check what they read.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use keelson_store_core::engine::EngineError;
use rustix::fs::{FallocateFlags, fallocate};

use crate::{
    error::{corrupt, io_error},
    pattern,
};

const ENDING: &str = ".log";
const STAGING: &str = ".new";

/// A file of a log. It is removed by name; whoever still reads from it can go on.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    path: PathBuf,
    file: File,
    /// Entries whose values lie here and that are not deleted.
    entries: AtomicU64,
}

impl Segment {
    /// Makes a segment of so many bytes that begins with `opening`, durably.
    pub(crate) fn create(
        dir: &Path,
        number: u64,
        bytes: u64,
        mut opening: Vec<u8>,
    ) -> Result<Self, EngineError> {
        let staging = dir.join(STAGING);
        let path = dir.join(file_name(number));
        pattern::cover(0, &mut opening);
        let make = || -> io::Result<File> {
            let file =
                OpenOptions::new().create(true).truncate(true).read(true).write(true).open(&staging)?;
            reserve(&file, 0, bytes)?;
            file.write_all_at(&opening, 0)?;
            file.sync_all()?;
            fs::rename(&staging, &path)?;
            sync_dir(dir)?;
            Ok(file)
        };
        let file = make().map_err(|error| io_error("create", &path, &error))?;
        Ok(Self { number, path, file, entries: AtomicU64::new(0) })
    }

    /// Opens a segment; answers its bytes without the pattern.
    pub(crate) fn open(dir: &Path, number: u64) -> Result<(Self, Vec<u8>), EngineError> {
        let path = dir.join(file_name(number));
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|error| io_error("open", &path, &error))?;
        let mut plain = fs::read(&path).map_err(|error| io_error("read", &path, &error))?;
        pattern::cover(0, &mut plain);
        Ok((Self { number, path, file, entries: AtomicU64::new(0) }, plain))
    }

    /// The numbers of the segments in a folder, in order.
    pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, EngineError> {
        let list = || -> io::Result<Vec<u64>> {
            let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name()));
            let names = names.collect::<io::Result<Vec<_>>>()?;
            let number = |name: &str| name.strip_suffix(ENDING)?.parse().ok();
            let mut numbers: Vec<u64> = names.iter().filter_map(|name| number(name.to_str()?)).collect();
            numbers.sort_unstable();
            Ok(numbers)
        };
        list().map_err(|error| io_error("list", dir, &error))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands a record to the system.
    pub(crate) fn write(&self, offset: u64, covered: &[u8]) -> Result<(), EngineError> {
        self.file.write_all_at(covered, offset).map_err(|error| io_error("write to", &self.path, &error))
    }

    /// A value, if it is as it was written.
    pub(crate) fn read(&self, offset: u64, len: usize, crc: u32) -> Result<Bytes, EngineError> {
        let mut value = vec![0; len];
        match self.file.read_exact_at(&mut value, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(corrupt(&self.path, "it has become shorter than it was made"));
            }
            read => read.map_err(|error| io_error("read", &self.path, &error))?,
        }
        pattern::cover(offset, &mut value);
        if crc32c::crc32c(&value) == crc {
            Ok(value.into())
        } else {
            Err(corrupt(&self.path, format!("the checksum of the entry at byte {offset} does not fit")))
        }
    }

    /// Makes all that was written durable.
    pub(crate) fn sync(&self) -> Result<(), EngineError> {
        self.file.sync_data().map_err(|error| io_error("sync", &self.path, &error))
    }

    /// Makes what lies behind `end` free again, durably.
    pub(crate) fn clear_from(&self, end: u64, bytes: u64) -> Result<(), EngineError> {
        let clear = || -> io::Result<()> {
            self.file.set_len(end)?;
            reserve(&self.file, end, bytes - end)?;
            self.file.sync_all()
        };
        clear().map_err(|error| io_error("clear the end of", &self.path, &error))
    }

    /// Deletes the file, durably.
    pub(crate) fn remove(&self) -> Result<(), EngineError> {
        let dir = self.path.parent().unwrap_or(&self.path);
        let removed = fs::remove_file(&self.path).and_then(|()| sync_dir(dir));
        removed.map_err(|error| io_error("remove", &self.path, &error))
    }

    pub(crate) fn gains(&self) {
        self.entries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn loses(&self) {
        self.entries.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no entry lies here any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:016}{ENDING}")
}

/// Gives a file this room, which reads as zeros.
fn reserve(file: &File, offset: u64, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::empty(), offset, bytes) {
        // There are file systems that cannot; then the room is taken when it is written.
        Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(offset + bytes),
        reserved => reserved.map_err(io::Error::from),
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
