//! Errors in one line.
//!
//! In: an error of a transport. Out: its text with all its causes, because the outermost of them says nothing.

use std::error::Error;

/// The error with all its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Wrappers often repeat what they wrap.
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[derive(Debug, thiserror::Error)]
    #[error("repeats: {0}")]
    struct Repeats(#[source] std::num::ParseIntError);

    #[test]
    fn causes_are_named_once() {
        let cause = || "x".parse::<u8>().unwrap_err();
        assert_eq!(chain(&Outer(cause())), "outer: invalid digit found in string");
        assert_eq!(chain(&Repeats(cause())), "repeats: invalid digit found in string");
    }
}
