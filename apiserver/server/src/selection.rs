//! Which objects a list, a watch or a deletion of many means.
//!
//! In: the query's `labelSelector` and `fieldSelector`. Out: a [`Selection`] in the words of the storage version,
//! so that it can be held against cached objects without parsing them.

use keelson_api_registry::{resources::ResourceInfo, status::ApiError};
use keelson_api_schema::selector::{FieldSelector, LabelSelector};

use crate::{cache::CachedObject, storage::storage_field};

/// Selectors of labels and fields; the default selects everything.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// Reads the two parameters of a query.
    ///
    /// # Errors
    /// 400 with upstream's words for what cannot be read, and for fields that the kind does not offer.
    pub fn parse(
        resource: &ResourceInfo,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, ApiError> {
        let bad = |error: &dyn std::fmt::Display| ApiError::bad_request(error.to_string());
        let labels = LabelSelector::parse(labels.unwrap_or_default()).map_err(|error| bad(&error))?;
        let fields = FieldSelector::parse(fields.unwrap_or_default()).map_err(|error| bad(&error))?;
        if let Some(term) = fields.terms().iter().find(|term| !offers(resource, &term.field)) {
            return Err(ApiError::bad_request(not_offered(resource, &term.field)));
        }
        Ok(Self { labels, fields: in_storage_words(resource, &fields)? })
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether an object is selected.
    pub fn matches(&self, object: &CachedObject) -> bool {
        self.labels.matches(|key| object.label(key)) && self.fields.matches(|field| object.field(field))
    }

    /// The only name that an object can have and be selected.
    pub fn name(&self) -> Option<&str> {
        self.fields.required("metadata.name")
    }

    /// The only namespace that an object can be in and be selected.
    pub fn namespace(&self) -> Option<&str> {
        self.fields.required("metadata.namespace")
    }
}

fn offers(resource: &ResourceInfo, field: &str) -> bool {
    matches!(field, "metadata.name" | "metadata.namespace") || resource.selectable.contains(&field)
}

fn not_offered(resource: &ResourceInfo, field: &str) -> String {
    // Upstream has these words for kinds that offer nothing of their own.
    if resource.selectable.is_empty() {
        return format!(
            "{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
    }
    format!("field label not supported: {field}")
}

fn in_storage_words(resource: &ResourceInfo, fields: &FieldSelector) -> Result<FieldSelector, ApiError> {
    let term = |term: &keelson_api_schema::selector::field::Term| {
        let operator = if term.differs { "!=" } else { "=" };
        let value = keelson_api_schema::selector::field::escape(&term.value);
        format!("{}{operator}{value}", storage_field(resource, &term.field))
    };
    let text: Vec<_> = fields.terms().iter().map(term).collect();
    FieldSelector::parse(&text.join(",")).map_err(ApiError::internal)
}
