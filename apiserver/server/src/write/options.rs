//! What a client says about a write in its query: `dryRun`, `fieldValidation`, `fieldManager`, `force`.
//!
//! Deliberately absent: what field managers are for (`managed_fields`).

use keelson_api_registry::{field::FieldError, request::RequestInfo, status::ApiError};
use keelson_api_schema::FieldValidation;
use serde_json::{Value, json};

/// The longest name of a field manager, in bytes.
pub(crate) const FIELD_MANAGER_MAX_BYTES: usize = 128;

/// The only value of `dryRun`.
const DRY_RUN_ALL: &str = "All";

/// How a write is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteOptions {
    /// Everything but the write itself.
    pub(crate) dry_run: bool,
    /// What happens to unknown and repeated fields.
    pub(crate) validation: FieldValidation,
}

impl WriteOptions {
    /// Reads a query; `kind` is what upstream calls these options: `CreateOptions`.
    ///
    /// # Errors
    /// 422 for values that do not exist.
    pub(crate) fn parse(info: &RequestInfo, kind: &str) -> Result<Self, ApiError> {
        Self::parse_beside(info, kind, Vec::new())
    }

    /// Reads the query of a patch that is no apply. Forcing is for appliers, which manage fields; an ordinary patch has
    /// nobody to overrule.
    ///
    /// # Errors
    /// 422.
    pub(crate) fn parse_patch(info: &RequestInfo) -> Result<Self, ApiError> {
        let forbidden = || FieldError::forbidden("force", "may not be specified for non-apply patch");
        let errors = info.parameter("force").map(|_| forbidden()).into_iter().collect();
        Self::parse_beside(info, "PatchOptions", errors)
    }

    /// Reads the query of an apply, which must name its manager.
    ///
    /// # Errors
    /// 422.
    pub(crate) fn parse_apply(info: &RequestInfo) -> Result<Self, ApiError> {
        let is_named = info.parameter("fieldManager").is_some_and(|name| !name.is_empty());
        let missing = || FieldError::required("fieldManager", "is required for apply patch");
        let errors = (!is_named).then(missing).into_iter().collect();
        Self::parse_beside(info, "PatchOptions", errors)
    }

    fn parse_beside(info: &RequestInfo, kind: &str, mut errors: Vec<FieldError>) -> Result<Self, ApiError> {
        check_field_manager("fieldManager", info.parameter("fieldManager").unwrap_or_default(), &mut errors);
        let wishes = info.query.iter().filter(|(name, _)| name == "dryRun").map(|(_, value)| value.as_str());
        let dry_run = dry_run(&wishes.collect::<Vec<_>>(), &mut errors);
        let wanted = info.parameter("fieldValidation").unwrap_or_default();
        let validation = wanted.parse().unwrap_or_else(|_| {
            let known = ["", "Ignore", "Strict", "Warn"];
            errors.push(FieldError::not_supported("fieldValidation", wanted, &known));
            FieldValidation::default()
        });
        match errors.is_empty() {
            true => Ok(Self { dry_run, validation }),
            false => Err(ApiError::invalid("meta.k8s.io", kind, "", &errors)),
        }
    }
}

/// Whether nothing is to be written.
pub(crate) fn dry_run(wishes: &[&str], errors: &mut Vec<FieldError>) -> bool {
    if wishes.iter().any(|wish| *wish != DRY_RUN_ALL) {
        errors.push(FieldError::not_supported("dryRun", json!(wishes), &[DRY_RUN_ALL]));
    }
    !wishes.is_empty()
}

/// What is wrong with the name of a field manager.
pub(crate) fn check_field_manager(path: &str, manager: &str, errors: &mut Vec<FieldError>) {
    if manager.len() > FIELD_MANAGER_MAX_BYTES {
        errors.push(FieldError::too_long(path, FIELD_MANAGER_MAX_BYTES));
    }
    if let Some((at, bad)) = manager.char_indices().find(|(_, character)| character.is_control()) {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(bad));
        errors.push(FieldError::invalid(path, Value::from(manager), detail));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<WriteOptions, ApiError> {
        let uri = format!("/api/v1/namespaces/shop/pods?{query}").parse().unwrap();
        WriteOptions::parse(&RequestInfo::parse(&http::Method::POST, &uri).unwrap(), "CreateOptions")
    }

    #[test]
    fn the_default_warns_and_writes() {
        assert_eq!(parse("").unwrap(), WriteOptions { dry_run: false, validation: FieldValidation::Warn });
        let strict = parse("fieldValidation=Strict&dryRun=All&fieldManager=kubectl-create").unwrap();
        assert_eq!(strict, WriteOptions { dry_run: true, validation: FieldValidation::Strict });
    }

    #[test]
    fn values_that_do_not_exist_are_refused_in_upstreams_words() {
        let error = parse("dryRun=Some&fieldValidation=Maybe").unwrap_err();
        assert_eq!(error.code, 422);
        assert_eq!(
            error.message,
            "CreateOptions.meta.k8s.io \"\" is invalid: [dryRun: Unsupported value: [\"Some\"]: supported values: \
             \"All\", fieldValidation: Unsupported value: \"Maybe\": supported values: \"\", \"Ignore\", \
             \"Strict\", \"Warn\"]"
        );
        assert!(
            parse(&format!("fieldManager={}", "x".repeat(129))).unwrap_err().message.contains("Too long")
        );
    }
}
