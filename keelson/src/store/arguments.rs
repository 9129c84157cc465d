//! What etcd's users write on command lines, in environments and configuration files, as this program's
//! command line.
//!
//! In: the arguments of `keelson store`. Out: arguments that the command line parser takes.
//!
//! * Flags may begin with one dash, as Go's do, and with `experimental-`, as etcd's did before they were
//!   kept.
//! * A flag that is not given is taken from `KEELSON_STORE_…`, then from `ETCD_…` (for most flags the parser
//!   does that).
//! * With a configuration file, nothing else counts, as in etcd; what is given beside it is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::Command;

use super::config_file;
use super::foreign;

const CONFIG_FILE: &str = "config-file";
const EXPERIMENTAL: &str = "experimental-";
/// Before the names of this program's own variables.
const OWN: &str = "KEELSON_STORE_";
const ETCDS: &str = "ETCD_";
const ETCDS_EXPERIMENTAL: &str = "ETCD_EXPERIMENTAL_";

/// Arguments for the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shaped {
    /// What follows `keelson store`.
    pub(crate) arguments: Vec<String>,
    /// Whether the environment does not count, because they are from a file.
    pub(crate) from_file: bool,
    /// Flags that were given beside the file.
    pub(crate) ignored: Vec<String>,
}

/// Shapes the arguments that follow `keelson store`. `command` is that command, `variable` the environment.
///
/// # Errors
/// The configuration file cannot be read, or has keys that are no flags.
pub(crate) fn shape(
    command: &Command,
    given: Vec<String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Shaped, String> {
    let subcommands: BTreeSet<_> = command.get_subcommands().map(Command::get_name).collect();
    let is_subcommand = |word: &String| subcommands.contains(word.as_str()) || word == "help";
    if given.first().is_some_and(is_subcommand) {
        return Ok(Shaped { arguments: given, from_file: false, ignored: Vec::new() });
    }
    let known: BTreeSet<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    let mut arguments: Vec<String> = given.into_iter().map(|word| normal(word, &known)).collect();
    let file = value_of(&arguments, CONFIG_FILE)
        .or_else(|| from_environment(CONFIG_FILE, &variable))
        .filter(|path| !path.is_empty());
    if let Some(file) = file {
        let ignored = arguments.iter().filter_map(|word| flag_of(word)).filter(|flag| *flag != CONFIG_FILE);
        let ignored = ignored.map(|flag| format!("--{flag}")).collect();
        let arguments = read(&file, &known).map_err(|why| format!("--{CONFIG_FILE} {file}: {why}"))?;
        return Ok(Shaped { arguments, from_file: true, ignored });
    }
    for flag in known {
        if value_of(&arguments, flag).is_none()
            && let Some(value) = from_environment(flag, &variable)
        {
            arguments.push(format!("--{flag}={value}"));
        }
    }
    Ok(Shaped { arguments, from_file: false, ignored: Vec::new() })
}

/// The value that the environment has for a flag: this store's variable, then etcd's, then the one that etcd had while
/// the flag was an experiment. Of flags of this store the parser itself looks at etcd's.
fn from_environment(flag: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let name = flag.to_uppercase().replace('-', "_");
    let named = |prefix: &str| variable(&format!("{prefix}{name}"));
    if let Some(own) = named(OWN) {
        return Some(own);
    }
    match named(ETCDS) {
        Some(_) if flag != CONFIG_FILE && !foreign::is_foreign(flag) => None,
        Some(etcds) => Some(etcds),
        None => named(ETCDS_EXPERIMENTAL),
    }
}

/// The flag that a word gives.
fn flag_of(word: &str) -> Option<&str> {
    let flag = word.strip_prefix("--")?;
    Some(flag.split_once('=').map_or(flag, |(flag, _)| flag))
}

/// The value that is given for a flag; empty where none follows.
fn value_of(arguments: &[String], flag: &str) -> Option<String> {
    let at = arguments.iter().position(|word| flag_of(word) == Some(flag))?;
    match arguments[at].split_once('=') {
        Some((_, value)) => Some(value.to_owned()),
        None => Some(arguments.get(at + 1).cloned().unwrap_or_default()),
    }
}

/// A word as the parser knows it.
fn normal(word: String, known: &BTreeSet<&str>) -> String {
    let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { return word };
    let (flag, value) = rest.split_at(rest.find('=').unwrap_or(rest.len()));
    let flag = known_name(flag, known);
    // A single letter is a short flag.
    if flag.len() > 1 && known.contains(flag) { format!("--{flag}{value}") } else { word }
}

/// The name under which a flag is known, if it is.
fn known_name<'f>(flag: &'f str, known: &BTreeSet<&str>) -> &'f str {
    flag.strip_prefix(EXPERIMENTAL).filter(|flag| known.contains(flag)).unwrap_or(flag)
}

