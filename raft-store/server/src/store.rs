//! The store as the rest of the program sees it.
//!
//! Linked into the API server and served by [`crate::grpc`] alike; there is no other way in.

use std::{sync::Arc, time::Duration};

use keelson_store_core::{
    auth::Auth,
    command::{
        Caller, Command, Outcome, RangeRequest, RangeResponse, Response, ResponseBody, Txn, TxnResponse,
    },
    engine::Disk,
    id::{AuthRevision, LeaseId, ReplicaId, Revision, Term},
    lease::{self, Lease, Remaining},
    mvcc::{self, ContentsHash},
    watch::Interest,
};
use tokio::{sync::watch as channel, task::JoinHandle};

use crate::{
    damage::{
        Sentinel,
        divergence::{self, Comparison},
    },
    error::{LeaseError, OpenError, ReadError, Rejection, WriteError},
    lease::{self as leases, LeaseKeeper},
    log::LogMeta,
    membership,
    meters::{Meters, PeerTable, count},
    options::{Member, StoreOptions, Timing},
    peer::{Directory, Greeter, Identity, PeerServer, Sending, Transport},
    propose::Proposals,
    read::ReadIndex,
    reconfigure::{Change, ReconfigureError, Reconfigurer, announcer, keeper},
    runtime::{
        self, Home, Offload,
        clock::{Instant, timeout},
    },
    state::{SharedState, StateView},
    status::Status,
    types::Raft,
    watch::{Watcher, read_history},
};

use identity::OpenLog;
pub(crate) use identity::{LOG_STORE, cluster_of, founder_of};
use reclaim::Reclaimer;
use space::Room;
pub(crate) use space::grows;
use storage::{Started, Storage};
use sweeper::Sweeper;

mod bootstrap;
mod farewell;
mod identity;
mod leadership;
mod raft_config;
mod reclaim;
mod rollback;
mod space;
mod storage;
mod surveyor;
mod sweeper;

/// How long a leader waits for another replica to take over before it stops.
const HANDOVER_PATIENCE: Duration = Duration::from_secs(2);

/// A replica of the store. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    me: Identity,
    raft: Raft,
    directory: Arc<Directory>,
    state: Arc<SharedState>,
    reads: ReadIndex,
    proposals: Arc<Proposals>,
    leases: Arc<LeaseKeeper>,
    reconfigurer: Arc<Reconfigurer>,
    /// Through it go the calls that make openraft spawn tasks.
    home: Home,
    timing: Timing,
    /// Where long reads go.
    offload: Offload,
    sentinel: Arc<Sentinel>,
    /// What is left of the disk.
    room: Arc<Room>,
    background: Vec<JoinHandle<()>>,
}

/// How fresh a read must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// It sees every write that was acknowledged, anywhere, before the read began.
    Linearizable,
    /// It sees what this replica has applied: perhaps an older moment. etcd's `serializable`.
    Local,
}

/// An answer with the store's revision at that moment.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The revision.
    pub revision: Revision,
    /// The answer.
    pub answer: T,
}

/// What a replica stands on when it opens.
struct Ground {
    disk: Arc<dyn Disk>,
    me: Identity,
    log: OpenLog,
    directory: Arc<Directory>,
    sentinel: Arc<Sentinel>,
    sending: Sending,
}

impl Ground {
    fn storage<'g>(&'g self, options: &'g StoreOptions) -> Storage<'g> {
        let Self { disk, me, log, directory, sentinel, sending } = self;
        Storage { disk, log, me, directory, sentinel, sending, options }
    }

