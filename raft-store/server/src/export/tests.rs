//! What goes into a file comes out of it, and nothing else does.

use std::{io, sync::Arc};

use keelson_store_core::{
    apply::StateMachine,
    auth::Auth,
    command::{
        AuthCommand, Caller, Command, DeleteRangeRequest, KeyRange, KeyValue, Op, PasswordHash, PutRequest,
        TokenKey, Txn,
    },
    engine::{Disk, Role, mem::MemDisk},
    id::{ClusterId, LeaseId, LogPosition, ReplicaId, Revision, Term},
    lease::Lease,
};
use proptest::prelude::*;

use super::*;
use crate::{Member, options::InitialMember};

fn one(op: Op) -> Command {
    Command::Txn(Txn { success: vec![op], ..Txn::default() })
}

fn put(key: &'static str, value: &'static str, lease: i64) -> Command {
    let lease = LeaseId::new(lease);
    one(Op::Put(PutRequest { key: key.into(), value: value.into(), lease, ..PutRequest::default() }))
}

/// A state with history, a deletion and a lease, at revision 6.
fn machine() -> StateMachine {
    let mut machine = StateMachine::open(MemDisk::new().open("state", Role::State).unwrap()).unwrap();
    let gone = DeleteRangeRequest { range: KeyRange::Single("gone".into()), prev_kv: false };
    let commands = [
        Command::LeaseGrant { id: LeaseId::new(7), ttl_seconds: 60 },
        put("a", "1", 0),
        put("a", "2", 7),
        put("gone", "x", 0),
        one(Op::DeleteRange(gone)),
        put("\0", "", 0),
    ];
    for command in commands {
        let index = machine.header().next_index();
        let mut batch = machine.begin();
        batch.command(LogPosition { term: Term::new(1), index }, command).unwrap().unwrap();
        batch.commit().unwrap();
    }
    machine
}

fn head() -> Head {
    let revision = Revision::new(6);
    Head { cluster: ClusterId::new(1), replica: ReplicaId::new(2), revision, taken_ms: 3 }
}

fn file() -> Vec<u8> {
    let (state, header) = machine().view();
    assert_eq!(header.revision, head().revision);
    let mut sealed = Sealed::new(Vec::new());
    write(&*state, head(), &mut sealed).unwrap();
    let (file, len) = sealed.finish().unwrap();
    assert_eq!(file.len() as u64, len);
    file
}

fn refused(file: &[u8]) -> ImportError {
    read(file, |_| Ok(())).expect_err("the file should be refused")
}

#[test]
fn a_file_holds_the_newest_versions_and_the_leases_and_ends_as_etcdctl_expects() {
    let file = file();
    assert_eq!(file.len() % 512, 32);
    let mut items = Vec::new();
    let contents = read(&file[..], |item| {
        items.push(item);
        Ok(())
    })
    .unwrap();
    assert_eq!((contents.head, contents.len), (head(), file.len() as u64));
    assert_eq!((contents.totals.keys, contents.totals.leases), (2, 1));
    let kv =
        |key: &'static str, value: &'static str, [create, modified, version]: [u64; 3], lease| KeyValue {
            key: key.into(),
            value: value.into(),
            create_revision: Revision::new(create),
            mod_revision: Revision::new(modified),
            version,
            lease: LeaseId::new(lease),
        };
    let expected = [
        Item::Lease(Lease { id: LeaseId::new(7), ttl_seconds: 60 }),
        Item::Key { kv: kv("\0", "", [6, 6, 1], 0), sub: 0 },
        Item::Key { kv: kv("a", "2", [2, 3, 2], 7), sub: 0 },
    ];
    assert_eq!(items, expected);
}

#[test]
fn a_file_of_something_else_is_told_apart_from_a_damaged_one() {
    assert!(matches!(refused(b""), ImportError::Foreign));
    assert!(matches!(refused(&[7; 2000]), ImportError::Foreign));
    let mut bolt = vec![0; 8192];
    bolt[16..20].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed]);
    let etcds = refused(&bolt);
    assert!(etcds.to_string().contains("etcdutl"), "{etcds}");
    let mut newer = file();
    newer[11] = 9;
    assert!(matches!(refused(&newer), ImportError::TooNew(9)));
    let mut longer = file();
    longer.push(0);
    assert!(matches!(refused(&longer), ImportError::Damaged(_)));
}

