//! Which paths are taken, and that none of those taken leads out.

use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;

#[test]
fn good_paths_are_taken_in_their_shortest_form() {
    for (path, expected) in
        [("a", "a"), ("a/b", "a/b"), ("a//b/./c/", "a/b/c"), ("a..b", "a..b"), (".a", ".a"), ("./a", "a")]
    {
        assert_eq!(projected(path).as_deref(), Ok(expected), "{path}");
    }
    assert!(projected(&"x".repeat(255)).is_ok());
}

#[test]
fn bad_paths_are_refused_in_upstreams_words() {
    for (path, text) in [
        ("", "invalid path: must not be empty: \"\""),
        (".", "invalid path: must not be empty: \".\""),
        ("/a", "invalid path: must be relative path: /a"),
        ("..", "invalid path: must not contain '..': .."),
        ("a/../b", "invalid path: must not contain '..': a/../b"),
        ("..a/b", "invalid path: must not start with '..': ..a/b"),
        ("./..a", "invalid path: must not start with '..': ./..a"),
        ("a\0b", "invalid path: must not contain a NUL character"),
    ] {
        assert_eq!(projected(path), Err(text.to_owned()), "{path:?}");
    }
    assert_eq!(
        projected(&"x".repeat(256)),
        Err("invalid path: filenames must be less than or equal to 255 characters".to_owned())
    );
    assert_eq!(
        projected(&"x/".repeat(2049)),
        Err("invalid path: must be less than or equal to 4096 characters".to_owned())
    );
}

/// Strings that are made of what paths are made of, so that the odd ones are found often.
fn odd_path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        Just("..data".to_owned()),
        Just("...".to_owned()),
        "[a-z.]{1,4}",
        any::<char>().prop_map(String::from),
    ];
    (any::<bool>(), proptest::collection::vec(part, 0..6), any::<bool>()).prop_map(|(root, parts, slash)| {
        format!("{}{}{}", if root { "/" } else { "" }, parts.join("/"), if slash { "/" } else { "" })
    })
}

proptest! {
    #[test]
    fn no_path_that_is_taken_leads_out_or_to_the_writers_own_entries(path in odd_path()) {
        if let Ok(taken) = projected(&path) {
            prop_assert!(Path::new(&taken).components().all(|part| matches!(part, Component::Normal(_))));
            prop_assert!(!taken.starts_with("..") && !taken.is_empty() && !taken.contains("//"));
            prop_assert_eq!(projected(&taken), Ok(taken), "the shortest form is its own shortest form");
        }
    }

    #[test]
    fn arbitrary_text_never_panics(path in any::<String>()) {
        let _ = projected(&path);
        let _ = no_backsteps(&path);
    }

    #[test]
    fn what_steps_back_is_never_taken(before in "[a-z/]{0,4}", after in "[a-z/]{0,4}") {
        let path = format!("{before}/../{after}");
        prop_assert!(projected(&path).is_err());
        prop_assert!(no_backsteps(&path).is_err());
    }
}
