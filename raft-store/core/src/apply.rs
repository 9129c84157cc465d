//! Apply: committed log entries become state.
//!
//! In: entries in log order, several per batch. Out: one atomic [`Batch`] that holds
//! everything they changed together with the header that names the last of them, an [`Outcome`] per command,
//! and the changes that watchers see.
//!
//! * **A1** Entries are applied in order, none twice and none skipped; anything else is a bug and stops the
//!   replica at once.
//! * **A2** Data, revision, hash and applied position are one write: no crash can separate them.
//! * **A3** An outcome depends on the state and the command alone, so that every replica computes the same one.
//!   An [`EngineError`] does not, so it is never an outcome: it ends the batch, and the replica stops.
//! * **A4** How entries were grouped into batches leaves no trace.

mod hash;

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    auth::{Auth, Changed},
    command::{AuthCommand, Caller, Command, CommandError, Outcome, Response, ResponseBody, Txn},
    compact::{self, Sweep},
    engine::{Batch, Engine, EngineError, Family, Read},
    id::{LeaseId, LogPosition, ReplicaId, Revision},
    lease::{self, Lease},
    mutant::{self, Mutant},
    mvcc::{self, Known, Overlay, Writer},
    schema,
    watch::RevisionChanges,
};

pub use crate::schema::Header;
pub(crate) use hash::RollingHash;

/// The state of one replica, and its only writer.
pub struct StateMachine {
    engine: Arc<dyn Engine>,
    header: Header,
    auth: Arc<Auth>,
    known: Known,
}

/// Entries that are being applied together. Dropping it forgets them.
pub struct ApplyBatch<'m> {
    engine: &'m dyn Engine,
    /// The machine's header, which moves only in [`Self::commit`].
    committed: &'m mut Header,
    /// The machine's users and roles, which change only there, too.
    committed_auth: &'m mut Arc<Auth>,
    /// What the machine knows of keys.
    known: Tentative<'m>,
    header: Header,
    auth: Arc<Auth>,
    hash: RollingHash,
    overlay: Overlay<'m>,
    changes: Vec<Arc<RevisionChanges>>,
    leases: Vec<LeaseChange>,
    /// The rolling hash before each entry.
    hashes: Vec<u64>,
    /// Why this batch must not be committed: an entry was applied in part.
    broken: Option<EngineError>,
}

/// What a batch takes into what is known of keys, for its own later commands too.
struct Tentative<'m> {
    known: &'m mut Known,
    is_committed: bool,
}

impl Drop for Tentative<'_> {
    fn drop(&mut self) {
        if !self.is_committed {
            self.known.forget_versions();
        }
    }
}

/// What a batch did.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The header after it.
    pub header: Header,
    /// What it changed, by revision.
    pub changes: Vec<Arc<RevisionChanges>>,
    /// Which leases came and went, in order.
    pub leases: Vec<LeaseChange>,
    /// Users and roles after it.
    pub auth: Arc<Auth>,
    /// The rolling hash before each of its entries: that after the last one stands in the header.
    pub hashes: Vec<u64>,
}

/// A lease that came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// It was granted.
    Granted(Lease),
    /// It was revoked, and its keys are deleted.
    Revoked(LeaseId),
}

impl StateMachine {
    /// Takes up the state that an engine holds.
    pub fn open(engine: Arc<dyn Engine>) -> Result<Self, EngineError> {
        let mut header = Header::load(engine.as_ref())?;
        if mutant::is(Mutant::ApplyTwice) {
            header.applied = header.applied.and_then(LogPosition::previous);
        }
        if mutant::is(Mutant::ReuseRevision) {
            header.revision = header.revision.previous().max(header.compacted).max(Revision::FIRST);
        }
        let auth = Arc::new(Auth::load(engine.as_ref())?);
        Ok(Self { engine, header, auth, known: Known::default() })
    }

    /// How far the state has come.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Where the state lies. Nobody else may write to it.
    pub const fn engine(&self) -> &Arc<dyn Engine> {
        &self.engine
    }

    /// Users and roles.
    pub const fn auth(&self) -> &Arc<Auth> {
        &self.auth
    }

    /// A reader of this moment, and the header that goes with it.
    pub fn view(&self) -> (Arc<dyn Read>, Header) {
        (self.engine.view(), self.header)
    }

    /// What the last [`ApplyBatch::set_membership`] stored.
    pub fn membership(&self) -> Result<Option<Bytes>, EngineError> {
        membership(self.engine.as_ref())
    }

