//! Names of time zones, as the IANA has them.
//!
//! In: a name. Out: what is wrong with it, in upstream's words.
//!
//! The names are those of the time zone database, release 2025b (`zones.txt`, its zones and its links). Upstream takes
//! the names that Go's copy of it has, whatever machine the server runs on; so does this server.
//!
//! Deliberately absent: what time it is in a zone, which the controller knows.

/// The longest part of a name between slashes, in bytes.
const PART_MAX: usize = 14;

/// The names, one a line, in the order of their bytes.
const NAMES: &str = include_str!("zones.txt");

/// What is wrong with a name.
pub(super) fn check(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["timeZone must be nil or non-empty string".to_owned()];
    }
    let unknown = format!("unknown time zone {name}");
    if !name.split('/').all(is_part) {
        return vec![unknown];
    }
    let mut wrong = Vec::new();
    if name.eq_ignore_ascii_case("local") {
        wrong.push(
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".to_owned(),
        );
    }
    // Go knows a zone of this name: the machine's.
    if name != "Local" && !NAMES.lines().any(|known| known == name) {
        wrong.push(unknown);
    }
    wrong
}

fn is_part(part: &str) -> bool {
    let fits = (1..=PART_MAX).contains(&part.len()) && !matches!(part, "." | "..") && !part.starts_with('-');
    fits && part.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zones_that_there_are_are_known() {
        for good in ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "Etc/GMT+12", "US/Pacific", "Zulu"]
        {
            assert_eq!(check(good), [""; 0], "{good}");
        }
        for bad in
            ["..", "Europe//Berlin", "-x", "Europe/Ber lin", "abcdefghijklmno", "Foo/Bar", "europe/berlin"]
        {
            assert_eq!(check(bad), [format!("unknown time zone {bad}")]);
        }
        let own = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        assert_eq!(check("Local"), [own]);
        assert_eq!(check("local"), [own, "unknown time zone local"]);
        assert_eq!(check(""), ["timeZone must be nil or non-empty string"]);
    }

    #[test]
    fn the_list_is_in_order_and_fits_the_rules_for_names() {
        assert!(NAMES.lines().is_sorted() && NAMES.lines().count() > 590);
        assert!(NAMES.lines().all(|name| check(name).is_empty()));
    }
}
