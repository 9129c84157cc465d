//! Histories as EDN, as Jepsen's and Elle's checkers read them.
//!
//! In: a history. Out: one map a line, an `:invoke` and an `:ok`, `:fail` or `:info` for each operation, in order of
//! time, with `:index`; fault events as operations of the process `:nemesis`. Reads, writes and compare-and-sets
//! carry `[key value]`; transactions carry micro-operations as Elle wants them (`:append`, `:r`, `:w`).
//!
//! What is written is what Jepsen's `cas-register` understands. A delete is a write of `nil`. A compare-and-set expects a
//! value there, and a mod revision here: the value that had it, where the history tells; else it is written as the write
//! that it certainly is, too.
//!
//! Deliberately absent: reading (JSON lines are the lossless form); lists, and reads that may be or shall be old, which
//! no register has; watches and the commit log, for which Jepsen has no form.

mod expected;

use std::fmt::{self, Display, Write as _};
use std::io::{self, Write};

use expected::Values;

use crate::history::{
    Call, Consistency, End, FaultEvent, FaultPhase, History, Key, KeyVersion, LeaseId, MicroOp, MicroResult,
    Nanos, Operation, Returned,
};

/// Writes a history.
pub fn write(history: &History, out: &mut impl Write) -> io::Result<()> {
    let mut text = String::new();
    let values = Values::of(history);
    for (index, line) in lines(history).into_iter().enumerate() {
        text.clear();
        line.render(index, &values, &mut text).map_err(io::Error::other)?;
        out.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// An operation in a few words: what was asked, what was answered, when.
pub(crate) fn words(number: u32, operation: &Operation) -> String {
    let returned = operation.answer().map(|(_, returned)| returned);
    let mut text = format!("operation {number} (process {}, ", operation.process.0);
    let rendered = match operation.end.at() {
        Some(at) => write!(text, "{} to {} ns): ", operation.invoked.0, at.0),
        None => write!(text, "from {} ns on): ", operation.invoked.0),
    };
    let rendered = rendered.and_then(|()| write!(text, "{} ", function(&operation.call)));
    let rendered = rendered.and_then(|()| value(&operation.call, returned, &mut text));
    let rendered = rendered.and_then(|()| match &operation.end {
        End::Ok { returned, .. } => {
            write!(text, " {} at revision {}", outcome(returned), returned.revision())
        }
        End::Failed { .. } => text.write_str(" failed"),
        End::Unknown { .. } => text.write_str(" unknown"),
    });
    rendered.expect("a string takes every text");
    text
}

/// One line to come.
struct Line<'a> {
    at: Nanos,
    what: What<'a>,
}

enum What<'a> {
    End(&'a Operation),
    Fault(&'a FaultEvent),
    Invoke(&'a Operation),
}

fn lines(history: &History) -> Vec<Line<'_>> {
    let mut lines = Vec::with_capacity(2 * history.operations.len());
    for operation in history.operations.iter().filter(|operation| has_form(&operation.call)) {
        lines.push(Line { at: operation.invoked, what: What::Invoke(operation) });
        if let Some(at) = operation.end.at() {
            lines.push(Line { at, what: What::End(operation) });
        }
    }
    lines.extend(history.faults.iter().map(|event| Line { at: event.at, what: What::Fault(event) }));
    lines.sort_by_key(|line| (line.at, line.rank()));
    lines
}

/// Whether Jepsen has a form for a call.
fn has_form(call: &Call) -> bool {
    match call {
        Call::Read { revision, consistency, .. } => {
            revision.is_none() && *consistency == Consistency::Linearizable
        }
        Call::List { .. } => false,
        _ => true,
    }
}

impl Line<'_> {
    /// The order of what happens in one moment: a process ends before it begins again, and an operation that takes no
    /// time lies between, its own beginning first (the sort is stable).
    fn rank(&self) -> u8 {
        match self.what {
            What::End(operation) if operation.invoked < self.at => 0,
            What::Fault(_) => 1,
            What::End(_) => 2,
            What::Invoke(operation) if operation.end.at() == Some(self.at) => 2,
            What::Invoke(_) => 3,
        }
    }
}

impl Line<'_> {
    fn render(&self, index: usize, values: &Values<'_>, out: &mut String) -> fmt::Result {
        let (kind, process, call): (_, &dyn Display, _) = match &self.what {
            What::Invoke(operation) => ("invoke", &operation.process.0, Some((operation, None))),
            What::End(operation) => match &operation.end {
                End::Ok { returned, .. } => {
                    (outcome(returned), &operation.process.0, Some((operation, Some(returned))))
                }
                End::Failed { .. } => ("fail", &operation.process.0, Some((operation, None))),
                End::Unknown { .. } => ("info", &operation.process.0, Some((operation, None))),
            },
            What::Fault(_) => ("info", &":nemesis", None),
        };
        write!(out, "{{:type :{kind}, :process {process}, :time {}, :index {index}, ", self.at.0)?;
        match (&call, &self.what) {
            (Some((operation, returned)), _) => {
                call_as_jepsen(&operation.call, *returned, values, out)?;
                if let (End::Failed { why, .. } | End::Unknown { why, .. }, What::End(_)) =
                    (&operation.end, &self.what)
                {
                    write!(out, ", :error {}", Text(why))?;
                }
            }
            (None, What::Fault(event)) => fault(event, out)?,
            (None, What::Invoke(_) | What::End(_)) => {}
        }
        out.write_str("}\n")
    }
}

