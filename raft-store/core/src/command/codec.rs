//! The bytes of a command, as they travel through log and network: a layout byte, then bincode.
//!
//! The layout is a contract with every log on disk: enum variants and fields are never reordered or removed,
//! and whatever is added is a new layout.

use bytes::Bytes;

use super::Command;
use crate::engine::EngineError;

const LAYOUT: u8 = 1;

/// The largest command that is decoded, against lengths that were damaged.
const MAX_BYTES: usize = 64 << 20;

impl Command {
    /// The command's bytes.
    pub fn encode(&self) -> Bytes {
        let mut bytes = vec![LAYOUT];
        bincode::serde::encode_into_std_write(self, &mut bytes, config())
            .expect("writing plain data into memory cannot fail");
        bytes.into()
    }

    /// The command that [`Self::encode`] made these bytes of.
    ///
    /// The error is one of the log that they came from: no replica may go on past it.
    pub fn decode(bytes: &[u8]) -> Result<Self, EngineError> {
        let body = match bytes.split_first() {
            Some((&LAYOUT, body)) => body,
            Some((&found, _)) if found > LAYOUT => {
                let what = "a command".to_owned();
                return Err(EngineError::TooNew { what, found: found.into(), known: LAYOUT.into() });
            }
            Some((&found, _)) => return Err(corrupt(format!("layout {found}"))),
            None => return Err(corrupt("empty")),
        };
        let (command, used) =
            bincode::serde::decode_from_slice(body, config()).map_err(|error| corrupt(error.to_string()))?;
        if used != body.len() {
            return Err(corrupt("too long"));
        }
        Ok(command)
    }
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_BYTES>()
}

fn corrupt(detail: impl Into<String>) -> EngineError {
    EngineError::Corrupt { what: "a command".to_owned(), detail: detail.into() }
}
