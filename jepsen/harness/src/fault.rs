//! THE table of faults.
//!
//! In: a cluster, and a generator of random choices. Out: something that is broken, and later whole again. One file per
//! family. What a fault needs of the machine is said in its row; where that is missing the fault is skipped, by name,
//! and never counted as survived. The same holds for one that nobody felt ([`felt`]).

mod clock;
mod damage;
mod disk;
pub(crate) mod felt;
mod forget;
mod kill;
mod membership;
mod network;
mod partition;
mod pause;
mod raft;

use futures_util::future::BoxFuture;
use rand::rngs::StdRng;

use self::felt::{Felt, Hit, Injected, Obstacle, Since};
use crate::cluster::membership::Wanted;
use crate::cluster::{Cluster, Whom};
use crate::failure::Result;
use crate::machine::Machine;
use crate::target::Target;

/// Something that can be broken.
pub(crate) trait Fault: Sync {
    /// Breaks it.
    fn inject<'a>(&'a self, cluster: &'a mut Cluster, random: &'a mut StdRng) -> BoxFuture<'a, Injection>;

    /// Makes it whole again, and says whether it was felt. Called once for each [`Injected::Until`].
    fn heal<'a>(&'a self, cluster: &'a mut Cluster, since: &'a Since) -> BoxFuture<'a, Result<Felt>>;
}

/// What comes of an attempt to break something.
pub(crate) type Injection = std::result::Result<Injected, Obstacle>;

/// What a fault needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// perl, for the call that cuts a file system's power.
    PowerSwitch,
    /// A way to delay packets.
    Delay,
    /// libfaketime.
    FakeTime,
    /// Control groups for disks.
    Throttle,
    /// Nodes that take a snapshot every few entries.
    SmallSnapshots,
    /// Nodes that keep few entries behind a snapshot.
    ShortLog,
    /// A store whose members ask to be taken in.
    Membership,
}

/// A fault as people know it.
pub(crate) struct Row {
    /// Unique.
    pub(crate) name: &'static str,
    /// Its relatives: the name of the family stands for all of them.
    pub(crate) family: &'static str,
    /// What it does.
    pub(crate) words: &'static str,
    /// What it needs.
    pub(crate) needs: &'static [Need],
    /// How it is done.
    pub(crate) fault: &'static dyn Fault,
}

macro_rules! faults {
    ($($family:literal { $($name:literal, $words:literal, [$($need:ident),*], $fault:expr;)+ })+) => {
        &[$($(Row {
            name: $name, family: $family, words: $words, needs: &[$(Need::$need),*], fault: &$fault,
        },)+)+]
    };
}

