//! The bytes of a command, as they travel through log and network: a layout byte, then bincode.
//!
//! | layout | |
//! |---|---|
//! | 1 | a command of anyone, other than one that changes users and roles |
//! | 2 | the caller, then the command |
//!
//! The layout is a contract with every log on disk: enum variants and fields are never reordered or removed,
//! and whatever is added is a new layout.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Caller, Command, Op, shared};
use crate::engine::EngineError;

const BARE: u8 = 1;
const WITH_CALLER: u8 = 2;

/// The largest command that is decoded, against lengths that were damaged.
const MAX_BYTES: usize = 64 << 20;

impl Command {
    /// The command's bytes, as anyone's.
    pub fn encode(&self) -> Bytes {
        self.encode_for(&Caller::Anyone)
    }

    /// The command's bytes, as a caller's.
    pub fn encode_for(&self, caller: &Caller) -> Bytes {
        let is_bare = *caller == Caller::Anyone && !matches!(self, Self::Auth(_));
        let mut bytes = Vec::with_capacity(self.room());
        bytes.push(if is_bare { BARE } else { WITH_CALLER });
        if !is_bare {
            put(caller, &mut bytes);
        }
        put(self, &mut bytes);
        bytes.into()
    }

    /// About how many bytes it will have, rather too many than too few where that is known.
    fn room(&self) -> usize {
        const ANY: usize = 16;
        let Self::Txn(txn) = self else { return ANY };
        let room = |op: &Op| match op {
            Op::Put(put) => ANY + put.key.len() + put.value.len(),
            Op::Range(_) | Op::DeleteRange(_) | Op::Txn(_) => ANY,
        };
        ANY * (1 + txn.compare.len()) + txn.success.iter().chain(&txn.failure).map(room).sum::<usize>()
    }

    /// The command that [`Self::encode`] or [`Self::encode_for`] made these bytes of, and whose it is. Its keys and values
    /// are parts of them.
    ///
    /// The error is one of the log that they came from: no replica may go on past it.
    pub fn decode(bytes: &Bytes) -> Result<(Caller, Self), EngineError> {
        shared::reading(bytes, || Self::read(bytes))
    }

    fn read(bytes: &[u8]) -> Result<(Caller, Self), EngineError> {
        let mut body = match bytes.split_first() {
            Some((&(BARE | WITH_CALLER), body)) => body,
            Some((&found, _)) if found > WITH_CALLER => {
                let what = "a command".to_owned();
                return Err(EngineError::TooNew { what, found: found.into(), known: WITH_CALLER.into() });
            }
            Some((&found, _)) => return Err(corrupt(format!("layout {found}"))),
            None => return Err(corrupt("empty")),
        };
        let caller = if bytes[0] == WITH_CALLER { take(&mut body)? } else { Caller::Anyone };
        let command = take(&mut body)?;
        if body.is_empty() { Ok((caller, command)) } else { Err(corrupt("too long")) }
    }
}

fn put<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    bincode::serde::encode_into_std_write(value, bytes, config())
        .expect("writing plain data into memory cannot fail");
}

/// Takes a value off the front.
fn take<'b, T: Deserialize<'b>>(bytes: &mut &'b [u8]) -> Result<T, EngineError> {
    let (value, used) = bincode::serde::borrow_decode_from_slice(bytes, config())
        .map_err(|error| corrupt(error.to_string()))?;
    *bytes = &bytes[used..];
    Ok(value)
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_BYTES>()
}

fn corrupt(detail: impl Into<String>) -> EngineError {
    EngineError::Corrupt { what: "a command".to_owned(), detail: detail.into() }
}
