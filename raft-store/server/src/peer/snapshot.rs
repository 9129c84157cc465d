//! Snapshots on their way to a follower: files in checksummed chunks, resumable.
//!
//! Sender: `Begin` with the list of files → `Resume` with what the follower has already → chunks → `End` →
//! the follower's vote, once the snapshot is installed.
//!
//! A replica whose state is damaged, and which takes part in nothing, asks for one itself (`Ask`), and goes on as above.

use std::{io, sync::Arc, time::Duration};

use bytes::Bytes;
use keelson_proto::peer::{
    SnapshotBegin, SnapshotChunk, SnapshotEnd, SnapshotFile, SnapshotReply, SnapshotResume, snapshot_reply,
};
use keelson_store_core::{
    engine::{Disk, EngineError},
    id::{LogPosition, ReplicaId},
};

use super::{
    connection::{Connection, invalid, unexpected},
    pace::Pace,
    wire::{self, Body},
};
use crate::{
    log::LogMeta,
    options::StoreOptions,
    record::{ArrivingRecord, VoteRecord},
    runtime::{
        Offload,
        clock::{Instant, sleep_until, timeout},
    },
    state::{self, INCOMING_PREFIX, SnapshotFolder},
    types::{self, Raft, Snapshot, SnapshotMeta, Vote},
};

/// Bytes per chunk: what a sender reads, seals and sends without a pause.
const CHUNK: usize = 256 << 10;
/// The longest wait for the other side between two messages: it has a chunk to write to its disk at most.
const SILENCE: Duration = Duration::from_secs(30);
/// So many bytes are received between two times that they are made durable: what whoever starts again has to get anew.
const DURABLE_EVERY: u64 = 16 << 20;
/// How long a follower may take to make a received snapshot its state. It reads all of it.
const INSTALL_PATIENCE: Duration = Duration::from_secs(600);

/// Sends a snapshot and waits until it is installed. Returns the follower's vote.
///
/// As long as it is under way the sender makes no newer one, and so its log keeps what the follower needs next.
pub(super) async fn send(
    mut connection: Connection,
    vote: &Vote,
    snapshot: &Snapshot,
    sending: &Sending,
) -> io::Result<Vote> {
    let folder = &snapshot.snapshot;
    let _kept = folder.keep_newest();
    let files = folder.disk().files(folder.name()).map_err(io::Error::other)?;
    let begin = SnapshotBegin {
        vote: Some(wire::put_vote(vote)),
        meta: Some(wire::put_snapshot_meta(&snapshot.meta)),
        id: folder.name().to_owned(),
        files: files.iter().map(|(name, len)| SnapshotFile { name: name.clone(), len: *len }).collect(),
    };
    if sending.pace.hurries() {
        tracing::info!(
            "nothing can be committed before a member has its snapshot, which has no pace therefore"
        );
    }
    let Body::SnapshotResume(resume) = soon(connection.ask(Body::SnapshotBegin(begin))).await? else {
        return Err(unexpected("instead of a snapshot's resume points"));
    };
    if resume.offsets.len() != files.len() {
        return Err(invalid("the follower resumes other files than were offered"));
    }
    for (number, ((name, len), offset)) in (0u32..).zip(files.iter().zip(resume.offsets)) {
        send_file(&mut connection, folder, sending, (number, name), offset..*len).await?;
    }
    let install = connection.ask(Body::SnapshotEnd(SnapshotEnd {}));
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the follower does not finish installing");
    let reply = timeout(INSTALL_PATIENCE, install).await.unwrap_or_else(|_| Err(late()))?;
    let Body::SnapshotReply(reply) = reply else { return Err(unexpected("after a snapshot")) };
    match reply.result.ok_or_else(|| unexpected("after a snapshot"))? {
        snapshot_reply::Result::Vote(vote) => wire::vote(Some(vote)).map_err(invalid),
        snapshot_reply::Result::Failed(reason) => Err(io::Error::other(reason)),
        snapshot_reply::Result::Damaged(what) => {
            folder.found_damaged();
            Err(io::Error::other(what))
        }
    }
}

