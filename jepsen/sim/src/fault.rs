//! THE table of faults: everything that the nemesis can do to a cluster.
//!
//! In: nothing. Out: names, words and sorts. [`crate::plan`] draws from the table, [`crate::nemesis`] carries out what
//! was drawn. Deliberately absent: jumps of wall time (the store does not read it).

macro_rules! faults {
    ($($variant:ident = $name:literal, $sort:ident, $words:literal;)*) => {
        /// Something that the nemesis can do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Fault {
            $(#[doc = $words] $variant,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its short name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it does.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$variant => $words,)* }
            }

            /// What it is done to.
            pub const fn sort(self) -> Sort {
                match self { $(Self::$variant => Sort::$sort,)* }
            }
        }
    };
}

/// What a fault is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Links and connections.
    Network,
    /// Processes and machines.
    Process,
    /// Disks.
    Disk,
    /// Monotonic clocks.
    Clock,
    /// The store, through its own calls.
    Store,
    /// Who belongs to the cluster.
    Membership,
}

faults! {
    Isolate = "isolate", Network, "One replica, often the leader, reaches no other one and none reaches it.";
    Halves = "halves", Network, "Two parts of the cluster do not reach each other.";
    OneWay = "one-way", Network, "One replica is heard and hears nothing, or hears and is not heard.";
    Ring = "ring", Network, "Each replica reaches its two neighbours only.";
    Bridge = "bridge", Network, "Two parts of the cluster reach each other through one replica only.";
    Weather = "weather", Network, "Links become slow and lossy, all of them or those of one replica.";
    Reset = "reset", Network, "The connections of a replica, or all, break.";
    Stall = "stall", Network, "What old connections carry arrives late, after what new ones carry.";
    Clients = "clients", Network, "Some clients reach some replicas no more; what they have sent arrives when that is over.";
    Kill = "kill", Process, "A process dies; of what was not synced a part survives.";
    KillAll = "kill-all", Process, "All processes die at once.";
    PowerCut = "power-cut", Process, "A machine loses its power: its peers are told nothing.";
    PowerCutAll = "power-cut-all", Process, "All machines lose their power at once.";
    Pause = "pause", Process, "A process stands still, its clock and the world go on.";
    Restart = "restart", Process, "A process stops in order, having handed over what it leads, and starts again.";
    Roll = "roll", Process, "All processes are restarted in order, one after the other.";
    SlowDisk = "slow-disk", Disk, "Syncs take long.";
    FullDisk = "full-disk", Disk, "A disk is full.";
    WriteError = "write-error", Disk, "Writes to a disk fail, whether or not they happen.";
    SyncError = "sync-error", Disk, "Syncs of a disk fail, whether or not they happen.";
    ReadError = "read-error", Disk, "Reads of a disk fail.";
    DamageRecord = "damage-record", Disk, "A record on a disk is damaged; at most a minority of disks is ever damaged.";
    DamageStore = "damage-store", Disk, "A store on a disk does not open any more.";
    DamageFile = "damage-file", Disk, "A bit of a snapshot's file is flipped.";
    Diverge = "diverge", Disk,
        "A replica comes back with another state than it had, whose checksums are right.";
    Wipe = "wipe", Disk, "A replica comes back on an empty disk, and must be refused.";
    RollBack = "roll-back", Disk, "A replica comes back on an old copy of its disk, and must be refused.";
    Drift = "drift", Clock, "A replica's clock runs up to a tenth too fast or too slow.";
    StopClock = "stop-clock", Clock, "A replica's clock stands still.";
    Transfer = "transfer", Store, "The leader hands leadership to another replica.";
    Join = "join", Membership, "A replica on a new machine joins, and becomes a voter when it has caught up.";
    Remove = "remove", Membership, "A member, often the leader, is removed; its process goes on for a while.";
    Replace = "replace", Membership, "A member loses its disk, is removed, and joins anew on an empty one.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
    }
}
