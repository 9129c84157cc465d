//! Golden dialogues: each file under `tests/scripts` is a conversation with one store, and must come out as it
//! stands there. `UPDATE_GOLDEN=1` writes the files anew; the diff is for review.
//!
//! A line that starts with `> ` is a command (see `parse.rs`), the lines under it are the answer. Everything else
//! is commentary. Every command is one log entry and one batch, and is published to the watchers at once.

mod parse;
mod show;

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use keelson_store_core::{
    apply::StateMachine,
    command::{Caller, Command},
    compact,
    engine::{Family, mem::MemDisk},
    lease, mvcc,
    watch::{
        self, Reader,
        hub::{Hub, Matching, Polled, WatcherId},
    },
};

use self::parse::Line;
use crate::history::{at, open};

const WINDOW_BYTES: usize = 1 << 20;

struct Dialogue {
    disk: MemDisk,
    machine: StateMachine,
    hub: Hub,
    watchers: BTreeMap<String, WatcherId>,
}

impl Dialogue {
    fn new() -> Self {
        let disk = MemDisk::new();
        let machine = open(&disk);
        let hub = Hub::new(machine.header(), WINDOW_BYTES);
        Self { disk, machine, hub, watchers: BTreeMap::new() }
    }

    fn answer(&mut self, line: Line) -> String {
        match line {
            Line::Command(command) => self.apply(&Caller::Anyone, &command),
            Line::As { name, recognized, line } => {
                let revision = recognized.unwrap_or_else(|| self.machine.auth().revision());
                self.answer_to(&Caller::User { name, revision }, *line)
            }
            Line::System(line) => self.answer_to(&Caller::System, *line),
            Line::Users => show::users(self.machine.auth()),
            Line::Get(request) => {
                let (view, header) = self.machine.view();
                let answer = mvcc::range(&*view, &header, &request).unwrap();
                match answer {
                    Ok(answer) => show::range(&answer),
                    Err(refused) => show::error(&refused),
                }
            }
            Line::Leases => {
                let (view, _) = self.machine.view();
                let leases = lease::all(&*view).unwrap();
                let lines =
                    leases.iter().map(|lease| show::lease(lease, &lease::keys(&*view, lease.id).unwrap()));
                show::lines(lines)
            }
            Line::Sweep { max_changes, all } => self.sweep(max_changes, all),
            Line::Records => self.records(),
            Line::Header => show::header(self.machine.header()),
            Line::Reopen => {
                self.reopen();
                show::header(self.machine.header())
            }
            Line::Window(bytes) => {
                self.hub = Hub::new(self.machine.header(), bytes);
                self.watchers.clear();
                "ok".to_owned()
            }
            Line::Watch { name, interest, start } => {
                let id = self.hub.watch(interest, start);
                self.watchers.insert(name, id);
                "ok".to_owned()
            }
            Line::Poll(name) => self.poll(&name),
        }
    }

    fn answer_to(&mut self, caller: &Caller, line: Line) -> String {
        match line {
            Line::Command(command) => self.apply(caller, &command),
            Line::Get(request) => {
                let permitted =
                    self.machine.auth().rights(caller).and_then(|rights| rights.read(&request.range));
                match permitted {
                    Ok(()) => self.answer(Line::Get(request)),
                    Err(denied) => show::error(&denied.into()),
                }
            }
            _ => panic!("nobody is asked who asks that"),
        }
    }

    fn apply(&mut self, caller: &Caller, command: &Command) -> String {
        let (by, decoded) = Command::decode(&command.encode_for(caller)).unwrap();
        assert_eq!((&by, &decoded), (caller, command));
        let position = at(self.machine.header().next_index().get());
        let mut batch = self.machine.begin();
        let outcome = batch.command_for(position, caller, decoded).unwrap();
        let applied = batch.commit().unwrap();
        let woken = self.hub.publish(&applied.changes, &applied.header);
        let names = self.watchers.iter().filter(|(_, id)| woken.contains(id)).map(|(name, _)| name.as_str());
        show::outcome(&outcome, &names.collect::<Vec<_>>())
    }

