//! How many requests may be under way at once.
//!
//! In: a request and who makes it. Out: a slot that is held until the answer is made, or 429. Reading and
//! changing have slots of their own, so that a flood of one does not stop the other. Watches, logs and connections to
//! pods need none: they are meant to stay. `system:masters` need none: somebody must be able to help.

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
}

/// Permission to be under way; ends when it is dropped.
#[derive(Debug)]
pub struct Slot<'s> {
    _permit: Option<SemaphorePermit<'s>>,
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
            return Ok(Slot { _permit: None });
        }
        let slots = if changes_something(method) { &self.changing } else { &self.reading };
        let permit = slots.free.try_acquire().map_err(|_| ApiError::too_many_requests())?;
        Ok(Slot { _permit: Some(permit) })
    }

    /// How many requests hold a slot.
    pub fn underway(&self) -> Underway {
        Underway { reading: self.reading.taken(), changing: self.changing.taken() }
    }
}

impl Slots {
    fn new(all: usize) -> Self {
        Self { free: Semaphore::new(all), all }
    }

    fn taken(&self) -> usize {
        self.all - self.free.available_permits()
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
