//! Probes: is this member well, may it live on, may it be asked?
//!
//! [`Check`] is the table: which checks there are, and which probe asks them.

use http::StatusCode;

use super::{Answer, JSON, TEXT, calls::Calls, parameters};
use crate::{grpc::Front, meters::count, store::Consistency};

/// One thing that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// This member can read what it has applied.
    SerializableRead,
    /// This member can learn what a quorum has committed.
    LinearizableRead,
    /// Nothing that was read here was damaged. What is damaged stops a replica at once, so whoever answers is
    /// well.
    DataCorruption,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// Whoever would restart it.
    Live,
    /// Whoever would send it requests.
    Ready,
}

/// A probe's path, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    purpose: Purpose,
    /// One check alone, where the path names it.
    only: Option<Check>,
}

impl Check {
    const ALL: [Self; 3] = [Self::DataCorruption, Self::SerializableRead, Self::LinearizableRead];

    /// As etcd names it.
    const fn name(self) -> &'static str {
        match self {
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::DataCorruption => "data_corruption",
        }
    }

    /// Whether a probe asks it. A member that cannot reach the others needs no restart.
    const fn belongs_to(self, purpose: Purpose) -> bool {
        match (self, purpose) {
            (Self::SerializableRead, _) | (_, Purpose::Ready) => true,
            (Self::LinearizableRead | Self::DataCorruption, Purpose::Live) => false,
        }
    }

    /// `Err` says what is wrong.
    async fn run(self, front: &Front) -> Result<(), String> {
        let consistency = match self {
            Self::SerializableRead => Consistency::Local,
            Self::LinearizableRead => Consistency::Linearizable,
            Self::DataCorruption => return Ok(()),
        };
        front.store.view(consistency).await.map(drop).map_err(|error| error.to_string())
    }
}

impl Probe {
    /// The probe with a path, if there is one.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let purpose = match parts.next()? {
            "livez" => Purpose::Live,
            "readyz" => Purpose::Ready,
            _ => return None,
        };
        let only = match parts.next() {
            None | Some("") => None,
            Some(name) => {
                let check = Check::ALL.into_iter().find(|check| check.name() == name)?;
                Some(check).filter(|check| check.belongs_to(purpose)).map(Some)?
            }
        };
        parts.next().is_none().then_some(Self { purpose, only })
    }

    /// Runs the checks. etcd's texts: `ok`, or with `verbose` or when something is wrong, a line for each
    /// check.
    pub(super) async fn answer(self, front: &Front, query: &str) -> Answer {
        let verbose = parameters(query, "verbose").next().is_some();
        let mut lines = String::new();
        let mut well = true;
        for check in self.checks(query) {
            match check.run(front).await {
                Ok(()) => lines += &format!("[+]{} ok\n", check.name()),
                Err(why) => {
                    well = false;
                    lines += &format!("[-]{} failed: {why}\n", check.name());
                }
            }
        }
        match (well, verbose) {
            (true, false) => Answer(StatusCode::OK, TEXT, "ok\n".to_owned()),
            (true, true) => Answer(StatusCode::OK, TEXT, lines + "ok\n"),
            (false, _) => Answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, lines),
        }
    }

    fn checks(self, query: &str) -> Vec<Check> {
        let named = |list: &str, check: Check| parameters(query, list).any(|name| name == check.name());
        let only_listed = parameters(query, "allowlist").next().is_some();
        let wanted = |check: &Check| match self.only {
            Some(only) => *check == only,
            None => {
                check.belongs_to(self.purpose)
                    && !named("exclude", *check)
                    && (!only_listed || named("allowlist", *check))
            }
        };
        Check::ALL.into_iter().filter(wanted).collect()
    }
}

/// `/health`: one answer in JSON.
pub(super) async fn health(front: &Front, calls: &Calls, query: &str) -> Answer {
    let serializable = parameters(query, "serializable").next() == Some("true");
    let excused = parameters(query, "exclude").any(|alarm| alarm == "NOSPACE");
    let reason = if front.is_full() && !excused {
        Some("ALARM NOSPACE".to_owned())
    } else if !serializable && front.store.status().leader.is_none() {
        Some("RAFT NO LEADER".to_owned())
    } else {
        let check = if serializable { Check::SerializableRead } else { Check::LinearizableRead };
        check.run(front).await.err()
    };
    count(if reason.is_none() { &calls.health_successes } else { &calls.health_failures });
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = serde_json::json!({
        "health": reason.is_none().to_string(),
        "reason": reason.unwrap_or_default(),
    });
    Answer(status, JSON, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_probes_and_single_checks() {
        let probe = |path| Probe::of(path).map(|probe| (probe.purpose, probe.only));
        assert_eq!(probe("/livez"), Some((Purpose::Live, None)));
        assert_eq!(probe("/readyz/"), Some((Purpose::Ready, None)));
        let only = Some(Check::LinearizableRead);
        assert_eq!(probe("/readyz/linearizable_read"), Some((Purpose::Ready, only)));
        for unknown in
            ["/", "/healthz", "/livez/linearizable_read", "/readyz/x", "/livez/serializable_read/x"]
        {
            assert_eq!(probe(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_query_leaves_checks_out_or_alone() {
        let ready = Probe { purpose: Purpose::Ready, only: None };
        assert_eq!(ready.checks(""), Check::ALL);
        assert_eq!(
            ready.checks("exclude=linearizable_read&verbose"),
            [Check::DataCorruption, Check::SerializableRead]
        );
        assert_eq!(ready.checks("allowlist=linearizable_read"), [Check::LinearizableRead]);
        assert_eq!(Probe { purpose: Purpose::Live, only: None }.checks(""), [Check::SerializableRead]);
    }
}
