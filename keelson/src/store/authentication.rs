//! etcd's flags about users: what tokens are, and how much work a password is.
//!
//! In: text, as etcd takes it: `simple`, or `jwt` with its options behind commas. Out: [`AuthOptions`], or an error that
//! names the flag and the cure. Pure: key files are read later.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use keelson_store::grpc::{AuthOptions, JwtMethod, JwtOptions, TokenOptions};

use crate::span::Span;

/// How long a JSON Web Token lives that says nothing about it; etcd's.
const JWT_LIFETIME: Duration = Duration::from_secs(300);

/// Users and passwords.
#[derive(Debug, Args)]
#[command(next_help_heading = "Authentication")]
pub(crate) struct AuthFlags {
    /// What clients show once they have shown a password: simple (tokens that all members of the cluster understand), or
    /// JSON Web Tokens, as jwt,sign-method=RS256,pub-key=FILE,priv-key=FILE,ttl=10m.
    #[arg(long, env = "ETCD_AUTH_TOKEN", value_name = "KIND", default_value = "simple")]
    pub(crate) auth_token: String,
    /// Seconds that a simple token lives after it was last used.
    #[arg(long, env = "ETCD_AUTH_TOKEN_TTL", value_name = "SECONDS", default_value_t = 300)]
    pub(crate) auth_token_ttl: u64,
    /// The logarithm of the work that a password is, 4 to 31: each step doubles it.
    #[arg(long, env = "ETCD_BCRYPT_COST", value_name = "COST", default_value_t = 10)]
    pub(crate) bcrypt_cost: u32,
}

/// What is wrong with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthFlagError {
    #[error("--auth-token {0:?} is neither simple nor jwt,...: give one of them")]
    Kind(String),
    #[error(
        "--auth-token: {0:?} is no option of jwt: it has sign-method, pub-key, priv-key and ttl, each once, as NAME=VALUE"
    )]
    Option(String),
    #[error("--auth-token: sign-method is {0:?}: give one of {names}", names = JwtMethod::NAMES.join(", "))]
    Method(String),
    #[error("--auth-token: ttl is {0:?}: give a span of time, as 10m")]
    Lifetime(String),
    #[error("--bcrypt-cost is {0}: give 4 to 31")]
    Cost(u32),
    #[error("--auth-token-ttl is 0: at least 1 s is needed")]
    NoLifetime,
}

impl AuthFlags {
    /// Checks the flags. `certificate_users`: whether names in certificates are those of users.
    pub(super) fn options(self, certificate_users: bool) -> Result<AuthOptions, AuthFlagError> {
        let Self { auth_token, auth_token_ttl, bcrypt_cost } = self;
        if !(4..=31).contains(&bcrypt_cost) {
            return Err(AuthFlagError::Cost(bcrypt_cost));
        }
        if auth_token_ttl == 0 {
            return Err(AuthFlagError::NoLifetime);
        }
        let mut parts = auth_token.split(',');
        let tokens = match parts.next() {
            Some("simple") => TokenOptions::Signed(Duration::from_secs(auth_token_ttl)),
            Some("jwt") => TokenOptions::Jwt(jwt(parts)?),
            Some(_) | None => return Err(AuthFlagError::Kind(auth_token)),
        };
        Ok(AuthOptions { tokens, bcrypt_cost, certificate_users })
    }
}

fn jwt<'f>(options: impl Iterator<Item = &'f str>) -> Result<JwtOptions, AuthFlagError> {
    let (mut method, mut public_key, mut private_key, mut lifetime) = (None, None, None, None);
    for option in options {
        let wrong = || AuthFlagError::Option(option.to_owned());
        let (name, value) = option.split_once('=').ok_or_else(wrong)?;
        let is_new = match name {
            "sign-method" => method.replace(value).is_none(),
            "pub-key" => public_key.replace(PathBuf::from(value)).is_none(),
            "priv-key" => private_key.replace(PathBuf::from(value)).is_none(),
            "ttl" => {
                let span = value.parse::<Span>().map_err(|_| AuthFlagError::Lifetime(value.to_owned()))?;
                lifetime.replace(span.get()).is_none()
            }
            _ => false,
        };
        if !is_new {
            return Err(wrong());
        }
    }
    let method = method.unwrap_or_default();
    let method = JwtMethod::named(method).ok_or_else(|| AuthFlagError::Method(method.to_owned()))?;
    Ok(JwtOptions { method, public_key, private_key, lifetime: lifetime.unwrap_or(JWT_LIFETIME) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(auth_token: &str) -> Result<TokenOptions, AuthFlagError> {
        let flags = AuthFlags { auth_token: auth_token.to_owned(), auth_token_ttl: 60, bcrypt_cost: 10 };
        flags.options(false).map(|options| options.tokens)
    }

    #[test]
    fn tokens_are_asked_for_in_etcds_words() {
        assert_eq!(options("simple"), Ok(TokenOptions::Signed(Duration::from_secs(60))));
        let expected = JwtOptions {
            method: JwtMethod::ES256,
            public_key: Some("a.pub".into()),
            private_key: Some("a.key".into()),
            lifetime: Duration::from_secs(600),
        };
        let given = "jwt,pub-key=a.pub,priv-key=a.key,sign-method=ES256,ttl=10m";
        assert_eq!(options(given), Ok(TokenOptions::Jwt(expected)));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_cure() {
        let wrong = |given: &str| options(given).unwrap_err().to_string();
        assert!(wrong("").contains("neither simple nor jwt"));
        assert!(wrong("jwt").contains("give one of HS256, "));
        assert!(wrong("jwt,sign-method=none").contains("\"none\""));
        assert!(wrong("jwt,sign-method=RS256,ttl=soon").contains("\"soon\""));
        assert!(wrong("jwt,sign-method=RS256,sign-method=RS512").contains("each once"));
        assert!(wrong("jwt,color=red").contains("\"color=red\""));
        let cost = AuthFlags { auth_token: "simple".to_owned(), auth_token_ttl: 60, bcrypt_cost: 3 };
        assert_eq!(cost.options(false), Err(AuthFlagError::Cost(3)));
    }
}
