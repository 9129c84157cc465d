//! What may never happen to the pure parts of the API server, whatever a client sends.
//!
//! In: any bytes. Out: nothing; a target panics when one of its promises is broken. No target needs more time or memory
//! than its input and the limits of the schema allow.
//!
//! An ordinary test runs every target over the seeds of `corpus/` and over thousands of their mutations, everywhere and
//! alike each time. Where there is cargo-fuzz and a nightly compiler, `make fuzz` lets libFuzzer look for more.
//!
//! Deliberately absent: whatever needs a server.

mod bodies;
mod changes;
mod kinds;
mod mutate;
mod queries;
mod schemas;

pub use mutate::Mutations;

/// Something that takes any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and its folder below `corpus/`.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub run: fn(&[u8]),
    /// What its inputs are made of.
    pub words: &'static [&'static str],
}

/// What JSON documents are made of.
const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0000",
    "null",
    "true",
    "1e400",
    "-0",
    "0.1",
    "\"metadata\":{}",
    "\"name\":\"a\"",
    "\"spec\":",
    "\"$patch\":\"delete\"",
    "\"$retainKeys\":[]",
    "\"managedFields\":[{}]",
];

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "json", run: bodies::json, words: JSON },
    Target {
        name: "yaml",
        run: bodies::yaml,
        words: &["&a ", "*a", "<<: ", "- ", ": ", "\n", "|\n", "!!binary ", "---", "? ", "[", "{", "~", "\t"],
    },
    Target {
        name: "protobuf",
        run: bodies::protobuf,
        words: &["k8s\0", "\u{0}", "\n", "\u{12}", "\u{1a}", "v1", "Pod"],
    },
    Target { name: "json_patch", run: changes::json_patch, words: JSON },
    Target { name: "merge_patch", run: changes::merge_patch, words: JSON },
    Target { name: "strategic_merge_patch", run: changes::strategic_merge_patch, words: JSON },
    Target { name: "apply", run: changes::apply, words: JSON },
    Target { name: "kinds", run: kinds::kinds, words: JSON },
    Target {
        name: "schemas",
        run: schemas::schemas,
        words: &[
            "\n",
            "\na struct ",
            " a:a",
            "!",
            "=1",
            "@a",
            " list ",
            " map ",
            " bool-or ",
            " alias ",
            "{}",
            "[]",
            "null",
        ],
    },
    Target {
        name: "selectors",
        run: queries::selectors,
        words: &["=", "==", "!=", "!", ",", " in ", " notin ", "(", ")", "\\", "a/b", "metadata.name"],
    },
    Target {
        name: "requests",
        run: queries::requests,
        words: &[
            "/",
            "%2F",
            "%00",
            "?",
            "&",
            "=",
            "watch",
            "namespaces",
            "api",
            "apis",
            "v1",
            "pods",
            "status",
            "+",
        ],
    },
    Target {
        name: "scalars",
        run: queries::scalars,
        words: &["Ki", "e9", "n", "-", ".", "999999999999999999999999", "10.0.0.0/8", "::", "/", "a.b"],
    },
];