/// The flags of a file.
fn read(file: &str, known: &BTreeSet<&str>) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(PathBuf::from(file)).map_err(|error| error.to_string())?;
    let flags = config_file::flags(&text).map_err(|error| error.to_string())?;
    let is_unknown = |flag: &str| !known.contains(known_name(flag, known));
    if let Some((unknown, _)) = flags.iter().find(|(flag, _)| is_unknown(flag)) {
        return Err(format!("{unknown:?} is no flag of this store: correct it or leave it out"));
    }
    Ok(flags.into_iter().map(|(flag, value)| format!("--{}={value}", known_name(&flag, known))).collect())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn shaped(given: &[&str], environment: &[(&str, &str)]) -> Result<Shaped, String> {
        let cli = Cli::command();
        let given = given.iter().map(|word| (*word).to_owned()).collect();
        let variable = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        shape(cli.find_subcommand("store").unwrap(), given, variable)
    }

    fn words(given: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
        shaped(given, environment).unwrap().arguments
    }

    #[test]
    fn one_dash_is_enough_for_flags_that_are_known_and_experimental_ones_are_not_told_apart() {
        assert_eq!(words(&["--experimental-max-learners=3"], &[]), ["--max-learners=3"]);
        assert_eq!(
            words(&["--experimental-x=3"], &[("ETCD_EXPERIMENTAL_MAX_LEARNERS", "2")]),
            ["--experimental-x=3", "--max-learners=2"]
        );
        assert_eq!(words(&["-name", "a", "-data-dir=d", "-h"], &[]), ["--name", "a", "--data-dir=d", "-h"]);
        assert_eq!(words(&["status", "-output", "x"], &[]), ["status", "-output", "x"]);
    }

    #[test]
    fn variables_stand_behind_flags_and_own_ones_before_etcds() {
        let environment = [("KEELSON_STORE_NAME", "own"), ("ETCD_PRE_VOTE", "true"), ("ETCD_NAME", "etcds")];
        assert_eq!(words(&[], &environment), ["--name=own", "--pre-vote=true"]);
        assert_eq!(words(&["--name=a", "--pre-vote=false"], &environment), ["--name=a", "--pre-vote=false"]);
        let experimental = ("ETCD_EXPERIMENTAL_SNAPSHOT_CATCHUP_ENTRIES", "7");
        assert_eq!(words(&[], &[experimental]), ["--snapshot-catchup-entries=7"]);
        // The parser takes this one.
        assert_eq!(words(&[], &[experimental, ("ETCD_SNAPSHOT_CATCHUP_ENTRIES", "8")]), [""; 0]);
    }

    #[test]
    fn with_a_file_nothing_else_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etcd.yml");
        fs::write(&path, "name: from-file\npeer-transport-security:\n  auto-tls: false\n").unwrap();
        let path = path.to_str().unwrap();
        let expected = Shaped {
            arguments: vec!["--name=from-file".to_owned(), "--peer-auto-tls=false".to_owned()],
            from_file: true,
            ignored: vec!["--name".to_owned()],
        };
        let environment = [("ETCD_PRE_VOTE", "true"), ("ETCD_CONFIG_FILE", path)];
        assert_eq!(shaped(&["--name", "a"], &environment), Ok(expected.clone()));
        assert_eq!(shaped(&["--name", "a", "--config-file", path], &[]), Ok(expected));
    }

    #[test]
    fn a_file_that_is_wrong_is_named_with_its_fault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etcd.yml");
        fs::write(&path, "nmae: a\n").unwrap();
        let path = path.to_str().unwrap();
        let wrong = shaped(&["--config-file", path], &[]).unwrap_err();
        assert!(wrong.contains(path) && wrong.contains("\"nmae\" is no flag"), "{wrong}");
        assert!(shaped(&["--config-file=/no/such/file"], &[]).unwrap_err().contains("/no/such/file"));
    }
}
