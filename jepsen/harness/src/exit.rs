//! What the process says to whoever called it.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// How a run, a check or a matrix ended. The worst of several counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Exit {
    /// Everything that was checked holds.
    Kept,
    /// Nothing could be checked, or no fault could be injected.
    NothingChecked,
    /// The harness failed, or was called wrongly: nothing is known.
    HarnessFailed,
    /// A promise was broken.
    Broken,
}

impl Exit {
    const fn code(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::Broken => 1,
            Self::HarnessFailed => 2,
            Self::NothingChecked => 3,
        }
    }

    /// What another process of this program has said; one that was killed has failed.
    pub(crate) fn from_code(code: Option<i32>) -> Self {
        let all = [Self::Kept, Self::Broken, Self::NothingChecked];
        all.into_iter().find(|exit| code == Some(i32::from(exit.code()))).unwrap_or(Self::HarnessFailed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
