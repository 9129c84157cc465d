//! Which known bug this member shall have: for the tests that prove that they find it.
//!
//! In: the environment variable [`VARIABLE`]. Out: the mutant, switched on, and a warning that cannot be
//! missed. Deliberately absent: a flag. Nobody should meet this in the help.

use std::env::{self, VarError};

use keelson_store_core::mutant::{self, Mutant, UnknownMutant};

/// Names the mutant.
const VARIABLE: &str = "KEELSON_MUTANT";

/// Why a member does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum MutantError {
    #[error("{VARIABLE}: {0}")]
    Unknown(#[from] UnknownMutant),
    #[error("{VARIABLE} is not text: unset it, or name a mutant")]
    NotText,
    #[error(
        "{VARIABLE} asks for a store with a known bug, and this program was built without them: unset it, or, for a \
         test, build with `--features mutants`"
    )]
    NotBuiltIn,
}

/// Switches on what the environment asks for, if anything.
pub(super) fn choose() -> Result<(), MutantError> {
    let Some(chosen) = chosen(env::var(VARIABLE), mutant::AVAILABLE)? else { return Ok(()) };
    mutant::choose(Some(chosen));
    tracing::warn!(mutant = chosen.name(), "THIS STORE IS BROKEN ON PURPOSE: {}", chosen.words());
    Ok(())
}

fn chosen(variable: Result<String, VarError>, available: bool) -> Result<Option<Mutant>, MutantError> {
    match variable {
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(MutantError::NotText),
        Ok(_) if !available => Err(MutantError::NotBuiltIn),
        Ok(name) => Ok(Some(name.parse()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_switched_on_unless_asked_for() {
        for available in [true, false] {
            assert_eq!(chosen(Err(VarError::NotPresent), available), Ok(None));
        }
    }

    #[test]
    fn a_name_is_taken_where_there_are_mutants_and_refused_where_there_are_none() {
        let asked = || Ok("skip-fsync".to_owned());
        assert_eq!(chosen(asked(), true), Ok(Some(Mutant::SkipFsync)));
        assert_eq!(chosen(asked(), false), Err(MutantError::NotBuiltIn));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_variable_and_the_names_there_are() {
        let text = chosen(Ok("skip-sync".to_owned()), true).unwrap_err().to_string();
        assert!(text.starts_with("KEELSON_MUTANT: ") && text.contains("skip-fsync"), "{text}");
        assert!(chosen(Ok(String::new()), true).is_err());
    }
}
