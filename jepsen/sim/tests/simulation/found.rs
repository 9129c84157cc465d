//! Seeds that have found something in the store, each with what it was. All of it is mended; they must pass for ever.

use keelson_sim::{Plan, run};

/// A seed, and what was wrong.
const FOUND: &[(u64, &str)] = &[
    (
        200_040,
        "a founder that was rolled back was let in, because its flags do not name the leader, which came later",
    ),
    (300_053, "a replica whose disk failed while it waited to be taken in waited for ever"),
    (300_205, "a leader that had removed itself began another change of the membership"),
    (300_211, "a replica that was removed and started again was taken in again, under its old id"),
    (940_130, "a damaged record of the log's progress passed for a fault of Raft's"),
    (300_468, "a member that had been away refused the leader, which it did not know"),
    (1_795_724_339_402, "a damaged vote passed for a fault of the system"),
    (
        1_795_724_339_558,
        "a log whose new tail was lost in a crash, but not the state that was made of it, was taken for a corrupted one",
    ),
    (
        20_261_127_242,
        "a replica whose disk did not say which store is live asked its peers for snapshots for ever",
    ),
    (
        172_613_245_537_537,
        "a replica that could not read which store is live took no snapshot, for ever, and did not end",
    ),
    (20_261_127_358, "a replica that was removed came back by a request of its own that was under way"),
    (20_261_127_772, "a replica that was removed, and did not know that it had been a member, came back"),
    (
        20_261_140_045,
        "a lease was said to be gone before that was committed, and lived on under a new leader",
    ),
    (
        20_261_150_221,
        "a state was copied anew over the one that was live, and was half there when the disk was full",
    ),
    (20_261_130_695, "a disk was rolled back to before its leader had joined, and did not know whom to ask"),
    (
        243_211_522_453_948,
        "a false alarm: a replica passed for mended as soon as it looked at a snapshot that it had received",
    ),
    (31_085_357_175_242, "the same, and a fault struck another one while the replica was not whole"),
    (
        20_261_127_528,
        "a false alarm: a copy was taken for older than it was, for it had what was not synced, too",
    ),
    (
        204_544_126_864_241,
        "a false alarm: damage was met while the log was applied at the start, and the state that was made anew was older",
    ),
    (
        232_764_872_797_495,
        "whoever was refilled waited for ever for a log that had failed when it noted how much had arrived",
    ),
];

#[test]
fn what_was_found_once_stays_mended() {
    for (seed, was_wrong) in FOUND {
        let report = run(&Plan::of(*seed));
        assert!(report.passed(), "{was_wrong}: {report}");
    }
}
