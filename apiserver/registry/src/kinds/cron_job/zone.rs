//! Names of time zones, as the IANA has them.
//!
//! In: a name. Out: what is wrong with it, in upstream's words.
//!
//! Deliberately absent: whether there is a zone of that name. Zones come and go with the machine's database, and the
//! controller, which has to have one, says so in an event.

/// The longest part of a name between slashes, in bytes.
const PART_MAX: usize = 14;

/// What is wrong with a name.
pub(super) fn check(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("must be nil or non-empty string".to_owned());
    }
    if !name.split('/').all(is_part) {
        return Some(format!("unknown time zone {name}"));
    }
    let own = name.eq_ignore_ascii_case("local");
    own.then(|| {
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned()
    })
}

fn is_part(part: &str) -> bool {
    let fits = (1..=PART_MAX).contains(&part.len()) && !matches!(part, "." | "..") && !part.starts_with('-');
    fits && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_like_names() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+12"] {
            assert_eq!(check(good), None, "{good}");
        }
        for bad in ["..", "Europe//Berlin", "-x", "Europe/Ber lin", "abcdefghijklmno"] {
            assert_eq!(check(bad), Some(format!("unknown time zone {bad}")));
        }
        assert!(check("local").is_some_and(|text| text.contains("explicit time zone")));
        assert!(check("").is_some());
    }
}
