//! From etcd's requests to the store's commands and reads.

use bytes::Bytes;
use keelson_proto::etcd::rpc::{
    self, compare::CompareResult, compare::CompareTarget, compare::TargetUnion, range_request::SortOrder,
    range_request::SortTarget, request_op,
};
use keelson_store_core::{
    command::{
        CommandError, Compare, DeleteRangeRequest, KeyRange, Op, Operand, PutRequest, RangeRequest, Relation,
        Sort, SortBy, Txn,
    },
    id::{LeaseId, Revision},
    lease::Lease,
};

use crate::grpc::error::BadRequest;

/// etcd's `MaxLeaseTTL`: beyond it, a time to live is a mistake.
const MAX_LEASE_TTL_SECONDS: i64 = 9_000_000_000;

/// A range of keys: no end means one key, an end of one zero byte means "and all that follow".
pub(in crate::grpc) fn key_range(key: Bytes, range_end: Bytes) -> KeyRange {
    KeyRange::named(key, range_end)
}

/// A revision in a request, where 0 and everything below mean "none" or "the newest".
pub(in crate::grpc) fn revision(raw: i64) -> Revision {
    Revision::new(u64::try_from(raw).unwrap_or(0))
}

/// A lease that is given by its id, or [`LeaseId::NONE`].
fn lease_id(raw: i64) -> Result<LeaseId, BadRequest> {
    if raw < 0 {
        return Err(BadRequest::LeaseId(raw));
    }
    Ok(LeaseId::new(raw))
}

/// A read. Whether it may be answered without asking the leader is not part of it.
pub(in crate::grpc) fn range(raw: rpc::RangeRequest) -> Result<RangeRequest, BadRequest> {
    let sort = sort(raw.sort_order, raw.sort_target)?;
    Ok(RangeRequest {
        range: key_range(raw.key, raw.range_end),
        revision: revision(raw.revision),
        limit: u64::try_from(raw.limit).unwrap_or(0),
        sort,
        keys_only: raw.keys_only,
        count_only: raw.count_only,
        min_mod_revision: revision(raw.min_mod_revision),
        max_mod_revision: highest(raw.max_mod_revision),
        min_create_revision: revision(raw.min_create_revision),
        max_create_revision: highest(raw.max_create_revision),
    })
}

/// A put.
pub(in crate::grpc) fn put(raw: rpc::PutRequest) -> Result<PutRequest, BadRequest> {
    Ok(PutRequest {
        key: raw.key,
        value: raw.value,
        lease: lease_id(raw.lease)?,
        prev_kv: raw.prev_kv,
        ignore_value: raw.ignore_value,
        ignore_lease: raw.ignore_lease,
    })
}

/// A deletion.
pub(in crate::grpc) fn delete_range(raw: rpc::DeleteRangeRequest) -> DeleteRangeRequest {
    DeleteRangeRequest { range: key_range(raw.key, raw.range_end), prev_kv: raw.prev_kv }
}

/// A transaction. Nesting is as deep as prost decodes: 50 levels at most.
pub(in crate::grpc) fn txn(raw: rpc::TxnRequest) -> Result<Txn, BadRequest> {
    Ok(Txn {
        compare: raw.compare.into_iter().map(compare).collect::<Result<_, _>>()?,
        success: raw.success.into_iter().map(op).collect::<Result<_, _>>()?,
        failure: raw.failure.into_iter().map(op).collect::<Result<_, _>>()?,
    })
}

/// A lease grant; `chosen` is its id where the client leaves the choice to the store.
///
/// As in etcd, the store has the last word on the time to live: at least `shortest` seconds (a lease must
/// outlive the search for a new leader), at most what fits into a command, which is 136 years.
pub(in crate::grpc) fn lease_grant(
    raw: &rpc::LeaseGrantRequest,
    chosen: LeaseId,
    shortest: u32,
) -> Result<Lease, BadRequest> {
    if raw.ttl > MAX_LEASE_TTL_SECONDS {
        return Err(CommandError::LeaseTtlTooLarge.into());
    }
    let id = match lease_id(raw.id)? {
        LeaseId::NONE => chosen,
        id => id,
    };
    let ttl_seconds = u32::try_from(raw.ttl.max(0)).unwrap_or(u32::MAX);
    Ok(Lease { id, ttl_seconds: ttl_seconds.max(shortest) })
}

/// The upper bound of a filter. No key has a revision below 2, so the first one excludes all keys, as a
/// negative bound does in etcd.
fn highest(raw: i64) -> Revision {
    u64::try_from(raw).map_or(Revision::FIRST, Revision::new)
}

