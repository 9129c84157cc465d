//! Continuous backup: a folder that always holds the store as it was a moment ago, and as it was before.
//!
//! In: a store, and a folder of the file system. Out: chapters in it. A chapter is a snapshot file and the
//! journal that follows it; every start begins one, and so does history that was compacted away before it was
//! written down, or a journal that has become long. Old chapters go when a newer one begins before everything
//! that has to be kept; where nothing was said about that, they are the operator's to remove.
//!
//! What is in the folder may be a moment behind what was acknowledged: never more than one write of the file
//! system. A folder that cannot be written stops nothing but the backup; it is tried again, and the log says
//! so.
//!
//! Deliberately absent: leases that no key hangs on, beyond those of the snapshot.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use keelson_store_core::{
    auth::Auth,
    id::{LeaseId, Revision},
    lease::{self, Lease},
    watch::{Change, ChangeKind, Interest},
};

use super::{
    file,
    format::{Head, Record},
    journal::{self, Journal},
    read::ImportError,
    write::{Sealed, write},
};
use crate::{
    runtime::{Offload, clock::sleep},
    state::StateView,
    store::{Consistency, Store},
    wall::now_ms,
    watch::{WatchError, WatchedChanges},
};

const BASE: (&str, &str) = ("base-", ".snapshot");
const JOURNAL: (&str, &str) = ("journal-", "");
/// A journal may grow to this, or to so many times its snapshot.
const JOURNAL_BYTES: u64 = 64 << 20;
const JOURNAL_TIMES: u64 = 2;
/// After a failure.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// Where a backup is, and how far back it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupOptions {
    /// A folder of one replica alone.
    pub folder: PathBuf,
    /// Every moment of the last so long can be restored; what only leads further back is removed. `None` keeps all.
    pub keep: Option<Duration>,
}

