//! Clients whose operations overlap.
//!
//! In: the model, and dice. Out: operations with times. Deliberately absent: watches.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use keelson_checkers::history::{
    Call, Consistency, End, Key, KeyRange, LeaseId, MicroOp, Nanos, Operation, ProcessId, Returned, Revision,
};

use super::store::Store;
use super::{Random, Size};

const MILLI: u64 = 1_000_000;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Registers,
    Append,
    Wr,
    Set,
    Counter,
    Locks,
    Leases,
}

/// What happens to a client's operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The client begins its next one.
    Begin(u32),
    /// It takes effect.
    Effect(usize),
    /// The client hears of it, or gives up.
    End(u32, usize),
}

/// What the dice say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fortune {
    Answered,
    Refused,
    AnswerLost,
    RequestLost,
}

pub(crate) struct Run {
    kind: Kind,
    size: Size,
    random: Random,
    pub(crate) store: Store,
    pub(crate) operations: Vec<Operation>,
    fortunes: Vec<Fortune>,
    answers: Vec<Option<Returned>>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    processes: Vec<ProcessId>,
    next_process: u32,
    next_value: u64,
    /// Tokens that clients believe to hold.
    tokens: Vec<(Key, Revision)>,
    next_lease: i64,
}

impl Run {
    pub(crate) fn new(kind: Kind, size: Size, random: &mut Random) -> Self {
        let mut run = Self {
            kind,
            size,
            random: Random::new(random.next()),
            store: Store::default(),
            operations: Vec::with_capacity(size.operations),
            fortunes: Vec::new(),
            answers: Vec::new(),
            events: BinaryHeap::new(),
            sequence: 0,
            processes: (0..size.clients).map(ProcessId).collect(),
            next_process: size.clients,
            next_value: 1,
            tokens: Vec::new(),
            next_lease: 1,
        };
        for client in 0..size.clients {
            let at = run.random.below(MILLI);
            run.at(at, Event::Begin(client));
        }
        run
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((time, self.sequence, event)));
    }

    pub(crate) fn finish(mut self) -> Self {
        while let Some(Reverse((time, _, event))) = self.events.pop() {
            match event {
                Event::Begin(client) => self.begin(time, client),
                Event::Effect(number) => {
                    self.store.expire(time);
                    let call = self.operations[number].call.clone();
                    self.answers[number] = Some(self.store.apply(time, &call, &mut self.random));
                }
                Event::End(client, number) => self.end(time, client, number),
            }
        }
        self
    }

    fn begin(&mut self, time: u64, client: u32) {
        if self.operations.len() == self.size.operations {
            return;
        }
        let number = self.operations.len();
        let call = self.call();
        let fortune = match self.random.below(100) {
            0 => Fortune::Refused,
            1 => Fortune::AnswerLost,
            2 => Fortune::RequestLost,
            _ => Fortune::Answered,
        };
        // Leases count in seconds.
        let slow = if self.kind == Kind::Leases { 20 } else { 1 };
        let effect = time + self.random.below(5 * MILLI * slow);
        let end = effect + self.random.below(5 * MILLI * slow);
        match fortune {
            Fortune::Answered => self.at(effect, Event::Effect(number)),
            Fortune::AnswerLost => {
                let late = if self.random.once_in(4) { 200 * MILLI } else { 0 };
                self.at(effect + late, Event::Effect(number));
            }
            Fortune::Refused | Fortune::RequestLost => {}
        }
        self.at(end, Event::End(client, number));
        let process = self.processes[client as usize];
        let end = End::Unknown { at: None, why: String::new() };
        self.operations.push(Operation { process, replica: None, call, invoked: Nanos(time), end });
        self.fortunes.push(fortune);
        self.answers.push(None);
    }

    fn end(&mut self, time: u64, client: u32, number: usize) {
        let at = Nanos(time);
        let why = "by the dice".to_owned();
        self.operations[number].end = match self.fortunes[number] {
            Fortune::Answered => {
                let returned = self.answers[number].take().expect("it took effect before its end");
                self.learn(number, &returned);
                End::Ok { at, returned }
            }
            Fortune::Refused => End::Failed { at, why },
            Fortune::AnswerLost | Fortune::RequestLost => {
                self.processes[client as usize] = ProcessId(self.next_process);
                self.next_process += 1;
                End::Unknown { at: Some(at), why }
            }
        };
        let pause = 1 + self.random.below(MILLI);
        self.at(time + pause, Event::Begin(client));
    }

    fn learn(&mut self, number: usize, returned: &Returned) {
        if let (Call::LockAcquire { lock }, Returned::LockAcquire { revision, acquired: true }) =
            (&self.operations[number].call, returned)
        {
            self.tokens.push((lock.clone(), *revision));
        }
    }

    fn value(&mut self) -> u64 {
        self.next_value += 1;
        self.next_value
    }

    fn key(&mut self) -> Key {
        Key(format!("k{}", self.random.below(self.size.keys)).into())
    }

    fn call(&mut self) -> Call {
        match self.kind {
            Kind::Registers => self.register(),
            Kind::Append => Call::Txn(self.parts(Self::list_part)),
            Kind::Wr => Call::Txn(self.parts(Self::register_part)),
            Kind::Set => match self.random.once_in(50) {
                true => Call::SetRead,
                false => Call::SetAdd(self.value()),
            },
            Kind::Counter => match self.random.once_in(3) {
                true => Call::CounterRead,
                false => Call::CounterAdd(self.random.below(9) as i64 - 3),
            },
            Kind::Locks => self.lock(),
            Kind::Leases => self.lease(),
        }
    }

    fn register(&mut self) -> Call {
        let (key, consistency) = (self.key(), Consistency::Linearizable);
        let newest = self.store.revision();
        match self.random.below(20) {
            0..6 => Call::Read { key, revision: None, consistency },
            6 => Call::Read { key, revision: Some(Revision(1 + self.random.below(newest.0))), consistency },
            7 | 8 => Call::Read { key, revision: None, consistency: Consistency::Serializable },
            9 if self.size.keys < 50 => Call::List { range: KeyRange::all(), revision: None, consistency },
            9..14 => Call::Write { key, value: self.value() },
            14 => Call::Delete { key },
            15..18 => {
                // What the key was a moment ago: often right.
                let before =
                    self.store.at(&key, newest).map_or(Revision::ZERO, |version| version.mod_revision);
                Call::CompareAndSet { key, expected: before, value: self.value() }
            }
            18 => Call::Txn(self.parts(Self::register_part)),
            _ => Call::Txn(self.parts(Self::deleting_part)),
        }
    }

    /// A transaction of these makes a revision only if there is something to delete.
    fn deleting_part(&mut self) -> MicroOp {
        let key = self.key();
        if self.random.once_in(4) { MicroOp::Get { key } } else { MicroOp::Delete { key } }
    }

    fn parts(&mut self, part: fn(&mut Self) -> MicroOp) -> Vec<MicroOp> {
        let count = 1 + self.random.below(4);
        (0..count).map(|_| part(self)).collect()
    }

    fn register_part(&mut self) -> MicroOp {
        let key = self.key();
        match self.random.below(8) {
            0..4 => MicroOp::Get { key },
            4 if self.kind == Kind::Registers => MicroOp::Delete { key },
            _ => MicroOp::Put { key, value: self.value() },
        }
    }

    /// Lists are given up after a while, so that they stay short.
    fn list_part(&mut self) -> MicroOp {
        let oldest = self.next_value / 16;
        let key = Key(format!("l{}", oldest + self.random.below(self.size.keys)).into());
        match self.random.once_in(2) {
            true => MicroOp::ReadList { key },
            false => MicroOp::Append { key, element: self.value() },
        }
    }

    fn lock(&mut self) -> Call {
        if self.tokens.is_empty() || self.random.once_in(3) {
            return Call::LockAcquire { lock: Key(format!("lock{}", self.random.below(3)).into()) };
        }
        let place = self.random.place(self.tokens.len().min(8));
        let newest = self.tokens.len() - 1 - place;
        let (lock, token) = self.tokens[newest].clone();
        match self.random.once_in(3) {
            true => Call::LockRelease { lock, token },
            false => Call::FencedWrite { lock, token, value: self.value() },
        }
    }

    fn lease(&mut self) -> Call {
        let recent = |run: &mut Self| LeaseId((run.next_lease - 1 - run.random.below(6) as i64).max(1));
        let key = Key(format!("leased{}", self.random.below(self.size.keys)).into());
        match self.random.below(12) {
            0 => {
                self.next_lease += 1;
                Call::LeaseGrant { id: LeaseId(self.next_lease), ttl_seconds: 2 }
            }
            1..4 => Call::LeaseKeepAlive { id: recent(self) },
            4 if self.random.once_in(3) => Call::LeaseRevoke { id: recent(self) },
            4..7 => Call::LeaseAttach { id: recent(self), key, value: self.value() },
            7..9 => Call::LeaseTimeToLive { id: recent(self) },
            _ => Call::LeaseKeyRead { key },
        }
    }
}
