//! The record of [`Family::Meta`] that holds users and roles: a layout byte, then bincode. Fields are never reordered or
//! removed, and whatever is added is a new layout.

use super::{Fields, corrupt};
use crate::{
    auth::Auth,
    engine::{EngineError, Family},
};

const LAYOUT: u8 = 1;

/// Where users and roles lie.
pub const AUTH_KEY: &[u8] = b"auth";

/// The largest record that is decoded, against lengths that were damaged. Twice what is ever written.
const MAX_BYTES: usize = 64 << 20;

/// The value of the record of users and roles.
pub fn encode_auth(auth: &Auth) -> Vec<u8> {
    let mut bytes = vec![LAYOUT];
    bincode::serde::encode_into_std_write(auth, &mut bytes, config())
        .expect("writing plain data into memory cannot fail");
    bytes
}

/// Users and roles in a record's value.
pub fn decode_auth(bytes: &[u8]) -> Result<Auth, EngineError> {
    let mut fields = Fields::new(Family::Meta, bytes);
    fields.layout(LAYOUT)?;
    let damaged = |why: String| corrupt(Family::Meta, format!("users and roles: {why}"));
    let decoded = bincode::serde::decode_from_slice(fields.rest, config());
    let (auth, used) = decoded.map_err(|error| damaged(error.to_string()))?;
    if used == fields.rest.len() { Ok(auth) } else { Err(damaged("too long".to_owned())) }
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_BYTES>()
}
