//! Changes of users and roles.
//!
//! In: a change, and what it changes. Out: that, changed; or why not, and then nothing is.

use std::sync::OnceLock;

use super::{Auth, Role, User};
use crate::command::{AuthCommand, AuthError, PasswordHash, Permission, PermissionRange, ROOT};

/// All users and roles have to fit into so many bytes: they are one record.
const MAX_BYTES: usize = 32 << 20;

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It was so already.
    Nothing,
    /// There is another state now.
    Something,
}

impl Auth {
    /// Carries a change out. After an error this is as it was.
    pub(crate) fn change(&mut self, command: AuthCommand) -> Result<Changed, AuthError> {
        match command {
            AuthCommand::Enable => self.enable(),
            AuthCommand::Disable => Ok(self.disable()),
            AuthCommand::SetTokenKey(key) => match self.token_key {
                Some(_) => Ok(Changed::Nothing),
                None => {
                    self.token_key = Some(key);
                    Ok(Changed::Something)
                }
            },
            AuthCommand::UserAdd { name, password } => self.add_user(name, password),
            AuthCommand::UserDelete(name) => self.delete_user(&name),
            AuthCommand::UserChangePassword { name, password } => self.change_password(&name, password),
            AuthCommand::UserGrantRole { user, role } => self.grant_role(&user, role),
            AuthCommand::UserRevokeRole { user, role } => self.revoke_role(&user, &role),
            AuthCommand::RoleAdd(name) => self.add_role(name),
            AuthCommand::RoleDelete(name) => self.delete_role(&name),
            AuthCommand::RoleGrantPermission { role, permission } => self.grant_permission(&role, permission),
            AuthCommand::RoleRevokePermission { role, range } => self.revoke_permission(&role, &range),
        }
    }

    /// As etcd: this takes no revision.
    fn enable(&mut self) -> Result<Changed, AuthError> {
        if self.enabled {
            return Ok(Changed::Nothing);
        }
        let root = self.users.get(ROOT).ok_or(AuthError::RootUserNotExist)?;
        if !root.has_role(ROOT) {
            return Err(AuthError::RootRoleNotExist);
        }
        self.enabled = true;
        self.token_key = None;
        Ok(Changed::Something)
    }

    fn disable(&mut self) -> Changed {
        if !self.enabled {
            return Changed::Nothing;
        }
        self.enabled = false;
        self.token_key = None;
        self.taken()
    }

    fn add_user(&mut self, name: String, password: Option<PasswordHash>) -> Result<Changed, AuthError> {
        if name.is_empty() {
            return Err(AuthError::UserEmpty);
        }
        if self.users.contains_key(&name) {
            return Err(AuthError::UserExists);
        }
        self.check_room(name.len() + password.as_ref().map_or(0, |hash| hash.as_str().len()))?;
        let changed = self.taken();
        let user =
            User { password, credentials: self.revision, roles: Default::default(), ranges: OnceLock::new() };
        self.users.insert(name, user);
        Ok(changed)
    }

    fn delete_user(&mut self, name: &str) -> Result<Changed, AuthError> {
        if self.enabled && name == ROOT {
            return Err(AuthError::InvalidManagement);
        }
        self.users.remove(name).ok_or(AuthError::UserNotFound)?;
        Ok(self.taken())
    }

    fn change_password(&mut self, name: &str, password: PasswordHash) -> Result<Changed, AuthError> {
        let has_one = self.users.get(name).ok_or(AuthError::UserNotFound)?.password.is_some();
        if has_one {
            self.check_room(password.as_str().len())?;
        }
        let next = self.revision.next();
        let user = self.users.get_mut(name).ok_or(AuthError::UserNotFound)?;
        if has_one {
            user.password = Some(password);
        }
        user.credentials = next;
        Ok(self.taken())
    }

    fn grant_role(&mut self, user: &str, role: String) -> Result<Changed, AuthError> {
        let known = role == ROOT || self.roles.contains_key(&role);
        let granted = self.users.get(user).ok_or(AuthError::UserNotFound)?;
        if !known {
            return Err(AuthError::RoleNotFound);
        }
        if granted.has_role(&role) {
            return Ok(Changed::Nothing);
        }
        self.check_room(role.len())?;
        self.users.entry(user.to_owned()).and_modify(|user| {
            user.roles.insert(role);
            user.ranges = OnceLock::new();
        });
        Ok(self.taken())
    }

    fn revoke_role(&mut self, user: &str, role: &str) -> Result<Changed, AuthError> {
        if self.enabled && user == ROOT && role == ROOT {
            return Err(AuthError::InvalidManagement);
        }
        let revoked = self.users.get_mut(user).ok_or(AuthError::UserNotFound)?;
        if !revoked.roles.remove(role) {
            return Err(AuthError::RoleNotGranted);
        }
        revoked.ranges = OnceLock::new();
        Ok(self.taken())
    }

    fn add_role(&mut self, name: String) -> Result<Changed, AuthError> {
        if name.is_empty() {
            return Err(AuthError::RoleEmpty);
        }
        if self.roles.contains_key(&name) {
            return Err(AuthError::RoleExists);
        }
        self.check_room(name.len())?;
        self.roles.insert(name, Role::default());
        Ok(self.taken())
    }

    fn delete_role(&mut self, name: &str) -> Result<Changed, AuthError> {
        if self.enabled && name == ROOT {
            return Err(AuthError::InvalidManagement);
        }
        self.roles.remove(name).ok_or(AuthError::RoleNotFound)?;
        for user in self.users.values_mut().filter(|user| user.has_role(name)) {
            user.roles.remove(name);
            user.ranges = OnceLock::new();
        }
        Ok(self.taken())
    }

    fn grant_permission(&mut self, role: &str, permission: Permission) -> Result<Changed, AuthError> {
        let Permission { range, access } = permission;
        if !range.is_valid() {
            return Err(AuthError::InvalidManagement);
        }
        if !self.roles.contains_key(role) {
            return Err(AuthError::RoleNotFound);
        }
        self.check_room(range.key.len() + range.range_end.len())?;
        self.roles.entry(role.to_owned()).and_modify(|role| {
            role.permissions.insert(range, access);
        });
        self.forget_ranges();
        Ok(self.taken())
    }

    fn revoke_permission(&mut self, role: &str, range: &PermissionRange) -> Result<Changed, AuthError> {
        let revoked = self.roles.get_mut(role).ok_or(AuthError::RoleNotFound)?;
        revoked.permissions.remove(range).ok_or(AuthError::PermissionNotGranted)?;
        self.forget_ranges();
        Ok(self.taken())
    }

    fn forget_ranges(&mut self) {
        self.users.values_mut().for_each(|user| user.ranges = OnceLock::new());
    }

    /// Takes the next revision (U2).
    fn taken(&mut self) -> Changed {
        self.revision = self.revision.next();
        Changed::Something
    }

    fn check_room(&self, more: usize) -> Result<(), AuthError> {
        if self.encode().len() + more > MAX_BYTES { Err(AuthError::TooLarge) } else { Ok(()) }
    }
}