    /// Starts a batch.
    pub fn begin(&mut self) -> ApplyBatch<'_> {
        ApplyBatch {
            engine: self.engine.as_ref(),
            header: self.header,
            hash: RollingHash::new(self.header.hash),
            overlay: Overlay::new(self.engine.as_ref()),
            committed: &mut self.header,
            auth: self.auth.clone(),
            committed_auth: &mut self.auth,
            known: Tentative { known: &mut self.known, is_committed: false },
            changes: Vec::new(),
            leases: Vec::new(),
            hashes: Vec::new(),
            broken: None,
        }
    }

    /// Learns a little more of which keys there are, so that a write need not search for those that there are not: looks at
    /// `records` records at most. False where all is known; later, when much was deleted, it is worth asking again.
    pub fn survey(&mut self, records: usize) -> Result<bool, EngineError> {
        self.known.survey(self.engine.as_ref(), records)
    }

    /// Carries out one step of the sweep. A no-op when the step was planned for another state.
    ///
    /// After an error the engine's state is unknown (E7): the replica stops.
    pub fn sweep(&mut self, sweep: Sweep) -> Result<(), EngineError> {
        if sweep.from != self.header.swept || sweep.through.revision > self.header.compacted {
            return Ok(());
        }
        let header = Header { swept: sweep.through, ..self.header };
        let mut batch = sweep.deletions;
        batch.put(Family::Meta, Header::key(), header.encode());
        self.engine.write(batch)?;
        self.header = header;
        Ok(())
    }
}

fn membership(read: &dyn Read) -> Result<Option<Bytes>, EngineError> {
    let record = read.get(Family::Meta, schema::MEMBERSHIP_KEY)?;
    record.map(|bytes| schema::decode_membership(&bytes)).transpose()
}

/// Whether a replica was a member, and was removed: its id never comes back.
pub fn was_removed(read: &dyn Read, replica: ReplicaId) -> Result<bool, EngineError> {
    Ok(read.get(Family::Meta, &schema::removed_key(replica))?.is_some())
}