async fn send_file(
    connection: &mut Connection,
    folder: &SnapshotFolder,
    sending: &Sending,
    (file, name): (u32, &str),
    range: std::ops::Range<u64>,
) -> io::Result<()> {
    let mut offset = range.start;
    while offset < range.end {
        let data = sending.read(folder, name, offset).await?;
        if data.is_empty() {
            return Err(io::Error::other(format!("{name} of {} became shorter", folder.name())));
        }
        let len = data.len() as u64;
        if let Some(goes) = sending.pace.reserve(Instant::now(), data.len()) {
            tokio::select! {
                () = sleep_until(goes) => {}
                () = sending.pace.hurried() => {}
            }
        }
        let chunk = SnapshotChunk { file, offset, crc32c: crc32c::crc32c(&data), data };
        soon(connection.writer.send(0, Body::SnapshotChunk(chunk))).await?;
        offset += len;
    }
    Ok(())
}

/// How snapshots are sent.
#[derive(Clone)]
pub(crate) struct Sending {
    /// How fast, all together.
    pace: Arc<Pace>,
    /// Where their files are read.
    offload: Offload,
}

impl Sending {
    /// As the options want it.
    pub(crate) fn new(options: &StoreOptions) -> Self {
        Self { pace: Arc::new(Pace::new(options.snapshot_bytes_per_second)), offload: options.offload }
    }

    /// Whether everything is to go as fast as it can, because nothing can be committed before.
    pub(crate) fn hurry(&self, hurries: bool) {
        self.pace.hurry(hurries);
    }

    async fn read(&self, folder: &SnapshotFolder, name: &str, offset: u64) -> io::Result<Bytes> {
        let (folder, name) = (folder.clone(), name.to_owned());
        let read = move || folder.disk().read_file(folder.name(), &name, offset, CHUNK);
        self.offload.run(read).await.map_err(io::Error::other)?.map_err(io::Error::other)
    }
}

/// Waits for the other side, but not for ever.
async fn soon<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let silent = |_| Err(io::Error::new(io::ErrorKind::TimedOut, "the peer has fallen silent"));
    timeout(SILENCE, step).await.unwrap_or_else(silent)
}

/// Where a follower puts what it receives.
pub(super) struct Inbox {
    pub(super) disk: Arc<dyn Disk>,
    /// Where it is noted what is durable. Without notes, as much is taken to be as there is: whoever is being refilled must not
    /// wait for a log that failed meanwhile, and reads all that it got.
    pub(super) notes: Option<LogMeta>,
    /// The folder to fill; not the live store.
    pub(super) folder: String,
    pub(super) offload: Offload,
}

/// What is arriving.
struct Arrival<'b> {
    last: Option<LogPosition>,
    files: &'b [SnapshotFile],
    /// How many bytes of each file are here, from the first on.
    have: Vec<u64>,
    /// How many of all these may not be durable.
    fresh: u64,
}

impl Arrival<'_> {
    /// Whether of some file less is here.
    fn has_less_than(&self, noted: &[(String, u64)]) -> bool {
        let mut offered = self.files.iter().zip(&self.have);
        offered.any(|(file, have)| *have < length_of(noted, &file.name))
    }
}

/// How long a file of this name is; 0 where there is none.
fn length_of(files: &[(String, u64)], name: &str) -> u64 {
    files.iter().find(|(file, _)| file == name).map_or(0, |(_, len)| *len)
}

/// What has arrived.
pub(super) struct Received {
    pub(super) vote: Vote,
    pub(super) meta: SnapshotMeta,
    /// The frame that waits for a reply.
    pub(super) end: u64,
}

impl Inbox {
    /// Receives one snapshot and has it installed.
    pub(super) async fn receive(
        &self,
        connection: &mut Connection,
        begin: SnapshotBegin,
        raft: &Raft,
        log: &LogMeta,
    ) -> io::Result<()> {
        let received = self.take(connection, begin).await?;
        let end = received.end;
        let result = self.install(received, raft, log).await?;
        let reply = SnapshotReply { result: Some(result) };
        connection.writer.send(end, Body::SnapshotReply(reply)).await
    }