    /// Puts everything around Raft, and sets it going.
    fn assemble(
        &self,
        Started { raft, state, machine }: Started,
        transport: Arc<dyn Transport>,
        options: &StoreOptions,
    ) -> Inner {
        let Self { directory, sentinel, .. } = self;
        directory.follow(&raft);
        let (patience, offload) = (options.request_timeout, options.offload);
        let proposals = Proposals::start(raft.clone(), directory.clone(), state.meters().clone(), options);
        let reads = ReadIndex::start(raft.clone(), directory.clone(), state.clone(), patience);
        let leases = Arc::new(LeaseKeeper::start(raft.clone(), directory.clone(), state.clone(), patience));
        let reconfigurer = reconfigurer(&raft, &state, directory, options);
        let room = Arc::new(Room::new(self.disk.clone()));
        let server = Arc::new(PeerServer {
            me: Greeter {
                identity: self.me.clone(),
                member: options.member.clone(),
                beginning: self.log.beginning,
                removing: options.removing,
            },
            raft: raft.clone(),
            state: state.clone(),
            disk: self.disk.clone(),
            meta: LogMeta::new(sentinel.guard(self.log.engine.clone())),
            proposals: proposals.clone(),
            leases: leases.clone(),
            reconfigurer: reconfigurer.clone(),
            sentinel: sentinel.clone(),
            offload,
            sending: self.sending.clone(),
            receiving: Default::default(),
            peers: directory.peers().clone(),
            refusals: Default::default(),
        });
        let background = vec![
            runtime::spawn(server.run(transport)),
            runtime::spawn(leases::expire(raft.clone(), state.clone(), proposals.clone())),
            runtime::spawn(surveyor::run(machine.clone(), offload)),
            runtime::spawn(Sweeper { machine, state: state.clone(), offload }.run()),
            runtime::spawn(reclaim::run(self.reclaimer(&raft, &state, &room, offload))),
            runtime::spawn(read_history(state.clone(), state.hub().open_history(), offload)),
            runtime::spawn(keeper::run(reconfigurer.clone())),
            runtime::spawn(announcer::run(reconfigurer.clone(), self.me.replica, options.member.clone())),
            runtime::spawn(leadership::run(
                raft.clone(),
                state.clone(),
                self.sending.clone(),
                options.timing,
            )),
            runtime::spawn(divergence::run(Comparison::of(&raft, directory, &state, sentinel))),
        ];
        Inner {
            me: self.me.clone(),
            raft,
            directory: directory.clone(),
            state,
            reads,
            proposals,
            leases,
            reconfigurer,
            home: Home::open(),
            timing: options.timing,
            offload,
            sentinel: sentinel.clone(),
            room,
            background,
        }
    }

    fn reclaimer(
        &self,
        raft: &Raft,
        state: &Arc<SharedState>,
        room: &Arc<Room>,
        offload: Offload,
    ) -> Reclaimer {
        let log = self.sentinel.guard(self.log.engine.clone());
        Reclaimer { raft: raft.clone(), log, state: state.clone(), room: room.clone(), offload }
    }
}

impl Store {
    /// Opens a replica: its disk, its peers' door, and its Raft. On a new disk it also brings the cluster into
    /// being, together with the other initial members, which may take until all of them are there.
    ///
    /// Must be called inside [`runtime::seeded`].
    ///
    /// # Errors
    /// See [`OpenError`]; each text says what to do.
    pub async fn open(
        disk: Arc<dyn Disk>,
        transport: Arc<dyn Transport>,
        options: StoreOptions,
    ) -> Result<Self, OpenError> {
        space::check_size(&*disk)?;
        let (me, log) = identity::establish(&*disk, &transport, &options).await?;
        let ground = Ground {
            directory: Arc::new(Directory::new(me.clone(), transport.clone())),
            sentinel: Sentinel::open(log.meta.clone())?,
            sending: Sending::new(&options),
            disk,
            me,
            log,
        };
        let started = ground.storage(&options).start().await?;
        let store = Self { inner: Arc::new(ground.assemble(started, transport, &options)) };
        let Ground { directory, log, .. } = &ground;
        let begun = bootstrap::run(&store.inner.raft, directory, &log.meta, log.beginning, &options).await;
        if let Err(refused) = begun {
            store.stop().await;
            return Err(refused);
        }
        Ok(store)
    }

    /// Runs a transaction.
    pub async fn txn(&self, txn: Txn) -> Result<At<TxnResponse>, WriteError> {
        let Response { revision, body } = self.command(Command::Txn(txn)).await?;
        match body {
            ResponseBody::Txn(answer) => Ok(At { revision, answer }),
            other => unreachable!("a transaction answers with one, not with {other:?}"),
        }
    }

    /// Forgets superseded versions below `revision`.
    pub async fn compact(&self, revision: Revision) -> Result<At<()>, WriteError> {
        let response = self.command(Command::Compact(revision)).await?;
        Ok(At { revision: response.revision, answer: () })
    }

    /// Makes a lease. The id must be new; the caller draws it.
    pub async fn grant_lease(&self, lease: Lease) -> Result<At<()>, WriteError> {
        let Lease { id, ttl_seconds } = lease;
        let response = self.command(Command::LeaseGrant { id, ttl_seconds }).await?;
        Ok(At { revision: response.revision, answer: () })
    }

    /// Ends a lease and deletes the keys that hang on it.
    pub async fn revoke_lease(&self, id: LeaseId) -> Result<At<()>, WriteError> {
        let response = self.command(Command::LeaseRevoke(id)).await?;
        Ok(At { revision: response.revision, answer: () })
    }

    /// Gives a lease its full time again; answers that time in seconds.
    pub async fn renew_lease(&self, id: LeaseId) -> Result<u32, LeaseError> {
        self.inner.leases.renew(id).await
    }

