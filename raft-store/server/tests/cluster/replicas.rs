//! Replicas that can be started, killed and wiped.

use std::{cell::Cell, sync::Arc, thread::JoinHandle, time::Duration};

use bytes::Bytes;
use keelson_store::{
    Beginning, Member, OpenError, Store, StoreOptions, WriteError,
    log::LogMeta,
    options::InitialMember,
    runtime,
    store::{At, Consistency},
};
use keelson_store_core::{
    command::{
        Compare, KeyRange, KeyValue, Op, Operand, PutRequest, RangeRequest, Relation, Txn, TxnResponse,
    },
    engine::{
        Batch, Disk as _, Family, Role,
        mem::{Fate, Faults, MemDisk},
    },
    id::Revision,
    schema::Header,
};
use tokio::sync::oneshot;

use crate::network::Network;

/// How long a test waits for a condition before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The founders, and who may join them.
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The token of their cluster.
pub(crate) const TOKEN: &str = "test";

/// How many of them found the usual cluster.
const FOUNDERS: usize = 3;

/// Three replicas and the network between them.
pub(crate) struct Cluster {
    founders: usize,
    network: Network,
    disks: Vec<MemDisk>,
    replicas: Vec<Option<Replica>>,
    adjust: fn(&mut StoreOptions),
    /// Where clients reach those that start from now on.
    client_urls: Vec<String>,
    /// A new seed for each start, as in production: the same one would draw the same replica id twice.
    seeds: Cell<u64>,
}

