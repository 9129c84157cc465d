//! Users, roles and what they may do.
//!
//! In: changes ([`AuthCommand`](crate::command::AuthCommand)), decided when they are applied. Out: what a caller may do
//! ([`Auth::rights`]), asked by whoever applies a command or answers a read.
//!
//! All of it is one record of the state, kept in memory as well, and it changes in the same batch as everything else.
//! Changes are rare and small; so each makes the whole record anew, and readers keep the one that they have.
//!
//! * **U1** While authentication is on, there is a user root with the role root.
//! * **U2** Every change takes the next revision. A caller who was recognized in an older one is refused, so that nothing
//!   is permitted by a state that is over.
//!
//! Deliberately absent: passwords and tokens, which need randomness, a clock and a lot of time. Whoever takes requests in
//! checks them, with the hashes and the key that are kept here.

mod change;
mod rights;
#[cfg(test)]
mod tests;

pub(crate) use change::Changed;
pub use rights::Rights;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::OnceLock,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use self::rights::Ranges;
use crate::{
    command::{Access, PasswordHash, PermissionRange, TokenKey},
    engine::{EngineError, Family, Read},
    id::AuthRevision,
    schema,
};

/// Users and roles at one moment.
#[derive(Clone, Serialize, Deserialize)]
pub struct Auth {
    enabled: bool,
    revision: AuthRevision,
    token_key: Option<TokenKey>,
    users: BTreeMap<String, User>,
    roles: BTreeMap<String, Role>,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    password: Option<PasswordHash>,
    /// The revision that last changed how the user is recognized.
    credentials: AuthRevision,
    roles: BTreeSet<String>,
    /// What the roles come to, once somebody has asked.
    #[serde(skip)]
    ranges: OnceLock<Ranges>,
}

/// A role: what may be done with which keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Role {
    permissions: BTreeMap<PermissionRange, Access>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            enabled: false,
            revision: AuthRevision::FIRST,
            token_key: None,
            users: BTreeMap::new(),
            roles: BTreeMap::new(),
        }
    }
}

impl Auth {
    /// The users and roles of a state.
    pub fn load(read: &dyn Read) -> Result<Self, EngineError> {
        let record = read.get(Family::Meta, schema::AUTH_KEY)?;
        record.map_or_else(|| Ok(Self::default()), |bytes| Self::decode(&bytes))
    }

    /// The record's value.
    pub fn encode(&self) -> Bytes {
        schema::encode_auth(self).into()
    }

    /// The record of a value.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        schema::decode_auth(bytes)
    }

    /// Whether callers must be users.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Which of the states of users and roles this is.
    pub const fn revision(&self) -> AuthRevision {
        self.revision
    }

    /// What tokens are signed with; absent before the first token, and where the state came out of a file.
    pub const fn token_key(&self) -> Option<&TokenKey> {
        self.token_key.as_ref()
    }

    /// The same, as it may leave the cluster: nobody can make tokens from it.
    #[must_use]
    pub fn without_token_key(&self) -> Self {
        Self { token_key: None, ..self.clone() }
    }

    /// Whether nothing was ever done with it.
    pub fn is_unused(&self) -> bool {
        self.revision == AuthRevision::FIRST
    }

    /// A user.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.get(name)
    }

    /// The names of all users, sorted.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }

    /// A role.
    pub fn role(&self, name: &str) -> Option<&Role> {
        self.roles.get(name)
    }

    /// The names of all roles, sorted.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }
}

impl User {
    /// The hash of its password, if it can have one.
    pub const fn password(&self) -> Option<&PasswordHash> {
        self.password.as_ref()
    }

    /// The revision that last changed how it is recognized: what was issued for another one is void.
    pub const fn credentials(&self) -> AuthRevision {
        self.credentials
    }

    /// Its roles, sorted.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// Whether it has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.contains(role)
    }
}

impl Role {
    /// What may be done with which keys, sorted by these.
    pub fn permissions(&self) -> impl Iterator<Item = (&PermissionRange, Access)> {
        self.permissions.iter().map(|(range, access)| (range, *access))
    }
}

// Nothing of it belongs into a log.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Auth");
        shown.field("enabled", &self.enabled).field("revision", &self.revision).finish_non_exhaustive()
    }
}
