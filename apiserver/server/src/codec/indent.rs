//! JSON for people: `?pretty=true`.

/// Canonical JSON with two blanks for each level, as Go's `json.Indent` writes it, and a line end.
pub(crate) fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut rest = json.iter().copied().peekable();
    let mut in_string = false;
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => in_string = !in_string,
            // Whatever is escaped is no quote.
            b'\\' if in_string => {
                out.push(byte);
                out.extend(rest.next());
                continue;
            }
            _ => {}
        }
        match byte {
            _ if in_string => out.push(byte),
            b'{' | b'[' => {
                out.push(byte);
                if let Some(close) = rest.next_if(|next| matches!(next, b'}' | b']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            b'}' | b']' => {
                depth -= 1;
                line(&mut out, depth);
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
    out
}

fn line(out: &mut Vec<u8>, depth: usize) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b"  ", depth).flatten());
}
