//! Change of an object that is there.

use keelson_api_registry::{field::FieldError, object::Object, status::ApiError, strategy::keep};

use super::{
    ATTEMPTS, Draft, Operation, Part, Stored, Warnings, Write, Written, admission, deletion, identity,
    managed_fields::{self, Managed},
    metadata,
};

/// Makes the object that is wanted of the one that is there; called again when that has changed.
pub(crate) type Change<'c> = dyn Fn(&Stored) -> Result<Draft, ApiError> + Send + Sync + 'c;

impl Write<'_> {
    /// Changes a part of the object. `None`: there is none.
    ///
    /// # Errors
    /// 400, 403, 409 or 422 in upstream's words; 503 when nothing was written, 504 when nobody knows.
    pub(crate) async fn update(&self, part: Part, change: &Change<'_>) -> Result<Option<Written>, ApiError> {
        let super::Target { resource, namespace, name, .. } = self.target;
        for _ in 0..ATTEMPTS {
            let Some(current) = self.server.objects.get(resource, namespace, name).await? else {
                return Ok(None);
            };
            let draft = change(&current)?;
            if let Some(written) = self.replace(part, &current, draft, Managed::Before).await? {
                return Ok(Some(written));
            }
        }
        Err(self.overtaken())
    }

    /// One attempt. `None`: the object is not at that revision any more.
    pub(super) async fn replace(
        &self,
        part: Part,
        current: &Stored,
        draft: Draft,
        managed: Managed,
    ) -> Result<Option<Written>, ApiError> {
        let old = &current.object;
        let Draft { mut object, mut warnings } = draft;
        identity::settle_namespace(&mut object, self.target.namespace)?;
        self.check_preconditions(&object, old)?;
        self.set_defaults(&mut object);
        if managed == Managed::Before {
            self.note_changes(part, &mut object, Some(old));
        }
        let told = Warnings::default();
        let attributes = self.admission(Operation::Update, self.target.name, Some(old), &told);
        admission::mutate(&attributes, &mut object).await?;
        self.prepare(part, &mut object, old);
        let refused = self.check_admin_access(&object, Some(old)).await?;
        self.validate(part, &object, old, refused)?;
        admission::validate(&attributes, Some(&object)).await?;
        let strategy = self.target.resource.strategy;
        match part {
            Part::Main => warnings.extend(strategy.warnings(&object, Some(old))),
            Part::Status => warnings.extend(strategy.status_warnings(&object)),
            Part::Finalize | Part::Binding => {}
        }
        warnings.extend(told.into_inner());
        object.set(&["metadata", "resourceVersion"], old.resource_version());
        managed_fields::keep_times(&mut object, old);
        let stored = self.commit(current, object).await?;
        Ok(stored.map(|stored| Written { stored, warnings }))
    }

    fn check_preconditions(&self, object: &Object, old: &Object) -> Result<(), ApiError> {
        let super::Target { resource, name, .. } = self.target;
        if !object.uid().is_empty() && object.uid() != old.uid() {
            let why = format!(
                "Precondition failed: UID in precondition: {}, UID in object meta: {}",
                object.uid(),
                old.uid()
            );
            return Err(ApiError::conflict(resource, name, &why));
        }
        match object.resource_version() {
            "" | "0" if resource.strategy.updates_unconditionally() => Ok(()),
            "" | "0" => {
                let detail = "must be specified for an update";
                let missing = FieldError::invalid("metadata.resourceVersion", 0, detail);
                Err(ApiError::invalid(resource.group, resource.plural, name, &[missing]))
            }
            same if same == old.resource_version() => Ok(()),
            _ => Err(ApiError::stale(resource, name)),
        }
    }

    /// Takes back what this part may not change.
    fn prepare(&self, part: Part, object: &mut Object, old: &Object) {
        let strategy = self.target.resource.strategy;
        identity::keep_generation(object, old);
        match part {
            Part::Main => strategy.prepare_update(object, old),
            Part::Status => strategy.prepare_status_update(object, old),
            Part::Finalize => {
                keep(object, old, &["status"]);
                strategy.prepare_finalize(object);
            }
            Part::Binding => {}
        }
        identity::carry_over(object, old);
    }

    fn validate(
        &self,
        part: Part,
        object: &Object,
        old: &Object,
        refused: Option<FieldError>,
    ) -> Result<(), ApiError> {
        let strategy = self.target.resource.strategy;
        let mut errors: Vec<_> = refused.into_iter().collect();
        errors.extend(metadata::validate_update(object, old));
        errors.extend(managed_fields::validate(object));
        let mut wrong = match part {
            Part::Main | Part::Finalize => strategy.validate(object),
            Part::Status => strategy.validate_status_update(object, old),
            Part::Binding => Vec::new(),
        };
        if part == Part::Main {
            wrong.extend(strategy.validate_update(object, old));
        }
        strategy.forgive(&mut wrong, object, old);
        errors.extend(wrong);
        self.invalid(object, &errors)
    }

    /// Writes what is new. What is not new keeps its resourceVersion; what had only waited for this goes.
    async fn commit(&self, current: &Stored, object: Object) -> Result<Option<Stored>, ApiError> {
        if deletion::is_finished(self.target.resource, &object, &current.object) {
            return self.remove(current, object).await;
        }
        let wanted = self.as_if_stored(object, current.revision);
        if wanted.json == current.json {
            return Ok(Some(wanted));
        }
        self.exchange(current, wanted.object).await
    }
}
