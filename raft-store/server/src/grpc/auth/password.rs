//! Passwords and their hashes: bcrypt, as etcd.
//!
//! A hash takes a tenth of a second of a core, on purpose. So it is made on a thread of its own, a few at a time: whoever
//! tries many passwords waits for itself and holds up nobody who has a token.

use std::sync::Arc;

use keelson_store_core::command::{AuthError, PasswordHash};
use tokio::sync::Semaphore;
use tonic::Status;

use crate::{grpc::error, runtime::Offload};

/// The longest password, in bytes; bcrypt looks at no more.
const MAX_BYTES: usize = 72;
/// Hashes that are being made at once.
const AT_ONCE: usize = 2;
/// Salt and hash of no password that is known. Whoever names a user that does not exist waits as long as for one whose hash
/// was made at the present cost.
const NOBODYS: &str = "hRB.B8VsOrIXHRBkpHmyJu7YjnQxwRoNNg/iObBOpMf6KzEUQ2UrC";

/// Makes and checks hashes.
#[derive(Clone)]
pub(in crate::grpc) struct Passwords {
    cost: u32,
    permits: Arc<Semaphore>,
    offload: Offload,
}

impl Passwords {
    /// `cost` is the logarithm of the work for one hash.
    pub(in crate::grpc) fn new(cost: u32, offload: Offload) -> Self {
        Self { cost, permits: Arc::new(Semaphore::new(AT_ONCE)), offload }
    }

    /// The hash of a password.
    pub(in crate::grpc) async fn hash(&self, password: String) -> Result<PasswordHash, Status> {
        if password.len() > MAX_BYTES {
            return Err(Status::unknown("bcrypt: password length exceeds 72 bytes"));
        }
        let cost = self.cost;
        let made = self.aside(move || bcrypt::hash_with_result(password, cost)).await?;
        let made = made.map_err(|failed| Status::internal(format!("etcdserver: {failed}")))?;
        // The name of the method that etcd writes; the method is the same.
        Ok(PasswordHash::new(made.format_for_version(bcrypt::Version::TwoA)))
    }

    /// Whether a password is the one that a user has; `known` is its hash.
    pub(in crate::grpc) async fn check(
        &self,
        password: String,
        known: Option<&PasswordHash>,
    ) -> Result<(), Status> {
        let cost = self.cost;
        let hash =
            known.map_or_else(|| format!("$2a${cost:02}${NOBODYS}"), |known| known.as_str().to_owned());
        let is_someones = known.is_some();
        // What is no hash fits no password.
        let fits = self.aside(move || bcrypt::verify(password, &hash).unwrap_or(false)).await?;
        if fits && is_someones { Ok(()) } else { Err(error::auth(AuthError::AuthFailed)) }
    }

    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Status> {
        let _permit = self.permits.acquire().await.map_err(|_| error::stopped())?;
        self.offload.run(work).await.map_err(|_| error::stopped())
    }
}
