//! What a client says about a deletion, in the body or in the query.
//!
//! In: a `DeleteOptions` object, or parameters of the same names. Out: [`DeleteOptions`], checked.
//!
//! Source: `k8s.io/apimachinery/pkg/apis/meta/v1/validation`.

use keelson_api_registry::{field::FieldError, object::Object, request::RequestInfo, status::ApiError};
use keelson_api_schema::{Encoding, go_text::parse_int};
use serde_json::Value;

use super::{
    body::{self, Wanted},
    options::dry_run,
};

/// What becomes of the objects that an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They go first.
    Foreground,
    /// They go afterwards.
    Background,
    /// They stay, without their owner.
    Orphan,
}

/// The wishes of a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    /// How long the object may take to end, in seconds; negative counts as 1.
    pub(crate) grace_period_seconds: Option<i64>,
    /// The older way to say [`Propagation::Orphan`] or [`Propagation::Background`].
    pub(crate) orphan_dependents: Option<bool>,
    /// What becomes of dependents.
    pub(crate) propagation_policy: Option<Propagation>,
    /// The uid that the object must have.
    pub(crate) uid: Option<String>,
    /// The resourceVersion that the object must have.
    pub(crate) resource_version: Option<String>,
    /// Everything but the deletion itself.
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// Reads the body, or the query where there is none.
    ///
    /// # Errors
    /// 400 for a body that is no DeleteOptions, 422 for values that do not exist or contradict each other.
    pub(crate) fn read(info: &RequestInfo, body: &[u8], encoding: Encoding) -> Result<Self, ApiError> {
        let options = match body.is_empty() {
            true => of_query(info)?,
            false => read_body(body, encoding)?,
        };
        Self::check(&options)
    }

    /// What becomes of dependents, where the client says it.
    pub(crate) fn propagation(&self) -> Option<Propagation> {
        let older = self.orphan_dependents.map(|orphan| match orphan {
            true => Propagation::Orphan,
            false => Propagation::Background,
        });
        self.propagation_policy.or(older)
    }

    /// Reads an object that is a `DeleteOptions`.
    ///
    /// # Errors
    /// 422 for values that do not exist or contradict each other.
    pub(crate) fn check(options: &Object) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        let orphan_dependents = options.get(&["orphanDependents"]).and_then(Value::as_bool);
        let policy = options.text(&["propagationPolicy"]);
        if orphan_dependents.is_some() && !policy.is_empty() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(FieldError::invalid("propagationPolicy", policy, detail));
        }
        let propagation_policy = propagation(policy, &mut errors);
        let wishes: Vec<_> = options.list(&["dryRun"]).iter().filter_map(Value::as_str).collect();
        let dry_run = dry_run(&wishes, &mut errors);
        if !errors.is_empty() {
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &errors));
        }
        let precondition =
            |name| options.get(&["preconditions", name]).and_then(Value::as_str).map(str::to_owned);
        let grace_period_seconds =
            options.integer(&["gracePeriodSeconds"]).map(|seconds| if seconds < 0 { 1 } else { seconds });
        Ok(Self {
            grace_period_seconds,
            orphan_dependents,
            propagation_policy,
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            dry_run,
        })
    }
}

fn propagation(policy: &str, errors: &mut Vec<FieldError>) -> Option<Propagation> {
    match policy {
        "" => None,
        "Foreground" => Some(Propagation::Foreground),
        "Background" => Some(Propagation::Background),
        "Orphan" => Some(Propagation::Orphan),
        other => {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            errors.push(FieldError::not_supported_in_order("propagationPolicy", other, &known));
            None
        }
    }
}

fn read_body(body: &[u8], encoding: Encoding) -> Result<Object, ApiError> {
    let wanted = Wanted { group: "meta.k8s.io", version: "v1", kind: "DeleteOptions" };
    body::read_of_any_version(body, encoding, wanted).map(|draft| draft.object)
}

/// The options that a query has, in the form of a body.
fn of_query(info: &RequestInfo) -> Result<Object, ApiError> {
    let mut options = Object::default();
    if let Some(text) = info.parameter("gracePeriodSeconds").filter(|text| !text.is_empty()) {
        let seconds = parse_int(text).map_err(ApiError::bad_request)?;
        options.set(&["gracePeriodSeconds"], seconds);
    }
    if let Some(text) = info.parameter("orphanDependents") {
        // Go's conversion of query parameters: everything but these two is true.
        let orphan = !matches!(text.to_ascii_lowercase().as_str(), "false" | "0");
        options.set(&["orphanDependents"], orphan);
    }
    if let Some(policy) = info.parameter("propagationPolicy") {
        options.set(&["propagationPolicy"], policy);
    }
    let wishes = info.query.iter().filter(|(name, _)| name == "dryRun");
    let wishes: Vec<_> = wishes.map(|(_, value)| Value::from(value.as_str())).collect();
    options.set(&["dryRun"], wishes);
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: &str) -> Result<DeleteOptions, ApiError> {
        let uri = format!("/api/v1/namespaces/shop/pods/a?{query}").parse().unwrap();
        let info = RequestInfo::parse(&http::Method::DELETE, &uri).unwrap();
        DeleteOptions::read(&info, body.as_bytes(), Encoding::Json)
    }

    #[test]
    fn the_query_counts_where_there_is_no_body() {
        let options = read("gracePeriodSeconds=0&propagationPolicy=Foreground&dryRun=All", "").unwrap();
        assert_eq!(options.grace_period_seconds, Some(0));
        assert_eq!(options.propagation(), Some(Propagation::Foreground));
        assert!(options.dry_run);
        assert_eq!(read("orphanDependents=false", "").unwrap().propagation(), Some(Propagation::Background));
        let refused = read("gracePeriodSeconds=soon", "").unwrap_err();
        assert_eq!(refused.message, "strconv.ParseInt: parsing \"soon\": invalid syntax");
    }

    #[test]
    fn the_body_counts_where_there_is_one_whatever_group_it_names() {
        for version in ["v1", "meta.k8s.io/v1", "apps/v1"] {
            let body = format!(
                r#"{{"kind":"DeleteOptions","apiVersion":"{version}","gracePeriodSeconds":-5,
                     "preconditions":{{"uid":"u","resourceVersion":"7"}}}}"#
            );
            let options = read("gracePeriodSeconds=9", &body).unwrap();
            assert_eq!(options.grace_period_seconds, Some(1));
            assert_eq!(options.uid.as_deref(), Some("u"));
            assert_eq!(options.resource_version.as_deref(), Some("7"));
        }
        assert_eq!(read("", r#"{"kind":"Pod","apiVersion":"v1"}"#).unwrap_err().code, 400);
        let refused = read("", r#"{"kind":"DeleteOptions","apiVersion":"v2"}"#).unwrap_err();
        assert_eq!(refused.code, 400, "a version that nobody knows may mean anything");
        assert!(
            refused.message.contains("no kind \"DeleteOptions\" is registered for version \"v2\""),
            "{}",
            refused.message
        );
    }

    #[test]
    fn wishes_that_contradict_each_other_are_refused_in_upstreams_words() {
        let refused = read("", r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#).unwrap_err();
        assert_eq!(
            refused.message,
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": \
             orphanDependents and deletionPropagation cannot be both set"
        );
        let refused = read("propagationPolicy=Sideways", "").unwrap_err();
        assert_eq!(refused.code, 422);
        assert!(refused.message.contains("propagationPolicy: Unsupported value: \"Sideways\""));
    }
}
