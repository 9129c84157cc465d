//! Tokens: what a user shows instead of its password once it has been authenticated.
//!
//! In: a user, and what users and roles say of it. Out: a token; and from a token, the user again.
//!
//! etcd's simple tokens are random, kept in each member's memory, and gone when it restarts. Here a token says whose it
//! is, and is signed with a key that lies in the replicated state: every member understands every token, also after it was
//! restarted, and none is written down. As in etcd one lives for some minutes, and longer at a member that sees it used.
//! It is void when its user's password changes or the user goes, and when authentication is switched off or on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keelson_store_core::{
    auth::Auth,
    command::{AuthError, Caller, TokenKey},
    id::AuthRevision,
};
use ring::hmac;

use super::jwt::Jwt;
use crate::{runtime::clock::Instant, wall::now_ms};

/// The layout of what is signed: this, the milliseconds since 1970 when it was made, the revision of the user's
/// credentials, and its name.
const LAYOUT: u8 = 1;
const HEAD: usize = 17;
const SIGNATURE: usize = 32;
/// From so many tokens on, those that are not used any more are forgotten.
const MANY: usize = 1024;

/// Makes and reads tokens. Clones share what they know.
#[derive(Clone)]
pub(in crate::grpc) enum Tokens {
    /// Tokens of this store's own.
    Signed(Signed),
    /// Tokens of a widespread form, whose keys are the operator's.
    Jwt(Arc<Jwt>),
}

/// Tokens that are signed with the key of the state.
#[derive(Clone)]
pub(in crate::grpc) struct Signed {
    lifetime: Duration,
    used: Arc<Mutex<Used>>,
}

/// When tokens were last used here, by their signatures.
#[derive(Default)]
struct Used {
    at: HashMap<[u8; SIGNATURE], Instant>,
    forget_at: usize,
}

impl Tokens {
    /// Tokens of this store's own, which live for so long after they were last used.
    pub(in crate::grpc) fn signed(lifetime: Duration) -> Self {
        Self::Signed(Signed { lifetime, used: Arc::default() })
    }

    /// Whether the key of the state is needed to make one.
    pub(in crate::grpc) const fn need_key(&self) -> bool {
        matches!(self, Self::Signed(_))
    }

    /// A token for a user; `None` where this member can only read them, or there is no key.
    pub(in crate::grpc) fn make(&self, auth: &Auth, name: &str) -> Option<String> {
        let user = auth.user(name)?;
        match self {
            Self::Signed(_) => Some(sign(auth.token_key()?, now_ms(), user.credentials(), name)),
            Self::Jwt(jwt) => jwt.make(name, auth.revision(), now_ms() / 1000),
        }
    }

    /// The user that a token was made for.
    pub(in crate::grpc) fn read(&self, auth: &Auth, token: &str) -> Result<Caller, AuthError> {
        let caller = match self {
            Self::Signed(signed) => signed.read(auth, token, now_ms()),
            Self::Jwt(jwt) => jwt.read(token, now_ms() / 1000),
        };
        caller.ok_or(AuthError::InvalidToken)
    }
}

impl Signed {
    fn read(&self, auth: &Auth, token: &str, now_ms: u64) -> Option<Caller> {
        let Claims { made_ms, credentials, name, signature } = verify(auth.token_key()?, token)?;
        if auth.user(&name)?.credentials() != credentials {
            return None;
        }
        // Clocks of members differ: one from the future is young.
        let is_young = Duration::from_millis(now_ms.saturating_sub(made_ms)) < self.lifetime;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in_use = used.at.get(&signature).is_some_and(|at| at.elapsed() < self.lifetime);
        if !is_young && !is_in_use {
            return None;
        }
        used.note(signature, self.lifetime);
        Some(Caller::User { name, revision: auth.revision() })
    }
}

impl Used {
    fn note(&mut self, signature: [u8; SIGNATURE], lifetime: Duration) {
        self.at.insert(signature, Instant::now());
        if self.at.len() > self.forget_at.max(MANY) {
            self.at.retain(|_, at| at.elapsed() < lifetime);
            self.forget_at = self.at.len() * 2;
        }
    }
}

/// What a token says.
struct Claims {
    made_ms: u64,
    credentials: AuthRevision,
    name: String,
    signature: [u8; SIGNATURE],
}

fn sign(key: &TokenKey, made_ms: u64, credentials: AuthRevision, name: &str) -> String {
    let mut bytes = vec![LAYOUT];
    bytes.extend(made_ms.to_be_bytes());
    bytes.extend(credentials.get().to_be_bytes());
    bytes.extend(name.as_bytes());
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.bytes()), &bytes);
    bytes.extend(signature.as_ref());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn verify(key: &TokenKey, token: &str) -> Option<Claims> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (signed, signature) = bytes.split_last_chunk::<SIGNATURE>()?;
    hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, key.bytes()), signed, signature).ok()?;
    let (&[layout, ref numbers @ ..], name) = signed.split_first_chunk::<HEAD>()?;
    let (made_ms, credentials) = numbers.split_at(8);
    let number = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_be_bytes);
    (layout == LAYOUT).then_some(Claims {
        made_ms: number(made_ms)?,
        credentials: AuthRevision::new(number(credentials)?),
        name: String::from_utf8(name.to_vec()).ok()?,
        signature: *signature,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: TokenKey = TokenKey::new([7; 32]);

    #[test]
    fn a_token_says_whose_it_is_and_nothing_of_it_can_be_changed() {
        let token = sign(&KEY, 5, AuthRevision::new(3), "alice");
        let claims = verify(&KEY, &token).unwrap();
        assert_eq!((claims.made_ms, claims.credentials.get(), &claims.name[..]), (5, 3, "alice"));
        assert!(verify(&TokenKey::new([8; 32]), &token).is_none());
        let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(verify(&KEY, &URL_SAFE_NO_PAD.encode(changed)).is_none(), "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert!(verify(&KEY, &URL_SAFE_NO_PAD.encode(&bytes[..cut])).is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_lives_on_as_long_as_it_is_used_here() {
        let lifetime = Duration::from_secs(300);
        let signed = Signed { lifetime, used: Arc::default() };
        let auth = auth_with("alice");
        let at = |seconds: u64| signed.read(&auth, &token_of(&auth), seconds * 1000).is_some();
        let pass = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        assert!(!at(300), "it was never used here, and is old");
        assert!(at(299));
        pass(299).await;
        assert!(at(598));
        pass(301).await;
        assert!(!at(899));
    }

    fn token_of(auth: &Auth) -> String {
        sign(auth.token_key().unwrap(), 0, auth.user("alice").unwrap().credentials(), "alice")
    }

    /// Users and roles as applying has made them.
    fn auth_with(name: &str) -> Auth {
        use keelson_store_core::{
            apply::StateMachine,
            command::{AuthCommand, Command},
            engine::{Disk as _, Role, mem::MemDisk},
            id::{LogPosition, Term},
        };
        let mut machine = StateMachine::open(MemDisk::new().open("state", Role::State).unwrap()).unwrap();
        let user = AuthCommand::UserAdd { name: name.to_owned(), password: None };
        for command in [user, AuthCommand::SetTokenKey(KEY)] {
            let at = LogPosition { term: Term::new(1), index: machine.header().next_index() };
            let mut batch = machine.begin();
            batch.command_for(at, &Caller::System, Command::Auth(command)).unwrap().unwrap();
            batch.commit().unwrap();
        }
        Auth::clone(machine.auth())
    }
}
