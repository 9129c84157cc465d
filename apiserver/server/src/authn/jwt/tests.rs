//! Tokens as they are made, and every way in which one is refused.

use proptest::prelude::*;
use rcgen::KeyPair as RcgenKey;
use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2026-06-01 00:00:00 UTC);
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

fn keys() -> TokenKeys {
    TokenKeys::from_pem(&RcgenKey::generate().unwrap().serialize_pem(), "").unwrap()
}

fn claims() -> Claims {
    let now = NOW.unix_timestamp();
    Claims {
        aud: Audiences(vec!["api".into(), "vault".into()]),
        exp: now + 3600,
        iat: now,
        iss: ISSUER.into(),
        jti: "1".into(),
        kubernetes: Holder {
            namespace: "shop".into(),
            pod: Some(Reference { name: "till-0".into(), uid: "p".into() }),
            serviceaccount: Reference { name: "till".into(), uid: "u".into() },
            ..Holder::default()
        },
        nbf: now,
        sub: "system:serviceaccount:shop:till".into(),
    }
}

fn check(claims: &Claims, audience: &str, now: OffsetDateTime) -> Result<Vec<String>, InvalidToken> {
    claims.check(ISSUER, &[audience.to_owned()], now)
}

#[test]
fn what_is_signed_is_read_back() {
    let keys = keys();
    assert_eq!(keys.verify(&keys.sign(&claims())), Ok(claims()));
}

#[test]
fn claims_are_written_as_upstream_writes_them() {
    let keys = keys();
    let token = keys.sign(&claims());
    let part = token.split('.').nth(1).unwrap();
    let written: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let now = NOW.unix_timestamp();
    let expected = json!({
        "aud": ["api", "vault"], "exp": now + 3600, "iat": now, "iss": ISSUER, "jti": "1", "nbf": now,
        "kubernetes.io": {
            "namespace": "shop",
            "pod": {"name": "till-0", "uid": "p"},
            "serviceaccount": {"name": "till", "uid": "u"},
        },
        "sub": "system:serviceaccount:shop:till",
    });
    assert_eq!(written, expected);
}

#[test]
fn tokens_of_other_keys_are_refused_and_those_of_earlier_ones_are_not() {
    let earlier = RcgenKey::generate().unwrap();
    let old = TokenKeys::from_pem(&earlier.serialize_pem(), "").unwrap();
    let token = old.sign(&claims());
    assert_eq!(keys().verify(&token), Err(InvalidToken::Signature));
    let current = RcgenKey::generate().unwrap().serialize_pem();
    let both = TokenKeys::from_pem(&current, &earlier.public_key_pem()).unwrap();
    assert_eq!(both.verify(&token), Ok(claims()));
    assert_eq!(both.key_set()["keys"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_algorithm_that_a_token_names_is_not_asked() {
    let keys = keys();
    let token = keys.sign(&claims());
    let [_, body, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = part(&json!({"alg": "none"}));
    assert_eq!(keys.verify(&format!("{none}.{body}.")), Err(InvalidToken::Signature));
    assert_eq!(keys.verify(&format!("{none}.{body}.{signature}")), Err(InvalidToken::Signature));
}

#[test]
fn issuer_audience_and_time_must_be_right() {
    let hour = time::Duration::hours(1);
    assert_eq!(check(&claims(), "vault", NOW), Ok(vec!["vault".to_owned()]));
    assert!(matches!(check(&claims(), "other", NOW), Err(InvalidToken::Audience { .. })));
    assert_eq!(check(&claims(), "api", NOW + hour * 2), Err(InvalidToken::Expired));
    assert_eq!(check(&claims(), "api", NOW - hour), Err(InvalidToken::NotYet));
    let foreign = Claims { iss: "https://elsewhere".into(), ..claims() };
    assert_eq!(check(&foreign, "api", NOW), Err(InvalidToken::Malformed));
}

#[test]
fn one_audience_may_be_a_text() {
    let audiences: Audiences = serde_json::from_value(json!("api")).unwrap();
    assert_eq!(audiences, Audiences(vec!["api".into()]));
}

#[test]
fn keys_of_other_kinds_are_refused_at_the_start() {
    let p384 = RcgenKey::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert!(TokenKeys::from_pem(&p384.serialize_pem(), "").is_err());
    assert!(TokenKeys::from_pem("", "").is_err());
    let own = RcgenKey::generate().unwrap().serialize_pem();
    assert!(TokenKeys::from_pem(&own, &p384.public_key_pem()).is_err());
}

proptest! {
    #[test]
    fn no_text_makes_verification_panic_or_succeed(text in "[A-Za-z0-9_.-]{0,200}") {
        prop_assert!(keys().verify(&text).is_err());
    }
}
