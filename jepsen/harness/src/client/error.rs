//! What may be concluded when a call fails.
//!
//! In: a gRPC status. Out: *refused* if the store decided, *failed* if the request certainly reached no log, and *unknown*
//! in every other case: a status that is not known here, too.

use std::error::Error;

use keelson_workloads::{CallError, Refusal};
use tonic::{Code, ConnectError, Status};

use crate::target::Target;

/// The meaning of a status.
pub(super) fn of(status: &Status, target: Target) -> CallError {
    let said = format!("{:?}: {}", status.code(), status.message());
    if was_never_sent(status) {
        return CallError::Failed(said);
    }
    if let Some(refusal) = refusal(status) {
        return CallError::Refused(refusal);
    }
    if is_rejection(status.message(), target) { CallError::Failed(said) } else { CallError::Unknown(said) }
}

/// There was no connection, and none could be made.
fn was_never_sent(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// What every replica refuses alike, when it is applied or before.
fn refusal(status: &Status) -> Option<Refusal> {
    let said = status.message();
    if !said.starts_with("etcdserver: ") {
        return None;
    }
    match status.code() {
        Code::NotFound if said.contains("lease not found") => Some(Refusal::LeaseNotFound),
        Code::OutOfRange if said.contains("has been compacted") => Some(Refusal::Compacted),
        Code::OutOfRange if said.contains("is a future revision") => Some(Refusal::FutureRevision),
        Code::NotFound | Code::OutOfRange | Code::InvalidArgument | Code::FailedPrecondition => {
            Some(Refusal::Other(said.to_owned()))
        }
        _ => None,
    }
}

/// The store says that it did not even try.
fn is_rejection(said: &str, target: Target) -> bool {
    match said {
        "etcdserver: too many requests"
        | "etcdserver: no leader"
        | "etcdserver: mvcc: database space exceeded" => true,
        // etcd says so of what it has proposed already.
        "etcdserver: server stopped" => match target {
            Target::Keelson => true,
            Target::Etcd => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(status: &Status, target: Target) -> &'static str {
        match of(status, target) {
            CallError::Refused(Refusal::LeaseNotFound) => "no lease",
            CallError::Refused(Refusal::Compacted) => "compacted",
            CallError::Refused(Refusal::FutureRevision) => "future",
            CallError::Refused(Refusal::Other(_)) => "refused",
            CallError::Failed(_) => "failed",
            CallError::Unknown(_) => "unknown",
        }
    }

    #[test]
    fn only_what_the_store_says_outright_is_not_unknown() {
        for (code, said, expected) in [
            (Code::NotFound, "etcdserver: requested lease not found", "no lease"),
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted", "compacted"),
            (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision", "future"),
            (Code::FailedPrecondition, "etcdserver: lease already exists", "refused"),
            (Code::InvalidArgument, "etcdserver: duplicate key given in txn request", "refused"),
            (Code::ResourceExhausted, "etcdserver: too many requests", "failed"),
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded", "failed"),
            (Code::Unavailable, "etcdserver: no leader", "failed"),
            (Code::Unavailable, "etcdserver: server stopped", "failed"),
            (Code::Unavailable, "etcdserver: request timed out", "unknown"),
            (Code::Unavailable, "etcdserver: leader changed", "unknown"),
            (Code::OutOfRange, "a proxy's words", "unknown"),
            (Code::Unavailable, "transport error", "unknown"),
            (Code::Cancelled, "Timeout expired", "unknown"),
            (Code::Unknown, "h2 protocol error", "unknown"),
        ] {
            assert_eq!(class(&Status::new(code, said), Target::Keelson), expected, "{said}");
        }
        let stopped = Status::unavailable("etcdserver: server stopped");
        assert_eq!(class(&stopped, Target::Etcd), "unknown");
    }

    #[tokio::test]
    async fn a_call_without_a_connection_was_never_sent() {
        use keelson_proto::etcd::rpc::PutRequest;
        use keelson_proto::etcd::rpc::kv_client::KvClient;
        // A port that was free a moment ago, and where nobody listens.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let status = KvClient::new(endpoint.connect_lazy()).put(PutRequest::default()).await.unwrap_err();
        assert_eq!(class(&status, Target::Keelson), "failed", "{status:?}");
    }
}
