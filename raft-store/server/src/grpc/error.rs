//! Where the store's errors become gRPC statuses, and nowhere else.
//!
//! In: why a request has no answer. Out: etcd's code and text for it (`api/v3rpc/rpctypes` in etcd's
//! sources): clients match on both. What etcd has no text for keeps our own.
//!
//! Two groups of texts never mix, because clients decide on retries by them: "no leader", "too many requests"
//! and "server stopped" mean that a write did not happen; every "request timed out" means that nobody knows.

use keelson_store_core::{
    command::{AuthError, CommandError},
    engine::EngineError,
};
use tonic::{Code, Status};

use crate::{
    error::{Doubt, LeaseError, ReadError, Rejection, WriteError},
    reconfigure::{ReconfigureError, Refusal},
};

/// The longest request that the store takes, in bytes as encoded: etcd's default.
pub(super) const MAX_REQUEST_BYTES: usize = 3 << 19;

/// Why a request was refused before the store saw it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadRequest {
    /// The state machine would refuse it whatever the state.
    #[error(transparent)]
    Refused(#[from] CommandError),
    /// Longer than [`MAX_REQUEST_BYTES`].
    #[error("etcdserver: request is too large")]
    TooLarge,
    /// A range with a sort order or target of no known number.
    #[error("etcdserver: invalid sort option")]
    SortOption,
    /// An operation of a transaction that says nothing. The text is etcd's, odd as it is.
    #[error("etcdserver: key not found")]
    EmptyOperation,
    /// A compare whose result has no known number. etcd takes it for one that always holds.
    #[error("etcdserver: invalid compare result {0}")]
    CompareResult(i32),
    /// A compare whose target has no known number.
    #[error("etcdserver: invalid compare target {0}")]
    CompareTarget(i32),
    /// A lease id below 0.
    #[error("etcdserver: invalid lease id {0}")]
    LeaseId(i64),
}

/// A request that is wrong in itself.
pub(super) fn bad_request(error: BadRequest) -> Status {
    match error {
        BadRequest::Refused(refused) => command(&refused),
        BadRequest::TooLarge
        | BadRequest::SortOption
        | BadRequest::EmptyOperation
        | BadRequest::CompareResult(_)
        | BadRequest::CompareTarget(_)
        | BadRequest::LeaseId(_) => Status::invalid_argument(error.to_string()),
    }
}

/// A call that was not answered within the time that its client gave it: what became of it is unknown.
pub(super) fn out_of_time() -> Status {
    Status::deadline_exceeded("context deadline exceeded")
}

/// More than this member does at once.
pub(super) fn too_many_requests() -> Status {
    Status::resource_exhausted("etcdserver: too many requests")
}

/// A request that every replica refuses alike.
pub(super) fn command(error: &CommandError) -> Status {
    let code = match error {
        CommandError::LeaseNotFound => Code::NotFound,
        CommandError::LeaseExists => Code::FailedPrecondition,
        CommandError::Compacted { .. }
        | CommandError::FutureRevision { .. }
        | CommandError::LeaseTtlTooLarge => Code::OutOfRange,
        CommandError::KeyNotFound
        | CommandError::DuplicateKey
        | CommandError::EmptyKey
        | CommandError::ValueProvided
        | CommandError::LeaseProvided
        | CommandError::TooManyOps => Code::InvalidArgument,
        CommandError::Auth(denied) => return auth(*denied),
    };
    Status::new(code, error.to_string())
}

/// Something that users and roles do not permit, or that is not possible with them.
pub(super) fn auth(error: AuthError) -> Status {
    let code = match error {
        AuthError::RootUserNotExist
        | AuthError::RootRoleNotExist
        | AuthError::UserExists
        | AuthError::UserNotFound
        | AuthError::RoleExists
        | AuthError::RoleNotFound
        | AuthError::RoleNotGranted
        | AuthError::PermissionNotGranted
        | AuthError::NotEnabled => Code::FailedPrecondition,
        AuthError::UserEmpty
        | AuthError::RoleEmpty
        | AuthError::AuthFailed
        | AuthError::PermissionNotGiven
        | AuthError::InvalidManagement
        | AuthError::OldRevision => Code::InvalidArgument,
        AuthError::PermissionDenied => Code::PermissionDenied,
        AuthError::InvalidToken => Code::Unauthenticated,
        AuthError::NoPasswordUser => Code::Unknown,
        AuthError::TooLarge => Code::ResourceExhausted,
    };
    Status::new(code, error.to_string())
}