/// A replica that has opened.
pub(crate) struct Replica {
    store: Store,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Cluster {
    /// Starts three replicas and waits until they have a leader.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    /// Starts one replica that is a cluster by itself.
    pub(crate) async fn start_alone() -> Self {
        Self::found(1, |_| ()).await
    }

    /// The same, with options of the test's own.
    pub(crate) async fn start_alone_with(adjust: fn(&mut StoreOptions)) -> Self {
        Self::found(1, adjust).await
    }

    /// Starts three replicas with options of the test's own.
    pub(crate) async fn start_with(adjust: fn(&mut StoreOptions)) -> Self {
        Self::found(FOUNDERS, adjust).await
    }

    /// Starts three replicas on disks that `prepare` has filled, each told who it is and who founds.
    pub(crate) async fn start_on(prepare: impl Fn(MemDisk, Member, Vec<InitialMember>)) -> Self {
        let disks: Vec<_> = NAMES.iter().map(|_| MemDisk::new()).collect();
        for (disk, name) in disks.iter().zip(&NAMES[..FOUNDERS]) {
            prepare(disk.clone(), member(name), NAMES[..FOUNDERS].iter().map(|name| founder(name)).collect());
        }
        Self::found_on(disks, FOUNDERS, |_| ()).await
    }

    async fn found(founders: usize, adjust: fn(&mut StoreOptions)) -> Self {
        Self::found_on(NAMES.iter().map(|_| MemDisk::new()).collect(), founders, adjust).await
    }

    async fn found_on(disks: Vec<MemDisk>, founders: usize, adjust: fn(&mut StoreOptions)) -> Self {
        let mut cluster = Self {
            founders,
            network: Network::default(),
            disks,
            replicas: Vec::new(),
            adjust,
            client_urls: Vec::new(),
            seeds: Cell::new(0),
        };
        let starting: Vec<_> =
            (0..founders).map(|number| cluster.spawn(number, Beginning::Founding)).collect();
        for starting in starting {
            cluster.replicas.push(Some(starting.ready().await.unwrap()));
        }
        cluster.replicas.resize_with(NAMES.len(), || None);
        cluster.leader().await;
        cluster
    }

    /// Has all replicas that start from now on do so with other options.
    pub(crate) fn adjust(&mut self, adjust: fn(&mut StoreOptions)) {
        self.adjust = adjust;
    }

    /// A live replica.
    pub(crate) fn store(&self, number: usize) -> &Store {
        &self.replicas[number].as_ref().expect("the replica is alive").store
    }

    /// The numbers of all live replicas.
    pub(crate) fn alive(&self) -> Vec<usize> {
        (0..NAMES.len()).filter(|number| self.replicas[*number].is_some()).collect()
    }

    /// Waits until all live replicas agree on a live leader, and returns its number.
    pub(crate) async fn leader(&self) -> usize {
        eventually("a leader", async || {
            let alive = self.alive();
            let leaders: Vec<_> = alive.iter().map(|number| self.store(*number).status().leader).collect();
            let leader = leaders[0].filter(|first| leaders.iter().all(|other| other == &Some(*first)))?;
            alive.into_iter().find(|number| self.store(*number).status().replica == leader)
        })
        .await
    }

    /// A live replica that does not lead.
    pub(crate) async fn follower(&self) -> usize {
        let leader = self.leader().await;
        self.alive().into_iter().find(|number| *number != leader).expect("two replicas are alive")
    }

    /// Ends a replica as `kill -9` and a power cut together would: nothing unsynced survives.
    pub(crate) fn kill(&mut self, number: usize) {
        self.kill_but(number, 0);
    }

    /// Ends a replica; up to `survivors` unsynced batches of each store survive.
    pub(crate) fn kill_but(&mut self, number: usize, survivors: usize) {
        let replica = self.replicas[number].take().expect("the replica is alive");
        drop(replica.stop);
        replica.thread.join().unwrap();
        self.disks[number].crash(&mut |_| survivors);
    }

    /// Ends a replica without any loss, and takes its disk out.
    pub(crate) fn take_disk(&mut self, number: usize) -> MemDisk {
        self.kill_but(number, usize::MAX);
        self.disks[number].clone()
    }

    /// Loses everything from and to a replica, without a word to either side.
    pub(crate) fn cut(&self, number: usize) {
        self.network.cut(&url(NAMES[number]));
    }

    /// Ends a cut. Connections from before stay dead.
    pub(crate) fn heal(&self, number: usize) {
        self.network.heal(&url(NAMES[number]));
    }

    /// Flips a bit in each of a replica's snapshots.
    pub(crate) fn damage_snapshots(&self, number: usize) {
        let disk = &self.disks[number];
        for folder in disk.list().unwrap().iter().filter(|name| name.starts_with("snapshot-")) {
            let (file, len) = disk.files(folder).unwrap().remove(0);
            assert!(disk.damage_file(folder, &file, usize::try_from(len / 2).unwrap()));
        }
    }

    /// Damages the newest version of the first key in the state that a replica began with.
    pub(crate) fn damage_state(&self, number: usize) {
        const STATE: &str = "state-0";
        let copy = self.disks[number].copy().open(STATE, Role::State).unwrap();
        let mut cursor = copy.cursor(Family::Keys);
        cursor.seek(&[]).unwrap();
        let (key, _) = cursor.entry().expect("there is a key");
        assert!(self.disks[number].damage_record(STATE, Family::Keys, key));
    }

    /// Changes the state of a replica that is down, as if it had applied something else.
    pub(crate) fn change_state(&self, number: usize) {
        let disk = &self.disks[number];
        let store = LogMeta::new(disk.open("log", Role::Log).unwrap()).state_store().unwrap().unwrap();
        let state = disk.open(&store, Role::State).unwrap();
        let header = Header::load(&*state).unwrap();
        let mut batch = Batch::default();
        batch.put(Family::Meta, Header::key(), Header { hash: !header.hash, ..header }.encode());
        state.write(batch).unwrap();
        state.sync().unwrap();
    }

    /// The hash of all that a replica has applied.
    pub(crate) async fn hash(&self, number: usize) -> Option<u64> {
        let view = self.store(number).view(Consistency::Local).await.ok()?;
        Some(view.header().hash)
    }

    /// Damages an entry of a replica's log.
    pub(crate) fn damage_log(&self, number: usize, index: u64) {
        assert!(self.disks[number].damage_record("log", Family::LogEntries, &index.to_be_bytes()));
    }

    /// Has a replica's disk fail every read, or no longer.
    pub(crate) fn fail_reads(&self, number: usize, read_error: bool) {
        self.disks[number].set_faults(Faults { read_error, ..Faults::default() });
    }

    /// Starts a replica that is no founder: it asks the others to take it in.
    pub(crate) async fn join(&mut self, number: usize) -> Result<(), OpenError> {
        self.replicas[number] = Some(self.join_soon(number).ready().await?);
        Ok(())
    }

    /// The same, without waiting for what comes of it.
    pub(crate) fn join_soon(&self, number: usize) -> Starting {
        self.spawn(number, Beginning::Joining)
    }

    /// Whether a replica's disk has an id.
    pub(crate) fn is_bound(&self, number: usize) -> bool {
        let log = self.disks[number].copy().open("log", Role::Log).unwrap();
        LogMeta::new(log).replica().unwrap().is_some()
    }

    /// Has a replica's disk fail every write.
    pub(crate) fn fail_writes(&self, number: usize) {
        self.disks[number].set_faults(Faults { write_error: Some(Fate::Lost), ..Faults::default() });
    }

    /// Gives a replica's disk so many bytes, or as many as it likes.
    pub(crate) fn limit_disk(&self, number: usize, capacity_bytes: Option<u64>) {
        self.disks[number].set_faults(Faults { capacity_bytes, ..Faults::default() });
    }

    /// Leaves so much room on a replica's disk.
    pub(crate) fn leave_room(&self, number: usize, bytes: u64) {
        self.limit_disk(number, Some(1 << 30));
        let space = self.disks[number].space().expect("it is limited");
        self.limit_disk(number, Some(space.total - space.free + bytes));
    }

    /// Whether a replica's disk has a snapshot.
    pub(crate) fn has_snapshot(&self, number: usize) -> bool {
        self.disks[number].list().unwrap().iter().any(|name| name.starts_with("snapshot-"))
    }

    /// Takes a replica's disk away and gives it a new one.
    pub(crate) fn wipe(&mut self, number: usize) {
        self.disks[number] = MemDisk::new();
    }

    /// Whoever starts from now on says that clients reach it here.
    pub(crate) fn set_client_url(&mut self, url: &str) {
        self.client_urls = vec![url.to_owned()];
    }

    /// Puts another disk into a replica that is down.
    pub(crate) fn set_disk(&mut self, number: usize, disk: MemDisk) {
        self.disks[number] = disk;
    }

    /// A replica's disk as it is now.
    pub(crate) fn copy_disk(&self, number: usize) -> MemDisk {
        self.disks[number].copy()
    }

    /// Starts a replica that is down on a disk that is not what its peers remember; returns why it does not open.
    pub(crate) async fn restart_on(&mut self, number: usize, disk: MemDisk) -> OpenError {
        self.set_disk(number, disk);
        self.spawn(number, Beginning::Founding).ready().await.err().expect("such a disk must not be let in")
    }

    /// Starts a replica again, on the disk it had.
    pub(crate) async fn restart(&mut self, number: usize) {
        let starting = self.restart_soon(number);
        self.revive(number, starting).await;
    }

    /// The same, without waiting until it is open.
    pub(crate) fn restart_soon(&self, number: usize) -> Starting {
        self.spawn(number, if number < self.founders { Beginning::Founding } else { Beginning::Joining })
    }

    /// Waits until a replica that was started again is open.
    pub(crate) async fn revive(&mut self, number: usize, starting: Starting) {
        self.replicas[number] = Some(starting.ready().await.unwrap());
    }

    /// Starts a replica on a new disk under its old name, and returns why it does not open.
    pub(crate) async fn restart_wiped(&mut self, number: usize) -> OpenError {
        self.restart_on(number, MemDisk::new()).await
    }

    fn spawn(&self, number: usize, beginning: Beginning) -> Starting {
        let name = NAMES[number];
        let mut first: Vec<&str> = NAMES[..self.founders].to_vec();
        first.extend((number >= self.founders).then_some(name));
        let first = first.into_iter().map(founder).collect();
        let mut options = StoreOptions::new(member(name), first, TOKEN.into());
        options.beginning = beginning;
        options.member.client_urls = self.client_urls.clone();
        options.request_timeout = Duration::from_secs(5);
        (self.adjust)(&mut options);
        let transport = self.network.listen(&url(name));
        let disk = Arc::new(self.disks[number].clone());
        let seed = self.seeds.replace(self.seeds.get() + 1);
        let (opened, opening) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let life = async {
                let store = Store::open(disk, transport, options).await;
                let _ = opened.send(store);
                let _ = stopped.await;
            };
            runtime.block_on(runtime::seeded(seed, life));
        });
        Starting { opening, stop, thread }
    }
}

