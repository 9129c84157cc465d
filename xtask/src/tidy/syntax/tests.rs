//! Known-bad snippets: each check must find its own, and nothing in the known-good.

use super::*;

fn found(path: &str, text: &str) -> Vec<(usize, String)> {
    let source = Source { path: path.into(), text: text.to_owned() };
    check(&source).into_iter().map(|problem| (problem.line, problem.message)).collect()
}

fn lines_found(text: &str) -> Vec<usize> {
    found("a/src/lib.rs", text).into_iter().map(|(line, _)| line).collect()
}

fn function_of(lines: usize) -> String {
    format!("fn long() {{\n{}}}\n", "    work();\n".repeat(lines - 2))
}

#[test]
fn unwrap_is_found_in_production_code_only() {
    assert_eq!(lines_found("fn f(x: Option<u8>) -> u8 {\n    x.unwrap()\n}\n"), [2]);
    assert_eq!(lines_found("fn f() { assert_eq!(g().unwrap(), 1) }\n"), [1], "inside of a macro too");
    for harmless in [
        "fn f() { x.unwrap_or(1) }",
        "fn f() { Some(unwrap()) }",
        "fn f() -> &'static str { \"x.unwrap()\" } // x.unwrap()",
        "#[cfg(test)]\nmod tests {\n    fn f() { x.unwrap() }\n}",
        "#[test]\nfn f() { x.unwrap() }",
        "#[cfg(any(test, feature = \"testing\"))]\nfn f() { x.unwrap() }",
        "impl X {\n    #[cfg(test)]\n    fn f() { x.unwrap() }\n}",
    ] {
        assert_eq!(lines_found(harmless), [0; 0], "{harmless}");
    }
    assert_eq!(lines_found("#[cfg(not(test))]\nfn f() { x.unwrap() }"), [2]);
}

#[test]
fn whole_files_of_tests_may_unwrap() {
    for path in ["a/src/foo/tests.rs", "a/tests/b.rs", "a/benches/c.rs"] {
        assert_eq!(found(path, "fn f() { x.unwrap() }\n"), [], "{path}");
    }
    assert_eq!(found("a/src/latests.rs", "fn f() { x.unwrap() }\n").len(), 1);
}

#[test]
fn unfinished_code_is_found_in_tests_too() {
    for name in BANNED_MACROS {
        assert_eq!(lines_found(&format!("fn f() {{\n    {name}!(\"x\")\n}}\n")), [2], "{name}");
        assert_eq!(found("a/tests/b.rs", &format!("fn f() {{ {name}!() }}")).len(), 1, "{name}");
        assert_eq!(
            lines_found(&format!("fn {name}() -> bool {{ {name} != 1 }} // {name}!()")),
            [0; 0],
            "{name}"
        );
    }
}

#[test]
fn long_functions_are_found() {
    assert_eq!(lines_found(&function_of(FUNCTION_LINES)), [0; 0]);
    assert_eq!(lines_found(&function_of(FUNCTION_LINES + 1)), [1]);
    let method = format!("struct S;\nimpl S {{\n{}}}\n", function_of(FUNCTION_LINES + 1));
    assert_eq!(lines_found(&method), [3]);
    let default = format!("trait T {{\n{}}}\n", function_of(FUNCTION_LINES + 1));
    assert_eq!(lines_found(&default), [2]);
    let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function_of(FUNCTION_LINES + 1));
    assert_eq!(lines_found(&test), [0; 0]);
}

#[test]
fn long_files_are_found_by_their_production_lines() {
    let production = "const X: u8 = 1;\n".repeat(FILE_LINES);
    assert_eq!(lines_found(&production), [0; 0]);
    assert_eq!(lines_found(&format!("{production}const Y: u8 = 1;\n")), [1]);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "const X: u8 = 1;\n".repeat(FILE_LINES));
    assert_eq!(lines_found(&tests), [0; 0]);
}

#[test]
fn what_is_not_rust_is_a_problem_and_no_panic() {
    assert!(found("a/src/lib.rs", "fn f( {\n")[0].1.starts_with("not Rust"));
}
