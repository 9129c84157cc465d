//! Who makes a call, and whether it may.
//!
//! In: what a call shows (a token in its metadata, the certificate of its connection), and users and roles as some state
//! has them. Out: the [`Caller`] that is proposed with a command; views for those who may read them.
//!
//! While authentication is off nothing is looked at. While it is on, a denial by a replica that may be behind is not the
//! last word: it looks at the newest state, and only what that denies as well is denied. So a user or a token that one
//! member has acknowledged is known on all of them at once.
//!
//! What writes is checked once more when it is applied, where nothing can change in between.

use std::sync::Arc;

use keelson_store_core::{
    auth::Auth,
    command::{AuthError, Caller, Command, CommandError, KeyRange, Response, ResponseBody, Txn, TxnResponse},
    engine::EngineError,
};
use tonic::{Request, Status, metadata::MetadataMap};

use super::{Front, error};
use crate::{
    error::WriteError,
    state::StateView,
    store::{At, Consistency},
};

/// Where a token stands: etcd's name for it, and that of programs which come over HTTP.
const TOKEN_KEYS: [&str; 2] = ["token", "authorization"];

/// The name in the certificate that a client has shown, where that is the name of a user. Its connection carries it to each of its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CertificateName(pub(super) Option<Arc<str>>);

/// What a call shows, for whenever it is asked who makes it.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    metadata: MetadataMap,
    certificate: CertificateName,
}

impl Credentials {
    /// Those of a call with these headers, on the connection of whoever showed this certificate.
    pub(super) const fn new(metadata: MetadataMap, certificate: CertificateName) -> Self {
        Self { metadata, certificate }
    }

    /// Takes them off a request. Nothing is copied.
    pub(super) fn split<T>(request: Request<T>) -> (Self, T) {
        let (metadata, mut extensions, message) = request.into_parts();
        let certificate = extensions.remove().unwrap_or_default();
        (Self { metadata, certificate }, message)
    }

    fn token(&self) -> Option<&str> {
        TOKEN_KEYS
            .iter()
            .find_map(|key| self.metadata.get(*key))
            .map(|token| token.to_str().unwrap_or_default())
    }
}

/// Whether somebody who looks at keys for a long time may go on to.
pub(super) struct Guard {
    name: Option<String>,
    range: KeyRange,
    /// The users and roles that permitted it.
    permitted_by: Arc<Auth>,
}

impl Front {
    /// Who makes a call, by these users and roles. As etcd: a token comes before a certificate.
    fn caller(&self, auth: &Auth, who: &Credentials) -> Result<Caller, AuthError> {
        if !auth.is_enabled() {
            return Ok(Caller::Anyone);
        }
        if let Some(token) = who.token() {
            return self.tokens.read(auth, token);
        }
        match &who.certificate.0 {
            Some(name) => Ok(Caller::User { name: name.to_string(), revision: auth.revision() }),
            None => Err(AuthError::UserEmpty),
        }
    }

    /// Has a command applied for whoever makes a call.
    pub(super) async fn propose(&self, who: &Credentials, command: &Command) -> Result<Response, Status> {
        let mut auth = self.store.auth();
        loop {
            let denied = match self.caller(&auth, who) {
                Ok(caller) => match self.store.propose(&caller, command).await {
                    // It was not applied: whoever asked was looked up in users and roles of before.
                    Err(WriteError::Refused(CommandError::Auth(
                        denied @ (AuthError::UserEmpty | AuthError::OldRevision),
                    ))) => denied,
                    decided => return decided.map_err(error::write),
                },
                Err(denied) => denied,
            };
            // Seldom: whoever is not denied needs no room for it.
            Box::pin(self.store.view(Consistency::Linearizable)).await.map_err(error::read)?;
            let newest = self.store.auth();
            if Arc::ptr_eq(&newest, &auth) {
                return Err(error::auth(denied));
            }
            auth = newest;
        }
    }

    /// Runs a transaction for whoever makes a call.
    pub(super) async fn run_txn(&self, who: &Credentials, txn: Txn) -> Result<At<TxnResponse>, Status> {
        let Response { revision, body } = self.propose(who, &Command::Txn(txn)).await?;
        match body {
            ResponseBody::Txn(answer) => Ok(At { revision, answer }),
            other => {
                tracing::error!(?other, "the store's answer does not fit the request");
                Err(Status::internal("etcdserver: the store's answer does not fit the request"))
            }
        }
    }