    fn sweep(&mut self, max_changes: usize, all: bool) -> String {
        let mut steps = 0;
        loop {
            let (view, header) = self.machine.view();
            let Some(step) = compact::sweep(&*view, &header, max_changes).unwrap() else { break };
            self.machine.sweep(step).unwrap();
            steps += 1;
            if !all {
                break;
            }
        }
        format!("steps={steps} swept={}", show::change_id(self.machine.header().swept))
    }

    fn records(&self) -> String {
        let lines = [Family::Keys, Family::Changes, Family::Leases, Family::LeaseKeys].map(|family| {
            let mut cursor = self.machine.engine().cursor(family);
            cursor.seek(&[]).unwrap();
            let mut count = 0;
            while cursor.entry().is_some() {
                count += 1;
                cursor.next().unwrap();
            }
            format!("{}={count}", family.name())
        });
        lines.join(" ")
    }

    fn reopen(&mut self) {
        self.machine.engine().sync().unwrap();
        let unused = open(&MemDisk::new());
        drop(std::mem::replace(&mut self.machine, unused));
        self.machine = open(&self.disk);
    }

    /// Fetches until there is nothing more, as a watch stream does.
    fn poll(&mut self, name: &str) -> String {
        let id = self.watchers[name];
        let mut lines = Vec::new();
        loop {
            match self.hub.poll(id).expect("watchers are never removed here") {
                Polled::Changes { revisions, next } => {
                    for matching in revisions {
                        lines.extend(matching.changes().map(|change| self.show_change(change)));
                    }
                    lines.push(format!("  (from memory, next={next})"));
                }
                Polled::CatchUp { interest, from, to } => {
                    let (view, header) = self.machine.view();
                    let readers = [Reader { interest, from }];
                    let read = watch::read_changes(&*view, &header, &readers, to, 300).unwrap().unwrap();
                    let changes = read.changes[0].iter().flat_map(Matching::changes);
                    lines.extend(changes.map(|change| self.show_change(change)));
                    lines.push(format!("  (from the store, {from} to {to}, read through {})", read.through));
                    self.hub.caught_up(id, read.through);
                }
                Polled::Idle { progress } => {
                    lines.push(format!("idle progress={progress}"));
                    return lines.join("\n");
                }
                Polled::Future { start } => {
                    lines.push(format!("future start={start}"));
                    return lines.join("\n");
                }
                Polled::Compacted { compacted } => {
                    lines.push(format!("compacted={compacted}"));
                    return lines.join("\n");
                }
            }
        }
    }

    fn show_change(&self, change: &watch::Change) -> String {
        let engine = Arc::clone(self.machine.engine());
        show::change(change, watch::previous_kv(engine.as_ref(), change).unwrap().as_ref())
    }
}

/// The script with every answer as the store gives it.
fn replay(script: &str) -> String {
    let mut dialogue = Dialogue::new();
    let mut out = String::new();
    let mut in_answer = false;
    for line in script.lines() {
        if let Some(command) = line.strip_prefix("> ") {
            let answer = dialogue.answer(parse::line(command));
            out += &format!("> {command}\n{answer}\n");
            in_answer = true;
        } else if line.is_empty() || line.starts_with('#') || !in_answer {
            out += &format!("{line}\n");
            in_answer = false;
        }
    }
    out
}

#[test]
fn dialogues_come_out_as_written() {
    // Tests run in their crate's folder. The path is not compiled in: a kept binary serves another checkout, too.
    let folder = Path::new("tests/scripts");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let mut scripts: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.sort();
    assert!(!scripts.is_empty());
    for path in scripts {
        let script = fs::read_to_string(&path).unwrap();
        let replayed = replay(&script);
        if update {
            fs::write(&path, replayed).unwrap();
        } else if let Some((at, (expected, got))) =
            script.lines().zip(replayed.lines()).enumerate().find(|(_, (expected, got))| expected != got)
        {
            wrong.push(format!("{}:{}:\n  expected {expected}\n  got      {got}", path.display(), at + 1));
        } else if script != replayed {
            wrong.push(format!("{}: one is longer", path.display()));
        }
    }
    assert!(wrong.is_empty(), "UPDATE_GOLDEN=1 writes them anew:\n{}", wrong.join("\n"));
}
