//! One file of a log.
//!
//! In: its number and what it begins with. Out: a file of its full length, whose room is there, under its name only when
//! all that is durable (L3); reads that check what they read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use keelson_store_core::engine::EngineError;
use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};

use crate::pattern;

const ENDING: &str = ".log";
const STAGING: &str = ".new";

/// What a file system writes in one piece, or a multiple of it.
const PAGE: u64 = 4096;

/// How many zeros are written ahead of the records at once. More make the sync that carries them longer.
const PREPARED_AT_ONCE: usize = 256 << 10;

static ZEROS: [u8; PREPARED_AT_ONCE] = [0; PREPARED_AT_ONCE];

/// A file of a log. It is removed by name; whoever still reads from it can go on.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) number: u64,
    /// Its length.
    pub(crate) bytes: u64,
    path: PathBuf,
    file: File,
    /// How far its room is written with zeros at least; see [`Self::prepare`].
    prepared: AtomicU64,
    /// How many entries have their values here and are not deleted.
    live: AtomicU64,
    /// Held during a sync; whether one has failed. The system tells that one caller only.
    sync_failed: Mutex<bool>,
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
            reserve(&file, bytes)?;
            file.write_all_at(&opening, 0)?;
            file.sync_all()?;
            fs::rename(&staging, &path)?;
            sync_dir(dir)?;
            Ok(file)
        };
        let file = make().map_err(|error| {
            // Its room may be what somebody else needs.
            let _ = fs::remove_file(&staging);
            EngineError::io("create", &path, &error)
        })?;
        Ok(Self::of(number, bytes, path, file))
    }

    /// Opens a segment; answers its bytes without the pattern.
    pub(crate) fn open(dir: &Path, number: u64) -> Result<(Self, Vec<u8>), EngineError> {
        let path = dir.join(file_name(number));
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let mut file = file.map_err(|error| EngineError::io("open", &path, &error))?;
        let mut plain = Vec::new();
        file.read_to_end(&mut plain).map_err(|error| EngineError::io("read", &path, &error))?;
        pattern::cover(0, &mut plain);
        Ok((Self::of(number, plain.len() as u64, path, file), plain))
    }

    fn of(number: u64, bytes: u64, path: PathBuf, file: File) -> Self {
        let (prepared, live) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { number, bytes, path, file, prepared, live, sync_failed: Mutex::new(false) }
    }

    /// The numbers of the segments in a folder, in order. Makes durable which they are, and removes one that was not
    /// finished.
    pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, EngineError> {
        let list = || -> io::Result<Vec<u64>> {
            let mut numbers = Vec::new();
            for entry in fs::read_dir(dir)? {
                let name = entry?.file_name();
                let name = name.to_str().unwrap_or_default();
                if name == STAGING {
                    fs::remove_file(dir.join(name))?;
                }
                let number = name.strip_suffix(ENDING).and_then(|number| number.parse().ok());
                numbers.extend(number.filter(|number| file_name(*number) == name));
            }
            numbers.sort_unstable();
            sync_dir(dir)?;
            Ok(numbers)
        };
        list().map_err(|error| EngineError::io("list", dir, &error))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Hands a record to the system.
    pub(crate) fn write(&self, offset: u64, covered: &[u8]) -> Result<(), EngineError> {
        let written = self.file.write_all_at(covered, offset);
        let written = written.and_then(|()| self.prepare(offset + covered.len() as u64));
        written.map_err(|error| EngineError::io("write to", &self.path, &error))
    }

    /// Writes zeros where the next records will be, when records end at `end` and there are not enough of them. It is room
    /// that reads as zeros already, but the file system notes where it was never written, and changes that note with each
    /// sync of a record there: a quarter of its time.
    fn prepare(&self, end: u64) -> io::Result<()> {
        let from = end.next_multiple_of(PAGE).max(self.prepared.load(Ordering::Relaxed));
        let to = (from + PREPARED_AT_ONCE as u64).min(self.bytes);
        if from >= end + PAGE || from >= to {
            return Ok(());
        }
        self.file.write_all_at(&ZEROS[..(to - from) as usize], from)?;
        self.prepared.store(to, Ordering::Relaxed);
        Ok(())
    }

    /// A value, if it is as it was written.
    pub(crate) fn read(&self, offset: u64, len: usize, crc: u32) -> Result<Bytes, EngineError> {
        let mut value = vec![0; len];
        match self.file.read_exact_at(&mut value, offset) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(EngineError::corrupt(&self.path, "it has become shorter than it was made"));
            }
            read => read.map_err(|error| EngineError::io("read", &self.path, &error))?,
        }
        pattern::cover(offset, &mut value);
        if crc32c::crc32c(&value) == crc {
            Ok(value.into())
        } else {
            Err(EngineError::corrupt(
                &self.path,
                format!("the checksum of the entry at byte {offset} does not fit"),
            ))
        }
    }

    /// Makes all that was written durable. Once that has failed it fails for ever: the system may have dropped what it
    /// could not write.
    pub(crate) fn sync(&self) -> Result<(), EngineError> {
        let mut failed = self.sync_failed.lock().unwrap_or_else(PoisonError::into_inner);
        if *failed {
            let cause = "an earlier sync of it failed".to_owned();
            return Err(EngineError::Io { what: format!("sync {}", self.path.display()), cause });
        }
        self.file.sync_data().map_err(|error| {
            *failed = true;
            EngineError::io("sync", &self.path, &error)
        })
    }

    /// Deletes files, durably.
    pub(crate) fn remove_all(dir: &Path, numbers: impl Iterator<Item = u64>) -> Result<(), EngineError> {
        let remove = || -> io::Result<()> {
            for number in numbers {
                fs::remove_file(dir.join(file_name(number)))?;
            }
            sync_dir(dir)
        };
        remove().map_err(|error| EngineError::io("remove segments of", dir, &error))
    }

    pub(crate) fn gains(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn loses(&self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no entry lies here any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.live.load(Ordering::Relaxed) == 0
    }
}

/// The name of a segment's file.
pub(crate) fn file_name(number: u64) -> String {
    format!("{number:016}{ENDING}")
}

/// Gives a new file its room, which reads as zeros.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, bytes) {
            Err(Errno::INTR) => {}
            // There are file systems that cannot; then the room is taken when it is written.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return file.set_len(bytes),
            reserved => return reserved.map_err(io::Error::from),
        }
    }
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