/// Writes a store down, for as long as it is polled.
pub async fn run(store: Store, BackupOptions { folder, keep }: BackupOptions) -> Infallible {
    loop {
        match chapter(&store, &folder, keep).await {
            Ok(()) => tracing::info!(folder = %folder.display(), "the backup begins a new chapter"),
            Err(error) => {
                tracing::error!(folder = %folder.display(), %error, "THE BACKUP DOES NOT GO ON; it is tried again");
                sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// One snapshot and its journal. `Ok` when it is time for the next one.
async fn chapter(store: &Store, folder: &Path, keep: Option<Duration>) -> io::Result<()> {
    let mut auth_changes = store.auth_changes();
    let view = store.view(Consistency::Local).await.map_err(io::Error::other)?;
    let (status, revision) = (store.status(), view.header().revision);
    let mut seen = Seen { leases: BTreeSet::new(), auth: view.auth().clone(), last: revision };
    let head = Head { cluster: status.cluster, replica: status.replica, revision, taken_ms: now_ms() };
    let place = folder.to_owned();
    let begin = move || {
        let chapter = Chapter::begin(&place, &view, head)?;
        if let Some(keep) = keep
            && let Err(error) = remove_outdated(&place, head.taken_ms.saturating_sub(millis(keep)))
        {
            tracing::warn!(folder = %place.display(), %error, "outdated chapters of the backup cannot be removed");
        }
        Ok(chapter)
    };
    let mut chapter = aside(begin).await?;
    let ends_ms = keep.map(|keep| head.taken_ms.saturating_add(millis(keep)));
    let watching = store.watch(Interest::everything(), revision.next()).await;
    let mut watcher = watching.map_err(io::Error::other)?;
    while !chapter.is_long() && ends_ms.is_none_or(|end| now_ms() < end) {
        let changes = tokio::select! {
            changes = watcher.next() => match changes {
                Ok(changes) => Some(changes),
                Err(WatchError::Compacted { .. }) => return Ok(()),
                Err(WatchError::Broken(error)) => return Err(io::Error::other(error)),
            },
            // The sender lives as long as the store.
            _ = auth_changes.changed() => None,
        };
        let view = store.view(Consistency::Local).await.map_err(io::Error::other)?;
        let frame = seen.frame(&view, changes.as_ref())?;
        chapter = aside(move || chapter.append(&frame)).await?;
    }
    Ok(())
}

/// Runs what waits for the file system where nobody waits for it.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    Offload::Thread.run(work).await.map_err(io::Error::other)?
}

/// What a journal holds already, beyond its changes.
struct Seen {
    leases: BTreeSet<LeaseId>,
    auth: Arc<Auth>,
    /// The last revision.
    last: Revision,
}

impl Seen {
    /// The changes as records, and before them what they may refer to and was not seen yet.
    fn frame(&mut self, view: &StateView, changes: Option<&WatchedChanges>) -> io::Result<Vec<u8>> {
        let mut records = Vec::new();
        if !Arc::ptr_eq(&self.auth, view.auth()) {
            self.auth = view.auth().clone();
            let record = self.auth.without_token_key().encode();
            records.push(Record::Auth { revision: view.header().revision, record });
        }
        for (revision, changes) in changes.into_iter().flat_map(WatchedChanges::revisions) {
            self.last = revision;
            for (sub, change) in (0..).zip(changes) {
                let lease = change.kv.lease;
                if !lease.is_none() && self.leases.insert(lease) {
                    let found = lease::find(view.read(), lease).map_err(io::Error::other)?;
                    // Where there is none any more, the deletion of its keys follows.
                    records.extend(found.map(|ttl_seconds| Record::Lease(Lease { id: lease, ttl_seconds })));
                }
                records.push(record(change, sub));
            }
        }
        records.push(Record::Moment { revision: self.last, written_ms: now_ms() });
        Ok(journal::frame(&records))
    }
}

fn record(change: &Change, sub: u32) -> Record {
    match change.kind {
        ChangeKind::Put => Record::Key(change.kv.clone(), sub),
        ChangeKind::Delete => {
            Record::Deletion { revision: change.kv.mod_revision, key: change.kv.key.clone() }
        }
    }
}

/// The files that are being written.
struct Chapter {
    journal: File,
    journal_len: u64,
    base_len: u64,
}

impl Chapter {
    fn begin(folder: &Path, view: &StateView, head: Head) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // The time makes a second chapter from the same revision another one.
        let stem = format!("{:020}-{}", head.revision.get(), head.taken_ms);
        let base = name(folder, BASE, &stem);
        let unfinished = base.with_extension("part");
        let mut sealed = Sealed::new(BufWriter::new(file::create(&unfinished)?));
        write(view.read(), head, &mut sealed)?;
        let (snapshot, base_len) = sealed.finish()?;
        snapshot.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let mut journal = file::create(&name(folder, JOURNAL, &stem))?;
        journal::begin(head, &mut journal)?;
        journal.sync_all()?;
        fs::rename(unfinished, base)?;
        File::open(folder)?.sync_all()?;
        Ok(Self { journal, journal_len: 0, base_len })
    }

    fn append(mut self, frame: &[u8]) -> io::Result<Self> {
        self.journal.write_all(frame)?;
        self.journal.sync_data()?;
        self.journal_len += frame.len() as u64;
        Ok(self)
    }

    const fn is_long(&self) -> bool {
        self.journal_len > JOURNAL_BYTES && self.journal_len > JOURNAL_TIMES * self.base_len
    }
}

/// Which moment is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The last that was written down.
    End,
    /// That of a revision.
    Revision(Revision),
    /// The last one before a time, in milliseconds since 1970.
    Time(u64),
}

impl Until {
    /// Whether a moment, at a revision and a time, is not beyond what is wanted.
    pub(super) fn admits(self, revision: Revision, ms: u64) -> bool {
        match self {
            Self::End => true,
            Self::Revision(wanted) => revision <= wanted,
            Self::Time(wanted) => ms <= wanted,
        }
    }
}

/// A chapter that leads to a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The snapshot.
    pub base: PathBuf,
    /// What follows it.
    pub journal: PathBuf,
    /// The newest revision that any file of the folder begins with.
    pub newest: Revision,
}

/// Finds the chapter of a backup that leads to a moment: the one that begins last before it.
///
/// # Errors
/// There is none, or the files cannot be read.
pub fn route(folder: &Path, until: Until) -> Result<Route, ImportError> {
    let chapters = chapters(folder)?;
    let newest = chapters.iter().map(|(head, ..)| head.revision).max().unwrap_or(Revision::ZERO);
    let fitting = chapters.into_iter().filter(|(head, ..)| until.admits(head.revision, head.taken_ms));
    let chosen = fitting.max_by_key(|(head, ..)| (head.revision, head.taken_ms));
    let (_, base, journal) = chosen.ok_or(ImportError::NotCovered)?;
    Ok(Route { base, journal, newest })
}

