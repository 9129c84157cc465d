//! Writes the history while it happens.
//!
//! In: operations, watches and faults, as they begin and end, and a clock. Out: one [`History`]. Deliberately absent: a
//! clock of its own, and opinions.

use std::sync::{Mutex, MutexGuard};

use keelson_checkers::history::{
    Call, End, FaultEvent, FaultPhase, History, Meta, Nanos, OpId, Operation, ProcessId, Watch, WatchId,
    WatchResponse,
};

use crate::client::WatchMessage;

/// Why an operation that was never ended is unknown.
const UNDER_WAY: &str = "still under way when the run ended";

/// The record of one run, shared by everybody who takes part.
pub struct Recorder {
    clock: Box<dyn Fn() -> Nanos + Send + Sync>,
    record: Mutex<Record>,
}

struct Record {
    history: History,
    processes: u32,
}

impl Recorder {
    /// An empty record. The clock says how long the run has lasted; it never goes back.
    pub fn new(meta: Meta, clock: impl Fn() -> Nanos + Send + Sync + 'static) -> Self {
        let record = Record { history: History { meta, ..History::default() }, processes: 0 };
        Self { clock: Box::new(clock), record: Mutex::new(record) }
    }

    /// How long the run has lasted.
    pub fn now(&self) -> Nanos {
        (self.clock)()
    }

    /// Notes what the nemesis did, or was seen of the cluster, now.
    pub fn fault(&self, fault: &str, targets: Vec<String>, phase: FaultPhase) {
        let at = self.now();
        self.lock().history.faults.push(FaultEvent { at, fault: fault.to_owned(), targets, phase });
    }

    /// What has been recorded so far, without a commit log: for a run that cannot be ended in order.
    pub fn so_far(&self) -> History {
        self.lock().history.clone()
    }

    pub(crate) fn new_process(&self) -> ProcessId {
        let mut record = self.lock();
        let process = ProcessId(record.processes);
        record.processes += 1;
        process
    }

    pub(crate) fn invoke(&self, process: ProcessId, replica: &str, call: Call) -> OpId {
        let invoked = self.now();
        let end = End::Unknown { at: None, why: UNDER_WAY.to_owned() };
        let operation = Operation { process, replica: Some(replica.to_owned()), call, invoked, end };
        let operations = &mut self.lock().history.operations;
        operations.push(operation);
        OpId(place(operations.len()))
    }

    pub(crate) fn complete(&self, id: OpId, end: impl FnOnce(Nanos) -> End) {
        let now = self.now();
        self.lock().history.operations[id.0 as usize].end = end(now);
    }

    pub(crate) fn watch(&self, watch: impl FnOnce(Nanos) -> Watch) -> WatchId {
        let now = self.now();
        let watches = &mut self.lock().history.watches;
        watches.push(watch(now));
        WatchId(place(watches.len()))
    }

    pub(crate) fn response(&self, id: WatchId, message: WatchMessage) {
        let at = self.now();
        let WatchMessage { header_revision, what } = message;
        let response = WatchResponse { at, header_revision, what };
        self.lock().history.watches[id.0 as usize].responses.push(response);
    }

    /// Takes the record out. What is noted afterwards is in nobody's history.
    pub(crate) fn take(&self) -> History {
        std::mem::take(&mut self.lock().history)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("the record is whole: nobody has panicked while writing it")
    }
}

/// The place of what was pushed last.
fn place(length: usize) -> u32 {
    u32::try_from(length - 1).expect("a run has fewer than 2^32 operations and watches")
}
