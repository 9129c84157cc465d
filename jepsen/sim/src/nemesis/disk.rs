//! Faults of disks that stay where they are.

use std::time::Duration;

use keelson_store::log::LogMeta;
use keelson_store_core::engine::{
    Disk as _, Family, Role,
    mem::{Fate, Faults, MemDisk},
};

use super::{Hit, Nemesis, Strike};
use crate::{Fault, Node, disk::LOG_STORE, ghost::Trust, random::Random};

impl Nemesis {
    pub(super) fn slow_disk(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        let time = Duration::from_millis(strike.random.pick(&[20, 100, 500]));
        self.inner.cluster.set_sync_time(victim, time);
        Ok(vec![victim])
    }

    pub(super) fn fail_disk(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        let fate = strike.random.pick(&[Fate::Lost, Fate::Kept]);
        let faults = match strike.step.fault {
            Fault::FullDisk => Faults { capacity_bytes: Some(0), ..Faults::default() },
            Fault::WriteError => Faults { write_error: Some(fate), ..Faults::default() },
            Fault::SyncError => Faults { sync_error: Some(fate), ..Faults::default() },
            _ => Faults { read_error: true, ..Faults::default() },
        };
        self.inner.cluster.set_disk_faults(victim, faults);
        Ok(vec![victim])
    }

    /// Damages something, for ever.
    pub(super) fn damage(&self, strike: &mut Strike) -> Hit {
        let victim = self.victim(&mut strike.random);
        self.may_damage(victim)?;
        let disk = self.inner.cluster.disk(victim);
        let damaged = match strike.step.fault {
            Fault::DamageRecord => damage_record(&disk, &mut strike.random),
            Fault::DamageStore => disk.list().ok().is_some_and(|names| {
                let stores: Vec<_> = names.iter().map(String::as_str).collect();
                !stores.is_empty() && disk.damage_store(strike.random.pick(&stores))
            }),
            _ => damage_file(&disk, &mut strike.random),
        };
        if !damaged {
            return Err("there is nothing like it to damage");
        }
        self.inner.cluster.ghost().set_trust(victim, Trust::Damaged);
        Ok(vec![victim])
    }

    /// A majority of disks must stay sound: what they have lost, nobody can bring back.
    pub(super) fn may_damage(&self, victim: Node) -> Result<(), &'static str> {
        let ghost = self.inner.cluster.ghost();
        if ghost.trust(victim) == Trust::Foreign {
            return Err("it has a disk that is not its own");
        }
        let unsound =
            self.inner.cluster.nodes().filter(|node| *node == victim || ghost.trust(*node) != Trust::Whole);
        let most = self.reliable_voters().count().saturating_sub(1) / 2;
        if unsound.count() <= most { Ok(()) } else { Err("a majority of disks must stay sound") }
    }
}

fn damage_record(disk: &MemDisk, random: &mut Random) -> bool {
    let copy = disk.copy();
    let Ok(log) = copy.open(LOG_STORE, Role::Log) else { return false };
    let family = random.pick(&Family::ALL);
    let store = match family.role() {
        Role::Log => Some(LOG_STORE.to_owned()),
        Role::State => LogMeta::new(log.clone()).state_store().ok().flatten(),
    };
    let Some(store) = store else { return false };
    let engine = match family.role() {
        Role::Log => Ok(log),
        Role::State => copy.open(&store, Role::State),
    };
    let Ok(engine) = engine else { return false };
    let mut keys = Vec::new();
    let mut cursor = engine.cursor(family);
    let mut found = cursor.seek(&[]);
    while let (Ok(()), Some((key, _))) = (found, cursor.entry()) {
        keys.push(key.to_vec());
        found = cursor.next();
    }
    !keys.is_empty() && {
        let picked = random.below(keys.len() as u64);
        disk.damage_record(&store, family, &keys[usize::try_from(picked).expect("below a length")])
    }
}

fn damage_file(disk: &MemDisk, random: &mut Random) -> bool {
    let names = disk.list().unwrap_or_default();
    let files = names.iter().flat_map(|folder| {
        let files = disk.files(folder).unwrap_or_default();
        files.into_iter().map(move |(file, len)| (folder, file, len))
    });
    let files: Vec<_> = files.filter(|(_, _, len)| *len > 0).collect();
    if files.is_empty() {
        return false;
    }
    let picked = random.below(files.len() as u64);
    let (folder, file, len) = &files[usize::try_from(picked).expect("below a length")];
    disk.damage_file(folder, file, usize::try_from(random.below(*len)).expect("a file in memory"))
}
