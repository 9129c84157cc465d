//! JSON for people: `?pretty=true`.

/// Canonical JSON with two blanks for each level, as Go's `json.Indent` writes it, and a line end.
pub(crate) fn indented(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() * 2);
    Indenter::default().write(json, &mut out);
    out.push(b'\n');
    out
}

/// Indents a text that comes piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Indenter {
    depth: usize,
    in_string: bool,
    /// Whether the last byte was a backslash that escapes what follows.
    escaped: bool,
    /// Whether the last byte began a list or an object. An empty one stays on its line.
    opened: bool,
}

impl Indenter {
    /// Indents the next piece.
    pub(crate) fn write(&mut self, json: &[u8], out: &mut Vec<u8>) {
        for byte in json {
            if self.in_string {
                self.of_string(*byte);
                out.push(*byte);
            } else {
                self.structure(*byte, out);
            }
        }
    }

    fn of_string(&mut self, byte: u8) {
        // Whatever is escaped is no quote.
        self.in_string = self.escaped || byte != b'"';
        self.escaped = byte == b'\\' && !self.escaped;
    }

    fn structure(&mut self, byte: u8, out: &mut Vec<u8>) {
        let closes = matches!(byte, b'}' | b']');
        match (std::mem::take(&mut self.opened), closes) {
            (true, true) => return out.push(byte),
            (true, false) => {
                self.depth += 1;
                self.line(out);
            }
            (false, true) => {
                self.depth = self.depth.saturating_sub(1);
                self.line(out);
            }
            (false, false) => {}
        }
        out.push(byte);
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.opened = true,
            b',' => self.line(out),
            b':' => out.push(b' '),
            _ => {}
        }
    }

    fn line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b"  ", self.depth).flatten());
    }
}
