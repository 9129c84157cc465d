//! How long a request may take.
//!
//! In: a request's `timeout` parameter and the server's own limit. Out: the shorter of the two, kept over all
//! stations of the chain. Watches have none: theirs is `timeoutSeconds`, and ends them in order. Logs and connections
//! to pods have none either: they end when one of the two sides wishes.

use std::time::Duration;

use http::Method;
use keelson_api_registry::{request::RequestInfo, status::ApiError};
use keelson_api_schema::go_text::parse_duration;
use tokio::time::timeout;

use crate::flow::{changes_something, is_long_running};

/// The limit for a request; `None` for what is meant to stay.
///
/// # Errors
/// 400 for a `timeout` that is no duration.
pub fn limit_for(info: &RequestInfo, longest: Duration) -> Result<Option<Duration>, ApiError> {
    if is_long_running(info) {
        return Ok(None);
    }
    let Some(text) = info.parameter("timeout").filter(|text| !text.is_empty()) else {
        return Ok(Some(longest));
    };
    let wish = parse_duration(text).map_err(|why| {
        ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}"))
    })?;
    // Less than no time is none, which nothing is done in.
    let wish = Duration::from_nanos(u64::try_from(wish).unwrap_or(1));
    // Upstream takes 0 for no wish at all.
    Ok(Some(if wish.is_zero() { longest } else { wish.min(longest) }))
}

/// Runs `work` up to its limit.
///
/// # Errors
/// Its own, or 504. What was to change something may have done so: the error says that this is unknown.
pub async fn keep<T>(
    limit: Option<Duration>,
    method: &Method,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    let Some(limit) = limit else { return work.await };
    timeout(limit, work).await.unwrap_or_else(|_| Err(expired(method)))
}

fn expired(method: &Method) -> ApiError {
    let text = "Timeout: request did not complete within the allotted timeout";
    if changes_something(method) {
        ApiError::timeout(format!("{text}; the outcome is unknown"))
    } else {
        ApiError::timeout(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    fn limit(uri: &str) -> Result<Option<Duration>, ApiError> {
        let info = RequestInfo::parse(&Method::GET, &uri.parse().unwrap()).unwrap();
        limit_for(&info, LONGEST)
    }

    #[test]
    fn the_shorter_limit_counts_and_watches_have_none() {
        let configmaps = "/api/v1/configmaps";
        assert_eq!(limit(configmaps), Ok(Some(LONGEST)));
        assert_eq!(limit(&format!("{configmaps}?timeout=3s")), Ok(Some(Duration::from_secs(3))));
        assert_eq!(limit(&format!("{configmaps}?timeout=2m")), Ok(Some(LONGEST)));
        assert_eq!(limit(&format!("{configmaps}?timeout=0s")), Ok(Some(LONGEST)));
        assert_eq!(limit(&format!("{configmaps}?watch=1&timeout=3s")), Ok(None));
        for below in ["log", "exec", "attach", "portforward"] {
            assert_eq!(limit(&format!("/api/v1/namespaces/a/pods/b/{below}")), Ok(None), "{below}");
        }
        let refused = limit(&format!("{configmaps}?timeout=soon")).unwrap_err();
        let text = "invalid timeout specified in the request URL - time: invalid duration \"soon\"";
        assert_eq!((refused.code.as_u16(), refused.message.as_str()), (400, text));
        let past = limit(&format!("{configmaps}?timeout=-1s")).unwrap().unwrap();
        assert!(past < Duration::from_millis(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_takes_too_long_is_unknown_and_a_read_is_not() {
        let never = std::future::pending::<Result<(), ApiError>>;
        let write = keep(Some(LONGEST), &Method::POST, never()).await.unwrap_err();
        assert_eq!(write.code, 504);
        assert!(write.message.ends_with("; the outcome is unknown"), "{}", write.message);
        let read = keep(Some(LONGEST), &Method::GET, never()).await.unwrap_err();
        assert_eq!(read.message, "Timeout: request did not complete within the allotted timeout");
    }
}
