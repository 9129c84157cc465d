//! What is mounted where: `/proc/self/mountinfo`. Parsing is pure.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

/// All mounts of this process' namespace, in the order in which they were made.
#[derive(Debug)]
pub(crate) struct MountTable {
    mounts: Vec<Mount>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where.
    pub(crate) point: PathBuf,
    /// `tmpfs`, `ext4`, …
    pub(crate) file_system: String,
    /// Whether mounts below it are seen by its peers.
    pub(crate) is_shared: bool,
}

impl MountTable {
    /// The table as it is now.
    pub(crate) fn read() -> io::Result<Self> {
        Ok(Self::parse(&fs::read("/proc/self/mountinfo")?))
    }

    fn parse(text: &[u8]) -> Self {
        Self { mounts: text.split(|byte| *byte == b'\n').filter_map(mount).collect() }
    }

    /// What is mounted at exactly this path, on top.
    pub(crate) fn at(&self, path: &Path) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.point == path)
    }

    /// Where things are mounted at or below this path, in the order in which to unmount them: the last one first.
    pub(crate) fn below(&self, path: &Path) -> Vec<PathBuf> {
        let mut points: Vec<PathBuf> = self
            .mounts
            .iter()
            .rev()
            .filter(|mount| mount.point.starts_with(path))
            .map(|it| it.point.clone())
            .collect();
        // A later mount is never above an earlier one in the tree of folders, unless it covers it; both orders agree.
        points.sort_by_key(|point| std::cmp::Reverse(point.components().count()));
        points
    }

    /// The mount that holds this path.
    pub(crate) fn holding(&self, path: &Path) -> Option<&Mount> {
        path.ancestors().find_map(|path| self.at(path))
    }
}

/// `36 35 98:0 /root /point opts shared:1 - ext4 /dev/x opts`: numbers, root, point, options, optional fields, a dash,
/// the file system.
fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = line.split(|byte| *byte == b' ');
    let point = words.nth(4)?;
    let optional: Vec<&[u8]> = words.by_ref().skip(1).take_while(|word| *word != b"-").collect();
    let file_system = words.next()?;
    Some(Mount {
        point: PathBuf::from(OsString::from_vec(unescaped(point))),
        file_system: String::from_utf8_lossy(file_system).into_owned(),
        is_shared: optional.iter().any(|word| word.starts_with(b"shared:")),
    })
}

/// The kernel writes blanks and backslashes as three octal digits: `\040`.
fn unescaped(word: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, behind)) = rest.split_first() {
        let escape = (*first == b'\\').then(|| behind.get(..3)).flatten();
        match escape.and_then(octal) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[3..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    bytes
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = "\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
30 21 0:25 / /r rw shared:2 master:1 - tmpfs tmpfs rw\n\
31 30 0:26 / /r/pods/u\\0401 rw - tmpfs tmpfs rw\n\
32 31 0:27 /x /r/pods/u\\0401/v\\134w rw propagate_from:3 - ext4 /dev/root rw\n\
33 30 0:28 / /r/pods/u\\04012 rw - proc proc rw\n";

    #[test]
    fn mounts_are_found_at_below_and_around_a_path() {
        let table = MountTable::parse(TABLE.as_bytes());
        let pod = Path::new("/r/pods/u 1");
        let at = table.at(pod).unwrap();
        assert_eq!((at.file_system.as_str(), at.is_shared), ("tmpfs", false));
        assert_eq!(table.below(pod), [PathBuf::from("/r/pods/u 1/v\\w"), pod.to_owned()]);
        assert_eq!(table.holding(Path::new("/r/pods/other")).unwrap().point, Path::new("/r"));
        assert!(table.holding(Path::new("/r/pods/other")).unwrap().is_shared);
        assert_eq!(table.holding(Path::new("/x")).unwrap().point, Path::new("/"));
        assert_eq!(table.at(Path::new("/x")), None);
    }

    #[test]
    fn this_machines_table_is_read() {
        assert!(MountTable::read().unwrap().holding(Path::new("/proc/self/mountinfo")).is_some());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in any::<Vec<u8>>(), odd in "[0-9 /\\\\:-]{0,60}") {
            MountTable::parse(&bytes);
            MountTable::parse(odd.as_bytes());
        }
    }
}
