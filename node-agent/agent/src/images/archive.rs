//! Which images an archive holds, without unpacking it.
//!
//! In: a tar file as `docker save` and OCI tools write it. Out: the names in it. What is not such a file, or is
//! compressed, has no names here; the runtime may be able to read it all the same.

use std::io::{self, Read, Seek, SeekFrom};

use serde_json::Value;

/// The unit that tar counts in.
const BLOCK: u64 = 512;

/// Larger lists of names are not read.
const MAX_LIST: u64 = 4 << 20;

/// The annotation of an OCI index that holds an image's whole name.
const NAME: &str = "io.containerd.image.name";

/// The names of the images in an archive, each once.
pub(crate) fn names(mut file: impl Read + Seek) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    while let Some(entry) = next_entry(&mut file)? {
        let is_list = matches!(entry.name.trim_start_matches("./"), "manifest.json" | "index.json");
        let padding = entry.size.next_multiple_of(BLOCK) - entry.size;
        if is_list && entry.size <= MAX_LIST {
            let mut text = Vec::new();
            (&mut file).take(entry.size).read_to_end(&mut text)?;
            names.extend(serde_json::from_slice(&text).map(|list| listed(&list)).unwrap_or_default());
            skip(&mut file, padding)?;
        } else {
            skip(&mut file, entry.size.saturating_add(padding))?;
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

struct Entry {
    name: String,
    size: u64,
}

/// The next file's head; `None` at the end, or where no tar goes on.
fn next_entry(file: &mut impl Read) -> io::Result<Option<Entry>> {
    let mut head = [0; BLOCK as usize];
    match file.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let name = head[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    let size = std::str::from_utf8(&head[124..136]).ok().map(|text| text.trim_matches(['\0', ' ']));
    let size = size.and_then(|text| u64::from_str_radix(text, 8).ok()).filter(|size| *size < u64::MAX / 2);
    Ok(size
        .filter(|_| !name.is_empty())
        .map(|size| Entry { name: String::from_utf8_lossy(name).into_owned(), size }))
}

fn skip(file: &mut impl Seek, bytes: u64) -> io::Result<()> {
    let bytes = i64::try_from(bytes).map_err(io::Error::other)?;
    file.seek(SeekFrom::Current(bytes)).map(drop)
}

/// Names in `docker save`'s list of manifests, or in an OCI index.
fn listed(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entries = list.as_array().or_else(|| list.get("manifests")?.as_array());
    let of_entry = |entry: &Value| {
        let tags = entry.get("RepoTags").and_then(Value::as_array).cloned().unwrap_or_default();
        let name = entry.get("annotations").and_then(|all| all.get(NAME)).cloned();
        tags.into_iter().chain(name).filter_map(|value| text(&value)).collect::<Vec<_>>()
    };
    entries.into_iter().flatten().flat_map(of_entry).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, text) in files {
            let mut head = [0_u8; 512];
            head[..name.len()].copy_from_slice(name.as_bytes());
            head[124..135].copy_from_slice(format!("{:011o}", text.len()).as_bytes());
            bytes.extend(head);
            bytes.extend(text.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
        bytes.extend([0; 1024]);
        bytes
    }

    #[test]
    fn both_kinds_of_lists_are_read() {
        let bytes = archive(&[
            ("./blobs/sha256/1", &"x".repeat(700)),
            (
                "./index.json",
                r#"{"manifests":[{"annotations":{"io.containerd.image.name":"docker.io/library/a:1"}}]}"#,
            ),
            ("manifest.json", r#"[{"RepoTags":["docker.io/library/a:1","b:2"]}]"#),
        ]);
        assert_eq!(names(Cursor::new(bytes)).unwrap(), ["b:2", "docker.io/library/a:1"]);
    }

    #[test]
    fn what_is_no_archive_has_no_names() {
        for bytes in [vec![], vec![0x1f; 2000], archive(&[("manifest.json", "garbage")])] {
            assert_eq!(names(Cursor::new(bytes)).unwrap(), [] as [&str; 0]);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
            let _ = names(Cursor::new(bytes));
        }
    }
}
