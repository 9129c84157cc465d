//! The token that leads from one page of a list to the next.
//!
//! It is upstream's: base64url of `{"v":"meta.k8s.io/v1","rv":41383,"start":"/template-0039\u0000"}`. A revision of
//! -1 means the newest: the rest of a list whose own revision is gone.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use keelson_api_registry::status::ApiError;
use keelson_store_core::id::Revision;
use serde::{Deserialize, Serialize};

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// The revision of the list; `None` for the newest.
    pub(super) revision: Option<Revision>,
    /// The first key that may be on the page, below the folder of the list.
    pub(super) start: String,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

impl Token {
    /// Writes it.
    pub(super) fn encode(&self) -> String {
        let rv = self.revision.map_or(-1, |revision| {
            i64::try_from(revision.get()).expect("2^63 revisions take thousands of years")
        });
        let wire = Wire { v: VERSION.to_owned(), rv, start: format!("/{}", self.start) };
        let json = serde_json::to_vec(&wire).expect("a struct of texts and numbers is JSON");
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads the parameter; there is none on the first page.
    ///
    /// # Errors
    /// As [`Self::decode`].
    pub(super) fn of(parameter: &str) -> Result<Option<Self>, ApiError> {
        if parameter.is_empty() { Ok(None) } else { Self::decode(parameter).map(Some) }
    }

    /// Reads it.
    ///
    /// # Errors
    /// 400 with upstream's words.
    pub(super) fn decode(text: &str) -> Result<Self, ApiError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| invalid(&format!(": {error}")))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| invalid(&format!(": {error}")))?;
        if wire.v != VERSION {
            let why = format!(": server does not recognize this encoded version {:?}", wire.v);
            return Err(invalid(&why));
        }
        let revision = match u64::try_from(wire.rv) {
            Ok(0) => {
                return Err(invalid(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
            }
            Ok(revision) => Some(Revision::new(revision)),
            Err(_) => None,
        };
        if wire.start.is_empty() {
            return Err(invalid(": encoded start key empty (version meta.k8s.io/v1)"));
        }
        let start = wire.start.strip_prefix('/').unwrap_or(&wire.start);
        // It must not lead out of the list's folder. Names have no slash at either end and no dots alone.
        if start.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(invalid(&format!(": {}", wire.start)));
        }
        Ok(Self { revision, start: start.to_owned() })
    }
}

fn invalid(why: &str) -> ApiError {
    ApiError::bad_request(format!("invalid continue token: continue key is not valid{why}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a client sends: refused as its fault, or a place within the list's folder that can be written again.
        #[test]
        fn any_text_is_refused_or_leads_into_the_folder(
            v in "(meta.k8s.io/v1|[a-z./]{0,8})", rv in any::<i64>(), start in "[a-z./\\PC\u{0}]{0,12}", noise in ".{0,24}",
        ) {
            let json = serde_json::to_vec(&Wire { v, rv, start }).unwrap();
            for text in [noise.clone(), URL_SAFE_NO_PAD.encode(&noise), URL_SAFE_NO_PAD.encode(json)] {
                match Token::decode(&text) {
                    Ok(token) => {
                        prop_assert!(!token.start.starts_with('/') && !token.start.split('/').any(|part| part == ".."));
                        prop_assert_eq!(Token::decode(&token.encode()).unwrap(), token);
                    }
                    Err(error) => prop_assert_eq!(error.code.as_u16(), 400),
                }
            }
        }
    }

    #[test]
    fn the_token_is_upstreams() {
        let token = Token { revision: Some(Revision::new(41383)), start: "template-0039\0".to_owned() };
        let text = token.encode();
        let json = URL_SAFE_NO_PAD.decode(&text).unwrap();
        let expected = r#"{"v":"meta.k8s.io/v1","rv":41383,"start":"/template-0039\u0000"}"#;
        assert_eq!(std::str::from_utf8(&json).unwrap(), expected);
        assert_eq!(Token::decode(&text).unwrap(), token);
        let inconsistent = Token { revision: None, start: "a/b\0".to_owned() };
        assert_eq!(Token::decode(&inconsistent.encode()).unwrap(), inconsistent);
    }

    #[test]
    fn what_is_no_token_is_refused_in_upstreams_words() {
        let encode = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let cases = [
            ("!".to_owned(), "continue key is not valid: "),
            (encode("x"), "continue key is not valid: "),
            (
                encode(r#"{"v":"v2"}"#),
                "continue key is not valid: server does not recognize this encoded version \"v2\"",
            ),
            (
                encode(r#"{"v":"meta.k8s.io/v1"}"#),
                "continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                encode(r#"{"v":"meta.k8s.io/v1","rv":1}"#),
                "continue key is not valid: encoded start key empty (version meta.k8s.io/v1)",
            ),
            (
                encode(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"/../secrets"}"#),
                "continue key is not valid: /../secrets",
            ),
        ];
        for (text, expected) in cases {
            let error = Token::decode(&text).unwrap_err();
            assert_eq!(error.code, 400);
            assert!(
                error.message.starts_with(&format!("invalid continue token: {expected}")),
                "{}",
                error.message
            );
        }
    }
}