impl ApplyBatch<'_> {
    /// Applies a command that anyone may have asked for.
    ///
    /// See [`Self::command_for`].
    pub fn command(&mut self, at: LogPosition, command: Command) -> Result<Outcome, EngineError> {
        self.command_for(at, &Caller::Anyone, command)
    }

    /// Applies a command that a caller asks for.
    ///
    /// The outer error is the engine's: the batch cannot be committed any more, and the replica stops.
    ///
    /// # Panics
    /// When `at` is not the entry after the last one (A1).
    pub fn command_for(
        &mut self,
        at: LogPosition,
        caller: &Caller,
        command: Command,
    ) -> Result<Outcome, EngineError> {
        self.advance(at);
        let outcome = match command.validate() {
            Ok(()) => self.run(caller, command),
            Err(refused) => Ok(Err(refused)),
        };
        outcome.inspect_err(|error| self.broken = Some(error.clone()))
    }

    /// Stores who the members are, as the Raft adapter encodes it, and who is none any more.
    ///
    /// # Panics
    /// When `at` is not the entry after the last one (A1).
    pub fn set_membership(&mut self, at: LogPosition, encoded: &[u8], removed: &[ReplicaId]) {
        self.advance(at);
        self.overlay.put(Family::Meta, schema::MEMBERSHIP_KEY, schema::encode_membership(encoded));
        for replica in removed {
            self.overlay.put(Family::Meta, schema::removed_key(*replica), schema::REMOVED_MARK);
        }
    }

    /// What [`Self::set_membership`] stored last, in this batch or before.
    pub fn membership(&self) -> Result<Option<Bytes>, EngineError> {
        membership(&self.overlay)
    }

    /// Applies an entry that changes nothing.
    ///
    /// # Panics
    /// When `at` is not the entry after the last one (A1).
    pub fn blank(&mut self, at: LogPosition) {
        self.advance(at);
    }

    /// Whether users or roles have changed.
    pub fn changes_auth(&self) -> bool {
        !Arc::ptr_eq(&self.auth, self.committed_auth)
    }

    /// Writes everything at once (A2).
    ///
    /// After an error the engine's state is unknown (E7): the replica stops.
    pub fn commit(mut self) -> Result<Applied, EngineError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let header = Header { hash: self.hash.value(), ..self.header };
        let mut batch: Batch = self.overlay.into_batch();
        if header != *self.committed || !batch.is_empty() {
            if mutant::is(Mutant::AppliedApart) {
                self.engine.write(std::mem::take(&mut batch))?;
            }
            batch.put(Family::Meta, Header::key(), header.encode());
            self.engine.write(batch)?;
            *self.committed = header;
        }
        self.committed_auth.clone_from(&self.auth);
        self.known.is_committed = true;
        Ok(Applied {
            header,
            changes: self.changes,
            leases: self.leases,
            auth: self.auth,
            hashes: self.hashes,
        })
    }

    fn advance(&mut self, at: LogPosition) {
        let expected = self.header.next_index();
        assert!(at.index == expected, "entry {} applied where {expected} is next", at.index);
        self.header.applied = Some(at);
        self.hashes.push(self.hash.value());
    }

    fn run(&mut self, caller: &Caller, command: Command) -> Result<Outcome, EngineError> {
        // A key for tokens is the store's own affair, also while authentication is off.
        let is_key = matches!(command, Command::Auth(AuthCommand::SetTokenKey(_)));
        if (self.auth.is_enabled() || is_key)
            && let Err(denied) = self.auth.check(caller, &command, &self.overlay)?
        {
            return Ok(Err(denied.into()));
        }
        let body = match command {
            Command::Txn(txn) => self.txn(txn)?,
            Command::Compact(revision) => self.compact(revision),
            Command::LeaseGrant { id, ttl_seconds } => self.grant(Lease { id, ttl_seconds })?,
            Command::LeaseRevoke(id) => self.revoke(id)?,
            Command::Auth(command) => self.change_auth(command),
        };
        Ok(body.map(|body| Response { revision: self.header.revision, body }))
    }

    fn txn(&mut self, txn: Txn) -> Result<Result<ResponseBody, CommandError>, EngineError> {
        let mut writer = Writer::new(&mut self.overlay, self.known.known, &mut self.hash, self.header);
        let answer = mvcc::execute(&mut writer, txn)?;
        let changes = writer.finish();
        self.publish(changes);
        Ok(answer.map(ResponseBody::Txn))
    }

    fn compact(&mut self, revision: Revision) -> Result<ResponseBody, CommandError> {
        compact::check(&self.header, revision)?;
        self.header.compacted = revision;
        self.hash.compacted(revision);
        Ok(ResponseBody::Compact)
    }

    fn grant(&mut self, lease: Lease) -> Result<Result<ResponseBody, CommandError>, EngineError> {
        if lease::find(&self.overlay, lease.id)?.is_some() {
            return Ok(Err(CommandError::LeaseExists));
        }
        lease::grant(&mut self.overlay, lease);
        self.hash.granted(lease);
        self.leases.push(LeaseChange::Granted(lease));
        Ok(Ok(ResponseBody::LeaseGrant))
    }

    fn revoke(&mut self, id: LeaseId) -> Result<Result<ResponseBody, CommandError>, EngineError> {
        if lease::find(&self.overlay, id)?.is_none() {
            return Ok(Err(CommandError::LeaseNotFound));
        }
        let mut keys = lease::keys(&self.overlay, id)?;
        if mutant::is(Mutant::RevokeKeepsKey) {
            keys.pop();
        }
        let mut writer = Writer::new(&mut self.overlay, self.known.known, &mut self.hash, self.header);
        for key in keys {
            writer.delete_leased(id, key)?;
        }
        let changes = writer.finish();
        self.publish(changes);
        lease::remove(&mut self.overlay, id);
        self.hash.revoked(id);
        self.leases.push(LeaseChange::Revoked(id));
        Ok(Ok(ResponseBody::LeaseRevoke))
    }

    fn change_auth(&mut self, command: AuthCommand) -> Result<ResponseBody, CommandError> {
        let mut auth = Auth::clone(&self.auth);
        match auth.change(command)? {
            Changed::Nothing => {}
            Changed::Something => {
                let record = auth.encode();
                self.hash.auth_changed(&record);
                self.overlay.put(Family::Meta, schema::AUTH_KEY, record);
                self.auth = Arc::new(auth);
            }
        }
        Ok(ResponseBody::Auth)
    }

    /// Takes over the revision that a writer made, if it made one.
    fn publish(&mut self, changes: Option<RevisionChanges>) {
        if let Some(changes) = changes {
            assert!(changes.revision == self.header.revision.next(), "revisions grow one by one");
            self.header.revision = changes.revision;
            self.known.known.take_in(&changes);
            self.changes.push(Arc::new(changes));
        }
    }
}
