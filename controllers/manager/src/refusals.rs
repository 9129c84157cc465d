//! What it means when the API refuses a request about one very object.
//!
//! In: an error. Out: whether the object that was meant is gone. Deliberately absent: whether to try again; whoever
//! asked knows what he wanted.

/// What the API says, as upstream does, where the uid that a request names is not the object's.
const ANOTHER_UID: &str = "Precondition failed: UID";

/// Whether the object that a request named by its uid is gone: there is none of its name, or another one. Any other
/// conflict says only that somebody was faster, and nothing about what the request was for.
pub(crate) fn is_gone(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else { return false };
    status.is_not_found() || (status.is_conflict() && status.message.contains(ANOTHER_UID))
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_object_is_gone_if_there_is_none_or_another_one_of_its_name() {
        let refused = |code, reason: &str, message: &str| {
            kube::Error::Api(Status::failure(message, reason).with_code(code).boxed())
        };
        let another = "Operation cannot be fulfilled on pods \"a\": Precondition failed: UID in precondition: u1, UID \
                       in object meta: u2";
        assert!(is_gone(&refused(404, "NotFound", "pods \"a\" not found")));
        assert!(is_gone(&refused(409, "Conflict", another)));
        assert!(!is_gone(&refused(409, "Conflict", "the object has been modified")));
        assert!(!is_gone(&refused(504, "Timeout", "nobody knows")));
    }
}
