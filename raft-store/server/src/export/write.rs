//! From a view of the state to a snapshot file.

use std::io::{self, Write};

use keelson_store_core::{auth::Auth, command::KeyRange, engine::Read, id::Revision, lease, mvcc::Scan};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::format::{BLOCK, DIGEST_LEN, FIRST_FORMAT, FORMAT, Head, MAGIC, Record, Totals, sealed_len};

/// Writes the file of a state whose newest revision the head names, but for what [`Sealed::finish`] adds. The
/// same state and head make the same bytes (X2).
///
/// # Errors
/// The engine's, if something cannot be read, or the sink's.
pub fn write(state: &dyn Read, head: Head, sink: &mut dyn Write) -> io::Result<Totals> {
    let auth = Auth::load(state).map_err(io::Error::other)?;
    let format = if auth.is_unused() { FIRST_FORMAT } else { FORMAT };
    let mut bytes = MAGIC.to_vec();
    bytes.extend(format.to_be_bytes());
    Record::Head(head).encode(&mut bytes);
    sink.write_all(&bytes)?;
    let mut items = Items { sink, hash: Xxh3::new(), bytes, totals: Totals::default() };
    if !auth.is_unused() {
        items.put(&Record::Auth { revision: Revision::ZERO, record: auth.without_token_key().encode() })?;
    }
    for lease in lease::all(state).map_err(io::Error::other)? {
        items.put(&Record::Lease(lease))?;
        items.totals.leases += 1;
    }
    let all = KeyRange::From(vec![0].into());
    let mut scan = Scan::new(state, &all, head.revision).map_err(io::Error::other)?;
    while let Some(visible) = scan.next_key().map_err(io::Error::other)? {
        let sub = visible.id.sub;
        items.put(&Record::Key(visible.to_key_value().map_err(io::Error::other)?, sub))?;
        items.totals.keys += 1;
    }
    let totals = Totals { contents: items.hash.digest(), ..items.totals };
    items.put(&Record::End(totals))?;
    Ok(totals)
}

/// Records on their way, counted and hashed.
struct Items<'s> {
    sink: &'s mut dyn Write,
    hash: Xxh3,
    /// Kept for its memory.
    bytes: Vec<u8>,
    totals: Totals,
}

impl Items<'_> {
    fn put(&mut self, record: &Record) -> io::Result<()> {
        self.bytes.clear();
        record.encode(&mut self.bytes);
        self.hash.update(&self.bytes);
        self.sink.write_all(&self.bytes)
    }
}

/// A sink that ends a file with its checksum, and knows its length.
pub struct Sealed<W> {
    sink: W,
    digest: Sha256,
    len: u64,
}

impl<W: Write> Sealed<W> {
    /// Passes on to `sink`.
    pub fn new(sink: W) -> Self {
        Self { sink, digest: Sha256::new(), len: 0 }
    }

    /// Fills up and appends the checksum. Returns the sink, and the file's length in bytes.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        let missing = sealed_len(self.len) - self.len;
        let zeros = vec![0; usize::try_from(missing).unwrap_or(BLOCK as usize)];
        self.write_all(&zeros)?;
        self.sink.write_all(&self.digest.finalize())?;
        self.sink.flush()?;
        Ok((self.sink, self.len + DIGEST_LEN))
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.sink.write(bytes)?;
        self.digest.update(&bytes[..taken]);
        self.len += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
