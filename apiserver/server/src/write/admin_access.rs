//! Whether a write may ask for devices that others use: only where the namespace says so.
//!
//! In: an object as it is to be written. Out: what is wrong with it, if anything.
//!
//! Deliberately absent: which objects ask for that, which their kinds know
//! ([`keelson_api_registry::strategy::Strategy::admin_access`]).

use keelson_api_registry::{
    field::FieldError, kinds::devices::ADMIN_ACCESS_LABEL, object::Object, resources, status::ApiError,
};

use super::Write;

impl Write<'_> {
    /// What the namespace has against the object. Asks the store, not a cache: a label may have been taken away.
    ///
    /// # Errors
    /// 503 if the namespace cannot be read.
    pub(super) async fn check_admin_access(
        &self,
        object: &Object,
        old: Option<&Object>,
    ) -> Result<Option<FieldError>, ApiError> {
        let Some(refused) = self.target.resource.strategy.admin_access(object, old) else { return Ok(None) };
        let namespaces =
            resources::find("", "v1", "namespaces").expect("the table of resources has namespaces");
        let namespace = self.server.objects.get(namespaces, "", self.target.namespace).await?;
        let allows = namespace.is_some_and(|namespace| {
            namespace.object.text(&["metadata", "labels", ADMIN_ACCESS_LABEL]) == "true"
        });
        Ok((!allows).then_some(refused))
    }
}
