//! Leases, and keys that live by them.

use keelson_checkers::history::{Consistency, Key, LeaseId, Returned, Revision, Value};

use super::{Done, absurd, guarded, only};
use crate::client::{CallError, Client, Guard, Op, RangeRequest, Refusal};

/// Grants a lease.
pub(crate) async fn grant(client: &dyn Client, id: LeaseId, ttl_seconds: u32) -> Done {
    let response = client.lease_grant(id, ttl_seconds).await?;
    let ttl_seconds = response.ttl_seconds.ok_or_else(|| absurd("a grant without a lease"))?;
    Ok(Returned::LeaseGrant { revision: response.revision, ttl_seconds })
}

/// Renews a lease.
pub(crate) async fn keep_alive(client: &dyn Client, id: LeaseId) -> Done {
    let response = client.lease_keep_alive(id).await?;
    Ok(Returned::LeaseKeepAlive {
        revision: response.revision,
        ttl_seconds: response.ttl_seconds.unwrap_or(0),
    })
}

/// Ends a lease now.
pub(crate) async fn revoke(client: &dyn Client, id: LeaseId) -> Done {
    match client.lease_revoke(id).await {
        Ok(revision) => Ok(Returned::LeaseRevoke { revision, revoked: true }),
        Err(CallError::Refused(Refusal::LeaseNotFound)) => {
            Ok(Returned::LeaseRevoke { revision: Revision::ZERO, revoked: false })
        }
        Err(error) => Err(error),
    }
}

/// Makes a key that lives by the lease, if the key is absent. A lease that is no more is a failure.
pub(crate) async fn attach(client: &dyn Client, id: LeaseId, key: &Key, value: u64) -> Done {
    let write = Op::Put(key.clone(), Value::Number(value), id);
    let response = guarded(client, Guard::made_at(key, Revision::ZERO), write).await?;
    Ok(Returned::LeaseAttach { revision: response.revision, attached: response.succeeded })
}

/// Asks how long a lease has to live.
pub(crate) async fn time_to_live(client: &dyn Client, id: LeaseId) -> Done {
    let response = client.lease_time_to_live(id).await.map_err(CallError::of_a_read)?;
    Ok(Returned::LeaseTimeToLive { revision: response.revision, remaining_seconds: response.ttl_seconds })
}

/// Reads whose lease a key lives by.
pub(crate) async fn read_key(client: &dyn Client, key: &Key) -> Done {
    let request = RangeRequest::one(key, Consistency::Linearizable);
    let response = client.range(request).await.map_err(CallError::of_a_read)?;
    let revision = response.revision;
    Ok(Returned::LeaseKeyRead { revision, holder: only(response).map(|version| version.lease) })
}