    /// How long a lease lives, and how long it still has.
    pub async fn lease_remaining(&self, id: LeaseId) -> Result<Remaining, LeaseError> {
        let leases = self.inner.leases.clone();
        let remaining = self.inner.home.run(async move { leases.remaining(id).await }).await;
        remaining.unwrap_or(Err(LeaseError::Read(ReadError::Stopped)))
    }

    /// All leases.
    pub async fn leases(&self) -> Result<Vec<Lease>, ReadError> {
        let view = self.view(Consistency::Linearizable).await?;
        Ok(lease::all(view.read())?)
    }

    /// The state at one moment.
    pub async fn view(&self, consistency: Consistency) -> Result<StateView, ReadError> {
        match consistency {
            Consistency::Linearizable => self.inner.reads.barrier().await?,
            Consistency::Local => {}
        }
        self.check_doubt()?;
        Ok(self.inner.state.view()?)
    }

    /// Reads keys.
    pub async fn range(
        &self,
        request: &RangeRequest,
        consistency: Consistency,
    ) -> Result<At<RangeResponse>, ReadError> {
        request.validate()?;
        let view = self.view(consistency).await?;
        let answer = view.range(request)?;
        count(&self.meters().ops.ranges);
        Ok(At { revision: view.header().revision, answer })
    }

    /// Hashes what can be read here at revisions up to `at`; 0 means the newest. Members that answer alike have the same.
    pub async fn contents_hash(&self, at: Revision) -> Result<At<ContentsHash>, ReadError> {
        let view = self.view(Consistency::Local).await?;
        let revision = view.header().revision;
        let hashing = move || mvcc::contents_hash(view.read(), view.header(), at);
        let hashed = self.inner.offload.run_behind(hashing).await.map_err(|_| ReadError::Stopped)?;
        Ok(At { revision, answer: hashed?? })
    }

    /// Watches from `start` on; 0 means from after this call.
    pub async fn watch(&self, interest: Interest, start: Revision) -> Result<Watcher, ReadError> {
        self.check_doubt()?;
        if start.is_zero() {
            // Otherwise "now" might be this replica's past, and old changes would arrive as new ones.
            self.inner.reads.barrier().await?;
        }
        Ok(self.inner.state.hub().watch(self.inner.state.clone(), interest, start))
    }

    /// Whether this replica's disk has so little room left that it takes no write that grows the store.
    pub fn is_low_on_disk(&self) -> bool {
        self.inner.room.is_low()
    }

    /// What this replica counts of its work.
    pub(crate) fn meters(&self) -> &Meters {
        self.inner.state.meters()
    }

    /// Whether this replica is a learner that stays one.
    pub(crate) fn is_learner(&self) -> bool {
        self.inner.state.is_learner()
    }

    /// What this replica counts of each peer.
    pub(crate) fn peer_meters(&self) -> &PeerTable {
        self.inner.directory.peers()
    }

    /// To how many bytes the state can grow before the disk takes nothing more that grows it; `None` where the disk does not
    /// say.
    pub(crate) fn most_bytes(&self) -> Option<u64> {
        Some(self.size() + self.inner.room.left()?)
    }

    /// How many watches there are on this replica.
    pub fn watchers(&self) -> usize {
        self.inner.state.hub().watchers()
    }

    /// Completes when a leader is known that is not `known`; says which.
    pub(crate) async fn another_leader(&self, known: Option<ReplicaId>) -> ReplicaId {
        membership::another_leader(&self.inner.raft, known).await
    }

    /// Runs work to its end, also when whoever waits for it has gone away. `None` when this replica stops first.
    pub(crate) async fn attend<T, F>(&self, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.inner.home.run(work).await
    }

    /// The current term, as this replica knows it.
    pub fn term(&self) -> Term {
        membership::leadership(&self.inner.raft).0
    }

    /// The revision that this replica has applied.
    pub fn applied_revision(&self) -> Revision {
        self.inner.state.applied().borrow().revision
    }

    /// What this replica knows about itself and the cluster, without asking anybody.
    pub fn status(&self) -> Status {
        let Inner { me, raft, state, .. } = &*self.inner;
        Status::of(me.cluster, raft, state)
    }

    /// Bytes of state on disk, roughly.
    pub(crate) fn size(&self) -> u64 {
        self.inner.state.size()
    }

    /// Hands leadership to `to`. A no-op on a replica that does not lead.
    ///
    /// Returns when this replica no longer leads, or false when that does not happen in time.
    pub async fn transfer_leadership(&self, to: ReplicaId, patience: Duration) -> bool {
        let (term, leads) = membership::leadership(&self.inner.raft);
        if !leads {
            return true;
        }
        if let Err(fatal) = self.inner.raft.trigger().transfer_leader(to).await {
            tracing::warn!(%fatal, "leadership cannot be handed over");
            return false;
        }
        let changed = membership::leadership_changed(&self.inner.raft, Some(term));
        timeout(patience, changed).await.is_ok()
    }

