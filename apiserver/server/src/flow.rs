//! How many requests may be under way at once.
//!
//! In: a request and who makes it. Out: a slot that is held until the answer is made, or 429. Reading and
//! changing have slots of their own, so that a flood of one does not stop the other; nobody gets more than half of them,
//! so that one user does not stop all others. Watches, logs and connections to pods need none: they are meant to stay.
//! `system:masters` need none: somebody must be able to help.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::Method;
use keelson_api_registry::{
    request::{RequestInfo, Target},
    resources::{Subresource, Verb},
    status::ApiError,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{authn::User, authz::MASTERS};

/// The slots.
#[derive(Debug)]
pub struct FlowControl {
    reading: Slots,
    changing: Slots,
}

#[derive(Debug)]
struct Slots {
    free: Semaphore,
    all: usize,
    /// How many each user has, by name.
    held: Mutex<HashMap<String, usize>>,
}

/// Permission to be under way; ends when it is dropped.
#[derive(Debug)]
pub struct Slot<'s> {
    _share: Option<Share<'s>>,
}

/// One of a user's slots.
#[derive(Debug)]
struct Share<'s> {
    slots: &'s Slots,
    user: String,
    _permit: SemaphorePermit<'s>,
}

/// How many requests are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Underway {
    /// Those that only read.
    pub reading: usize,
    /// Those that change something.
    pub changing: usize,
}

impl FlowControl {
    /// That many slots of each kind.
    pub fn new(reading: usize, changing: usize) -> Self {
        Self { reading: Slots::new(reading), changing: Slots::new(changing) }
    }

    /// Takes a slot.
    ///
    /// # Errors
    /// 429 when there is none.
    pub fn enter(&self, info: &RequestInfo, method: &Method, user: &User) -> Result<Slot<'_>, ApiError> {
        if is_long_running(info) || user.is_in(MASTERS) {
            return Ok(Slot { _share: None });
        }
        let slots = if changes_something(method) { &self.changing } else { &self.reading };
        let share = slots.take(&user.name).ok_or_else(ApiError::too_many_requests)?;
        Ok(Slot { _share: Some(share) })
    }

    /// How many requests hold a slot.
    pub fn underway(&self) -> Underway {
        Underway { reading: self.reading.taken(), changing: self.changing.taken() }
    }
}

impl Slots {
    fn new(all: usize) -> Self {
        Self { free: Semaphore::new(all), all, held: Mutex::default() }
    }

    /// A slot for a user; `None` if there is none, or the user has as many as one may have.
    fn take(&self, user: &str) -> Option<Share<'_>> {
        let mut held = self.held();
        let mine = held.get(user).copied().unwrap_or(0);
        let permit = if mine < self.all.div_ceil(2) { self.free.try_acquire().ok()? } else { return None };
        held.insert(user.to_owned(), mine + 1);
        Some(Share { slots: self, user: user.to_owned(), _permit: permit })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn taken(&self) -> usize {
        self.all - self.free.available_permits()
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut held = self.slots.held();
        if let Some(mine) = held.get_mut(&self.user) {
            *mine -= 1;
            if *mine == 0 {
                held.remove(&self.user);
            }
        }
    }
}

/// Whether a request is meant to stay open.
pub fn is_long_running(info: &RequestInfo) -> bool {
    match &info.target {
        Target::Path => false,
        Target::Resource(request) => {
            let below = request.subresource.is_some_and(Subresource::is_long_running);
            below || request.verb == Verb::Watch
        }
    }
}

/// Whether a request may change something.
pub fn changes_something(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter<'f>(
        flow: &'f FlowControl,
        method: &Method,
        uri: &str,
        group: &str,
    ) -> Result<Slot<'f>, ApiError> {
        let info = RequestInfo::parse(method, &uri.parse().unwrap()).unwrap();
        let user = User { groups: vec![group.to_owned()], ..User::default() };
        flow.enter(&info, method, &user)
    }

    #[test]
    fn one_user_leaves_half_of_them_to_others() {
        let flow = FlowControl::new(4, 4);
        let info =
            RequestInfo::parse(&Method::POST, &"/api/v1/namespaces/a/configmaps".parse().unwrap()).unwrap();
        let enter = |name: &str| {
            let user = User { name: name.to_owned(), ..User::default() };
            flow.enter(&info, &Method::POST, &user)
        };
        let slots = [enter("greedy").unwrap(), enter("greedy").unwrap()];
        assert_eq!(enter("greedy").unwrap_err().code, 429);
        let other = enter("other").unwrap();
        drop(slots);
        assert!(enter("greedy").is_ok(), "what was given back can be had again");
        drop(other);
        assert!(flow.changing.held().is_empty(), "who has none is forgotten");
    }

    #[test]
    fn slots_run_out_and_come_back() {
        let flow = FlowControl::new(1, 1);
        let pods = "/api/v1/namespaces/a/configmaps";
        let slot = enter(&flow, &Method::GET, pods, "").unwrap();
        assert_eq!(enter(&flow, &Method::GET, pods, "").unwrap_err().code, 429);
        let other = enter(&flow, &Method::POST, pods, "").unwrap();
        assert_eq!(flow.underway(), Underway { reading: 1, changing: 1 });
        drop((slot, other));
        assert!(enter(&flow, &Method::GET, pods, "").is_ok());
    }

    #[test]
    fn watches_and_masters_need_none() {
        let flow = FlowControl::new(0, 0);
        assert!(enter(&flow, &Method::GET, "/api/v1/configmaps?watch=1", "").is_ok());
        assert!(enter(&flow, &Method::GET, "/api/v1/namespaces/a/pods/b/log", "").is_ok());
        assert!(enter(&flow, &Method::POST, "/api/v1/namespaces/a/pods/b/exec", "").is_ok());
        assert!(enter(&flow, &Method::POST, "/api/v1/namespaces/a/configmaps", MASTERS).is_ok());
        assert!(enter(&flow, &Method::GET, "/api/v1/configmaps", "").is_err());
    }
}
