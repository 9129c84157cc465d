//! Health: `/livez`, `/readyz`, `/healthz`.
//!
//! In: a probe, and which checks it leaves out. Out: `ok`, or which checks failed, in upstream's form. Why one
//! failed stands in the log: whoever asks may be anybody.
//!
//! Alive is who answers. Whether there is a quorum is a matter of readiness: restarting a server does not bring
//! one back.

use std::{collections::BTreeSet, fmt::Write, sync::Arc, time::Duration};

use http::StatusCode;
use keelson_api_registry::{request::RequestInfo, status::ApiError};
use tokio::time::timeout;

use crate::{
    answer::{self, Response},
    authz::policy::RoleName,
    server::{Phase, Server},
};

/// How long the store may take to confirm a read.
const STORE_PATIENCE: Duration = Duration::from_secs(2);

/// Which of the three questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `/healthz`: the older question, answered from the same checks as `/readyz` but those of starting and
    /// stopping.
    Health,
    /// `/livez`: would a restart help?
    Live,
    /// `/readyz`: may requests be sent here?
    Ready,
}

/// One thing that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Whoever answers is there.
    Ping,
    /// A quorum confirms reads. Under the name that tools of upstream know.
    Store,
    /// Lists and watches can be answered.
    Caches,
    /// The roles of a fresh cluster are there.
    Roles,
    /// The server is not about to stop.
    Shutdown,
}

impl Probe {
    /// The probe at a path, and the one check that the path names, if any.
    pub fn at(path: &str) -> Option<(Self, Option<&str>)> {
        let (first, check) = match path.strip_prefix('/')?.split_once('/') {
            Some((first, check)) => (first, Some(check).filter(|check| !check.is_empty())),
            None => (&path[1..], None),
        };
        let probe = match first {
            "healthz" => Self::Health,
            "livez" => Self::Live,
            "readyz" => Self::Ready,
            _ => return None,
        };
        Some((probe, check))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Health => "healthz",
            Self::Live => "livez",
            Self::Ready => "readyz",
        }
    }

    const fn checks(self) -> &'static [Check] {
        match self {
            Self::Health => &[Check::Ping, Check::Store],
            Self::Live => &[Check::Ping],
            Self::Ready => &[Check::Ping, Check::Store, Check::Caches, Check::Roles, Check::Shutdown],
        }
    }
}

impl Check {
    const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Store => "etcd",
            Self::Caches => "informer-sync",
            Self::Roles => "poststarthook/rbac/bootstrap-roles",
            Self::Shutdown => "shutdown",
        }
    }

    async fn run(self, server: &Server) -> Result<(), String> {
        match self {
            Self::Ping => Ok(()),
            Self::Store => match timeout(STORE_PATIENCE, server.objects.view()).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(error.message),
                Err(_) => Err("no quorum confirmed a read in time".to_owned()),
            },
            Self::Caches => match server.objects.warming().as_slice() {
                [] => Ok(()),
                warming => Err(format!("still being read: {}", warming.join(", "))),
            },
            Self::Roles => {
                let admin = RoleName { namespace: String::new(), name: "cluster-admin".to_owned() };
                let found = server.authorizer.policy().role(&admin).is_some();
                if found { Ok(()) } else { Err("the role cluster-admin is not known here yet".to_owned()) }
            }
            Self::Shutdown => {
                if server.phase() > Phase::Serving {
                    Err("the server is stopping".to_owned())
                } else {
                    Ok(())
                }
            }
        }
    }
}

/// Answers a probe.
///
/// # Errors
/// 404 for a check that is not there.
pub async fn answer(
    server: &Arc<Server>,
    probe: Probe,
    only: Option<&str>,
    info: &RequestInfo,
) -> Result<Response, ApiError> {
    let excluded = info.query.iter().filter(|(key, _)| key == "exclude").map(|(_, name)| name.as_str());
    let mut report = Report { probe, lines: String::new(), failed: false, excluded: excluded.collect() };
    let checks = probe.checks().iter().filter(|check| only.is_none_or(|name| name == check.name()));
    let mut any = false;
    for check in checks {
        any = true;
        report.add(*check, server).await;
    }
    if !any {
        return Err(ApiError::no_such_path());
    }
    let verbose = info.parameter("verbose").is_some();
    Ok(report.response(verbose))
}

/// What was found, line by line.
struct Report<'q> {
    probe: Probe,
    lines: String,
    failed: bool,
    /// Checks to leave out; what is left in here at the end was none.
    excluded: BTreeSet<&'q str>,
}

impl Report<'_> {
    async fn add(&mut self, check: Check, server: &Server) {
        let name = check.name();
        if self.excluded.remove(name) {
            self.line(format_args!("[+]{name} excluded: ok"));
            return;
        }
        match check.run(server).await {
            Ok(()) => self.line(format_args!("[+]{name} ok")),
            Err(why) => {
                tracing::info!(probe = self.probe.name(), check = name, why, "a health check failed");
                self.failed = true;
                self.line(format_args!("[-]{name} failed: reason withheld"));
            }
        }
    }

    fn response(mut self, verbose: bool) -> Response {
        if !self.excluded.is_empty() {
            let names: Vec<_> = self.excluded.iter().map(|name| format!("{name:?}")).collect();
            let names = names.join(", ");
            self.line(format_args!("warn: some health checks cannot be excluded: no matches for {names}"));
        }
        let name = self.probe.name();
        if self.failed {
            self.line(format_args!("{name} check failed"));
            return answer::text(StatusCode::INTERNAL_SERVER_ERROR, self.lines);
        }
        if verbose {
            self.line(format_args!("{name} check passed"));
            return answer::text(StatusCode::OK, self.lines);
        }
        answer::text(StatusCode::OK, "ok")
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.lines, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_found_by_their_paths() {
        assert_eq!(Probe::at("/readyz"), Some((Probe::Ready, None)));
        assert_eq!(Probe::at("/livez/"), Some((Probe::Live, None)));
        assert_eq!(Probe::at("/healthz/etcd"), Some((Probe::Health, Some("etcd"))));
        let hook = "poststarthook/rbac/bootstrap-roles";
        assert_eq!(Probe::at(&format!("/readyz/{hook}")), Some((Probe::Ready, Some(hook))));
        for path in ["/", "/version", "/readyzz", "readyz", "/api/readyz"] {
            assert_eq!(Probe::at(path), None, "{path}");
        }
    }
}
