//! A snapshot file, read and checked.
//!
//! In: bytes from anywhere. Out: what the file holds, or why it is none. Only when [`read`] has returned is
//! the checksum known to fit: what was handed out before may be damaged.

use std::io::{self, Read};

use bytes::Bytes;
use keelson_store_core::{auth::Auth, command::KeyValue, lease::Lease};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::format::{
    DIGEST_LEN, FIRST_FORMAT, FORMAT, FormatError, Head, MAGIC, MAX_RECORD, RECORD_HEAD, Record, Totals,
    sealed_len,
};

/// What etcd's own files have behind their first 16 bytes: the mark of its storage engine.
const BOLT_MARK: [u8; 4] = [0xed, 0xda, 0x0c, 0xed];

/// One thing that a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Users and roles, as the core keeps them. They come first.
    Auth(Bytes),
    /// A lease. All leases come before the first key.
    Lease(Lease),
    /// A key. Keys come in order.
    Key {
        /// As it was.
        kv: KeyValue,
        /// Which of its revision's changes made it.
        sub: u32,
    },
}

/// A file whose checksum fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Where it is from.
    pub head: Head,
    /// What it holds.
    pub totals: Totals,
    /// Its SHA-256, without the checksum itself.
    pub digest: [u8; 32],
    /// Its length in bytes.
    pub len: u64,
}

/// Why a file is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The system's words.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is etcd's.
    #[error(
        "it is a snapshot of etcd itself, in the format of etcd's storage engine; only etcdutl can read it. Restore it \
         into an etcd, then copy its keys with `etcdctl make-mirror`"
    )]
    Etcd,
    /// It is anything else.
    #[error("it is no snapshot of this store")]
    Foreign,
    /// It is of a later version.
    #[error(
        "it has format {0}, and this program knows formats up to {FORMAT}: use the version that saved it, or a newer one"
    )]
    TooNew(u32),
    /// A backup does not reach the wanted moment.
    #[error(
        "it does not cover the wanted moment: it begins later, or ends before; look at the names of its files"
    )]
    NotCovered,
    /// It ends too early.
    #[error("it is not complete: the file was cut short, or its transfer was")]
    CutShort,
    /// It is not what was written.
    #[error("it is damaged: {0}. Use another copy")]
    Damaged(String),
}

impl From<FormatError> for ImportError {
    fn from(error: FormatError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Reads a file to its end, and hands out what it holds.
///
/// # Errors
/// It is no snapshot, or a damaged one. An error of `each` comes back as [`ImportError::Io`].
pub fn read(input: impl Read, mut each: impl FnMut(Item) -> io::Result<()>) -> Result<Contents, ImportError> {
    let mut input = Input { input, digest: Sha256::new(), len: 0, contents: Xxh3::new() };
    let head = input.head()?;
    let mut found = Totals::default();
    loop {
        match input.record()? {
            Record::Key(kv, sub) => {
                found.keys += 1;
                each(Item::Key { kv, sub })?;
            }
            Record::Auth { revision: _, record } => each(Item::Auth(checked(record)?))?,
            Record::Lease(lease) => {
                found.leases += 1;
                each(Item::Lease(lease))?;
            }
            Record::Head(_) | Record::Deletion { .. } | Record::Moment { .. } => {
                return Err(ImportError::Damaged("a record is where none of its kind may be".to_owned()));
            }
            Record::End(totals) => {
                found.contents = input.contents.digest();
                if found != totals {
                    return Err(ImportError::Damaged("it does not hold what it says".to_owned()));
                }
                let (digest, len) = input.end()?;
                return Ok(Contents { head, totals, digest, len });
            }
        }
    }
}

/// Lets a format pass that is known here.
pub(super) fn check_format(found: u32) -> Result<(), ImportError> {
    match found {
        FIRST_FORMAT | FORMAT => Ok(()),
        other => Err(ImportError::TooNew(other)),
    }
}

/// Users and roles that can be read.
pub(super) fn checked(record: Bytes) -> Result<Bytes, ImportError> {
    match Auth::decode(&record) {
        Ok(_) => Ok(record),
        Err(error) => Err(ImportError::Damaged(error.to_string())),
    }
}

struct Input<R> {
    input: R,
    digest: Sha256,
    len: u64,
    contents: Xxh3,
}

impl<R: Read> Input<R> {
    /// Exactly so many bytes.
    fn take(&mut self, len: usize) -> Result<Vec<u8>, ImportError> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(len as u64).read_to_end(&mut bytes)?;
        if bytes.len() < len {
            return Err(ImportError::CutShort);
        }
        self.digest.update(&bytes);
        self.len += len as u64;
        Ok(bytes)
    }

    fn head(&mut self) -> Result<Head, ImportError> {
        let start = self.take(MAGIC.len() + 4).map_err(|error| match error {
            ImportError::CutShort => ImportError::Foreign,
            other => other,
        })?;
        let Some(format) = start.strip_prefix(MAGIC) else {
            let more = self.take(8).unwrap_or_default();
            return Err(if more.get(4..) == Some(&BOLT_MARK) {
                ImportError::Etcd
            } else {
                ImportError::Foreign
            });
        };
        let format = format.try_into().map_or(0, u32::from_be_bytes);
        check_format(format)?;
        let (_, record) = self.any_record()?;
        let Record::Head(head) = record else {
            return Err(ImportError::Damaged("it has no beginning".to_owned()));
        };
        Ok(head)
    }

    /// A record, which counts for the contents unless it is the last.
    fn record(&mut self) -> Result<Record, ImportError> {
        let (bytes, record) = self.any_record()?;
        if !matches!(record, Record::End(_)) {
            self.contents.update(&bytes);
        }
        Ok(record)
    }

    fn any_record(&mut self) -> Result<(Vec<u8>, Record), ImportError> {
        let mut bytes = self.take(RECORD_HEAD)?;
        let (&kind, length) = bytes.split_first().ok_or(ImportError::CutShort)?;
        let length = length.try_into().map_or(0, u32::from_be_bytes);
        if length > MAX_RECORD {
            return Err(ImportError::Damaged(format!("a record of {length} bytes")));
        }
        bytes.extend(self.take(length as usize)?);
        let record = Record::decode(kind, &bytes[RECORD_HEAD..])?;
        Ok((bytes, record))
    }

    /// What follows the last record. Returns the checksum and the file's length.
    fn end(mut self) -> Result<([u8; 32], u64), ImportError> {
        let zeros = sealed_len(self.len) - self.len;
        self.take(usize::try_from(zeros).unwrap_or_default())?;
        let found: [u8; 32] = self.digest.clone().finalize().into();
        let len = self.len + DIGEST_LEN;
        let expected = self.take(DIGEST_LEN as usize)?;
        if found[..] != expected {
            return Err(ImportError::Damaged("its checksum does not fit".to_owned()));
        }
        match self.input.read(&mut [0])? {
            0 => Ok((found, len)),
            _ => Err(ImportError::Damaged("something follows its end".to_owned())),
        }
    }
}
