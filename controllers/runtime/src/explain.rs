//! Errors for people: the whole chain in one line.
//!
//! In: an error. Out: what went wrong and why, each thing said once. `kube`'s own texts print a refusal three times,
//! once as a data structure.

use std::error::Error;

/// The error and its causes, from the outermost to the innermost. Of a refusal by the API its message and reason.
pub fn explain(error: &(dyn Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let (part, cause) = match error.downcast_ref::<kube::Error>() {
            Some(kube::Error::Api(status)) => {
                (Some(format!("{} ({} {})", status.message, status.code, status.reason)), None)
            }
            // Its text repeats its cause, and says nothing else that is new.
            Some(wrapper) if wrapper.source().is_some() => (None, wrapper.source()),
            Some(_) | None => (Some(error.to_string()), error.source()),
        };
        parts.extend(part.filter(|part| !parts.iter().any(|said| said.contains(part))));
        next = cause;
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot renew the Lease")]
    struct Renewal(#[source] kube::Error);

    #[test]
    fn a_refusal_is_told_once() {
        let status = kube::core::Status::failure("pods \"a\" not found", "NotFound").with_code(404);
        let error = Renewal(kube::Error::Api(status.boxed()));
        assert_eq!(explain(&error), "cannot renew the Lease: pods \"a\" not found (404 NotFound)");
    }

    #[test]
    fn causes_follow_one_after_the_other() {
        let refused = io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let error = Renewal(kube::Error::Service(Box::new(refused)));
        assert_eq!(explain(&error), "cannot renew the Lease: connection refused");
        assert_eq!(explain(&kube::Error::TlsRequired), kube::Error::TlsRequired.to_string());
    }
}
