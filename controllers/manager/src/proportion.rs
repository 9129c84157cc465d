//! Numbers that users give as such or as a percentage of a whole: pure.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// What becomes of a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// It counts as one.
    Up,
    /// It does not count.
    Down,
}

/// The number, or the percentage of `total`. Text that is no percentage is zero: the API takes no such thing.
pub(crate) fn scaled(value: &IntOrString, total: i64, round: Round) -> i64 {
    let text = match value {
        IntOrString::Int(number) => return (*number).into(),
        IntOrString::String(text) => text,
    };
    let percent: i64 = text.strip_suffix('%').and_then(|digits| digits.parse().ok()).unwrap_or(0);
    let hundredths = percent.saturating_mul(total);
    match round {
        Round::Up => hundredths.saturating_add(99) / 100,
        Round::Down => hundredths / 100,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_rounded_as_its_user_wants() {
        let quarter = IntOrString::String("25%".to_owned());
        assert_eq!((scaled(&quarter, 10, Round::Up), scaled(&quarter, 10, Round::Down)), (3, 2));
        assert_eq!((scaled(&quarter, 8, Round::Up), scaled(&quarter, 8, Round::Down)), (2, 2));
        assert_eq!(scaled(&IntOrString::Int(7), 3, Round::Up), 7);
        let huge = IntOrString::String(format!("{}%", i64::MAX));
        assert_eq!(scaled(&huge, i64::MAX, Round::Up), i64::MAX / 100);
    }
}