    /// The state, if whoever makes a call may read of it what it wants.
    pub(super) async fn view(
        &self,
        who: &Credentials,
        consistency: Consistency,
        permits: impl Fn(&Caller, &StateView) -> Result<(), Denied>,
    ) -> Result<StateView, Status> {
        let view = self.store.view(consistency).await.map_err(error::read)?;
        let permitted = |view: &StateView| match self.caller(view.auth(), who) {
            Ok(Caller::Anyone) => Ok(()),
            Ok(caller) => permits(&caller, view),
            Err(denied) => Err(Denied::By(denied)),
        };
        let Err(denied) = permitted(&view) else { return Ok(view) };
        if consistency == Consistency::Local
            && let Ok(newest) = self.store.view(Consistency::Linearizable).await
        {
            return permitted(&newest).map(|()| newest).map_err(Denied::into_status);
        }
        Err(denied.into_status())
    }

    /// The state, if whoever makes a call may read these keys.
    pub(super) async fn view_of(
        &self,
        who: &Credentials,
        consistency: Consistency,
        keys: &KeyRange,
    ) -> Result<StateView, Status> {
        let may_read = |caller: &Caller, view: &StateView| {
            Ok(view.auth().rights(caller).and_then(|rights| rights.read(keys))?)
        };
        self.view(who, consistency, may_read).await
    }

    /// Lets root pass, and everybody while authentication is off.
    pub(super) async fn require_root(&self, who: &Credentials) -> Result<(), Status> {
        self.require(who, Auth::check_root).await
    }

    /// Lets users pass, and everybody while authentication is off.
    pub(super) async fn require_user(&self, who: &Credentials) -> Result<(), Status> {
        self.require(who, Auth::check_known).await
    }

    async fn require(
        &self,
        who: &Credentials,
        check: impl Fn(&Auth, &Caller) -> Result<(), AuthError>,
    ) -> Result<(), Status> {
        if !self.store.auth().is_enabled() {
            return Ok(());
        }
        let permits = |caller: &Caller, view: &StateView| Ok(check(view.auth(), caller)?);
        self.view(who, Consistency::Local, permits).await.map(drop)
    }

    /// Lets whoever makes a call look at keys for as long as it may.
    pub(super) async fn guard(&self, who: &Credentials, range: KeyRange) -> Result<Guard, Status> {
        let auth = self.store.auth();
        let caller = match auth.is_enabled() {
            true => self.caller(self.view_of(who, Consistency::Local, &range).await?.auth(), who),
            false => Ok(Caller::Anyone),
        };
        let name = match caller {
            Ok(Caller::User { name, revision: _ }) => Some(name),
            Ok(Caller::Anyone | Caller::System) => who.certificate.0.as_deref().map(ToOwned::to_owned),
            Err(denied) => return Err(error::auth(denied)),
        };
        Ok(Guard { name, range, permitted_by: auth })
    }
}

impl Guard {
    /// Whether it still may. That is looked up again when users or roles have changed.
    pub(super) fn check(&mut self, front: &Front) -> Result<(), AuthError> {
        let auth = front.store.auth();
        if Arc::ptr_eq(&auth, &self.permitted_by) {
            return Ok(());
        }
        let caller = match &self.name {
            Some(name) => Caller::User { name: name.clone(), revision: auth.revision() },
            None => Caller::Anyone,
        };
        auth.rights(&caller)?.read(&self.range)?;
        self.permitted_by = auth;
        Ok(())
    }
}

/// Why a view is not given.
pub(super) enum Denied {
    /// Users and roles do not permit it.
    By(AuthError),
    /// They cannot be asked.
    Broken(EngineError),
}

impl Denied {
    fn into_status(self) -> Status {
        match self {
            Self::By(denied) => error::auth(denied),
            Self::Broken(failed) => error::broken(&failed),
        }
    }
}

impl From<AuthError> for Denied {
    fn from(denied: AuthError) -> Self {
        Self::By(denied)
    }
}

impl From<EngineError> for Denied {
    fn from(failed: EngineError) -> Self {
        Self::Broken(failed)
    }
}
