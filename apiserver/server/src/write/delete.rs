//! Deletion.

use keelson_api_registry::status::ApiError;

use super::{
    ATTEMPTS, Operation, Stored, Warnings, Write, admission,
    delete_options::DeleteOptions,
    deletion::{Plan, check_preconditions, is_finished, plan},
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
        // What this deletion has marked, to be removed next.
        let mut marked: Option<Stored> = None;
        for _ in 0..ATTEMPTS {
            let current = self.server.objects.get(resource, namespace, name).await?;
            let is_meant = |current: &Stored| {
                marked.as_ref().is_none_or(|marked| marked.object.uid() == current.object.uid())
            };
            let Some(current) = current.filter(is_meant) else {
                // Whoever saw the mark may have removed the object: it was deleted here all the same.
                return marked.map(Deleted::Gone).ok_or_else(|| ApiError::not_found(resource, name));
            };
            let plan = match &marked {
                // Overtaken by somebody who changed something else.
                Some(_) if is_finished(resource, &current.object, &current.object) => Plan::Remove,
                _ => plan(resource, &current.object, options, self.call.now)?,
            };
            if let Some(deleted) = self.carry_out(plan, current, &mut marked).await? {
                return Ok(deleted);
            }
        }
        Err(self.overtaken())
    }

    /// One attempt. `None`: the object is not as it was any more.
    async fn carry_out(
        &self,
        plan: Plan,
        current: Stored,
        marked: &mut Option<Stored>,
    ) -> Result<Option<Deleted>, ApiError> {
        let removed = match plan {
            Plan::Wait => return Ok(Some(Deleted::Waits(current))),
            Plan::Mark(mark) => return Ok(self.exchange(&current, mark).await?.map(Deleted::Waits)),
            Plan::MarkAndRemove(mark) => {
                let Some(current) = self.exchange(&current, mark).await? else { return Ok(None) };
                let current = marked.insert(current);
                self.remove(current, current.object.clone()).await?
            }
            Plan::Remove => self.remove(&current, current.object.clone()).await?,
        };
        Ok(removed.map(Deleted::Gone))
    }
}
