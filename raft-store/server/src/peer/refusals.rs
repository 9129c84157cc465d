//! Tells the log whom this replica refuses, and why.
//!
//! In: connections that peers' rules, or TLS, have refused. Out: a line at warn for each address and reason, once a
//! minute: whoever is refused comes again many times a second. Who is only not known yet, as whoever joins is at first, is
//! spoken of when it goes on.
//!
//! Deliberately absent: connections that broke, or that nobody said anything on. Those are nobody's fault, or a probe's.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::handshake;
use crate::runtime::clock::Instant;

/// Between two lines with one address and one reason.
const PAUSE: Duration = Duration::from_secs(60);
/// So many addresses and reasons are told apart. Who makes up more is not spoken of before the next minute.
const MOST: usize = 256;

/// How often a replica that is not known must be refused before it is spoken of: more often than it happens to one that
/// joins, and no more often than to one that was removed.
const GOES_ON: u32 = 3;

/// What was refused, since when, and how often.
#[derive(Default)]
pub(crate) struct Refusals {
    seen: Mutex<BTreeMap<(String, String), (Instant, u32)>>,
}

impl Refusals {
    /// Speaks of a connection that has ended with an error, if it was a refusal.
    pub(super) fn note(&self, from: &str, error: &io::Error) {
        if !is_refusal(error) {
            return;
        }
        let reason = error.to_string();
        if self.may_speak(Instant::now(), host(from), &reason) {
            tracing::warn!(from, reason, "a peer was refused");
        }
    }

    /// Speaks of a dial that has failed, if it was this replica that refused whoever answered, or the other way round.
    pub(super) fn note_dialled(&self, url: &str, error: &io::Error) {
        let is_refused_there = error.kind() == io::ErrorKind::ConnectionAborted;
        if !is_refused_there && !is_refusal(error) {
            return;
        }
        let reason = error.to_string();
        if !self.may_speak(Instant::now(), url, &reason) {
            return;
        }
        if is_refused_there {
            tracing::warn!(url, reason, "a peer refuses this member");
        } else {
            tracing::warn!(url, reason, "a peer was refused");
        }
    }

    fn may_speak(&self, now: Instant, host: &str, reason: &str) -> bool {
        // A map is whole after every call on it, whoever panicked meanwhile.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (first, _)| now.saturating_duration_since(*first) < PAUSE);
        let key = (host.to_owned(), reason.to_owned());
        if seen.len() >= MOST && !seen.contains_key(&key) {
            return false;
        }
        let (_, times) = seen.entry(key).or_insert((now, 0));
        *times = times.saturating_add(1);
        *times == if is_of_a_newcomer(reason) { GOES_ON } else { 1 }
    }
}

/// Whether a reason is one for which somebody is refused who is about to become a member.
fn is_of_a_newcomer(reason: &str) -> bool {
    reason.ends_with(handshake::NO_MEMBER) || reason.contains(handshake::NOT_HERE)
}

/// What broke a rule is invalid, here as in rustls.
fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

/// An address without its port, which is another one each time.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_and_reason_is_spoken_of_once_a_minute() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let says = |seconds, from, reason| {
            refusals.may_speak(now + Duration::from_secs(seconds), host(from), reason)
        };
        assert!(says(0, "10.0.0.1:1", "wiped"));
        assert!(!says(59, "10.0.0.1:2", "wiped"), "another port is the same peer");
        assert!(says(59, "10.0.0.1:2", "foreign") && says(59, "10.0.0.2:2", "wiped"));
        assert!(says(60, "10.0.0.1:3", "wiped"));
    }

    #[test]
    fn who_makes_up_reasons_takes_no_memory_without_end() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let said = (0..1000).filter(|number| refusals.may_speak(now, "a", &number.to_string())).count();
        assert_eq!((said, refusals.seen.lock().unwrap().len()), (MOST, MOST));
    }

    #[test]
    fn who_is_not_known_yet_is_spoken_of_when_it_goes_on() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let reason = format!("\"d\" with id 7 {}", handshake::NO_MEMBER);
        let said = [0, 1, 2, 3].map(|_| refusals.may_speak(now, "a", &reason));
        assert_eq!(said, [false, false, true, false]);
    }

    #[test]
    fn a_connection_that_broke_is_no_refusal() {
        assert!(is_refusal(&super::super::connection::invalid("another cluster")));
        for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::TimedOut] {
            assert!(!is_refusal(&io::Error::from(kind)), "{kind}");
        }
    }
}
