//! Words of a label selector.

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    End,
    Comma,
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
    In,
    NotIn,
    Open,
    Close,
    Identifier,
}

/// A word and its text, which messages quote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
}

/// All words, the end included.
pub(super) fn words(mut text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    loop {
        // Upstream's lexer takes a NUL for the end.
        text = text.trim_start_matches([' ', '\t', '\r', '\n']);
        let (kind, length) = match text.as_bytes() {
            [] | [0, ..] => {
                words.push(Word { kind: Kind::End, text: "" });
                return words;
            }
            [b'=', b'=', ..] => (Kind::DoubleEquals, 2),
            [b'!', b'=', ..] => (Kind::NotEquals, 2),
            [b'=', ..] => (Kind::Equals, 1),
            [b'!', ..] => (Kind::Not, 1),
            [b'>', ..] => (Kind::Greater, 1),
            [b'<', ..] => (Kind::Less, 1),
            [b'(', ..] => (Kind::Open, 1),
            [b')', ..] => (Kind::Close, 1),
            [b',', ..] => (Kind::Comma, 1),
            _ => identifier(text),
        };
        let (word, rest) = text.split_at(length);
        words.push(Word { kind, text: word });
        text = rest;
    }
}

/// A name, or `in` or `notin`.
fn identifier(text: &str) -> (Kind, usize) {
    let ends = ['=', '!', '(', ')', ',', '>', '<', ' ', '\t', '\r', '\n', '\0'];
    let length = text.find(ends).unwrap_or(text.len());
    let kind = match &text[..length] {
        "in" => Kind::In,
        "notin" => Kind::NotIn,
        _ => Kind::Identifier,
    };
    (kind, length)
}
