//! What a caller may do.
//!
//! As etcd decides it: a range is permitted when it lies within what the caller's roles permit together; a transaction when
//! all that it could do is permitted, whichever branch runs; hanging a key on a lease, or ending the lease, when every key
//! that hangs on it may be written.

use std::{collections::BTreeMap, fmt};

use super::{Auth, Role, User};
use crate::{
    command::{
        AuthCommand, AuthError, Caller, Command, DeleteRangeRequest, KeyRange, Op, PutRequest, ROOT, Spans,
        Txn,
    },
    engine::{EngineError, Read},
    id::LeaseId,
    lease,
};

/// What a caller may do with keys.
pub struct Rights<'a>(Reach<'a>);

enum Reach<'a> {
    Everything,
    Within(&'a Ranges),
}

/// What a user's roles permit together.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    read: Spans,
    write: Spans,
}

impl Ranges {
    fn of(user: &User, roles: &BTreeMap<String, Role>) -> Self {
        let mut ranges = Self::default();
        for role in user.roles.iter().filter_map(|name| roles.get(name)) {
            for (range, access) in &role.permissions {
                let span = Spans::of(&range.keys());
                if access.reads() {
                    ranges.read.extend(span.clone());
                }
                if access.writes() {
                    ranges.write.extend(span);
                }
            }
        }
        ranges
    }
}

impl Auth {
    /// What the caller may do with keys; an error where it may do nothing.
    pub fn rights(&self, caller: &Caller) -> Result<Rights<'_>, AuthError> {
        if !self.enabled {
            return Ok(Rights(Reach::Everything));
        }
        match caller {
            Caller::System => Ok(Rights(Reach::Everything)),
            Caller::Anyone => Err(AuthError::UserEmpty),
            Caller::User { name: _, revision } if *revision < self.revision => Err(AuthError::OldRevision),
            Caller::User { name, revision: _ } => {
                let user = self.users.get(name).ok_or(AuthError::PermissionDenied)?;
                Ok(Rights(match user.has_role(ROOT) {
                    true => Reach::Everything,
                    false => Reach::Within(user.ranges.get_or_init(|| Ranges::of(user, &self.roles))),
                }))
            }
        }
    }

    /// Whether the caller may do what only root may.
    pub fn check_root(&self, caller: &Caller) -> Result<(), AuthError> {
        if !self.enabled {
            return Ok(());
        }
        match caller {
            Caller::System => Ok(()),
            Caller::Anyone => Err(AuthError::UserEmpty),
            Caller::User { name, .. } if name.is_empty() => Err(AuthError::UserEmpty),
            Caller::User { name, .. } => match self.users.get(name) {
                None => Err(AuthError::UserNotFound),
                Some(user) if user.has_role(ROOT) => Ok(()),
                Some(_) => Err(AuthError::PermissionDenied),
            },
        }
    }

    /// Whether it is known who the caller is, for what every user may.
    pub fn check_known(&self, caller: &Caller) -> Result<(), AuthError> {
        match caller {
            Caller::Anyone if self.enabled => Err(AuthError::UserEmpty),
            Caller::Anyone | Caller::System | Caller::User { .. } => Ok(()),
        }
    }

    /// Whether the caller may have a command applied to this state.
    ///
    /// The outer error is the engine's; the inner one answers the client.
    pub(crate) fn check(
        &self,
        caller: &Caller,
        command: &Command,
        state: &dyn Read,
    ) -> Result<Result<(), AuthError>, EngineError> {
        match command {
            Command::Txn(txn) => match self.rights(caller) {
                Ok(rights) => rights.txn(txn, state),
                Err(denied) => Ok(Err(denied)),
            },
            Command::LeaseRevoke(id) => match self.rights(caller) {
                Ok(rights) => rights.lease(*id, Rights::write, state),
                Err(denied) => Ok(Err(denied)),
            },
            Command::LeaseGrant { .. } => Ok(self.check_known(caller)),
            Command::Auth(AuthCommand::SetTokenKey(_)) => Ok(match caller {
                Caller::System => Ok(()),
                Caller::Anyone | Caller::User { .. } => Err(AuthError::PermissionDenied),
            }),
            Command::Compact(_) | Command::Auth(_) => Ok(self.check_root(caller)),
        }
    }
}

impl Rights<'_> {
    /// Whether keys may be read.
    pub fn read(&self, keys: &KeyRange) -> Result<(), AuthError> {
        self.within(keys, |ranges| &ranges.read)
    }

    /// Whether keys may be changed and deleted.
    pub fn write(&self, keys: &KeyRange) -> Result<(), AuthError> {
        self.within(keys, |ranges| &ranges.write)
    }

    fn within(&self, keys: &KeyRange, of: impl Fn(&Ranges) -> &Spans) -> Result<(), AuthError> {
        match self.0 {
            Reach::Everything => Ok(()),
            Reach::Within(ranges) if of(ranges).covers(keys) => Ok(()),
            Reach::Within(_) => Err(AuthError::PermissionDenied),
        }
    }

    /// Whether all keys that hang on a lease may be read ([`Self::read`]) or written ([`Self::write`]).
    pub fn lease(
        &self,
        id: LeaseId,
        may: impl Fn(&Self, &KeyRange) -> Result<(), AuthError>,
        state: &dyn Read,
    ) -> Result<Result<(), AuthError>, EngineError> {
        match self.0 {
            Reach::Everything => Ok(Ok(())),
            Reach::Within(_) => {
                let mut keys = lease::keys(state, id)?.into_iter();
                Ok(keys.try_for_each(|key| may(self, &KeyRange::Single(key))))
            }
        }
    }

    /// Whether a transaction may run, whatever its compares say.
    pub fn txn(&self, txn: &Txn, state: &dyn Read) -> Result<Result<(), AuthError>, EngineError> {
        if matches!(self.0, Reach::Everything) {
            return Ok(Ok(()));
        }
        if let Err(denied) = txn.compare.iter().try_for_each(|compare| self.read(&compare.range)) {
            return Ok(Err(denied));
        }
        for op in txn.success.iter().chain(&txn.failure) {
            let permitted = match op {
                Op::Range(request) => self.read(&request.range),
                Op::Put(request) => self.put(request, state)?,
                Op::DeleteRange(request) => self.delete(request),
                Op::Txn(nested) => self.txn(nested, state)?,
            };
            if permitted.is_err() {
                return Ok(permitted);
            }
        }
        Ok(Ok(()))
    }

    fn put(&self, put: &PutRequest, state: &dyn Read) -> Result<Result<(), AuthError>, EngineError> {
        let key = KeyRange::Single(put.key.clone());
        let permitted = self.write(&key).and_then(|()| if put.prev_kv { self.read(&key) } else { Ok(()) });
        if permitted.is_err() || put.lease.is_none() {
            return Ok(permitted);
        }
        // Whoever may not end the lease may not make it live on with a key of its own.
        self.lease(put.lease, Self::write, state)
    }

    fn delete(&self, request: &DeleteRangeRequest) -> Result<(), AuthError> {
        self.write(&request.range)?;
        if request.prev_kv { self.read(&request.range) } else { Ok(()) }
    }
}

impl fmt::Debug for Rights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reach::Everything => f.write_str("everything"),
            Reach::Within(ranges) => ranges.fmt(f),
        }
    }
}
