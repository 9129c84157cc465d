//! Deletion.

use keelson_api_registry::status::ApiError;

use super::{
    ATTEMPTS, Operation, Stored, Warnings, Write, admission,
    delete_options::DeleteOptions,
    deletion::{Plan, check_preconditions, plan},
};

/// What came of a deletion.
#[derive(Clone, Debug)]
pub(crate) enum Deleted {
    /// The object is gone; this is what it was.
    Gone(Stored),
    /// It waits for somebody; this is what it is now.
    Waits(Stored),
}

impl Write<'_> {
    /// Refuses a deletion of `current` whose client means another object.
    ///
    /// # Errors
    /// 409.
    pub(crate) fn check_meant(&self, current: &Stored, options: &DeleteOptions) -> Result<(), ApiError> {
        check_preconditions(self.target.resource, &current.object, options)
    }

    /// Deletes the object, or begins to.
    ///
    /// # Errors
    /// 403, 404 or 409 in upstream's words; 503 when nothing happened, 504 when nobody knows.
    pub(crate) async fn delete(&self, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        let super::Target { resource, namespace, name, .. } = self.target;
        let told = Warnings::default();
        admission::validate(&self.admission(Operation::Delete, name, None, &told), None).await?;
        for _ in 0..ATTEMPTS {
            let current = self.server.objects.get(resource, namespace, name).await?;
            let current = current.ok_or_else(|| ApiError::not_found(resource, name))?;
            let done = match plan(resource, &current.object, options, self.call.now)? {
                Plan::Wait => return Ok(Deleted::Waits(current)),
                Plan::Mark(marked) => self.exchange(&current, marked).await?.map(Deleted::Waits),
                Plan::MarkAndRemove(marked) => match self.exchange(&current, marked).await? {
                    Some(marked) => self.remove(&marked, marked.object.clone()).await?.map(Deleted::Gone),
                    None => None,
                },
                Plan::Remove => self.remove(&current, current.object.clone()).await?.map(Deleted::Gone),
            };
            if let Some(deleted) = done {
                return Ok(deleted);
            }
        }
        Err(self.overtaken())
    }
}