/// Every fault, in the order of the list that people see.
pub(crate) static FAULTS: &[Row] = faults! {
    "kill" {
        "kill-one", "kill -9 of one node, then a restart", [], kill::Kill(Whom::One);
        "kill-minority", "kill -9 of as many nodes as a quorum can do without", [], kill::Kill(Whom::Minority);
        "kill-leader", "kill -9 of the leader", [], kill::Kill(Whom::Leader);
        "kill-all", "kill -9 of all nodes at once", [], kill::Kill(Whom::All);
    }
    "pause" {
        "pause-one", "one node gets no processor time", [], pause::Pause(Whom::One);
        "pause-minority", "a minority gets no processor time", [], pause::Pause(Whom::Minority);
        "pause-leader", "the leader gets no processor time", [], pause::Pause(Whom::Leader);
        "pause-all", "no node gets processor time", [], pause::Pause(Whom::All);
    }
    "restart" {
        "restart-all", "all nodes are asked to stop, then started", [], kill::RestartAll;
        "restart-rolling", "each node in turn is asked to stop, and started", [], kill::RestartRolling;
    }
    "partition" {
        "partition-halves", "a minority and a majority do not hear each other", [], partition::HALVES;
        "partition-leader", "nobody hears the leader, and it hears nobody", [], partition::LEADER;
        "partition-one-way", "some nodes are not heard, but hear", [], partition::ONE_WAY;
        "partition-ring", "every node hears a majority, and no two the same one (from 5 nodes on)", [],
            partition::RING;
        "partition-bridge", "two halves hear each other only through one node", [], partition::BRIDGE;
    }
    "packets" {
        "packets-lost", "a tenth to a third of all packets between nodes is lost", [], network::Loss;
        "packets-delayed", "packets to nodes come 50 to 300 ms late, and out of order", [Delay], network::Delay;
        "packets-queued", "nodes receive at 256 kbit/s at most, or at what makes packets wait: up to 800 ms", [], network::Narrow;
    }
    "clock" {
        "clock-skew", "the wall clock of some nodes is wrong, by up to an hour", [FakeTime], clock::Skew;
        "clock-jumps", "the wall clock of some nodes jumps to and fro", [FakeTime], clock::Jumps;
    }
    "power" {
        "power-cut-one", "a disk loses its power and what was not synced; its node dies", [PowerSwitch],
            disk::PowerCut(Whom::One);
        "power-cut-all", "the same for all nodes at once", [PowerSwitch], disk::PowerCut(Whom::All);
    }
    "disk" {
        "disk-full", "a minority has no space left", [], disk::Full;
        "disk-errors", "a minority's writes fail with input/output errors", [], disk::Errors;
        "disk-slow", "a minority's disks do 20 writes a second", [Throttle], disk::Slow;
    }
    "damage" {
        "bitflip-log", "flipped bits in the logs of a minority, while it is down", [],
            damage::Damage { part: damage::Part::Log, kind: damage::Kind::Flip };
        "bitflip-state", "flipped bits in the state of a minority, while it is down", [SmallSnapshots],
            damage::Damage { part: damage::Part::State, kind: damage::Kind::Flip };
        "truncate-log", "the logs of a minority lose their ends, while it is down", [],
            damage::Damage { part: damage::Part::Log, kind: damage::Kind::Truncate };
        "wipe", "a minority comes back with empty disks", [], forget::Wipe;
        "rollback", "a minority comes back with disks as they were some seconds ago", [], forget::Rollback;
    }
    "loss" {
        "helix", "every node loses other parts of its files, while all are down", [], damage::Helix;
    }
    "raft" {
        "leader-transfer", "the leader is asked to hand leadership over", [], raft::Transfer;
        "compaction", "the history up to now is forgotten", [], raft::Compaction;
        "snapshot", "a node is away until it needs a snapshot, under load", [SmallSnapshots, ShortLog],
            raft::Snapshot;
    }
    "membership" {
        "member-remove", "a member, often the leader, is removed while it runs, and comes back on an empty disk later",
            [Membership], membership::Leave(Wanted::Gone);
        "member-learn", "a member is removed, comes back on an empty disk as a learner, and is promoted later",
            [Membership], membership::Leave(Wanted::Learner);
        "member-replace", "a disk is lost: its member is removed, and comes back on an empty disk later",
            [Membership], membership::Replace;
    }
};

impl Row {
    /// Whether it can be injected here, or why not.
    pub(crate) fn possible(&self, machine: &Machine, target: Target) -> std::result::Result<(), String> {
        self.needs.iter().try_for_each(|need| match need {
            Need::PowerSwitch => machine.perl(),
            Need::Delay => machine.delay().map(drop),
            Need::FakeTime => machine.faketime().map(drop),
            Need::Throttle => machine.block_cgroups().map(drop),
            Need::SmallSnapshots => Ok(()),
            Need::ShortLog => match target {
                Target::Keelson => Ok(()),
                Target::Etcd => Err("etcd keeps 5000 log entries behind a snapshot".to_owned()),
            },
            Need::Membership => match target {
                Target::Keelson => Ok(()),
                Target::Etcd => Err("the steps are those of Keelson's members".to_owned()),
            },
        })
    }
}

/// The rows that a name stands for: one fault, or a family of them.
pub(crate) fn called(name: &str) -> std::result::Result<Vec<&'static Row>, String> {
    let rows: Vec<_> = FAULTS.iter().filter(|row| row.name == name || row.family == name).collect();
    if rows.is_empty() {
        return Err(format!("there is no fault {name:?}; `keelson-jepsen list` names all"));
    }
    Ok(rows)
}

/// The families, in the order of the table.
pub(crate) fn families() -> Vec<&'static str> {
    let mut families: Vec<_> = FAULTS.iter().map(|row| row.family).collect();
    families.dedup();
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_two_things() {
        let mut names: Vec<_> = FAULTS.iter().map(|row| row.name).chain(families()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_family_stands_for_its_members() {
        let names = |name| called(name).map(|rows| rows.iter().map(|row| row.name).collect::<Vec<_>>());
        assert_eq!(names("restart"), Ok(vec!["restart-all", "restart-rolling"]));
        assert_eq!(names("kill-all"), Ok(vec!["kill-all"]));
        assert!(names("kil").unwrap_err().contains("no fault \"kil\""));
    }
}