fn call_as_jepsen(
    call: &Call,
    returned: Option<&Returned>,
    values: &Values<'_>,
    out: &mut String,
) -> fmt::Result {
    match call {
        Call::Delete { key } => write!(out, ":f :write, :value [{} nil]", KeyText(key)),
        Call::CompareAndSet { key, expected, value: new } => match values.at(key, *expected) {
            Some(expected) => write!(out, ":f :cas, :value [{} [{} {new}]]", KeyText(key), Or(expected)),
            None => write!(out, ":f :write, :value [{} {new}]", KeyText(key)),
        },
        _ => {
            write!(out, ":f :{}, :value ", function(call))?;
            value(call, returned, out)
        }
    }
}

/// What did nothing is a failure in Jepsen's sense.
fn outcome(returned: &Returned) -> &'static str {
    let done = match returned {
        Returned::CompareAndSet { swapped, .. } => *swapped,
        Returned::LockAcquire { acquired, .. } => *acquired,
        Returned::LockRelease { released, .. } => *released,
        Returned::FencedWrite { accepted, .. } => *accepted,
        Returned::LeaseAttach { attached, .. } => *attached,
        Returned::Read { .. }
        | Returned::List { .. }
        | Returned::Write { .. }
        | Returned::Delete { .. }
        | Returned::Txn { .. }
        | Returned::SetAdd { .. }
        | Returned::SetRead { .. }
        | Returned::CounterAdd { .. }
        | Returned::CounterRead { .. }
        | Returned::LeaseGrant { .. }
        | Returned::LeaseKeepAlive { .. }
        | Returned::LeaseRevoke { .. }
        | Returned::LeaseTimeToLive { .. }
        | Returned::LeaseKeyRead { .. }
        | Returned::Compact { .. } => true,
    };
    if done { "ok" } else { "fail" }
}

fn function(call: &Call) -> &'static str {
    match call {
        Call::Read { .. } | Call::SetRead | Call::CounterRead => "read",
        Call::List { .. } => "list",
        Call::Write { .. } => "write",
        Call::Delete { .. } => "delete",
        Call::CompareAndSet { .. } => "cas",
        Call::Txn(_) => "txn",
        Call::SetAdd(_) | Call::CounterAdd(_) => "add",
        Call::LockAcquire { .. } => "acquire",
        Call::LockRelease { .. } => "release",
        Call::FencedWrite { .. } => "fenced-write",
        Call::LeaseGrant { .. } => "lease-grant",
        Call::LeaseKeepAlive { .. } => "lease-keep-alive",
        Call::LeaseRevoke { .. } => "lease-revoke",
        Call::LeaseAttach { .. } => "lease-attach",
        Call::LeaseTimeToLive { .. } => "lease-time-to-live",
        Call::LeaseKeyRead { .. } => "lease-key-read",
        Call::Compact { .. } => "compact",
    }
}

