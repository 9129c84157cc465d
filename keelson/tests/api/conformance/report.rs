//! Which of upstream's titles are covered, as a document.
//!
//! In: all titles, the tables of scenarios, what is missing, and what upstream's own program has said (`upstream.md`, by
//! hand). Out: `docs/conformance.md`, compared with what is there; `UPDATE_GOLDEN=1` writes it.

use std::fmt::Write as _;
use std::path::Path;

use super::{Area, Title};

/// All titles that need no container that runs, one a line: class, sig, suite, title, the release that brought it, and
/// flags.
const TITLES: &str = include_str!("titles.txt");

/// What a run of upstream's own program has said.
const UPSTREAM: &str = include_str!("upstream.md");

/// From the package's folder, in which its tests run.
const DOCUMENT: &str = "../docs/conformance.md";

const INTRODUCTION: &str = "# Upstream's conformance suite

Kubernetes 1.37 has 462 conformance tests. 159 of them need no container that runs: 118 the API server alone, 41
controllers or the scheduler as well. For each of these, this table says which scenario of `keelson/tests/api/conformance/`
does what upstream's test does, or why there is none. The scenarios are written anew from what upstream's tests ask; they
are not upstream's suite: what that says stands below. Each runs with a client that speaks JSON and with one that speaks
protobuf, against three servers: `cargo test -p keelson --test api conformance`. Titles are shortened. What needs containers
is looked at by the suite `node`, though not by title.

Made by `UPDATE_GOLDEN=1 cargo test -p keelson --test api every_title`; the same test fails when it is out of date.
";

/// A line of [`TITLES`].
struct Wanted<'t> {
    class: &'t str,
    sig: &'t str,
    suite: &'t str,
    title: &'t str,
}

impl<'t> Wanted<'t> {
    fn all() -> impl Iterator<Item = Self> {
        TITLES.lines().map(|line| {
            let mut parts = line.split('|');
            let mut next = || parts.next().unwrap();
            Wanted { class: next(), sig: next(), suite: next(), title: next() }
        })
    }

    fn is(&self, suite: &str, title: &str) -> bool {
        self.suite == suite && self.title == title
    }
}

/// Fails if a title is neither covered nor missing, or both, or is none of upstream's, or if the document is out of date.
pub(super) fn check(areas: &[Area], missing: &[(&str, &str, &str)]) {
    let covered: Vec<(&str, &Title)> =
        areas.iter().flat_map(|area| area.titles.iter().map(|title| (area.file, title))).collect();
    for (_, title) in &covered {
        let count =
            covered.iter().filter(|it| (it.1.suite, it.1.title) == (title.suite, title.title)).count();
        assert_eq!(count, 1, "{}: {} is there more than once", title.suite, title.title);
        assert!(
            Wanted::all().any(|it| it.is(title.suite, title.title)),
            "{}: {} is none of upstream's",
            title.suite,
            title.title
        );
    }
    let document = document(&covered, missing);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(Path::new(DOCUMENT), &document).unwrap();
    }
    let found = std::fs::read_to_string(DOCUMENT).unwrap_or_default();
    assert!(found == document, "{DOCUMENT} is out of date: UPDATE_GOLDEN=1 writes it");
}

fn document(covered: &[(&str, &Title)], missing: &[(&str, &str, &str)]) -> String {
    let mut text = INTRODUCTION.to_owned();
    for (class, heading) in [("A0", "The API server alone"), ("A1", "Controllers and scheduler, too")] {
        let of_class = || Wanted::all().filter(move |wanted| wanted.class == class);
        let rows: Vec<(Wanted<'_>, Result<&str, &str>)> = of_class()
            .map(|wanted| {
                let row = row(&wanted, covered, missing);
                (wanted, row)
            })
            .collect();
        let count = rows.iter().filter(|(_, row)| row.is_ok()).count();
        write!(text, "\n## {heading}: {count} of {}\n\n", rows.len()).unwrap();
        text.push_str("| sig | suite | title | scenario |\n|---|---|---|---|\n");
        for (wanted, row) in rows {
            let Wanted { sig, suite, title, .. } = wanted;
            let row = row.map_or_else(|reason| format!("none: {reason}"), |file| format!("`{file}.rs`"));
            writeln!(text, "| {sig} | {suite} | {title} | {row} |").unwrap();
        }
    }
    text + UPSTREAM
}

/// The file with a title's scenario, or why there is none.
fn row<'r>(
    wanted: &Wanted<'_>,
    covered: &[(&'r str, &Title)],
    missing: &[(&str, &str, &'r str)],
) -> Result<&'r str, &'r str> {
    let file = covered.iter().find(|(_, title)| wanted.is(title.suite, title.title)).map(|(file, _)| *file);
    let reason = missing
        .iter()
        .find(|(suite, title, _)| wanted.suite == *suite && (title.is_empty() || wanted.title == *title))
        .map(|(_, _, reason)| *reason);
    match (file, reason) {
        (Some(file), None) => Ok(file),
        (None, Some(reason)) => Err(reason),
        (None, None) => panic!("nobody has decided about {}: {}", wanted.suite, wanted.title),
        (Some(_), Some(_)) => panic!("{}: {} is there, and missing", wanted.suite, wanted.title),
    }
}
