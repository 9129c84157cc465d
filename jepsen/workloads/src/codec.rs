//! How values stand in the store: as text.
//!
//! In: a number or list. Out: its decimal digits, and back. Deliberately absent: errors; bytes that no workload can
//! have written become a number that no workload writes, so that the promises find it.

use keelson_checkers::history::Value;

/// Numbers from here on stand for bytes that are no value. Workloads count from 1.
const FOREIGN: u64 = 1 << 63;

/// The bytes that a value is stored as: `17`, or `[17,18]`.
pub fn encode(value: &Value) -> Vec<u8> {
    match value {
        Value::Number(number) => number.to_string().into_bytes(),
        Value::List(list) => {
            let elements: Vec<String> = list.iter().map(u64::to_string).collect();
            format!("[{}]", elements.join(",")).into_bytes()
        }
    }
}

/// The value of stored bytes. Never fails: what [`encode`] cannot have made comes out as a number of at least 2^63 that
/// depends on the bytes.
pub fn decode(bytes: &[u8]) -> Value {
    parse(bytes).unwrap_or_else(|| Value::Number(FOREIGN | fingerprint(bytes)))
}

fn parse(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok()?;
    let Some(inner) = text.strip_prefix('[') else { return number(text).map(Value::Number) };
    let inner = inner.strip_suffix(']')?;
    if inner.is_empty() {
        return Some(Value::List([].into()));
    }
    let elements: Option<Vec<u64>> = inner.split(',').map(number).collect();
    elements.map(|elements| Value::List(elements.into()))
}

/// Digits only, without the leading `+` or zeros that `str::parse` takes and `to_string` never writes.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// FNV-1a.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_as_it_was() {
        let lists = [vec![], vec![7], vec![3, u64::MAX, 3]].map(|list| Value::List(list.into()));
        for value in [0, 17, u64::MAX].map(Value::Number).into_iter().chain(lists) {
            assert_eq!(decode(&encode(&value)), value);
        }
    }

    #[test]
    fn bytes_that_nobody_wrote_become_a_number_that_nobody_writes() {
        let foreign: [&[u8]; 9] = [b"", b"+1", b"01", b"[1,]", b"[1", b"[01]", b"1]", b"\xff\x00", b"-1"];
        for bytes in foreign {
            assert!(matches!(decode(bytes), Value::Number(FOREIGN..)), "{bytes:?}");
        }
        assert_ne!(decode(b"x"), decode(b"y"));
    }
}