fn value(call: &Call, returned: Option<&Returned>, out: &mut String) -> fmt::Result {
    match call {
        Call::Read { key, .. } => write!(out, "[{} {}]", KeyText(key), read_value(returned)),
        Call::List { .. } => list(returned, out),
        Call::Write { key, value } => write!(out, "[{} {value}]", KeyText(key)),
        Call::Delete { key } => write!(out, "[{} nil]", KeyText(key)),
        Call::CompareAndSet { key, expected, value } => {
            write!(out, "[{} [{expected} {value}]]", KeyText(key))
        }
        Call::Txn(parts) => txn(parts, returned, out),
        Call::SetAdd(element) => write!(out, "{element}"),
        Call::CounterAdd(delta) => write!(out, "{delta}"),
        Call::SetRead | Call::CounterRead => match returned {
            Some(Returned::SetRead { elements, .. }) => numbers(elements, out),
            Some(Returned::CounterRead { total, .. }) => write!(out, "{total}"),
            _ => out.write_str("nil"),
        },
        Call::LockAcquire { lock } => write!(out, "[{} {}]", KeyText(lock), token(returned)),
        Call::LockRelease { lock, token } => write!(out, "[{} {token}]", KeyText(lock)),
        Call::FencedWrite { lock, token, value } => write!(out, "[{} [{token} {value}]]", KeyText(lock)),
        Call::LeaseGrant { id, ttl_seconds } => write!(out, "[{} {ttl_seconds}]", id.0),
        Call::LeaseKeepAlive { id } | Call::LeaseTimeToLive { id } => {
            write!(out, "[{} {}]", id.0, Or(remaining(returned)))
        }
        Call::LeaseRevoke { id } => write!(out, "[{} nil]", id.0),
        Call::LeaseAttach { id, key, value } => write!(out, "[{} {} {value}]", id.0, KeyText(key)),
        Call::LeaseKeyRead { key } => write!(out, "[{} {}]", KeyText(key), Or(holder(returned))),
        Call::Compact { revision } => write!(out, "{revision}"),
    }
}

fn read_value(returned: Option<&Returned>) -> String {
    match returned {
        Some(Returned::Read { found: Some(KeyVersion { value, .. }), .. }) => value.to_string(),
        _ => "nil".to_owned(),
    }
}

fn list(returned: Option<&Returned>, out: &mut String) -> fmt::Result {
    let Some(Returned::List { items, .. }) = returned else { return out.write_str("nil") };
    out.write_str("[")?;
    for (number, (key, version)) in items.iter().enumerate() {
        write!(out, "{}[{} {}]", space(number), KeyText(key), version.value)?;
    }
    out.write_str("]")
}

fn txn(parts: &[MicroOp], returned: Option<&Returned>, out: &mut String) -> fmt::Result {
    let results = match returned {
        Some(Returned::Txn { results, .. }) => results.as_slice(),
        _ => &[],
    };
    out.write_str("[")?;
    for (number, part) in parts.iter().enumerate() {
        out.write_str(space(number))?;
        match part {
            MicroOp::Append { key, element } => write!(out, "[:append {} {element}]", KeyText(key))?,
            MicroOp::Put { key, value } => write!(out, "[:w {} {value}]", KeyText(key))?,
            MicroOp::Delete { key } => write!(out, "[:w {} nil]", KeyText(key))?,
            MicroOp::ReadList { key } | MicroOp::Get { key } => {
                write!(out, "[:r {} ", KeyText(key))?;
                match results.get(number) {
                    Some(MicroResult::List(elements)) => numbers(elements, out)?,
                    Some(MicroResult::Value(value)) => write!(out, "{}", Or(*value))?,
                    Some(MicroResult::Written) | None => out.write_str("nil")?,
                }
                out.write_str("]")?;
            }
        }
    }
    out.write_str("]")
}

fn numbers(numbers: &[u64], out: &mut String) -> fmt::Result {
    out.write_str("[")?;
    for (number, element) in numbers.iter().enumerate() {
        write!(out, "{}{element}", space(number))?;
    }
    out.write_str("]")
}

fn space(number: usize) -> &'static str {
    if number == 0 { "" } else { " " }
}

fn token(returned: Option<&Returned>) -> Or<u64> {
    match returned {
        Some(Returned::LockAcquire { revision, acquired: true }) => Or(Some(revision.0)),
        _ => Or(None),
    }
}

fn remaining(returned: Option<&Returned>) -> Option<u32> {
    match returned {
        Some(Returned::LeaseKeepAlive { ttl_seconds, .. }) => Some(*ttl_seconds),
        Some(Returned::LeaseTimeToLive { remaining_seconds, .. }) => *remaining_seconds,
        _ => None,
    }
}

fn holder(returned: Option<&Returned>) -> Option<i64> {
    match returned {
        Some(Returned::LeaseKeyRead { holder, .. }) => holder.map(|LeaseId(id)| id),
        _ => None,
    }
}

