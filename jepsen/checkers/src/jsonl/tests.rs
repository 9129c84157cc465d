//! The format of JSON lines: there and back, and everything that is refused.

use proptest::prelude::*;

use super::*;
use crate::testing::everything;

fn text(history: &History) -> String {
    let mut out = Vec::new();
    write(history, &mut out).expect("memory takes it");
    String::from_utf8(out).expect("JSON is UTF-8")
}

fn error(text: &str) -> String {
    read(text.as_bytes()).expect_err("it is refused").to_string()
}

fn without_line(text: &str, word: &str) -> String {
    let mut found = false;
    let kept = text.lines().filter(|line| {
        let hit = !found && line.contains(word);
        found |= hit;
        !hit
    });
    let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
    assert!(found, "{word}");
    kept
}

#[test]
fn every_kind_of_record_comes_back_as_it_was() {
    let history = everything();
    assert_eq!(read(text(&history).as_bytes()).expect("it is sound"), history);
}

#[test]
fn a_file_that_was_cut_short_is_refused_at_every_line() {
    let whole = text(&everything());
    let lines: Vec<&str> = whole.lines().collect();
    for kept in 0..lines.len() {
        let cut: String = lines[..kept].iter().flat_map(|line| [line, "\n"]).collect();
        assert!(error(&cut).starts_with(&format!("line {}: the file ends", kept + 1)), "{}", error(&cut));
    }
}

#[test]
fn a_line_that_is_lost_in_the_middle_is_noticed() {
    let lost = without_line(&text(&everything()), "{\"operation\"");
    assert!(error(&lost).contains("lines are missing"), "{}", error(&lost));
}

#[test]
fn a_record_that_cannot_be_is_named_by_its_line() {
    let mut history = everything();
    history.operations[2].invoked = crate::testing::at(1 << 40);
    assert!(error(&text(&history)).starts_with("line 4: operation 2: "), "{}", error(&text(&history)));
}

#[test]
fn a_newer_version_is_refused_before_its_fields_are_looked_at() {
    let newer = "{\"history\":{\"version\":3,\"meta\":{\"colour\":\"red\"}}}\n";
    assert!(error(newer).contains("use a newer one"), "{}", error(newer));
    let zero = newer.replace("\"version\":3", "\"version\":0");
    assert!(error(&zero).contains("the first one was 1"), "{}", error(&zero));
}

#[test]
fn the_first_version_had_no_remarks_and_the_second_has() {
    let bare = without_line(&text(&everything()), "{\"remarks\"");
    assert!(error(&bare).contains("no `remarks`"), "{}", error(&bare));
    let first = bare.replacen("\"version\":2", "\"version\":1", 1);
    let read = read(first.as_bytes()).expect("it is of the first version");
    assert_eq!(read, History { remarks: Remarks::default(), ..everything() });
}

#[test]
fn an_unknown_field_is_refused() {
    let whole = text(&everything());
    let odd = whole.replacen("\"process\":", "\"colour\":1,\"process\":", 1);
    assert!(error(&odd).starts_with("line 2: not a record"), "{}", error(&odd));
}

#[test]
fn what_follows_the_end_is_refused() {
    let whole = text(&everything());
    assert!(error(&format!("{whole}{whole}")).contains("something follows"));
}

#[test]
fn a_file_without_its_beginning_is_refused() {
    let headless = without_line(&text(&everything()), "\"version\":2,\"meta\"");
    assert!(error(&headless).starts_with("line 1: not the first record"), "{}", error(&headless));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(bytes.as_slice());
    }

    #[test]
    fn a_damaged_file_is_refused_or_still_a_history(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = text(&everything()).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(history) = read(bytes.as_slice()) {
            prop_assert_eq!(history.validate(), Ok(()));
            for promise in crate::promise::PROMISES {
                let _ = (promise.check)(&history);
            }
        }
    }
}