    /// Keeps a place for a replica that is still to come, at the peer URLs of `member`, whose name is empty. Returns the
    /// place's id, which goes when the replica has come with its own.
    pub async fn keep_place(&self, member: Member) -> Result<ReplicaId, ReconfigureError> {
        let drawn = self.inner.home.run(async { identity::draw_id() }).await;
        let stopped = || ReconfigureError::NoLeader("this replica has stopped".to_owned());
        let place = drawn.ok_or_else(stopped)?;
        self.reconfigure(Change::Add { place, member }).await?;
        Ok(place)
    }

    /// Changes who belongs to the cluster. Returns when the change is in force and has been applied here.
    pub async fn reconfigure(&self, change: Change) -> Result<(), ReconfigureError> {
        let reconfigurer = self.inner.reconfigurer.clone();
        let done = self.inner.home.run(async move { reconfigurer.run(&change).await }).await;
        done.unwrap_or_else(|| Err(ReconfigureError::Unknown("this replica has stopped".to_owned())))?;
        Ok(self.inner.reads.barrier().await?)
    }

    /// Completes when this replica will serve nothing any more, and says why: it has failed, and only opening the disk
    /// anew tells what is on it; or it was removed from its cluster. The process must end. One caller at a time.
    pub async fn failed(&self) -> String {
        let Inner { raft, directory, state, sentinel, timing, .. } = &*self.inner;
        tokio::select! {
            why = membership::stopped(raft) => format!("the store has failed: {why}"),
            () = farewell::removed(raft, directory, state, *timing) => farewell::REMOVED.to_owned(),
            what = sentinel.finds() => format!("the store has failed: {what}"),
        }
    }

    /// Whether damage was found here that opening the disk anew makes good, out of what is whole here or with the peers'
    /// help.
    pub fn is_mended_at_start(&self) -> bool {
        self.inner.sentinel.is_mended_at_start()
    }

    /// Hands over leadership if this replica has it, and stops. Whatever is under way gets an answer first or
    /// learns that its fate is unknown.
    pub async fn shutdown(&self) {
        self.hand_over().await;
        self.stop().await;
    }

    async fn stop(&self) {
        self.inner.background.iter().for_each(JoinHandle::abort);
        if let Err(error) = self.inner.raft.shutdown().await {
            tracing::warn!(%error, "raft ended with a panic");
        }
    }

    async fn hand_over(&self) {
        let (_, leads) = membership::leadership(&self.inner.raft);
        let Some((heir, member)) = membership::heir(&self.inner.raft, self.inner.timing).filter(|_| leads)
        else {
            return;
        };
        let started = Instant::now();
        if self.transfer_leadership(heir, HANDOVER_PATIENCE).await {
            tracing::info!(to = member.name, elapsed = ?started.elapsed(), "handed over leadership");
        } else {
            tracing::warn!(to = member.name, "nobody took over leadership in time");
        }
    }

    /// Nobody is served by a replica whose state may be wrong.
    fn check_doubt(&self) -> Result<(), ReadError> {
        if !self.inner.state.is_in_doubt() {
            return Ok(());
        }
        Err(ReadError::NoQuorum(self.inner.state.doubt().unwrap_or_default()))
    }

    async fn command(&self, command: Command) -> Result<Response, WriteError> {
        self.propose(&self.inner.state.own_caller(), &command).await
    }

    /// Has a command applied that a caller asks for.
    pub(crate) async fn propose(&self, caller: &Caller, command: &Command) -> Result<Response, WriteError> {
        command.validate()?;
        if self.inner.state.is_in_doubt() {
            return Err(WriteError::Rejected(Rejection::InDoubt));
        }
        self.inner.room.check(&self.inner.state, command)?;
        let outcome: Outcome = self.inner.proposals.propose(caller, command).await?;
        Ok(outcome?)
    }

    /// Users and roles as this replica knows them.
    pub(crate) fn auth(&self) -> Arc<Auth> {
        self.inner.state.auth()
    }

    /// Follows the revision of users and roles.
    pub(crate) fn auth_changes(&self) -> channel::Receiver<AuthRevision> {
        self.inner.state.auth_changes()
    }

    /// Where work goes that takes long.
    pub(crate) fn offload(&self) -> Offload {
        self.inner.offload
    }
}

/// Who changes the membership, as the options want it.
fn reconfigurer(
    raft: &Raft,
    state: &Arc<SharedState>,
    directory: &Arc<Directory>,
    options: &StoreOptions,
) -> Arc<Reconfigurer> {
    let token = options.cluster_token.clone();
    let (raft, state, directory) = (raft.clone(), state.clone(), directory.clone());
    Arc::new(Reconfigurer::new(raft, state, directory, token, options.timing, options.request_timeout))
}