    /// Takes all files in, durably.
    pub(super) async fn take(
        &self,
        connection: &mut Connection,
        begin: SnapshotBegin,
    ) -> io::Result<Received> {
        let vote = wire::vote(begin.vote).map_err(invalid)?;
        let meta = begin.meta.ok_or_else(|| unexpected("without meta data"))?;
        let meta = wire::snapshot_meta(meta).map_err(invalid)?;
        let durable = self.durable().map_err(io::Error::other)?;
        let have = resume_points(&*self.disk, &self.folder, &begin.files, durable.as_deref());
        let have = have.map_err(io::Error::other)?;
        let already: u64 = have.iter().sum();
        if already > 0 {
            tracing::info!(snapshot = begin.id, bytes = already, "a transfer goes on where it broke off");
        }
        let last = meta.last_log_id.as_ref().map(types::position);
        let mut arrival = Arrival { last, files: &begin.files, have, fresh: 0 };
        if durable.is_some_and(|durable| arrival.has_less_than(&durable)) {
            // Of what was noted something is gone, and what takes its place is not durable.
            self.note(self.record(&arrival)).await?;
        }
        let offsets = arrival.have.clone();
        connection.writer.send(0, Body::SnapshotResume(SnapshotResume { offsets })).await?;
        let received = self.receive_files(connection, &mut arrival).await;
        // What came before it broke off need not come again.
        if received.is_ok() || arrival.fresh > 0 {
            self.make_durable(&mut arrival).await?;
        }
        Ok(Received { vote, meta, end: received? })
    }

    /// What is noted to be durable of an attempt that broke off.
    fn durable(&self) -> Result<Option<Vec<(String, u64)>>, EngineError> {
        let Some(log) = &self.notes else { return Ok(None) };
        let arriving = log.arriving()?.filter(|arriving| arriving.folder == self.folder);
        Ok(Some(arriving.map(|arriving| arriving.files).unwrap_or_default()))
    }

    /// Whether what was received is whole; else what is damaged.
    pub(super) async fn damage(&self, meta: &SnapshotMeta) -> io::Result<Option<String>> {
        let (disk, folder, contents) = (self.disk.clone(), self.folder.clone(), meta.clone());
        let check = self.offload.run_behind(move || state::check_snapshot(&*disk, &folder, &contents));
        match check.await.map_err(io::Error::other)? {
            Ok(()) => Ok(None),
            Err(damaged @ EngineError::Corrupt { .. }) => {
                tracing::warn!(%damaged, "refused a snapshot");
                Ok(Some(damaged.to_string()))
            }
            Err(own @ (EngineError::Io { .. } | EngineError::TooNew { .. } | EngineError::TooOld { .. })) => {
                Err(io::Error::other(own))
            }
        }
    }

    /// Has Raft install what was received, if it is whole.
    async fn install(
        &self,
        Received { vote, meta, end: _ }: Received,
        raft: &Raft,
        log: &LogMeta,
    ) -> io::Result<snapshot_reply::Result> {
        if let Some(damage) = self.damage(&meta).await? {
            return Ok(snapshot_reply::Result::Damaged(damage));
        }
        if is_needless(log, &vote, &meta).map_err(io::Error::other)? {
            return Ok(snapshot_reply::Result::Vote(wire::put_vote(&vote)));
        }
        let folder = SnapshotFolder::new(self.disk.clone(), self.folder.clone());
        let installed = raft.install_full_snapshot(vote, Snapshot { meta, snapshot: folder }).await;
        Ok(match installed {
            Ok(response) => snapshot_reply::Result::Vote(wire::put_vote(&response.vote)),
            Err(fatal) => snapshot_reply::Result::Failed(fatal.to_string()),
        })
    }

    async fn receive_files(&self, connection: &mut Connection, arrival: &mut Arrival<'_>) -> io::Result<u64> {
        loop {
            match soon(connection.reader.expect()).await? {
                (_, Body::SnapshotChunk(chunk)) => self.keep(arrival, &chunk)?,
                (id, Body::SnapshotEnd(_)) => return self.check_complete(arrival.files).map(|()| id),
                _ => return Err(unexpected("between a snapshot's chunks")),
            }
            if arrival.fresh >= DURABLE_EVERY {
                self.make_durable(arrival).await?;
            }
        }
    }

