//! What the hunts came to, for people and for programs. Pure.

use serde_json::{Value, json};

use super::hunt::{Catch, End, Hunt};

/// Names beyond this many are only counted.
const NAMES: usize = 3;

/// What was broken, in a few words.
fn few(broken: &[String]) -> String {
    let named = broken.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", ");
    match broken.len().saturating_sub(NAMES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// One hunt, as it ends.
pub(super) fn line(hunt: &Hunt) -> String {
    let Hunt { mutant, end, took } = hunt;
    let seconds = took.as_secs_f64();
    match end {
        End::Caught(Catch { broken, .. }) => {
            format!("{mutant}: caught by {} after {seconds:.1} s", few(broken))
        }
        End::Survived => format!("{mutant}: SURVIVES {seconds:.1} s: {}", mutant.words()),
        End::Failed(why) => format!("{mutant}: could not be hunted: {why}"),
    }
}

/// All hunts, a row each.
pub(super) fn table(hunts: &[Hunt]) -> String {
    let rows: Vec<[String; 5]> = hunts.iter().map(row).collect();
    let head = ["MUTANT", "CAUGHT BY", "SEED", "SECONDS", "COMMAND"].map(str::to_owned);
    let all: Vec<_> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths = [0, 1, 2, 3].map(width);
    let lines = all.iter().map(|row| {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}  "));
        format!("{}{}", padded.collect::<String>(), row[4]).trim_end().to_owned()
    });
    let caught = hunts.iter().filter(|hunt| matches!(hunt.end, End::Caught(_))).count();
    let sum = format!("{caught} of {} mutants caught", hunts.len());
    lines.chain(std::iter::once(sum)).collect::<Vec<_>>().join("\n")
}

fn row(hunt: &Hunt) -> [String; 5] {
    let Hunt { mutant, end, took } = hunt;
    let seconds = format!("{:.1}", took.as_secs_f64());
    let none = |word: &str| {
        [mutant.name().to_owned(), word.to_owned(), String::new(), seconds.clone(), String::new()]
    };
    match end {
        End::Caught(Catch { broken, command, seed }) => {
            [mutant.name().to_owned(), few(broken), seed.to_string(), seconds.clone(), command.clone()]
        }
        End::Survived => none("nothing"),
        End::Failed(_) => none("(not hunted)"),
    }
}

/// All hunts, an object each.
pub(super) fn json(hunts: &[Hunt]) -> String {
    let hunts: Vec<Value> = hunts.iter().map(object).collect();
    Value::Array(hunts).to_string()
}

fn object(hunt: &Hunt) -> Value {
    let Hunt { mutant, end, took } = hunt;
    let (catch, failure) = match end {
        End::Caught(catch) => (Some(catch), None),
        End::Survived => (None, None),
        End::Failed(why) => (None, Some(why)),
    };
    json!({
        "mutant": mutant.name(),
        "words": mutant.words(),
        "precedent": mutant.precedent(),
        "expected": mutant.catcher(),
        "caught": catch.is_some(),
        "broken": catch.map(|catch| &catch.broken),
        "seed": catch.map(|catch| catch.seed),
        "command": catch.map(|catch| &catch.command),
        "failure": failure,
        "seconds": took.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keelson_store_core::mutant::Mutant;

    use super::*;

    fn hunts() -> Vec<Hunt> {
        let catch =
            Catch { broken: vec!["one-vote".into(), "linearizable".into()], command: "c".into(), seed: 7 };
        let took = Duration::from_millis(1250);
        vec![
            Hunt { mutant: Mutant::ForgetVote, end: End::Caught(catch), took },
            Hunt { mutant: Mutant::SkipFsync, end: End::Survived, took },
            Hunt { mutant: Mutant::ApplyTwice, end: End::Failed("seed 8 hangs".into()), took },
        ]
    }

    #[test]
    fn a_table_says_who_was_caught_by_what_and_how_many_were() {
        let table = table(&hunts());
        assert_eq!(
            table,
            "MUTANT       CAUGHT BY               SEED  SECONDS  COMMAND\n\
             forget-vote  one-vote, linearizable  7     1.2      c\n\
             skip-fsync   nothing                       1.2\n\
             apply-twice  (not hunted)                  1.2\n\
             1 of 3 mutants caught"
        );
    }

    #[test]
    fn a_mutant_that_breaks_much_is_told_in_few_words() {
        let broken = ["a", "b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(few(&broken[..3]), "a, b, c");
        assert_eq!(few(&broken), "a, b, c and 2 more");
    }

    #[test]
    fn programs_are_told_the_same() {
        let value: Value = serde_json::from_str(&json(&hunts())).unwrap();
        assert_eq!((&value[0]["caught"], &value[0]["seed"]), (&json!(true), &json!(7)));
        assert_eq!((&value[1]["mutant"], &value[1]["broken"]), (&json!("skip-fsync"), &Value::Null));
        assert_eq!((&value[1]["failure"], &value[2]["failure"]), (&Value::Null, &json!("seed 8 hangs")));
    }
}
