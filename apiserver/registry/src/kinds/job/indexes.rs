//! Lists of indexes as Jobs write them: `1,3-5,7`.
//!
//! In: a text, and how many indexes there are. Out: how many it lists, or what is wrong with it in upstream's words.

use keelson_api_schema::go_text::quote;

/// How many indexes a text lists, which are below `completions` and in order.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, String> {
    let mut last = None;
    let mut total = 0;
    for part in intervals(text) {
        let (first, end) = interval(part, completions)?;
        if let Some(previous) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {previous}, current: {first}"));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

/// The first index that two texts both list. Parts that are malformed are passed over.
pub(super) fn overlap(one: &str, other: &str, completions: i64) -> Option<i64> {
    let read = |text| -> Vec<(i64, i64)> {
        intervals(text).filter_map(|part| interval(part, completions).ok()).collect()
    };
    let (one, other) = (read(one), read(other));
    let (mut at, mut at_other) = (0, 0);
    while let (Some((first, end)), Some((first_other, end_other))) = (one.get(at), other.get(at_other)) {
        if first <= end_other && first_other <= end {
            return Some(*first.max(first_other));
        }
        if first <= first_other {
            at += 1;
        } else {
            at_other += 1;
        }
    }
    None
}

fn intervals(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(move |_| !text.is_empty())
}

fn interval(text: &str, completions: i64) -> Result<(i64, i64), String> {
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        [one] => index(one, completions).map(|index| (index, index)),
        [first, last] => {
            let (first, last) = (index(first, completions)?, index(last, completions)?);
            match first < last {
                true => Ok((first, last)),
                false => Err(format!("non-increasing order, previous: {first}, current: {last}")),
            }
        }
        _ => Err(format!(
            "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
            quote(text)
        )),
    }
}

fn index(text: &str, completions: i64) -> Result<i64, String> {
    match text.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {}", quote(text))),
        Ok(index) if index >= completions => Err(format!("too large index: {}", quote(text))),
        Ok(index) => Ok(index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_counted_or_refused_in_upstreams_words() {
        for (text, total) in [("", 0), ("0", 1), ("0,2-4", 4)] {
            assert_eq!(count(text, 5), Ok(total), "{text}");
        }
        for (text, why) in [
            ("x", r#"cannot convert string to integer for index: "x""#),
            ("0-9", r#"too large index: "9""#),
            ("5", r#"too large index: "5""#),
            ("3-1", "non-increasing order, previous: 3, current: 1"),
            ("1,1", "non-increasing order, previous: 1, current: 1"),
            ("1,", r#"cannot convert string to integer for index: """#),
            (
                "0-1-2",
                r#"the fragment "0-1-2" violates the requirement that an index interval can have at most two parts separated by '-'"#,
            ),
        ] {
            assert_eq!(count(text, 5), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn lists_overlap_where_both_have_an_index() {
        assert_eq!(overlap("0,2-4", "1,5", 9), None);
        assert_eq!(overlap("0,2-4", "1,4", 9), Some(4));
        assert_eq!(overlap("2-4", "x,3-8", 9), Some(3));
        assert_eq!(overlap("", "1", 9), None);
    }
}