    fn keep(&self, arrival: &mut Arrival<'_>, chunk: &SnapshotChunk) -> io::Result<()> {
        let mut offered = arrival.files.iter().zip(&mut arrival.have);
        let file = usize::try_from(chunk.file).ok().and_then(|number| offered.nth(number));
        let (file, have) = file.ok_or_else(|| unexpected("for a file that was not offered"))?;
        let data: &Bytes = &chunk.data;
        let fits = chunk.offset == *have && data.len() as u64 <= file.len - *have;
        if !fits || crc32c::crc32c(data) != chunk.crc32c {
            return Err(invalid(format!("a damaged chunk of {} at {}", file.name, chunk.offset)));
        }
        self.disk.write_file(&self.folder, &file.name, chunk.offset, data).map_err(io::Error::other)?;
        *have += data.len() as u64;
        arrival.fresh += data.len() as u64;
        Ok(())
    }

    /// Makes durable what has arrived, and notes that it is.
    async fn make_durable(&self, arrival: &mut Arrival<'_>) -> io::Result<()> {
        let (disk, folder) = (self.disk.clone(), self.folder.clone());
        let sync = self.offload.run(move || disk.sync_folder(&folder)).await;
        sync.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.note(self.record(arrival)).await?;
        arrival.fresh = 0;
        Ok(())
    }

    /// What is durable once all that has arrived is.
    fn record(&self, arrival: &Arrival<'_>) -> ArrivingRecord {
        let names = arrival.files.iter().map(|file| file.name.clone());
        let files = names.zip(arrival.have.iter().copied()).collect();
        ArrivingRecord { folder: self.folder.clone(), last: arrival.last, files }
    }

    async fn note(&self, record: ArrivingRecord) -> io::Result<()> {
        let Some(log) = self.notes.clone() else { return Ok(()) };
        let noted = self.offload.run(move || log.set_arriving(&record)).await;
        noted.map_err(io::Error::other)?.map_err(io::Error::other)
    }

    fn check_complete(&self, files: &[SnapshotFile]) -> io::Result<()> {
        let have = self.disk.files(&self.folder).map_err(io::Error::other)?;
        let complete = files.iter().all(|file| have.contains(&(file.name.clone(), file.len)));
        if complete && have.len() == files.len() {
            return Ok(());
        }
        Err(invalid("the snapshot ended before all its files were there"))
    }
}

/// A name that the same sender finds again for the same snapshot, and that is never the live store.
pub(super) fn staging_folder(
    live: Option<&str>,
    sender: ReplicaId,
    begin: &SnapshotBegin,
) -> io::Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if begin.id.is_empty() || begin.id.len() > 128 || !begin.id.chars().all(plain) {
        return Err(invalid(format!("{:?} is no snapshot's name", begin.id)));
    }
    let name = format!("{INCOMING_PREFIX}{:016x}-{}", sender.get(), begin.id);
    Ok(if live == Some(name.as_str()) { format!("{name}-again") } else { name })
}

/// How much of each file is here from an attempt that broke off, of which so much is `durable`; all of it, where nobody has noted
/// that. What does not belong to this snapshot goes.
fn resume_points(
    disk: &dyn Disk,
    folder: &str,
    offered: &[SnapshotFile],
    durable: Option<&[(String, u64)]>,
) -> Result<Vec<u64>, EngineError> {
    let is_offered =
        |(name, len): &(String, u64)| offered.iter().any(|file| file.name == *name && file.len >= *len);
    // What was opened already, to see whether it is whole, is a store and has become something else.
    let have = disk.files(folder).ok().filter(|have| have.iter().all(is_offered));
    if have.is_none() {
        disk.remove(folder)?;
    }
    let have = have.unwrap_or_default();
    let already = |name: &str| {
        let durable = durable.map_or(u64::MAX, |durable| length_of(durable, name));
        length_of(&have, name).min(durable)
    };
    // Empty files get no chunk, but they belong to the snapshot.
    for file in offered.iter().filter(|file| file.len == 0) {
        disk.write_file(folder, &file.name, 0, &[])?;
    }
    Ok(offered.iter().map(|file| already(&file.name)).collect())
}