/// Ranges come in key order anyway; any other target without an order means ascending.
fn sort(order: i32, target: i32) -> Result<Option<Sort>, BadRequest> {
    let order = SortOrder::try_from(order).map_err(|_| BadRequest::SortOption)?;
    let target = SortTarget::try_from(target).map_err(|_| BadRequest::SortOption)?;
    let by = match target {
        SortTarget::Key => SortBy::Key,
        SortTarget::Version => SortBy::Version,
        SortTarget::Create => SortBy::Create,
        SortTarget::Mod => SortBy::Mod,
        SortTarget::Value => SortBy::Value,
    };
    Ok(match (order, by) {
        (SortOrder::None | SortOrder::Ascend, SortBy::Key) => None,
        (SortOrder::None | SortOrder::Ascend, by) => Some(Sort { by, descending: false }),
        (SortOrder::Descend, by) => Some(Sort { by, descending: true }),
    })
}

/// As etcd: a revision below 0 is the newest one, but in a transaction it is one that is gone.
fn range_in_txn(raw: rpc::RangeRequest) -> Result<RangeRequest, BadRequest> {
    if raw.revision < 0 {
        return Err(CommandError::Compacted { compacted: Revision::ZERO }.into());
    }
    range(raw)
}

fn op(raw: rpc::RequestOp) -> Result<Op, BadRequest> {
    match raw.request.ok_or(BadRequest::EmptyOperation)? {
        request_op::Request::RequestRange(raw) => range_in_txn(raw).map(Op::Range),
        request_op::Request::RequestPut(raw) => put(raw).map(Op::Put),
        request_op::Request::RequestDeleteRange(raw) => Ok(Op::DeleteRange(delete_range(raw))),
        request_op::Request::RequestTxn(raw) => txn(raw).map(Op::Txn),
    }
}

/// The target says what is compared. An operand that is missing, or belongs to another target, counts as zero
/// or empty.
fn compare(raw: rpc::Compare) -> Result<Compare, BadRequest> {
    let result = CompareResult::try_from(raw.result).map_err(|_| BadRequest::CompareResult(raw.result))?;
    let target = CompareTarget::try_from(raw.target).map_err(|_| BadRequest::CompareTarget(raw.target))?;
    let relation = match result {
        CompareResult::Equal => Relation::Equal,
        CompareResult::Greater => Relation::Greater,
        CompareResult::Less => Relation::Less,
        CompareResult::NotEqual => Relation::NotEqual,
    };
    let (relation, operand) = operand(relation, target, raw.target_union);
    Ok(Compare { range: key_range(raw.key, raw.range_end), relation, operand })
}

fn operand(relation: Relation, target: CompareTarget, union: Option<TargetUnion>) -> (Relation, Operand) {
    match (target, union) {
        (CompareTarget::Version, Some(TargetUnion::Version(raw))) => counted(relation, raw, Operand::Version),
        (CompareTarget::Version, _) => (relation, Operand::Version(0)),
        (CompareTarget::Create, Some(TargetUnion::CreateRevision(raw))) => {
            counted(relation, raw, |n| Operand::CreateRevision(Revision::new(n)))
        }
        (CompareTarget::Create, _) => (relation, Operand::CreateRevision(Revision::ZERO)),
        (CompareTarget::Mod, Some(TargetUnion::ModRevision(raw))) => {
            counted(relation, raw, |n| Operand::ModRevision(Revision::new(n)))
        }
        (CompareTarget::Mod, _) => (relation, Operand::ModRevision(Revision::ZERO)),
        (CompareTarget::Value, Some(TargetUnion::Value(value))) => (relation, Operand::Value(value)),
        (CompareTarget::Value, _) => (relation, Operand::Value(Bytes::new())),
        (CompareTarget::Lease, Some(TargetUnion::Lease(id))) => (relation, Operand::Lease(LeaseId::new(id))),
        (CompareTarget::Lease, _) => (relation, Operand::Lease(LeaseId::NONE)),
    }
}

/// Versions and revisions are never negative, so a negative operand decides the compare by itself: the
/// largest number, which none ever reaches, decides it the same way.
fn counted(relation: Relation, raw: i64, operand: impl FnOnce(u64) -> Operand) -> (Relation, Operand) {
    match (u64::try_from(raw), relation) {
        (Ok(number), _) => (relation, operand(number)),
        (Err(_), Relation::Greater | Relation::NotEqual) => (Relation::NotEqual, operand(u64::MAX)),
        (Err(_), Relation::Less | Relation::Equal) => (Relation::Equal, operand(u64::MAX)),
    }
}
