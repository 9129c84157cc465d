//! The one file that a checkpoint of the in-memory engine consists of.
//!
//! Layout, all numbers big-endian:
//!
//! ```text
//! "KEELMEM\n" · crc32c(rest) u32 · version u32 · role u8 · record*
//! record: family u8 · damaged u8 · key length u32 · key · value length u32 · value
//! ```
//!
//! Records stand in the order of families and keys. A damaged record travels as one, as it would inside a
//! hard-linked file.

use bytes::{Buf, BufMut, Bytes};

use super::store::Image;
use super::tree::Record;
use crate::engine::{EngineError, Family, Role};

/// Name of the file in its folder.
pub(super) const FILE_NAME: &str = "IMAGE";

/// The newest layout this program reads, and the one it writes.
pub(super) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"KEELMEM\n";
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>();

/// Serialises an image.
pub(super) fn encode(role: Role, image: &Image) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u32(VERSION);
    body.put_u8(role as u8);
    for family in Family::of(role) {
        image.tree(family).visit(&mut |node| {
            let value: &[u8] = match &node.record {
                Record::Intact(value) => value,
                Record::Damaged => &[],
            };
            body.put_u8(family as u8);
            body.put_u8(u8::from(node.record == Record::Damaged));
            put_bytes(&mut body, &node.key);
            put_bytes(&mut body, value);
        });
    }
    let mut file = Vec::with_capacity(HEADER_BYTES + body.len());
    file.put_slice(MAGIC);
    file.put_u32(crc32c::crc32c(&body));
    file.put_slice(&body);
    file
}

/// Reads back what [`encode`] wrote for a store of `role`.
///
/// # Errors
///
/// [`EngineError::Corrupt`] when it is not that, [`EngineError::TooNew`] when the version is not known.
pub(super) fn decode(what: &str, role: Role, file: &[u8]) -> Result<Image, EngineError> {
    let corrupt = |detail: &str| EngineError::Corrupt { what: what.into(), detail: detail.into() };
    let mut rest = file.strip_prefix(MAGIC.as_slice()).ok_or_else(|| corrupt("no magic number"))?;
    let checksum = rest.try_get_u32().map_err(|_| corrupt("no checksum"))?;
    if crc32c::crc32c(rest) != checksum {
        return Err(corrupt("the checksum does not fit"));
    }
    let version = rest.try_get_u32().map_err(|_| corrupt("no version"))?;
    if version > VERSION {
        return Err(EngineError::TooNew { what: what.into(), found: version, known: VERSION });
    }
    if rest.try_get_u8() != Ok(role as u8) {
        return Err(corrupt("it is a store of the other role"));
    }
    let mut image = Image::default();
    while rest.has_remaining() {
        let (family, key, record) = take_record(&mut rest).ok_or_else(|| corrupt("a record is cut short"))?;
        image.put(family, key, record);
    }
    Ok(image)
}

fn take_record(from: &mut &[u8]) -> Option<(Family, Bytes, Record)> {
    let number = from.try_get_u8().ok()?;
    let family = Family::ALL.into_iter().find(|family| *family as u8 == number)?;
    let is_damaged = from.try_get_u8().ok()? != 0;
    let key = take_bytes(from)?;
    let value = take_bytes(from)?;
    Some((family, key, if is_damaged { Record::Damaged } else { Record::Intact(value) }))
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.put_u32(u32::try_from(bytes.len()).expect("keys and values are far shorter than 4 GiB"));
    to.put_slice(bytes);
}

fn take_bytes(from: &mut &[u8]) -> Option<Bytes> {
    let length = from.try_get_u32().ok()? as usize;
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(Bytes::copy_from_slice(bytes))
}