/// Whether a replica with this log follows the sender and has all that is in the snapshot: its acknowledgements were lost,
/// or came while the snapshot was on its way. Raft would take its log to end where the snapshot does, and go back.
///
/// To answer as if it had been installed is right. What the snapshot holds is committed, and the log holds it durably; a
/// vote for somebody else that comes in meanwhile says nothing about entries that were committed before. A snapshot that
/// ends where the log was purged already ends below what is committed here, and Raft leaves it alone by itself.
fn is_needless(log: &LogMeta, vote: &Vote, meta: &SnapshotMeta) -> Result<bool, EngineError> {
    let follows = log.vote()? == Some(VoteRecord::of(vote));
    match meta.last_log_id.as_ref().map(types::position) {
        Some(last) if follows => log.holds(last),
        Some(_) | None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use keelson_store_core::{
        engine::{Batch, Engine, Family, Role, mem::MemDisk},
        id::{LogIndex, Term},
    };

    use super::*;
    use crate::{
        record,
        types::{Entry, Payload},
    };

    const LEADER: ReplicaId = ReplicaId::new(1);

    fn at(term: u64, index: u64) -> LogPosition {
        LogPosition { term: Term::new(term), index: LogIndex::new(index) }
    }

    /// A log whose vote is for the leader of term 3, with unsynced entries 5 to 9 of that term.
    fn follower(disk: &MemDisk) -> Arc<dyn Engine> {
        let engine = disk.open("log", Role::Log).unwrap();
        let mut batch = Batch::default();
        let vote = VoteRecord { term: Term::new(3), voted_for: LEADER, committed: true };
        batch.put(Family::LogMeta, b"vote".to_vec(), record::encode(&vote));
        engine.write(batch).unwrap();
        engine.sync().unwrap();
        let mut batch = Batch::default();
        for index in 5..10 {
            let entry = Entry { log_id: types::log_id(at(3, index)), payload: Payload::Blank };
            batch.put(Family::LogEntries, index.to_be_bytes().to_vec(), record::encode_entry(&entry));
        }
        engine.write(batch).unwrap();
        engine
    }

    fn needless(log: Arc<dyn Engine>, led_in: u64, last: LogPosition) -> bool {
        let vote = types::vote(Term::new(led_in), LEADER, true);
        let meta = SnapshotMeta { last_log_id: Some(types::log_id(last)), ..SnapshotMeta::default() };
        is_needless(&LogMeta::new(log), &vote, &meta).unwrap()
    }

    #[test]
    fn a_snapshot_of_what_the_log_has_under_the_same_leader_is_needless_and_the_log_is_durable_then() {
        let disk = MemDisk::new();
        let engine = follower(&disk);
        assert!(needless(engine.clone(), 3, at(3, 7)));
        drop(engine);
        disk.crash(&mut |_| 0);
        let left = disk.open("log", Role::Log).unwrap();
        assert!(needless(left, 3, at(3, 9)), "it was said to be there");
    }

    #[test]
    fn a_snapshot_is_installed_where_the_log_ends_earlier_or_contradicts_it_or_follows_another_leader() {
        let engine = follower(&MemDisk::new());
        assert!(!needless(engine.clone(), 3, at(3, 10)));
        assert!(!needless(engine.clone(), 3, at(2, 7)));
        assert!(!needless(engine, 4, at(3, 7)));
    }

    fn file(name: &str, len: u64) -> SnapshotFile {
        SnapshotFile { name: name.to_owned(), len }
    }

    #[test]
    fn a_transfer_that_broke_off_goes_on_where_it_did_unless_it_was_of_another_snapshot() {
        let disk = MemDisk::new();
        let offered = [file("a", 3), file("b", 9), file("empty", 0)];
        let durable = [("a".to_owned(), 3), ("b".to_owned(), 4), ("gone".to_owned(), 5)];
        let points = |offered: &[SnapshotFile], durable: Option<&[_]>| {
            resume_points(&disk, "in", offered, durable).unwrap()
        };
        assert_eq!(points(&offered, Some(&durable)), [0, 0, 0]);
        disk.write_file("in", "a", 0, b"abc").unwrap();
        disk.write_file("in", "b", 0, b"fourteen").unwrap();
        assert_eq!(points(&offered, Some(&durable)), [3, 4, 0], "what may be lost comes again");
        assert_eq!(points(&offered, Some(&[])), [0, 0, 0]);
        assert_eq!(points(&offered, None), [3, 8, 0]);
        assert_eq!(points(&[file("a", 2), file("b", 9)], Some(&durable)), [0, 0]);
        assert!(disk.files("in").is_err(), "what belongs to another snapshot is gone");
    }

    /// A receiver whose notes say this.
    fn inbox(disk: &MemDisk, files: &[(&str, u64)]) -> Inbox {
        let notes = LogMeta::new(disk.open("log", Role::Log).unwrap());
        let files = files.iter().map(|(name, len)| ((*name).to_owned(), *len)).collect();
        notes.set_arriving(&ArrivingRecord { folder: "in".to_owned(), last: None, files }).unwrap();
        let disk = Arc::new(disk.clone());
        Inbox { disk, notes: Some(notes), folder: "in".to_owned(), offload: Offload::Inline }
    }

    #[tokio::test]
    async fn what_was_noted_and_is_gone_is_not_noted_any_more_when_it_comes_again() {
        let disk = MemDisk::new();
        let inbox = inbox(&disk, &[("a", 6)]);
        let (here, there) = tokio::io::duplex(1 << 20);
        let mut sender = Connection::new(Box::new(there));
        let begin = SnapshotBegin {
            vote: Some(wire::put_vote(&types::vote(Term::new(3), LEADER, true))),
            meta: Some(wire::put_snapshot_meta(&SnapshotMeta::default())),
            id: "s".to_owned(),
            files: vec![file("a", 6)],
        };
        let mut receiver = Connection::new(Box::new(here));
        let sending = async {
            let (_, resume) = sender.reader.expect().await.unwrap();
            assert!(matches!(resume, Body::SnapshotResume(resume) if resume.offsets == [0]));
            assert_eq!(inbox.durable().unwrap().unwrap(), [("a".to_owned(), 0)], "before anything comes");
            drop(sender);
        };
        let (taken, ()) = tokio::join!(inbox.take(&mut receiver, begin), sending);
        assert!(taken.is_err(), "the sender went away");
    }

    /// The bytes that reach a follower that has these parts already.
    async fn sent_to(folder: &SnapshotFolder, has: Vec<u64>) -> Vec<(u32, u64, Bytes)> {
        let (here, there) = tokio::io::duplex(1 << 20);
        let snapshot = Snapshot { meta: SnapshotMeta::default(), snapshot: folder.clone() };
        let vote = types::vote(Term::new(3), LEADER, true);
        let sending = Sending { pace: Arc::new(Pace::new(0)), offload: Offload::Inline };
        let follower = async {
            let mut connection = Connection::new(Box::new(there));
            assert!(matches!(connection.reader.expect().await.unwrap().1, Body::SnapshotBegin(_)));
            connection.writer.send(0, Body::SnapshotResume(SnapshotResume { offsets: has })).await.unwrap();
            let mut chunks = Vec::new();
            while let (_, Body::SnapshotChunk(chunk)) = connection.reader.expect().await.unwrap() {
                chunks.push((chunk.file, chunk.offset, chunk.data));
            }
            chunks
        };
        let (sent, chunks) =
            tokio::join!(send(Connection::new(Box::new(here)), &vote, &snapshot, &sending), follower);
        assert!(sent.is_err(), "the follower went away before it had installed anything");
        chunks
    }

    #[tokio::test]
    async fn a_sender_leaves_out_what_the_follower_has_already() {
        let disk = MemDisk::new();
        disk.write_file("snapshot-1", "a", 0, b"abc").unwrap();
        disk.write_file("snapshot-1", "b", 0, b"defghi").unwrap();
        let folder = SnapshotFolder::new(Arc::new(disk), "snapshot-1".to_owned());
        let whole = [(0, 0, Bytes::from_static(b"abc")), (1, 0, Bytes::from_static(b"defghi"))];
        assert_eq!(sent_to(&folder, vec![0, 0]).await, whole);
        assert_eq!(sent_to(&folder, vec![3, 4]).await, [(1, 4, Bytes::from_static(b"hi"))]);
    }
}
