//! Transactions: decide which branches run, check all that will run, then run it.
//!
//! As etcd does it: all compares, those of nested transactions too, look at the state before the transaction.

use std::cmp::Ordering;

use super::{
    range::{answer, check_revision},
    scan::{Scan, Visible, newest},
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
    let outside = mutant::is(Mutant::CompareOutsideBatch);
    let plan = decide(if outside { writer.state_before_batch() } else { writer.state() }, txn)?;
    if let Err(refused) = check_puts(writer.state(), &plan)? {
        return Ok(Err(refused));
    }
    if let Err(refused) = check_ranges(writer, &plan) {
        return Ok(Err(refused));
    }
    run(writer, plan).map(Ok)
}

fn decide(state: &dyn Read, txn: Txn) -> Result<Plan, EngineError> {
    let succeeded = all_hold(state, &txn.compare)?;
    let ops = if succeeded { txn.success } else { txn.failure };
    let mut steps = Vec::with_capacity(ops.len());
    for op in ops {
        steps.push(match op {
            Op::Range(request) => Step::Range(request),
            Op::Put(request) => Step::Put(request),
            Op::DeleteRange(request) => Step::DeleteRange(request),
            Op::Txn(txn) => Step::Txn(decide(state, txn)?),
        });
    }
    Ok(Plan { succeeded, steps })
}

fn all_hold(state: &dyn Read, compares: &[Compare]) -> Result<bool, EngineError> {
    for compare in compares {
        if !holds(state, compare)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True when the condition holds for every key of the range.
fn holds(state: &dyn Read, compare: &Compare) -> Result<bool, EngineError> {
    if let KeyRange::Single(key) = &compare.range {
        let held = newest(state, key, |visible| compare.holds_for(&visible))?;
        return Ok(held.unwrap_or_else(|| compare.holds_for_missing()));
    }
    let mut scan = Scan::new(state, &compare.range, Revision::MAX)?;
    let Some(first) = scan.next_key()? else { return Ok(compare.holds_for_missing()) };
    let mut held = compare.holds_for(&first);
    while held && let Some(visible) = scan.next_key()? {
        held = compare.holds_for(&visible);
    }
    Ok(held)
}

impl Compare {
    fn holds_for(&self, visible: &Visible<'_>) -> bool {
        let ordering = match &self.operand {
            Operand::Version(version) => visible.version.cmp(version),
            Operand::CreateRevision(revision) => visible.create_revision.cmp(revision),
            Operand::ModRevision(revision) => visible.id.revision.cmp(revision),
            Operand::Value(value) => visible.value.cmp(value),
            Operand::Lease(lease) => visible.lease.cmp(lease),
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
fn check_puts(state: &dyn Read, plan: &Plan) -> Result<Result<(), CommandError>, EngineError> {
    for step in &plan.steps {
        let checked = match step {
            Step::Put(put) => check_put(state, put)?,
            Step::Txn(plan) => check_puts(state, plan)?,
            Step::Range(_) | Step::DeleteRange(_) => Ok(()),
        };
        if checked.is_err() {
            return Ok(checked);
        }
    }
    Ok(Ok(()))
}

fn check_put(state: &dyn Read, put: &PutRequest) -> Result<Result<(), CommandError>, EngineError> {
    if (put.ignore_value || put.ignore_lease) && newest(state, &put.key, |_| ())?.is_none() {
        return Ok(Err(CommandError::KeyNotFound));
    }
    if !put.lease.is_none() && lease::find(state, put.lease)?.is_none() {
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