/// A write without an answer.
pub(super) fn write(error: WriteError) -> Status {
    match error {
        WriteError::Refused(refused) => command(&refused),
        WriteError::Rejected(rejection) => rejected(rejection),
        WriteError::Unknown(doubt) => unknown(doubt),
    }
}

/// A read without an answer.
pub(super) fn read(error: ReadError) -> Status {
    match error {
        ReadError::Refused(refused) => command(&refused),
        ReadError::NoQuorum(reason) => {
            tracing::debug!(reason, "a read found no quorum");
            Status::unavailable("etcdserver: request timed out")
        }
        ReadError::Stopped => stopped(),
        ReadError::Broken(error) => broken(&error),
    }
}

/// The local engine failed. This replica is about to stop, another one may answer.
pub(super) fn broken(error: &EngineError) -> Status {
    tracing::error!(%error, "a read failed");
    Status::unavailable(format!("etcdserver: {error}"))
}

/// A lease call without an answer.
pub(super) fn lease(error: LeaseError) -> Status {
    match error {
        LeaseError::NotFound => command(&CommandError::LeaseNotFound),
        LeaseError::Read(error) => read(error),
    }
}

/// A change of the membership without effect, or without one that is known.
pub(super) fn reconfigure(error: ReconfigureError) -> Status {
    match error {
        ReconfigureError::Refused(refusal) => {
            let text = format!("etcdserver: {refusal}");
            match refusal {
                Refusal::NotFound => Status::not_found(text),
                Refusal::InProgress => Status::unavailable(text),
                Refusal::PeerUrlExists
                | Refusal::MemberExists { .. }
                | Refusal::NotLearner
                | Refusal::LearnerNotReady
                | Refusal::NotEnoughStarted
                | Refusal::Removed
                | Refusal::Token => Status::failed_precondition(text),
            }
        }
        ReconfigureError::NoLeader(_) => no_leader(),
        ReconfigureError::Unknown(why) => {
            Status::unavailable(format!("etcdserver: request timed out, the outcome is unknown: {why}"))
        }
        ReconfigureError::Read(error) => read(error),
    }
}

/// A message that is too long to be decoded; the text and the code are those of Go's library.
pub(super) fn message_too_large(bytes: usize, most: usize) -> Status {
    Status::resource_exhausted(format!("grpc: received message larger than max ({bytes} vs. {most})"))
}

/// A message that is none. What is nested too deeply for the decoder, which ends at 50 levels, can only be a transaction.
pub(super) fn undecodable(error: &prost::DecodeError) -> Status {
    let text = error.to_string();
    if text.contains("recursion limit reached") {
        command(&CommandError::TooManyOps)
    } else {
        Status::internal(text)
    }
}

/// A learner answers little; another member answers this.
pub(super) fn not_for_learners() -> Status {
    Status::unavailable("etcdserver: rpc not supported for learner")
}

/// A method that is not there; the texts are those of Go's library. `path` is that of the request, `is_service` says whether
/// its service is there.
pub(super) fn unknown_method(path: &str, is_service: bool) -> Status {
    Status::unimplemented(match path.strip_prefix('/').unwrap_or(path).rsplit_once('/') {
        Some((service, method)) if is_service => format!("unknown method {method} for service {service}"),
        Some((service, _)) => format!("unknown service {service}"),
        None => format!("malformed method name: {path:?}"),
    })
}

/// What the library said, in the words of Go's: it has none for methods that it does not know, and others for messages that
/// are too long. `None` where there is nothing to change.
pub(super) fn in_gos_words(path: &str, said: &Status) -> Option<Status> {
    match said.code() {
        Code::Unimplemented if said.message().is_empty() => Some(unknown_method(path, true)),
        Code::OutOfRange => {
            let rest = said.message().strip_prefix("Error, decoded message length too large: found ")?;
            let (found, rest) = rest.split_once(" bytes, the limit is: ")?;
            let most = rest.strip_suffix(" bytes")?;
            Some(message_too_large(found.parse().ok()?, most.parse().ok()?))
        }
        _ => None,
    }
}

/// A part of etcd's API that this store does not have.
pub(super) fn unimplemented(what: &str) -> Status {
    Status::unimplemented(format!("etcdserver: {what} is not supported by this store"))
}

/// The quota leaves no room for a write that grows.
pub(super) fn no_space() -> Status {
    Status::resource_exhausted("etcdserver: mvcc: database space exceeded")
}

/// The place in an election is lost. The text is that of etcd's library.
pub(super) fn not_elected() -> Status {
    Status::unknown("election: not leader")
}

/// Leadership can only be handed over by whoever has it.
pub(super) fn not_leader() -> Status {
    Status::failed_precondition("etcdserver: not leader")
}

