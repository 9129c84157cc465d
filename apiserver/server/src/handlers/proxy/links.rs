//! Links of a page that is passed back, so that they lead through this server again.
//!
//! In: pieces of HTML, and the path that stands for the other side's `/`. Out: the same, with that path before every link
//! that begins with a slash. A piece may end anywhere; no more of the page is held than a tag that has begun.
//!
//! Deliberately absent: links with a host, scripts, styles, and pages that come compressed: they stay as they are.
//!
//! Source: `k8s.io/apimachinery/pkg/util/proxy` (`Transport`).

/// The longest tag that is looked at, in bytes.
const LONGEST_TAG: usize = 64 * 1024;

/// Which attributes of which tags are links.
const LINKS: &[(&str, &[&str])] = &[
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// Tags whose content is no HTML.
const RAW: [&str; 2] = ["script", "style"];

/// A page on its way.
pub(super) struct Links {
    prefix: Vec<u8>,
    /// What cannot be passed on before more comes.
    held: Vec<u8>,
    /// The tag in whose content we are, if that is no HTML.
    raw: Option<&'static str>,
}

/// What stands next in a page.
enum Next {
    /// So many bytes that stay as they are.
    Plain(usize),
    /// A tag of so many bytes.
    Tag(usize),
    /// More has to come first.
    More,
}

impl Links {
    /// `None` for a path that cannot stand in an attribute as it is.
    pub(super) fn below(prefix: &str) -> Option<Self> {
        let is_plain = !prefix.contains(['"', '\'', '<', '>', '&', ' ']);
        is_plain.then(|| Self { prefix: prefix.as_bytes().to_vec(), held: Vec::new(), raw: None })
    }

    /// What can be passed on now that this piece is there.
    pub(super) fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(piece);
        let mut ready = Vec::with_capacity(held.len());
        let mut at = 0;
        while at < held.len() {
            let page = &held[at..];
            match next(page, self.raw) {
                Next::Plain(length) => {
                    ready.extend_from_slice(&page[..length]);
                    at += length;
                }
                Next::Tag(length) => {
                    self.tag(&page[..length], &mut ready);
                    at += length;
                }
                Next::More => break,
            }
        }
        held.drain(..at);
        self.held = held;
        ready
    }

    /// The end of the page, whatever it is.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn tag(&mut self, tag: &[u8], ready: &mut Vec<u8>) {
        let name = tag_name(tag);
        self.raw = RAW.into_iter().find(|raw| raw.eq_ignore_ascii_case(name));
        let known = LINKS.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(name));
        let Some((_, links)) = known else { return ready.extend_from_slice(tag) };
        let mut copied = 0;
        for (attribute, value) in attributes(tag, 1 + name.len()) {
            let is_link = links.iter().any(|link| link.eq_ignore_ascii_case(attribute));
            if is_link && self.leads_away(&tag[value..]) {
                ready.extend_from_slice(&tag[copied..value]);
                ready.extend_from_slice(&self.prefix);
                copied = value;
            }
        }
        ready.extend_from_slice(&tag[copied..]);
    }

    fn leads_away(&self, value: &[u8]) -> bool {
        value.starts_with(b"/") && !value.starts_with(b"//") && !value.starts_with(&self.prefix)
    }
}

fn next(page: &[u8], raw: Option<&str>) -> Next {
    let Some(start) = page.iter().position(|byte| *byte == b'<') else { return Next::Plain(page.len()) };
    if start > 0 {
        return Next::Plain(start);
    }
    let is_end_of = |raw: &str| {
        let name = page.get(2..2 + raw.len());
        page[1..].starts_with(b"/") && name.is_some_and(|it| it.eq_ignore_ascii_case(raw.as_bytes()))
    };
    let end = match (page.get(1), raw) {
        (None, _) => None,
        (Some(_), Some(raw)) if page.len() < 2 + raw.len() => None,
        (Some(_), Some(raw)) if !is_end_of(raw) => return Next::Plain(1),
        (Some(b'!'), None) if page.starts_with(b"<!--") => {
            page[4..].windows(3).position(|end| end == b"-->").map(|at| at + 7)
        }
        (Some(b'!'), None) if page.len() < 4 => None,
        (Some(byte), _) if byte.is_ascii_alphabetic() || *byte == b'/' => tag_end(page),
        (Some(_), _) => return Next::Plain(1),
    };
    match end {
        Some(length) => Next::Tag(length),
        None if page.len() > LONGEST_TAG => Next::Plain(1),
        None => Next::More,
    }
}

