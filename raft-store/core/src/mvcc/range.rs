//! etcd's Range: reads keys at a revision, filtered, sorted and cut off.
//!
//! As etcd does it: filters come before the sort and the limit; `count` is what the range holds, whatever
//! filters and limit leave of it.

use std::cmp::Ordering;

use super::scan::{Scan, Visible};
use crate::{
    command::{CommandError, KeyValue, RangeRequest, RangeResponse, Sort, SortBy},
    engine::{EngineError, Read},
    id::Revision,
    mutant::{self, Mutant},
    schema::Header,
};

/// Answers a range. `header` and `read` are from the same moment.
///
/// The outer error is the engine's; the inner one answers the client.
pub fn range(
    read: &dyn Read,
    header: &Header,
    request: &RangeRequest,
) -> Result<Result<RangeResponse, CommandError>, EngineError> {
    if let Err(refused) = request.validate().and_then(|()| check_revision(header, request.revision)) {
        return Ok(Err(refused));
    }
    answer(read, header.revision, request).map(Ok)
}

/// Answers a range whose revision has been checked; `newest` stands for revision 0.
pub(crate) fn answer(
    read: &dyn Read,
    newest: Revision,
    request: &RangeRequest,
) -> Result<RangeResponse, EngineError> {
    let at = if request.revision.is_zero() { newest } else { request.revision };
    let mut scan = Scan::new(read, &request.range, at)?;
    match request.order() {
        Order::AsStored => in_key_order(&mut scan, request),
        Order::By(sort) => sorted(&mut scan, request, sort),
    }
}

/// Whether a read at `revision` is allowed; 0 always is.
pub(crate) fn check_revision(header: &Header, revision: Revision) -> Result<(), CommandError> {
    if revision.is_zero() {
        Ok(())
    } else if revision > header.revision {
        Err(CommandError::FutureRevision { current: header.revision })
    } else if revision < header.compacted && !mutant::is(Mutant::ReadBelowCompacted) {
        Err(CommandError::Compacted { compacted: header.compacted })
    } else {
        Ok(())
    }
}

/// Takes keys as they come, and only counts those past the limit.
fn in_key_order(scan: &mut Scan<'_>, request: &RangeRequest) -> Result<RangeResponse, EngineError> {
    let mut answer = RangeResponse::default();
    while let Some(visible) = scan.next_key()? {
        answer.count += 1;
        if request.count_only || !request.admits(&visible) {
            continue;
        }
        if request.limit == 0 || (answer.kvs.len() as u64) < request.limit {
            answer.kvs.push(request.copy(&visible)?);
        } else {
            answer.more = true;
        }
    }
    Ok(answer)
}

/// Takes all keys that pass the filters, then sorts and cuts off.
fn sorted(scan: &mut Scan<'_>, request: &RangeRequest, sort: Sort) -> Result<RangeResponse, EngineError> {
    let mut answer = RangeResponse::default();
    while let Some(visible) = scan.next_key()? {
        answer.count += 1;
        if !request.count_only && request.admits(&visible) {
            answer.kvs.push(visible.to_key_value()?);
        }
    }
    answer.kvs.sort_by(|a, b| compare(sort, a, b));
    let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
    if limit > 0 && answer.kvs.len() > limit {
        answer.kvs.truncate(limit);
        answer.more = true;
    }
    if request.keys_only {
        answer.kvs.iter_mut().for_each(|kv| kv.value.clear());
    }
    Ok(answer)
}

/// Equal ones stay in key order, so that every replica answers alike.
fn compare(sort: Sort, a: &KeyValue, b: &KeyValue) -> Ordering {
    let ascending = match sort.by {
        SortBy::Key => a.key.cmp(&b.key),
        SortBy::Version => a.version.cmp(&b.version),
        SortBy::Create => a.create_revision.cmp(&b.create_revision),
        SortBy::Mod => a.mod_revision.cmp(&b.mod_revision),
        SortBy::Value => a.value.cmp(&b.value),
    };
    if sort.descending { ascending.reverse() } else { ascending }
}

/// How an answer is put in order.
enum Order {
    AsStored,
    By(Sort),
}

impl RangeRequest {
    fn order(&self) -> Order {
        match self.sort {
            None | Some(Sort { by: SortBy::Key, descending: false }) => Order::AsStored,
            Some(sort) => Order::By(sort),
        }
    }

    fn admits(&self, visible: &Visible<'_>) -> bool {
        let within = |revision: Revision, min: Revision, max: Revision| {
            revision >= min && (max.is_zero() || revision <= max)
        };
        within(visible.id.revision, self.min_mod_revision, self.max_mod_revision)
            && within(visible.create_revision, self.min_create_revision, self.max_create_revision)
    }

    fn copy(&self, visible: &Visible<'_>) -> Result<KeyValue, EngineError> {
        if self.keys_only { visible.without_value() } else { visible.to_key_value() }
    }
}