/// Leadership can only be handed to a voter.
pub(super) fn bad_transferee() -> Status {
    Status::failed_precondition("etcdserver: bad leader transferee")
}

/// Leadership was not taken over in time.
pub(super) fn transfer_timeout() -> Status {
    Status::unavailable("etcdserver: request timed out, leader transfer took too long")
}

fn rejected(rejection: Rejection) -> Status {
    match rejection {
        Rejection::NoLeader => no_leader(),
        Rejection::Overloaded => too_many_requests(),
        Rejection::Stopped => stopped(),
        Rejection::InDoubt => Status::unavailable("etcdserver: corrupt cluster"),
        Rejection::NoSpace => no_space(),
    }
}

/// There has been no leader for a while.
pub(super) fn no_leader() -> Status {
    Status::unavailable("etcdserver: no leader")
}

fn unknown(doubt: Doubt) -> Status {
    Status::unavailable(match doubt {
        Doubt::Timeout => "etcdserver: request timed out",
        Doubt::LeaderLost => "etcdserver: request timed out, possibly due to previous leader failure",
        Doubt::Stopped => "etcdserver: request timed out, possibly due to connection lost",
    })
}

/// This replica is stopping or has stopped.
pub(super) fn stopped() -> Status {
    Status::unavailable("etcdserver: server stopped")
}

#[cfg(test)]
mod tests {
    use keelson_store_core::id::Revision;

    use super::*;

    #[track_caller]
    fn assert_status(status: &Status, code: Code, text: &str) {
        assert_eq!((status.code(), status.message()), (code, text));
    }

    #[test]
    fn refusals_have_etcds_codes_and_texts() {
        let compacted = CommandError::Compacted { compacted: Revision::new(9) };
        let expected = [
            (CommandError::LeaseNotFound, Code::NotFound, "etcdserver: requested lease not found"),
            (CommandError::LeaseExists, Code::FailedPrecondition, "etcdserver: lease already exists"),
            (compacted, Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
            (CommandError::LeaseTtlTooLarge, Code::OutOfRange, "etcdserver: too large lease TTL"),
            (CommandError::KeyNotFound, Code::InvalidArgument, "etcdserver: key not found"),
            (CommandError::EmptyKey, Code::InvalidArgument, "etcdserver: key is not provided"),
        ];
        for (error, code, text) in expected {
            assert_status(&write(WriteError::Refused(error.clone())), code, text);
            assert_status(&read(ReadError::Refused(error)), code, text);
        }
    }

    #[test]
    fn unknown_methods_and_services_are_named_as_by_gos_library() {
        let known = unknown_method("/etcdserverpb.KV/Nope", true);
        assert_status(&known, Code::Unimplemented, "unknown method Nope for service etcdserverpb.KV");
        assert_eq!(unknown_method("/foo.Bar/Nope", false).message(), "unknown service foo.Bar");
        assert_eq!(unknown_method("/nope", false).message(), "malformed method name: \"/nope\"");
    }

    #[test]
    fn only_the_librarys_own_words_are_put_into_gos() {
        let long = "Error, decoded message length too large: found 9 bytes, the limit is: 8 bytes";
        let said = in_gos_words("/a/B", &Status::out_of_range(long)).unwrap();
        assert_status(&said, Code::ResourceExhausted, "grpc: received message larger than max (9 vs. 8)");
        let said = in_gos_words("/a/B", &Status::unimplemented("")).unwrap();
        assert_status(&said, Code::Unimplemented, "unknown method B for service a");
        let own = [command(&CommandError::LeaseTtlTooLarge), unimplemented("x"), no_leader()];
        assert!(own.iter().all(|own| in_gos_words("/a/B", own).is_none()));
    }

    #[test]
    fn rejected_and_unknown_share_no_text() {
        let rejections = [
            Rejection::NoLeader,
            Rejection::Overloaded,
            Rejection::Stopped,
            Rejection::InDoubt,
            Rejection::NoSpace,
        ];
        let doubts = [Doubt::Timeout, Doubt::LeaderLost, Doubt::Stopped];
        for rejection in rejections {
            let status = write(WriteError::Rejected(rejection));
            assert!(!status.message().contains("timed out"), "{status}");
        }
        for doubt in doubts {
            let status = write(WriteError::Unknown(doubt));
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.message().starts_with("etcdserver: request timed out"), "{status}");
        }
    }

    #[test]
    fn a_read_without_a_quorum_is_worth_a_retry() {
        let status = read(ReadError::NoQuorum("2 of 3 are silent".into()));
        assert_status(&status, Code::Unavailable, "etcdserver: request timed out");
    }
}
