//! `keelson pki`: the cluster's certificates in a folder.
//!
//! In: the folder and the members. Out: one line per file made or renewed.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use keelson_pki::Report;
use keelson_pki::identity::{Member, store_identities};
use keelson_pki::plan::Step;
use time::OffsetDateTime;

/// The subcommands of `keelson pki`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make what is missing, renew what is about to expire, leave the rest alone.
    ///
    /// Makes in DIR: peer-ca and client-ca (each .crt and .key), for each member members/NAME/peer and
    /// members/NAME/server, and the client certificate clients/root. Run it again at any time: valid files are
    /// kept, and private keys are never overwritten. Keep the two .key files of the authorities off the members
    /// where you can: they are needed only to sign.
    Init(InitArgs),
}

/// The flags of `keelson pki init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder of the certificates; made if absent, readable by its owner alone.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// A member and the addresses and names under which it is reached, for instance a=10.0.0.1,a.example.com.
    /// Repeat it for each member.
    #[arg(long = "member", value_name = "NAME=HOST[,HOST...]", required = true)]
    members: Vec<Member>,
}

impl Command {
    pub(crate) fn run(self) -> Result<ExitCode, Box<dyn Error>> {
        match self {
            Self::Init(args) => init(&args),
        }
    }
}

fn init(args: &InitArgs) -> Result<ExitCode, Box<dyn Error>> {
    for (index, member) in args.members.iter().enumerate() {
        if args.members[..index].iter().any(|earlier| earlier.name == member.name) {
            return Err(format!("--member {} is given twice: list its hosts in one flag", member.name).into());
        }
    }
    let report = keelson_pki::ensure(&args.dir, &store_identities(&args.members), OffsetDateTime::now_utc())?;
    print!("{}", render(&report));
    Ok(ExitCode::SUCCESS)
}

fn render(report: &Report) -> String {
    let mut text = String::new();
    for step in &report.done {
        text += &match step {
            Step::Protect(path) => format!("protected {}: others could read it\n", path.display()),
            Step::MakeAuthority(authority, _key) => format!("made {}.crt, an authority\n", authority.stem()),
            Step::Issue(identity, _key, reason) => format!("made {}.crt: {reason}\n", identity.stem),
        };
    }
    for (path, end) in &report.expiring {
        text += &format!("warning: {} expires on {}; replace it in good time\n", path.display(), end.date());
    }
    if text.is_empty() { "all certificates are in place and valid\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_lists_what_it_made_and_the_second_has_nothing_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let identities = store_identities(&["a=127.0.0.1".parse().unwrap()]);
        let now = OffsetDateTime::now_utc();
        let first = render(&keelson_pki::ensure(dir.path(), &identities, now).unwrap());
        assert!(first.contains("made peer-ca.crt, an authority\n"), "{first}");
        assert!(first.contains("made members/a/server.crt: there was none\n"), "{first}");
        let second = render(&keelson_pki::ensure(dir.path(), &identities, now).unwrap());
        assert_eq!(second, "all certificates are in place and valid\n");
    }

    #[test]
    fn a_member_given_twice_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let members = vec!["a=127.0.0.1".parse().unwrap(), "a=127.0.0.2".parse().unwrap()];
        let error = init(&InitArgs { dir: dir.path().join("pki"), members }).unwrap_err();
        assert!(error.to_string().contains("--member a is given twice"), "{error}");
        assert!(!dir.path().join("pki").exists());
    }
}