fn url(name: &str) -> String {
    format!("memory://{name}")
}

fn founder(name: &str) -> InitialMember {
    InitialMember { name: name.into(), peer_url: url(name) }
}

fn member(name: &str) -> Member {
    Member { name: name.into(), peer_urls: vec![url(name)], ..Member::default() }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let replicas: Vec<_> = self.replicas.drain(..).flatten().collect();
        for Replica { stop, thread, .. } in replicas {
            drop(stop);
            // A panic in a replica has failed the test already, or is not its business.
            let _ = thread.join();
        }
    }
}

/// A replica that is about to open.
pub(crate) struct Starting {
    opening: oneshot::Receiver<Result<Store, OpenError>>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Starting {
    /// Waits for it.
    pub(crate) async fn ready(self) -> Result<Replica, OpenError> {
        let opened = tokio::time::timeout(PATIENCE, self.opening).await.expect("a replica opens in time");
        let store = opened.expect("opening does not panic")?;
        Ok(Replica { store, stop: self.stop, thread: self.thread })
    }
}

/// Waits until `condition` yields something.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(found) = condition().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Writes a key; answers the revision.
pub(crate) async fn put(store: &Store, key: &str, value: &str) -> Result<Revision, WriteError> {
    let put = PutRequest { key: bytes(key), value: bytes(value), ..PutRequest::default() };
    let txn = Txn { success: vec![Op::Put(put)], ..Txn::default() };
    store.txn(txn).await.map(|answer| answer.revision)
}

/// Writes a key, trying again for as long as the store says that nothing has happened.
pub(crate) async fn put_at_last(store: &Store, key: &str, value: &str) -> Revision {
    eventually("a write", async || match put(store, key, value).await {
        Ok(revision) => Some(revision),
        Err(WriteError::Rejected(_)) => None,
        Err(other) => panic!("{other}"),
    })
    .await
}

/// Writes a key if it does not exist yet.
pub(crate) async fn create(store: &Store, key: &str, value: &str) -> Result<At<TxnResponse>, WriteError> {
    let absent = Compare {
        range: KeyRange::Single(bytes(key)),
        relation: Relation::Equal,
        operand: Operand::Version(0),
    };
    let put = PutRequest { key: bytes(key), value: bytes(value), ..PutRequest::default() };
    store.txn(Txn { compare: vec![absent], success: vec![Op::Put(put)], failure: vec![] }).await
}

/// Reads a key, linearizably.
pub(crate) async fn get(store: &Store, key: &str) -> Option<KeyValue> {
    let request = RangeRequest::new(KeyRange::Single(bytes(key)));
    let found = store.range(&request, Consistency::Linearizable).await.unwrap();
    found.answer.kvs.into_iter().next()
}

/// A key's value, linearizably.
pub(crate) async fn value(store: &Store, key: &str) -> Option<String> {
    let found = get(store, key).await;
    found.map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

/// Text as the store takes it.
pub(crate) fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
