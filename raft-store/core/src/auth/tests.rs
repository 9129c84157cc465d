//! What roles permit together is what their permissions permit one by one, key by key.

use bytes::Bytes;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{
    command::{AuthCommand, AuthError, Caller, KeyRange, PasswordHash, Permission, ROOT},
    engine::{Disk as _, Role as StoreRole, mem::MemDisk},
};

const ROLES: [&str; 2] = ["r", "s"];

/// The ends of ranges.
const NAMES: [&str; 7] = ["a", "a\0", "ab", "b", "c", "ca", "\u{7f}"];

/// Between any two names nothing else is told apart, so these stand for all keys.
fn probes() -> impl Iterator<Item = Bytes> {
    NAMES.iter().flat_map(|name| [Bytes::from_static(name.as_bytes()), format!("{name}\0").into()])
}

fn range() -> impl Strategy<Value = PermissionRange> {
    let end = prop_oneof![2 => Just(""), 1 => Just("\0"), 4 => select(&NAMES[..])];
    (select(&NAMES[..]), end)
        .prop_map(|(key, end)| PermissionRange { key: key.into(), range_end: end.into() })
}

fn access() -> impl Strategy<Value = Access> {
    select(&[Access::Read, Access::Write, Access::ReadWrite][..])
}

fn user(name: &str, revision: AuthRevision) -> Caller {
    Caller::User { name: name.to_owned(), revision }
}

/// A user with both roles, while authentication is on.
fn with(permissions: &[(&'static str, PermissionRange, Access)]) -> Auth {
    let mut auth = Auth::default();
    let mut change = |command| auth.change(command);
    for name in [ROOT, "u"] {
        change(AuthCommand::UserAdd { name: name.to_owned(), password: None }).unwrap();
    }
    change(AuthCommand::UserGrantRole { user: ROOT.to_owned(), role: ROOT.to_owned() }).unwrap();
    for role in ROLES {
        change(AuthCommand::RoleAdd(role.to_owned())).unwrap();
        change(AuthCommand::UserGrantRole { user: "u".to_owned(), role: role.to_owned() }).unwrap();
    }
    for (role, range, access) in permissions.iter().cloned() {
        let permission = Permission { range, access };
        // One that is empty is refused, and permits nothing.
        change(AuthCommand::RoleGrantPermission { role: role.to_owned(), permission }).ok();
    }
    change(AuthCommand::Enable).unwrap();
    auth
}

proptest! {
    #[test]
    fn a_range_is_permitted_exactly_when_each_of_its_keys_is(
        permissions in vec((select(&ROLES[..]), range(), access()), 0..6),
        asked in range(),
    ) {
        let auth = with(&permissions);
        let rights = auth.rights(&user("u", auth.revision())).unwrap();
        let granted = || ROLES.into_iter().flat_map(|role| auth.role(role).unwrap().permissions());
        let asked = asked.keys();
        let mut keys = probes().filter(|key| asked.contains(key)).peekable();
        prop_assume!(keys.peek().is_some());
        let keys: Vec<_> = keys.collect();
        let each = |may: fn(Access) -> bool| {
            keys.iter().all(|key| granted().any(|(range, access)| may(access) && range.keys().contains(key)))
        };
        prop_assert_eq!(rights.read(&asked).is_ok(), each(Access::reads));
        prop_assert_eq!(rights.write(&asked).is_ok(), each(Access::writes));
    }

    #[test]
    fn users_and_roles_come_back_from_their_record(
        permissions in vec((select(&ROLES[..]), range(), access()), 0..6),
    ) {
        let auth = with(&permissions);
        let record = auth.encode();
        prop_assert_eq!(Auth::decode(&record).unwrap().encode(), record);
    }
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let mut auth = with(&[]);
    let before = auth.encode();
    let name = || "nobody".to_owned();
    let password = PasswordHash::new("hash".to_owned());
    let range = PermissionRange { key: "a".into(), range_end: Bytes::new() };
    let permission = Permission { range: range.clone(), access: Access::Read };
    let refused = [
        AuthCommand::UserAdd { name: ROOT.to_owned(), password: None },
        AuthCommand::UserDelete(name()),
        AuthCommand::UserDelete(ROOT.to_owned()),
        AuthCommand::UserChangePassword { name: name(), password },
        AuthCommand::UserGrantRole { user: name(), role: "r".to_owned() },
        AuthCommand::UserGrantRole { user: "u".to_owned(), role: name() },
        AuthCommand::UserRevokeRole { user: name(), role: "r".to_owned() },
        AuthCommand::UserRevokeRole { user: "u".to_owned(), role: name() },
        AuthCommand::UserRevokeRole { user: ROOT.to_owned(), role: ROOT.to_owned() },
        AuthCommand::RoleAdd("r".to_owned()),
        AuthCommand::RoleDelete(name()),
        AuthCommand::RoleGrantPermission { role: name(), permission },
        AuthCommand::RoleRevokePermission { role: "r".to_owned(), range },
    ];
    for command in refused {
        let shown = format!("{command:?}");
        assert!(auth.change(command).is_err(), "{shown}");
        assert_eq!(auth.encode(), before, "{shown}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let password = PasswordHash::new("secret".to_owned());
    let command = AuthCommand::UserAdd { name: "u".to_owned(), password: Some(password) };
    assert!(!format!("{command:?}").contains("secret"));
    let mut auth = Auth::default();
    auth.change(command).unwrap();
    auth.change(AuthCommand::SetTokenKey(TokenKey::new([42; 32]))).unwrap();
    let shown = format!("{auth:?} {:?} {:?}", auth.user("u"), auth.token_key());
    assert!(!shown.contains("secret") && !shown.contains("42"), "{shown}");
}

#[test]
fn the_key_of_tokens_is_new_whenever_authentication_begins_and_does_not_leave_the_cluster() {
    let mut auth = with(&[]);
    let key = |byte| TokenKey::new([byte; 32]);
    assert_eq!(auth.token_key(), None);
    auth.change(AuthCommand::SetTokenKey(key(1))).unwrap();
    auth.change(AuthCommand::SetTokenKey(key(2))).unwrap();
    assert_eq!(auth.token_key(), Some(&key(1)));
    assert_eq!(auth.without_token_key().token_key(), None);
    auth.change(AuthCommand::Disable).unwrap();
    auth.change(AuthCommand::Enable).unwrap();
    assert_eq!(auth.token_key(), None);
}

#[test]
fn a_state_that_knows_no_users_is_read_as_one_without_any() {
    let engine = MemDisk::new().open("state", StoreRole::State).unwrap();
    let auth = Auth::load(&*engine).unwrap();
    assert!(auth.is_unused() && !auth.is_enabled());
    let everything = KeyRange::From(Bytes::from_static(b"\0"));
    assert_eq!(auth.rights(&Caller::Anyone).unwrap().write(&everything), Ok(()));
    assert_eq!(with(&[]).rights(&Caller::Anyone).unwrap_err(), AuthError::UserEmpty);
}

#[test]
fn no_password_makes_the_record_too_long_to_be_read_again() {
    let long = || PasswordHash::new("x".repeat(20 << 20));
    let mut auth = Auth::default();
    for name in ["a", "b"] {
        let user = AuthCommand::UserAdd {
            name: name.to_owned(),
            password: Some(PasswordHash::new("short".to_owned())),
        };
        auth.change(user).unwrap();
    }
    let mut change =
        |name: &str| auth.change(AuthCommand::UserChangePassword { name: name.to_owned(), password: long() });
    change("a").unwrap();
    assert_eq!(change("b").err(), Some(AuthError::TooLarge));
}
