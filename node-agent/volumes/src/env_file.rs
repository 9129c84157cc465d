//! Environment files: `NAME='value'`, as `fileKeyRef` reads them. Pure.
//!
//! In: the text of a file. Out: the variables in it. The format is upstream's narrow one: values stand in single quotes,
//! taken literally, line breaks included; lines that begin with `#` and blank lines do not count. Deliberately absent:
//! everything else a shell would accept, which is refused rather than guessed at.

/// The value of `key` in an environment file, `None` if it is not set there. The last one counts, as in a shell.
///
/// The error names the line that is not of the format.
pub(crate) fn find(text: &str, key: &str) -> Result<Option<String>, usize> {
    let mut found = None;
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(found);
        }
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let (name, value, behind) = declaration(rest).ok_or(line)?;
        if name == key {
            found = Some(value.to_owned());
        }
        rest = behind;
    }
}

/// The name, the value, and what comes behind the line.
fn declaration(text: &str) -> Option<(&str, &str, &str)> {
    let (name, behind) = text.split_once('=')?;
    let name = name.trim_end_matches([' ', '\t']);
    if name.is_empty() || name.contains(char::is_whitespace) || name.contains('\'') {
        return None;
    }
    let (value, behind) = behind.trim_start_matches([' ', '\t']).strip_prefix('\'')?.split_once('\'')?;
    let (end, behind) = behind.split_once('\n').unwrap_or((behind, ""));
    end.trim().is_empty().then_some((name, value, behind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn declarations_are_found() {
        let text = "# comment='no'\n\n  A='a b'\nB = '$(A) \"x\" # y'  \r\nM='one\n# two'\nA='last'\nE=''";
        for (key, value) in [
            ("A", Some("last")),
            ("B", Some("$(A) \"x\" # y")),
            ("M", Some("one\n# two")),
            ("E", Some("")),
            ("X", None),
        ] {
            assert_eq!(find(text, key), Ok(value.map(str::to_owned)), "{key}");
        }
        assert_eq!(find("", "A"), Ok(None));
    }

    #[test]
    fn whatever_else_a_shell_would_take_is_refused_with_its_line() {
        for line in [
            "A=a",
            "A=\"a\"",
            "A='a''b'",
            "A='a'$B",
            "A='a",
            "export A='a'",
            "A",
            "='a'",
            "A='a' # comment",
            "A=\n'a'",
        ] {
            assert_eq!(find(&format!("X='1\n2'\n\n{line}\n"), "X"), Err(4), "{line}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in any::<String>(), odd in "[A'= \n#]{0,30}") {
            let _ = find(&text, "A");
            let _ = find(&odd, "A");
        }

        #[test]
        fn a_value_is_taken_literally(value in "[^']*") {
            prop_assert_eq!(find(&format!("A='{value}'\n"), "A"), Ok(Some(value)));
        }
    }
}