/// All chapters that have begun, each with its snapshot and its journal.
fn chapters(folder: &Path) -> Result<Vec<(Head, PathBuf, PathBuf)>, ImportError> {
    let mut chapters = Vec::new();
    for entry in fs::read_dir(folder)? {
        let journal = entry?.path();
        let file = journal.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some(stem) = file.strip_prefix(JOURNAL.0) else { continue };
        let base = name(folder, BASE, stem);
        // A chapter has begun when its snapshot has its name.
        if base.exists() {
            let (_, head) = Journal::open(BufReader::new(File::open(&journal)?))?;
            chapters.push((head, base, journal));
        }
    }
    Ok(chapters)
}

/// Removes the chapters that lead to no moment from `since_ms` on: each whose successor begins before.
fn remove_outdated(folder: &Path, since_ms: u64) -> io::Result<()> {
    let mut chapters = chapters(folder).map_err(io::Error::other)?;
    chapters.sort_by_key(|(head, ..)| (head.taken_ms, head.revision));
    let outdated =
        chapters.iter().zip(chapters.iter().skip(1)).filter(|(_, (next, ..))| next.taken_ms < since_ms);
    for ((head, base, journal), _) in outdated {
        // Without its snapshot a chapter does not count; so it goes first.
        fs::remove_file(base)?;
        fs::remove_file(journal)?;
        tracing::info!(revision = %head.revision, folder = %folder.display(), "a chapter of the backup is outdated");
    }
    Ok(())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn name(folder: &Path, (prefix, suffix): (&str, &str), stem: &str) -> PathBuf {
    folder.join(format!("{prefix}{stem}{suffix}"))
}

#[cfg(test)]
mod tests {
    use keelson_store_core::id::{ClusterId, ReplicaId};

    use super::*;

    /// A chapter's files; of the snapshot only the name.
    fn chapter(folder: &Path, revision: u64, taken_ms: u64, has_begun: bool) {
        let revision = Revision::new(revision);
        let head = Head { cluster: ClusterId::new(1), replica: ReplicaId::new(2), revision, taken_ms };
        let stem = format!("{:020}-{taken_ms}", revision.get());
        let mut journal = Vec::new();
        if has_begun {
            journal::begin(head, &mut journal).unwrap();
            fs::write(name(folder, BASE, &stem), []).unwrap();
        }
        fs::write(name(folder, JOURNAL, &stem), journal).unwrap();
    }

    #[test]
    fn the_chapter_that_begins_last_before_a_moment_leads_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(matches!(route(folder, Until::End), Err(ImportError::NotCovered)));
        chapter(folder, 5, 100, true);
        chapter(folder, 9, 200, true);
        chapter(folder, 9, 300, true);
        chapter(folder, 12, 400, false);
        let begins = |until| {
            let route = route(folder, until).unwrap();
            assert_eq!(route.newest.get(), 9);
            let stem =
                route.journal.file_name().unwrap().to_str().unwrap()[JOURNAL.0.len() + 18..].to_owned();
            assert!(route.base.to_str().unwrap().contains(&stem));
            stem
        };
        assert_eq!(begins(Until::End), "09-300");
        assert_eq!(begins(Until::Revision(Revision::new(20))), "09-300");
        assert_eq!(begins(Until::Revision(Revision::new(8))), "05-100");
        assert_eq!(begins(Until::Time(250)), "09-200");
        let early = route(folder, Until::Time(99));
        assert!(matches!(early, Err(ImportError::NotCovered)));
    }

    #[test]
    fn a_chapter_goes_when_the_next_one_begins_before_everything_that_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (revision, taken_ms) in [(5, 100), (9, 200), (12, 300)] {
            chapter(folder, revision, taken_ms, true);
        }
        let left = |since_ms| {
            remove_outdated(folder, since_ms).unwrap();
            let mut left: Vec<_> = chapters(folder).unwrap().iter().map(|(head, ..)| head.taken_ms).collect();
            left.sort_unstable();
            assert_eq!(fs::read_dir(folder).unwrap().count(), 2 * left.len(), "both files of each go");
            left
        };
        assert_eq!(left(200), [100, 200, 300], "150 may be asked for");
        assert_eq!(left(201), [200, 300]);
        assert_eq!(left(u64::MAX), [300], "the last one goes on");
    }
}
