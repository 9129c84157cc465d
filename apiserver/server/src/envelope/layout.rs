//! Finds the metadata in canonical JSON, and the place of the resourceVersion inside.

use std::ops::Range;

/// The fields of ObjectMeta that its Go struct has before `resourceVersion`.
const BEFORE: [&[u8]; 5] = [b"name", b"generateName", b"namespace", b"selfLink", b"uid"];

/// Where things stand in an object's JSON.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The value of `metadata`.
    pub(super) metadata: Range<usize>,
    /// The member `resourceVersion` with a comma that belongs to it; empty where there is none.
    pub(super) revision: Range<usize>,
}

impl Layout {
    /// `None` for what is no canonical JSON object with metadata.
    pub(super) fn find(json: &[u8]) -> Option<Self> {
        let mut members = Members::of(json, 0)?;
        let metadata = loop {
            let member = members.next()?;
            if member.key == b"metadata" {
                break member.value;
            }
        };
        let revision = place(json, &metadata)?;
        Some(Self { metadata, revision })
    }
}

fn place(json: &[u8], metadata: &Range<usize>) -> Option<Range<usize>> {
    let mut members = Members::of(json, metadata.start)?;
    let mut place = metadata.start + 1;
    let first = place;
    while let Some(member) = members.next() {
        if member.key == b"resourceVersion" {
            let followed = json.get(member.value.end) == Some(&b',');
            // Whichever comma separated it from a neighbour goes with it.
            return Some(match (member.start == first, followed) {
                (true, true) => member.start..member.value.end + 1,
                (true, false) => member.start..member.value.end,
                (false, _) => member.start - 1..member.value.end,
            });
        }
        if BEFORE.contains(&member.key) {
            place = member.value.end;
        }
    }
    (members.at + 1 == metadata.end).then_some(place..place)
}

/// The members of an object, one after the other.
struct Members<'j> {
    json: &'j [u8],
    /// Before the next member, or at the closing brace.
    at: usize,
}

struct Member<'j> {
    /// Where its key begins.
    start: usize,
    key: &'j [u8],
    value: Range<usize>,
}

impl<'j> Members<'j> {
    fn of(json: &'j [u8], brace: usize) -> Option<Self> {
        (json.get(brace) == Some(&b'{')).then_some(Self { json, at: brace + 1 })
    }

    /// `None` at the end, and at anything that is not canonical.
    fn next(&mut self) -> Option<Member<'j>> {
        let json = self.json;
        let start = if json.get(self.at) == Some(&b',') { self.at + 1 } else { self.at };
        let key_end = skip_string(json, start)?;
        if json.get(key_end) != Some(&b':') {
            return None;
        }
        let value = key_end + 1..skip_value(json, key_end + 1)?;
        self.at = value.end;
        Some(Member { start, key: &json[start + 1..key_end - 1], value })
    }
}

/// Past the string that begins at `at`.
fn skip_string(json: &[u8], at: usize) -> Option<usize> {
    if json.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Past the value that begins at `at`.
fn skip_value(json: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    let mut depth = 0_usize;
    loop {
        match json.get(at)? {
            b'"' => at = skip_string(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                at += 1;
            }
            b',' | b':' => {
                at += 1;
                continue;
            }
            _ => at = skip_scalar(json, at),
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// Past a number or a literal.
fn skip_scalar(json: &[u8], at: usize) -> usize {
    let rest = &json[at..];
    at + rest.iter().position(|byte| b",:]}\"".contains(byte)).unwrap_or(rest.len())
}