fn fault(event: &FaultEvent, out: &mut String) -> fmt::Result {
    let (phase, note) = match &event.phase {
        FaultPhase::Began => ("begin", ""),
        FaultPhase::Ended => ("end", ""),
        FaultPhase::Struck => ("strike", ""),
        FaultPhase::Skipped(why) => ("skip", why.as_str()),
        FaultPhase::Healed => ("healed", ""),
        FaultPhase::LeaderSeen(name) => ("leader", name.as_str()),
    };
    write!(out, ":f :{phase}, :value [{} [", Text(&event.fault))?;
    for (number, target) in event.targets.iter().enumerate() {
        write!(out, "{}{}", space(number), Text(target))?;
    }
    write!(out, "] {}]", Text(note))
}

/// A value, or `nil`.
struct Or<T>(Option<T>);

impl<T: Display> Display for Or<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("nil"),
        }
    }
}

/// A string in quotes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// A key in quotes.
struct KeyText<'a>(&'a Key);

impl Display for KeyText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(&self.0.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{delete, failed, read, serializable, swap, txn, unknown, write};

    fn text(operations: Vec<Operation>) -> String {
        let mut out = Vec::new();
        let history = History { operations, ..History::default() };
        super::write(&history, &mut out).expect("memory takes it");
        String::from_utf8(out).expect("EDN is UTF-8")
    }

    #[test]
    fn registers_are_written_as_jepsen_reads_them() {
        let operations = vec![write(0, 10..12, "k", 7, 2), unknown(read(1, 11..20, "k", None, 1))];
        let want = "\
{:type :invoke, :process 0, :time 10, :index 0, :f :write, :value [\"k\" 7]}
{:type :invoke, :process 1, :time 11, :index 1, :f :read, :value [\"k\" nil]}
{:type :ok, :process 0, :time 12, :index 2, :f :write, :value [\"k\" 7]}
{:type :info, :process 1, :time 20, :index 3, :f :read, :value [\"k\" nil], :error \"no answer\"}
";
        assert_eq!(text(operations), want);
    }

    #[test]
    fn transactions_are_written_as_elle_reads_them() {
        let operations = vec![txn(0, 1..2, 5, "ax3 rx1,2 ry")];
        let want = "\
{:type :invoke, :process 0, :time 1, :index 0, :f :txn, :value [[:append \"x\" 3] [:r \"x\" nil] [:r \"y\" nil]]}
{:type :ok, :process 0, :time 2, :index 1, :f :txn, :value [[:append \"x\" 3] [:r \"x\" [1 2]] [:r \"y\" []]]}
";
        assert_eq!(text(operations), want);
    }

    #[test]
    fn an_end_comes_before_the_next_beginning_of_the_same_moment() {
        let operations =
            vec![failed(txn(0, 1..2, 5, "ax1")), txn(0, 2..2, 6, "ax2"), write(0, 2..3, "k", 3, 7)];
        let text = text(operations);
        let kinds: Vec<&str> = text.lines().filter_map(|line| line[8..].split(',').next()).collect();
        assert_eq!(kinds, ["invoke", "fail", "invoke", "ok", "invoke", "ok"]);
    }

    /// `:f` and `:value` of what ended.
    fn ended(operations: Vec<Operation>) -> Vec<String> {
        let text = text(operations);
        let ended = text.lines().filter(|line| !line.contains(":type :invoke"));
        ended.filter_map(|line| Some(line[line.find(":f ")?..].trim_end_matches('}').to_owned())).collect()
    }

    #[test]
    fn a_compare_and_set_expects_the_value_that_had_the_revision() {
        let operations = vec![
            write(0, 0..1, "k", 7, 2),
            swap(0, 2..3, "k", (2, 8), 3),
            delete(0, 4..5, "k", true, 4),
            swap(0, 6..7, "k", (0, 9), 5),
            swap(0, 8..9, "k", (1, 10), 6),
        ];
        let want = [
            ":f :write, :value [\"k\" 7]",
            ":f :cas, :value [\"k\" [7 8]]",
            ":f :write, :value [\"k\" nil]",
            ":f :cas, :value [\"k\" [nil 9]]",
            ":f :write, :value [\"k\" 10]",
        ];
        assert_eq!(ended(operations), want);
    }

    #[test]
    fn what_no_register_has_is_left_out() {
        assert_eq!(ended(vec![serializable(read(0, 0..1, "k", None, 2))]), [""; 0]);
    }
}
