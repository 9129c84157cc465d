//! What can be changed about users and roles, who asks for something, and why it is denied.
//!
//! Names and texts are etcd's (`Auth` in `rpc.proto`). A command carries what is secret as it is kept: passwords as their
//! hashes, made before it was proposed, because a hash has a random salt and every replica must keep the same one.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::KeyRange;
use crate::id::AuthRevision;

/// The user, and the role, that may do everything.
pub const ROOT: &str = "root";

/// Who asks, as the door has found out that took the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Caller {
    /// Nobody in particular: may do everything while authentication is off, and nothing while it is on.
    #[default]
    Anyone,
    /// The store itself: leases that run out, compaction by timetable, the program that links it.
    System,
    /// A user.
    User {
        /// Its name.
        name: String,
        /// The state of users and roles in which it was found to be that user.
        revision: AuthRevision,
    },
}

/// A change of users and roles. Variants are never reordered or removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthCommand {
    /// From now on callers must be users. All tokens become invalid.
    Enable,
    /// From now on anyone may do everything.
    Disable,
    /// Tokens are made with this key, if there is none yet.
    SetTokenKey(TokenKey),
    /// A new user.
    UserAdd {
        /// Not empty, and not in use.
        name: String,
        /// `None`: it can only be recognized by its certificate.
        password: Option<PasswordHash>,
    },
    /// Removes a user.
    UserDelete(String),
    /// Another password. The user's tokens become invalid.
    UserChangePassword {
        /// The user.
        name: String,
        /// The password; of no effect for users without one.
        password: PasswordHash,
    },
    /// Gives a user a role.
    UserGrantRole {
        /// The user.
        user: String,
        /// The role. Only [`ROOT`] needs not exist.
        role: String,
    },
    /// Takes a role from a user.
    UserRevokeRole {
        /// The user.
        user: String,
        /// The role.
        role: String,
    },
    /// A new role.
    RoleAdd(String),
    /// Removes a role, from all users too.
    RoleDelete(String),
    /// Lets a role do something with a range of keys, instead of what it could do with exactly this range.
    RoleGrantPermission {
        /// The role.
        role: String,
        /// What it may do.
        permission: Permission,
    },
    /// Takes a range of keys from a role.
    RoleRevokePermission {
        /// The role.
        role: String,
        /// The range, as it was granted.
        range: PermissionRange,
    },
}

/// What a role may do with a range of keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// Which keys.
    pub range: PermissionRange,
    /// What with them.
    pub access: Access,
}

/// The keys of a permission, as they were named when it was granted, and as they are named when it is revoked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PermissionRange {
    /// The first key.
    pub key: Bytes,
    /// Empty: only that key. One zero byte: no end. Else the first key past the range.
    pub range_end: Bytes,
}

/// What may be done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Reading and watching it.
    Read,
    /// Changing and deleting it.
    Write,
    /// Both.
    ReadWrite,
}

/// A password's bcrypt hash. Empty: no password fits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(String);

/// What tokens are signed with.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey([u8; 32]);

/// Why a caller may not do something, or why a change of users and roles was refused. The texts are etcd's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum AuthError {
    /// Without this user nobody could switch authentication off again.
    #[error("etcdserver: root user does not exist")]
    RootUserNotExist,
    /// The same.
    #[error("etcdserver: root user does not have root role")]
    RootRoleNotExist,
    /// The name is in use.
    #[error("etcdserver: user name already exists")]
    UserExists,
    /// A user without a name; or a request that says nothing about who makes it.
    #[error("etcdserver: user name is empty")]
    UserEmpty,
    /// There is no such user.
    #[error("etcdserver: user name not found")]
    UserNotFound,
    /// The name is in use.
    #[error("etcdserver: role name already exists")]
    RoleExists,
    /// There is no such role.
    #[error("etcdserver: role name not found")]
    RoleNotFound,
    /// A role without a name.
    #[error("etcdserver: role name is empty")]
    RoleEmpty,
    /// No such user, no password that it could show, or another one.
    #[error("etcdserver: authentication failed, invalid user ID or password")]
    AuthFailed,
    /// A password for a user that has none.
    #[error("auth: authentication failed, password was given for no password user")]
    NoPasswordUser,
    /// A permission without a permission.
    #[error("etcdserver: permission not given")]
    PermissionNotGiven,
    /// The caller may not do this.
    #[error("etcdserver: permission denied")]
    PermissionDenied,
    /// The user does not have the role.
    #[error("etcdserver: role is not granted to the user")]
    RoleNotGranted,
    /// The role does not have the permission.
    #[error("etcdserver: permission is not granted to the role")]
    PermissionNotGranted,
    /// There is nothing to authenticate for.
    #[error("etcdserver: authentication is not enabled")]
    NotEnabled,
    /// A token that is wrong, or was right once. Clients fetch another one.
    #[error("etcdserver: invalid auth token")]
    InvalidToken,
    /// A change after which nobody could change anything, or a range that holds no key.
    #[error("etcdserver: invalid auth management")]
    InvalidManagement,
    /// Users or roles have changed since it was found out who the caller is.
    #[error("etcdserver: revision of auth store is old")]
    OldRevision,
    /// Users and roles are read as one, and there are too many.
    #[error("etcdserver: there is no room for more users, roles and permissions")]
    TooLarge,
}

impl PermissionRange {
    /// Whether it can hold any key.
    pub fn is_valid(&self) -> bool {
        let is_open = *self.range_end == [0];
        !self.key.is_empty() && (self.range_end.is_empty() || is_open || self.key < self.range_end)
    }

    /// The keys.
    pub fn keys(&self) -> KeyRange {
        KeyRange::named(self.key.clone(), self.range_end.clone())
    }
}

impl Access {
    /// Whether it includes reading.
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether it includes writing.
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

impl PasswordHash {
    /// Takes a hash for what it is; one that is none fits no password.
    pub const fn new(hash: String) -> Self {
        Self(hash)
    }

    /// The hash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TokenKey {
    /// A key that was drawn at random.
    pub const fn new(drawn: [u8; 32]) -> Self {
        Self(drawn)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

// Neither belongs into a log.

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a password's hash)")
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(a key)")
    }
}
