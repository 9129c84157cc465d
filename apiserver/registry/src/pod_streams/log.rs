//! Which part of a log is wanted.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Query, flag, number};
use crate::{
    field::{FieldError, NO_FIELD},
    request::RequestInfo,
    status::ApiError,
};

/// What a request for a log asks: a `PodLogOptions` as query parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Of which container; empty where the request does not say.
    pub container: String,
    /// Whether to stay and send what is still to come.
    pub follow: bool,
    previous: bool,
    timestamps: bool,
    since_seconds: Option<i64>,
    since_time: Option<String>,
    tail_lines: Option<i64>,
    limit_bytes: Option<i64>,
    stream: Option<String>,
}

impl LogOptions {
    /// Reads a request's query.
    ///
    /// # Errors
    /// 400 for what is no number or no time.
    pub fn parse(info: &RequestInfo) -> Result<Self, ApiError> {
        let text = |name: &str| info.parameter(name).map(str::to_owned);
        Ok(Self {
            container: text("container").unwrap_or_default(),
            follow: flag(info, "follow"),
            previous: flag(info, "previous"),
            timestamps: flag(info, "timestamps"),
            since_seconds: number(info, "sinceSeconds")?,
            since_time: info.parameter("sinceTime").map(time).transpose()?.flatten(),
            tail_lines: number(info, "tailLines")?,
            limit_bytes: number(info, "limitBytes")?,
            stream: text("stream"),
        })
    }

    /// Checks that the options make sense together.
    ///
    /// # Errors
    /// 422 with every one that does not, in upstream's words.
    pub fn validate(&self, pod: &str) -> Result<(), ApiError> {
        let mut errors = Vec::new();
        if let Some(lines) = self.tail_lines.filter(|lines| *lines < 0) {
            errors.push(FieldError::invalid("tailLines", lines, "must be greater than or equal to 0"));
        }
        if let Some(bytes) = self.limit_bytes.filter(|bytes| *bytes < 1) {
            errors.push(FieldError::invalid("limitBytes", bytes, "must be greater than 0"));
        }
        match (self.since_seconds, &self.since_time) {
            (Some(_), Some(_)) => {
                let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
                errors.push(FieldError::forbidden(NO_FIELD, detail));
            }
            (Some(seconds), None) if seconds < 1 => {
                errors.push(FieldError::invalid("sinceSeconds", seconds, "must be greater than 0"));
            }
            (Some(_) | None, _) => {}
        }
        self.validate_stream(&mut errors);
        if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("", "PodLogOptions", pod, &errors)) }
    }

    fn validate_stream(&self, errors: &mut Vec<FieldError>) {
        const STREAMS: &[&str] = &["All", "Stderr", "Stdout"];
        let Some(stream) = self.stream.as_deref() else { return };
        if !STREAMS.contains(&stream) {
            errors.push(FieldError::not_supported("stream", stream, STREAMS));
        }
        if stream != "All" && self.tail_lines.is_some() {
            let detail = "`tailLines` and specific `stream` are mutually exclusive for now";
            errors.push(FieldError::forbidden(NO_FIELD, detail));
        }
    }

    /// The query at the node.
    pub fn node_query(&self) -> String {
        let mut query = Query::default();
        query.add_flag("follow", "true", self.follow);
        query.add_flag("previous", "true", self.previous);
        query.add_flag("timestamps", "true", self.timestamps);
        let numbers = [
            ("sinceSeconds", self.since_seconds),
            ("tailLines", self.tail_lines),
            ("limitBytes", self.limit_bytes),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                query.add(name, &number.to_string());
            }
        }
        for (name, text) in [("sinceTime", &self.since_time), ("stream", &self.stream)] {
            if let Some(text) = text {
                query.add(name, text);
            }
        }
        query.0
    }
}

/// A time; upstream takes an empty one and `null` for none.
fn time(text: &str) -> Result<Option<String>, ApiError> {
    if matches!(text, "" | "null") {
        return Ok(None);
    }
    match OffsetDateTime::parse(text, &Rfc3339) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(_) => Err(ApiError::bad_request(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
        ))),
    }
}
