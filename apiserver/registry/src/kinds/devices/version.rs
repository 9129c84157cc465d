//! Versions of devices' drivers, as semver.org has them.
//!
//! In: a text. Out: whether it is a version: three numbers, then perhaps identifiers of a release to come after `-`,
//! then perhaps identifiers of a build after `+`.

/// Whether a text is a version by the rules of semver.org, 2.0.0.
pub(super) fn is_semantic(text: &str) -> bool {
    let (text, build) = cut(text, '+');
    let (core, release) = cut(text, '-');
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.into_iter().all(is_number)
        && release.is_none_or(|release| release.split('.').all(is_release))
        && build.is_none_or(|build| build.split('.').all(is_identifier))
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn is_number(text: &str) -> bool {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits && (text == "0" || !text.starts_with('0'))
}

/// Numbers have no zeros before them here, either.
fn is_release(text: &str) -> bool {
    is_identifier(text) && (is_number(text) || !text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_what_is_none() {
        for good in ["1.2.3", "0.0.0", "1.0.0-alpha.PRE.1", "1.0.0-x-y", "1.0.0+build.0240305", "1.2.3-0+a-b"]
        {
            assert!(is_semantic(good), "{good}");
        }
        for bad in
            ["", "1.x", "1.2", "1.2.3.4", "01.2.3", "1.2.3-01", "1.2.3-", "1.2.3+", "v1.2.3", "1.2.3-a..b"]
        {
            assert!(!is_semantic(bad), "{bad}");
        }
    }
}