/// A state with users and roles, and authentication on.
fn machine_with_users() -> StateMachine {
    let mut machine = machine();
    let hash = || Some(PasswordHash::new("a hash".to_owned()));
    let commands = [
        AuthCommand::UserAdd { name: "root".to_owned(), password: hash() },
        AuthCommand::UserGrantRole { user: "root".to_owned(), role: "root".to_owned() },
        AuthCommand::Enable,
        AuthCommand::SetTokenKey(TokenKey::new([42; 32])),
    ];
    for command in commands {
        let at = LogPosition { term: Term::new(1), index: machine.header().next_index() };
        let mut batch = machine.begin();
        batch.command_for(at, &Caller::System, Command::Auth(command)).unwrap().unwrap();
        batch.commit().unwrap();
    }
    machine
}

#[test]
fn users_and_roles_are_restored_and_the_key_of_tokens_does_not_leave_the_cluster() {
    let (state, header) = machine_with_users().view();
    assert_eq!(header.revision, head().revision);
    let mut sealed = Sealed::new(Vec::new());
    write(&*state, head(), &mut sealed).unwrap();
    let (file, _) = sealed.finish().unwrap();
    assert!(!file.windows(32).any(|bytes| bytes == [42; 32]));
    assert_eq!((self::file()[11], file[11]), (1, 2), "older programs read files without users");
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    restore_file(&disk, &file, &options("a")).unwrap();
    let auth = Auth::load(&*disk.open("state-0", Role::State).unwrap()).unwrap();
    assert!(auth.is_enabled() && auth.token_key().is_none());
    let root = auth.user("root").unwrap();
    assert!(root.has_role("root") && root.password().unwrap().as_str() == "a hash");
}

proptest! {
    #[test]
    fn no_damage_goes_unnoticed(at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut damaged = file();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        prop_assert!(read(&damaged[..], |_| Ok(())).is_err());
    }

    #[test]
    fn a_file_that_was_cut_short_is_refused(at in any::<prop::sample::Index>()) {
        let whole = file();
        let cut = &whole[..at.index(whole.len())];
        prop_assert!(matches!(refused(cut), ImportError::CutShort | ImportError::Foreign));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&bytes[..], |_| Ok(()));
        bytes.splice(0..0, file()[..12].iter().copied());
        let _ = read(&bytes[..], |_| Ok(()));
    }
}

fn options(name: &str) -> RestoreOptions {
    let url = |name: &str| format!("https://{name}:2380");
    let founder = |name: &str| InitialMember { name: name.to_owned(), peer_url: url(name) };
    RestoreOptions {
        member: Member { name: name.to_owned(), peer_urls: vec![url(name)], ..Member::default() },
        replica: ReplicaId::new(99),
        initial_cluster: ["b", "a"].map(founder).into(),
        cluster_token: "t".to_owned(),
        bump: 1000,
    }
}

fn restore_file(
    disk: &Arc<dyn Disk>,
    mut file: &[u8],
    options: &RestoreOptions,
) -> Result<Restored, RestoreError> {
    restore(disk, Source::snapshot(&mut file), options)
}

#[test]
fn the_first_member_gets_the_keys_and_all_agree_on_the_cluster() {
    let disks: [Arc<dyn Disk>; 2] = std::array::from_fn(|_| Arc::new(MemDisk::new()) as Arc<dyn Disk>);
    let Restored::Holds(first) = restore_file(&disks[0], &file(), &options("a")).unwrap() else { panic!() };
    let Restored::Joins(other) = restore_file(&disks[1], &file(), &options("b")).unwrap() else { panic!() };
    assert_eq!((first, first.revision), (other, Revision::new(1006)));
    let elsewhere = RestoreOptions { bump: 1001, ..options("a") };
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    let Restored::Holds(elsewhere) = restore_file(&disk, &file(), &elsewhere).unwrap() else { panic!() };
    assert_ne!(elsewhere.cluster, first.cluster, "another revision is another history");
    let again = restore_file(&disks[0], &file(), &options("a"));
    assert!(matches!(again, Err(RestoreError::InUse)), "{again:?}");
}

#[test]
fn a_damaged_file_is_not_restored() {
    let mut damaged = file();
    damaged[100] ^= 1;
    let disk: Arc<dyn Disk> = Arc::new(MemDisk::new());
    for name in ["a", "b"] {
        let refused = restore_file(&disk, &damaged, &options(name)).unwrap_err();
        assert!(matches!(refused, RestoreError::Import(ImportError::Damaged(_))), "{refused}");
    }
}

#[test]
fn an_error_of_the_receiver_comes_back() {
    let failed = read(&file()[..], |_| Err(io::Error::other("full"))).unwrap_err();
    assert_eq!(failed.to_string(), "it cannot be read: full");
}
