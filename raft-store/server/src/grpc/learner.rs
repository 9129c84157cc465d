//! What a learner answers.
//!
//! As etcd: how it is, a copy of what it has, and reads that are content with that. Whoever wants more is sent on with a
//! status on which clients try another member. Besides, what it takes to ask that: who the caller is, and the hash by which
//! members are compared. Deliberately absent: learners that are to become voters by themselves. They
//! are none for long, and serve everything meanwhile.

/// What a learner serves; whether a range is content with what is here, its own handler knows.
const SERVED: [&str; 5] = [
    "/etcdserverpb.Auth/Authenticate",
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.Maintenance/HashKV",
    "/etcdserverpb.Maintenance/Snapshot",
    "/etcdserverpb.Maintenance/Status",
];

/// Whether a learner answers on this path: of etcd's services those methods, and whatever is not etcd's.
pub(super) fn serves(path: &str) -> bool {
    let is_etcds = ["/etcdserverpb.", "/v3electionpb.", "/v3lockpb."].iter().any(|api| path.starts_with(api));
    !is_etcds || SERVED.contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learner_tells_how_it_is_and_what_it_has() {
        for path in SERVED.into_iter().chain(["/metrics", "/grpc.health.v1.Health/Check"]) {
            assert!(serves(path), "{path}");
        }
        for path in ["/etcdserverpb.KV/Put", "/etcdserverpb.Watch/Watch", "/v3lockpb.Lock/Lock"] {
            assert!(!serves(path), "{path}");
        }
    }
}