/// Behind the tag's `>`, which does not stand in a value.
fn tag_end(page: &[u8]) -> Option<usize> {
    let mut quote = None;
    let mut before = b'<';
    for (at, byte) in page.iter().enumerate() {
        match (quote, *byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') if before == b'=' => quote = Some(*byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = *byte;
        }
    }
    None
}

/// The name of an opening tag; nothing for any other.
fn tag_name(tag: &[u8]) -> &str {
    let name = &tag[1..];
    let end = name.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(name.len());
    std::str::from_utf8(&name[..end]).unwrap_or_default()
}

/// The attributes of a tag that have a value, and where the value begins.
fn attributes(tag: &[u8], from: usize) -> Vec<(&str, usize)> {
    let is_space = |at: usize| tag.get(at).is_some_and(u8::is_ascii_whitespace);
    let skip = |mut at: usize| {
        while is_space(at) {
            at += 1;
        }
        at
    };
    let find = |from: usize, stop: &dyn Fn(u8) -> bool| {
        tag[from..].iter().position(|byte| stop(*byte)).map_or(tag.len(), |at| from + at)
    };
    let mut found = Vec::new();
    let mut at = from;
    while at < tag.len() {
        let start = skip(at);
        let end = find(start, &|byte| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'>' | b'/'));
        let equals = skip(end);
        if tag.get(equals) != Some(&b'=') {
            at = end.max(start + 1);
            continue;
        }
        let value = skip(equals + 1);
        let (value, end_of_value) = match tag.get(value) {
            Some(quote @ (b'"' | b'\'')) => (value + 1, find(value + 1, &|byte| byte == *quote)),
            _ => (value, find(value, &|byte| byte.is_ascii_whitespace() || byte == b'>')),
        };
        found.push((std::str::from_utf8(&tag[start..end]).unwrap_or_default(), value));
        at = end_of_value + 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page in pieces of this length.
    fn rewritten(page: &str, length: usize) -> String {
        let mut links = Links::below("/proxy").unwrap();
        let mut out = Vec::new();
        page.as_bytes().chunks(length).for_each(|piece| out.extend(links.push(piece)));
        out.extend(links.rest());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn links_to_the_root_lead_through_the_proxy_however_the_page_is_cut() {
        let cases = [
            (r#"<a href="/rewriteme">test</a>"#, r#"<a href="/proxy/rewriteme">test</a>"#),
            ("<IMG alt='>' SRC = '/a.png' usemap=/m>", "<IMG alt='>' SRC = '/proxy/a.png' usemap=/proxy/m>"),
            (r#"<form method=post action="/do"/>"#, r#"<form method=post action="/proxy/do"/>"#),
            (
                r#"<script src="/a.js">if (a<b) x='<a href="/x">'</script><a href="/y">"#,
                r#"<script src="/proxy/a.js">if (a<b) x='<a href="/x">'</script><a href="/proxy/y">"#,
            ),
        ];
        for (page, wanted) in cases {
            for length in 1..=page.len() {
                assert_eq!(rewritten(page, length), wanted, "in pieces of {length}");
            }
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for page in [
            r#"<a href="/proxy/there">"#,
            r#"<a href="//elsewhere/">"#,
            r#"<a href="http://elsewhere/">"#,
            r#"<a href="below">"#,
            r#"<p title="/no-link">"#,
            "<!-- don't <a href=\"/x\"> -->",
            "<!doctype html> 1 < 2 <",
            "<a href=\"/cut off",
            "<a href",
        ] {
            for length in [1, 3, page.len()] {
                assert_eq!(rewritten(page, length), page);
            }
        }
        assert!(Links::below("/a\"b").is_none());
    }

    #[test]
    fn a_tag_without_an_end_is_not_held_for_ever() {
        let page = format!("<a title=\"{}", "x".repeat(2 * LONGEST_TAG));
        let mut links = Links::below("/proxy").unwrap();
        assert_eq!(links.push(page.as_bytes()).len(), page.len());
    }
}
