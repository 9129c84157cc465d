//! Random commands, with few keys, so that they meet.

use bytes::Bytes;
use keelson_store_core::{
    command::{
        Command, Compare, DeleteRangeRequest, KeyRange, Op, Operand, PutRequest, RangeRequest, Relation,
        Sort, SortBy, Txn,
    },
    id::{LeaseId, Revision},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Keys that an encoding may confuse: prefixes of each other, zeros, the last byte.
const KEYS: [&[u8]; 9] = [b"a", b"a\0", b"a\0\x01", b"a\0\xff", b"ab", b"b", b"\0", b"\xff", b"\xff\xff"];

pub(crate) fn key() -> impl Strategy<Value = Bytes> {
    select(&KEYS[..]).prop_map(Bytes::from_static)
}

pub(crate) fn key_range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        3 => key().prop_map(KeyRange::Single),
        2 => (key(), key()).prop_map(|(start, end)| KeyRange::Span { start, end }),
        1 => key().prop_map(KeyRange::From),
    ]
}

/// Around the revisions that a short history reaches.
pub(crate) fn revision() -> impl Strategy<Value = Revision> {
    (0_u64..30).prop_map(Revision::new)
}

fn lease() -> impl Strategy<Value = LeaseId> {
    prop_oneof![3 => Just(0_i64), 2 => 1..4_i64].prop_map(LeaseId::new)
}

fn value() -> impl Strategy<Value = Bytes> {
    select(&["", "x", "y"][..]).prop_map(Bytes::from)
}

fn put() -> impl Strategy<Value = PutRequest> {
    let flags = (any::<bool>(), prop::bool::weighted(0.1), prop::bool::weighted(0.1));
    (key(), value(), lease(), flags).prop_map(|(key, value, lease, (prev_kv, ignore_value, ignore_lease))| {
        PutRequest { key, value, lease, prev_kv, ignore_value, ignore_lease }
    })
}

fn sort() -> impl Strategy<Value = Sort> {
    let by = select(&[SortBy::Key, SortBy::Version, SortBy::Create, SortBy::Mod, SortBy::Value][..]);
    (by, any::<bool>()).prop_map(|(by, descending)| Sort { by, descending })
}

fn rarely_revision() -> impl Strategy<Value = Revision> {
    prop_oneof![3 => Just(Revision::ZERO), 1 => revision()]
}

pub(crate) fn range_request() -> impl Strategy<Value = RangeRequest> {
    let bounds = (rarely_revision(), rarely_revision(), rarely_revision(), rarely_revision());
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    (key_range(), rarely_revision(), 0..4_u64, option::of(sort()), flags, bounds).prop_map(
        |(range, revision, limit, sort, (keys_only, count_only), bounds)| RangeRequest {
            revision,
            limit,
            sort,
            keys_only,
            count_only,
            min_mod_revision: bounds.0,
            max_mod_revision: bounds.1,
            min_create_revision: bounds.2,
            max_create_revision: bounds.3,
            ..RangeRequest::new(range)
        },
    )
}

fn compare() -> impl Strategy<Value = Compare> {
    let relation = select(&[Relation::Equal, Relation::Greater, Relation::Less, Relation::NotEqual][..]);
    let operand = prop_oneof![
        (0..4_u64).prop_map(Operand::Version),
        revision().prop_map(Operand::CreateRevision),
        revision().prop_map(Operand::ModRevision),
        value().prop_map(Operand::Value),
        lease().prop_map(Operand::Lease),
    ];
    (key_range(), relation, operand).prop_map(|(range, relation, operand)| Compare {
        range,
        relation,
        operand,
    })
}

fn op(depth: u32) -> BoxedStrategy<Op> {
    let delete = (key_range(), any::<bool>())
        .prop_map(|(range, prev_kv)| Op::DeleteRange(DeleteRangeRequest { range, prev_kv }));
    let leaf = prop_oneof![
        4 => put().prop_map(Op::Put),
        2 => delete,
        2 => range_request().prop_map(Op::Range),
    ];
    if depth == 0 {
        leaf.boxed()
    } else {
        prop_oneof![5 => leaf, 1 => txn(depth - 1).prop_map(Op::Txn)].boxed()
    }
}

fn txn(depth: u32) -> impl Strategy<Value = Txn> {
    (vec(compare(), 0..3), vec(op(depth), 0..4), vec(op(depth), 0..3))
        .prop_map(|(compare, success, failure)| Txn { compare, success, failure })
}

pub(crate) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => put().prop_map(|put| Command::Txn(Txn { success: vec![Op::Put(put)], ..Txn::default() })),
        4 => txn(2).prop_map(Command::Txn),
        1 => revision().prop_map(Command::Compact),
        2 => (lease(), 1..100_u32).prop_map(|(id, ttl_seconds)| Command::LeaseGrant { id, ttl_seconds }),
        1 => lease().prop_map(Command::LeaseRevoke),
    ]
}
