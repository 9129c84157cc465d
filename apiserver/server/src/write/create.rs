//! Creation.

use keelson_api_registry::{object::Object, status::ApiError};

use super::{
    Draft, Operation, Part, Warnings, Write, Written, admission, identity,
    managed_fields::{self, Managed},
    metadata,
};

/// How many names are drawn for an object that leaves its name to the server.
const NAMES_DRAWN: usize = 8;

impl Write<'_> {
    /// Creates an object.
    ///
    /// # Errors
    /// 400, 403, 404, 409 or 422 in upstream's words; 503 when nothing was written, 504 when nobody knows.
    pub(crate) async fn create(&self, draft: Draft) -> Result<Written, ApiError> {
        self.create_from(draft, Managed::Before).await
    }

    pub(super) async fn create_from(&self, draft: Draft, managed: Managed) -> Result<Written, ApiError> {
        let Draft { mut object, warnings } = draft;
        identity::settle_namespace(&mut object, self.target.namespace)?;
        let prefix = object.text(&["metadata", "generateName"]).to_owned();
        if !object.name().is_empty() || prefix.is_empty() {
            return self.create_as_named(object, warnings, managed).await;
        }
        let mut conflict = None;
        for _ in 0..NAMES_DRAWN {
            let mut named = object.clone();
            named.set(&["metadata", "name"], identity::generate_name(&prefix));
            match self.create_as_named(named, warnings.clone(), managed).await {
                Err(error) if error.reason == "AlreadyExists" => conflict = Some(error),
                decided => return decided,
            }
        }
        let mut conflict = conflict.expect("at least one name was drawn");
        conflict.message += ", the server was not able to generate a unique name for the object";
        Err(conflict)
    }

    async fn create_as_named(
        &self,
        mut object: Object,
        mut warnings: Vec<String>,
        managed: Managed,
    ) -> Result<Written, ApiError> {
        let strategy = self.target.resource.strategy;
        identity::stamp(&mut object, self.call.now)?;
        self.set_defaults(&mut object);
        if managed == Managed::Before {
            self.note_changes(Part::Main, &mut object, None);
        }
        let name = object.name().to_owned();
        let told = Warnings::default();
        let attributes = self.admission(Operation::Create, &name, None, &told);
        admission::mutate(&attributes, &mut object).await?;
        warnings.extend(strategy.draft_warnings(&object));
        strategy.prepare_create(&mut object);
        let refused = self.check_admin_access(&object, None).await?;
        let mut errors: Vec<_> = refused.into_iter().collect();
        errors.extend(metadata::validate(self.target.resource, &object));
        errors.extend(managed_fields::validate(&object));
        errors.extend(strategy.validate(&object));
        errors.extend(strategy.validate_create(&object));
        self.invalid(&object, &errors)?;
        admission::validate(&attributes, Some(&object)).await?;
        warnings.extend(strategy.warnings(&object, None));
        warnings.extend(told.into_inner());
        let stored = self.insert(object).await?;
        Ok(Written { stored, warnings })
    }
}
