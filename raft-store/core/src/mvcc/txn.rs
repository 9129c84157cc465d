//! Transactions: decide which branches run, check all that will run, then run it.
//!
//! As etcd does it: all compares, those of nested transactions too, look at the state before the transaction.

use std::cmp::Ordering;

use super::{
    known::Head,
    range::{answer, check_revision},
    scan::{Scan, newest},
    writer::Writer,
};
use crate::{
    command::{
        CommandError, Compare, DeleteRangeRequest, KeyRange, Op, OpResponse, Operand, PutRequest,
        RangeRequest, Relation, Txn, TxnResponse,
    },
    engine::{EngineError, Read},
    id::{LeaseId, Revision},
    lease,
    mutant::{self, Mutant},
};

/// What is left of a transaction when its compares have been decided: the branch that runs.
struct Plan {
    succeeded: bool,
    steps: Vec<Step>,
}

enum Step {
    Range(RangeRequest),
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(Plan),
}

/// Runs a transaction that [`Command::validate`](crate::command::Command::validate) has let pass.
///
/// A refusal leaves the writer as it was (M3).
pub(crate) fn execute(
    writer: &mut Writer<'_, '_>,
    txn: Txn,
) -> Result<Result<TxnResponse, CommandError>, EngineError> {
    let plan = decide(writer, txn)?;
    if let Err(refused) = check_puts(writer, &plan)? {
        return Ok(Err(refused));
    }
    if let Err(refused) = check_ranges(writer, &plan) {
        return Ok(Err(refused));
    }
    run(writer, plan).map(Ok)
}

fn decide(writer: &Writer<'_, '_>, txn: Txn) -> Result<Plan, EngineError> {
    let succeeded = all_hold(writer, &txn.compare)?;
    let ops = if succeeded { txn.success } else { txn.failure };
    let step = |op| {
        Ok(match op {
            Op::Range(request) => Step::Range(request),
            Op::Put(request) => Step::Put(request),
            Op::DeleteRange(request) => Step::DeleteRange(request),
            Op::Txn(txn) => Step::Txn(decide(writer, txn)?),
        })
    };
    // They take the room of the operations.
    let steps = ops.into_iter().map(step).collect::<Result<_, _>>()?;
    Ok(Plan { succeeded, steps })
}

fn all_hold(writer: &Writer<'_, '_>, compares: &[Compare]) -> Result<bool, EngineError> {
    for compare in compares {
        let held = match (&compare.range, &compare.operand) {
            _ if mutant::is(Mutant::CompareOutsideBatch) => holds(writer.state_before_batch(), compare)?,
            (KeyRange::Single(_), Operand::Value(_)) | (KeyRange::Span { .. } | KeyRange::From(_), _) => {
                holds(writer.state(), compare)?
            }
            (KeyRange::Single(key), _) => writer
                .head(key)?
                .map_or_else(|| compare.holds_for_missing(), |head| compare.holds_for(&head, &[])),
        };
        if !held {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True when the condition holds for every key of the range.
fn holds(state: &dyn Read, compare: &Compare) -> Result<bool, EngineError> {
    if let KeyRange::Single(key) = &compare.range {
        let held = newest(state, key, |visible| compare.holds_for(&Head::from(&visible), visible.value))?;
        return Ok(held.unwrap_or_else(|| compare.holds_for_missing()));
    }
    let mut scan = Scan::new(state, &compare.range, Revision::MAX)?;
    let Some(first) = scan.next_key()? else { return Ok(compare.holds_for_missing()) };
    let mut held = compare.holds_for(&Head::from(&first), first.value);
    while held && let Some(visible) = scan.next_key()? {
        held = compare.holds_for(&Head::from(&visible), visible.value);
    }
    Ok(held)
}

impl Compare {
    /// Only a compare of values looks at the value.
    fn holds_for(&self, head: &Head, value: &[u8]) -> bool {
        let ordering = match &self.operand {
            Operand::Version(version) => head.version.cmp(version),
            Operand::CreateRevision(revision) => head.create_revision.cmp(revision),
            Operand::ModRevision(revision) => head.id.revision.cmp(revision),
            Operand::Value(wanted) => value.cmp(wanted),
            Operand::Lease(lease) => head.lease.cmp(lease),
        };
        self.relation.admits(ordering)
    }

    fn holds_for_missing(&self) -> bool {
        let ordering = match &self.operand {
            Operand::Version(version) => 0.cmp(version),
            Operand::CreateRevision(revision) | Operand::ModRevision(revision) => {
                Revision::ZERO.cmp(revision)
            }
            Operand::Lease(lease) => LeaseId::NONE.cmp(lease),
            Operand::Value(_) => return false,
        };
        self.relation.admits(ordering)
    }
}

impl Relation {
    const fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Greater => ordering.is_gt(),
            Self::Less => ordering.is_lt(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}

/// Whether all that the puts rely on is there.
fn check_puts(writer: &Writer<'_, '_>, plan: &Plan) -> Result<Result<(), CommandError>, EngineError> {
    for step in &plan.steps {
        let checked = match step {
            Step::Put(put) => check_put(writer, put)?,
            Step::Txn(plan) => check_puts(writer, plan)?,
            Step::Range(_) | Step::DeleteRange(_) => Ok(()),
        };
        if checked.is_err() {
            return Ok(checked);
        }
    }
    Ok(Ok(()))
}

fn check_put(writer: &Writer<'_, '_>, put: &PutRequest) -> Result<Result<(), CommandError>, EngineError> {
    if (put.ignore_value || put.ignore_lease) && writer.head(&put.key)?.is_none() {
        return Ok(Err(CommandError::KeyNotFound));
    }
    if !put.lease.is_none() && lease::find(writer.state(), put.lease)?.is_none() {
        return Ok(Err(CommandError::LeaseNotFound));
    }
    Ok(Ok(()))
}

/// Whether all ranges are at revisions that can be read.
fn check_ranges(writer: &Writer<'_, '_>, plan: &Plan) -> Result<(), CommandError> {
    plan.steps.iter().try_for_each(|step| match step {
        Step::Range(request) => check_revision(&writer.header(), request.revision),
        Step::Txn(plan) => check_ranges(writer, plan),
        Step::Put(_) | Step::DeleteRange(_) => Ok(()),
    })
}

fn run(writer: &mut Writer<'_, '_>, plan: Plan) -> Result<TxnResponse, EngineError> {
    let mut responses = Vec::with_capacity(plan.steps.len());
    for step in plan.steps {
        responses.push(match step {
            Step::Range(request) => {
                OpResponse::Range(answer(writer.state(), writer.header().revision, &request)?)
            }
            Step::Put(put) => OpResponse::Put(writer.put(put)?),
            Step::DeleteRange(request) => {
                let (deleted, prev_kvs) = writer.delete_range(&request)?;
                OpResponse::DeleteRange { deleted, prev_kvs }
            }
            Step::Txn(plan) => OpResponse::Txn(run(writer, plan)?),
        });
    }
    Ok(TxnResponse { succeeded: plan.succeeded, responses })
}
