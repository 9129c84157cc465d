//! Server-side apply: creation where there is nothing, change where there is something.

use keelson_api_registry::status::ApiError;

use super::{ATTEMPTS, Draft, Part, Stored, Write, Written, managed_fields::Managed};

/// Makes the object that is wanted of the one that is there, or of none; called again when that has changed.
pub(crate) type Configure<'c> = dyn Fn(Option<&Stored>) -> Result<Draft, ApiError> + Send + Sync + 'c;

/// What came of an apply.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A new object.
    Created(Written),
    /// The object, changed or not.
    Updated(Written),
}

impl Write<'_> {
    /// Applies a configuration. `may_create` says whether the client may create the object. `None`: there is no object, and
    /// a part of it does not make one.
    ///
    /// # Errors
    /// 400, 403, 409 or 422 in upstream's words; 503 when nothing was written, 504 when nobody knows.
    pub(crate) async fn apply(
        &self,
        part: Part,
        configure: &Configure<'_>,
        may_create: &(dyn Fn() -> Result<(), ApiError> + Send + Sync),
    ) -> Result<Option<Outcome>, ApiError> {
        let super::Target { resource, namespace, name, subresource } = self.target;
        for _ in 0..ATTEMPTS {
            if let Some(current) = self.server.objects.get(resource, namespace, name).await? {
                let draft = configure(Some(&current))?;
                if let Some(written) = self.replace(part, &current, draft, Managed::After).await? {
                    return Ok(Some(Outcome::Updated(written)));
                }
                continue;
            }
            if !subresource.is_empty() {
                return Ok(None);
            }
            may_create()?;
            match self.create_from(configure(None)?, Managed::After).await {
                // Somebody else was faster: apply to theirs.
                Err(error) if error.reason == "AlreadyExists" => {}
                created => return created.map(Outcome::Created).map(Some),
            }
        }
        Err(self.overtaken())
    }
}
