//! etcd's configuration file: the flags once more, in YAML.
//!
//! In: the text. Out: flags with their values, in order. Two sections of it name flags without their
//! prefixes.
//!
//! Deliberately absent: which flags there are. The command line knows that.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Sections, and what their keys begin with as flags.
const SECTIONS: [(&str, &str); 2] = [("client-transport-security", ""), ("peer-transport-security", "peer-")];

/// Why a text is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConfigError {
    /// It is no YAML.
    #[error("{0}")]
    Yaml(String),
    /// It is something else than keys with values.
    #[error("line {line}: {what}")]
    Form { line: usize, what: &'static str },
}

/// The flags that a file gives, each with its value. Keys without one are left out, as in etcd.
pub(super) fn flags(text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let mut reader = Reader { events: Parser::new_from_str(text), flags: Vec::new() };
    reader.document()?;
    Ok(reader.flags)
}

struct Reader<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    flags: Vec<(String, String)>,
}

impl<'t> Reader<'t> {
    /// The next event that says anything, and its line.
    fn next(&mut self) -> Result<(Event<'t>, usize), ConfigError> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Nothing | Event::StreamStart | Event::DocumentStart(_), _))) => {}
                Some(Ok((event, span))) => return Ok((event, span.start.line())),
                Some(Err(error)) => return Err(ConfigError::Yaml(error.to_string())),
                None => return Ok((Event::StreamEnd, 0)),
            }
        }
    }

    fn document(&mut self) -> Result<(), ConfigError> {
        match self.next()? {
            (Event::MappingStart(..), _) => self.mapping(None),
            (Event::StreamEnd | Event::DocumentEnd, _) => Ok(()),
            (_, line) => Err(form(line, "a file begins with keys and values, as name: a")),
        }
    }

    /// Keys and values up to the end of a mapping; `prefix` is that of a section.
    fn mapping(&mut self, prefix: Option<&str>) -> Result<(), ConfigError> {
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(()),
                (Event::Scalar(key, ..), _) => key.into_owned(),
                (_, line) => return Err(form(line, "a key is a word")),
            };
            let flag = format!("{}{key}", prefix.unwrap_or_default());
            match self.next()? {
                (Event::Scalar(value, style, ..), _) => self.put(flag, &value, style),
                (Event::SequenceStart(..), _) => {
                    let values = self.sequence()?;
                    self.put(flag, &values.join(","), ScalarStyle::Plain);
                }
                (Event::MappingStart(..), line) => {
                    let section = SECTIONS.iter().find(|(name, _)| prefix.is_none() && *name == key);
                    let (_, prefix) = section
                        .ok_or_else(|| form(line, "only the two transport-security sections have keys"))?;
                    self.mapping(Some(prefix))?;
                }
                (_, line) => return Err(form(line, "a value is a word, a list or a section")),
            }
        }
    }

    fn sequence(&mut self) -> Result<Vec<String>, ConfigError> {
        let mut values = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(values),
                (Event::Scalar(value, ..), _) => values.push(value.into_owned()),
                (_, line) => return Err(form(line, "a list has words")),
            }
        }
    }

    fn put(&mut self, flag: String, value: &str, style: ScalarStyle) {
        let is_null = style == ScalarStyle::Plain && matches!(value, "~" | "null" | "Null" | "NULL");
        if !value.is_empty() && !is_null {
            self.flags.push((flag, value.to_owned()));
        }
    }
}

const fn form(line: usize, what: &'static str) -> ConfigError {
    ConfigError::Form { line, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        flags(text).unwrap().into_iter().map(|(flag, value)| format!("{flag}={value}")).collect()
    }

    #[test]
    fn keys_are_flags_and_sections_have_their_prefixes() {
        let text = "# etcd's sample, shortened\n\
                    name: 'default'\n\
                    data-dir:\n\
                    snapshot-count: 10000\n\
                    listen-client-urls: http://localhost:2379,http://10.0.0.1:2379\n\
                    discovery: \"\"\n\
                    client-transport-security:\n  cert-file: a.crt\n  client-cert-auth: false\n\
                    peer-transport-security:\n  cert-file: b.crt\n  auto-tls: false\n\
                    log-outputs: [stderr]\n";
        assert_eq!(
            read(text),
            [
                "name=default",
                "snapshot-count=10000",
                "listen-client-urls=http://localhost:2379,http://10.0.0.1:2379",
                "cert-file=a.crt",
                "client-cert-auth=false",
                "peer-cert-file=b.crt",
                "peer-auto-tls=false",
                "log-outputs=stderr",
            ]
        );
        assert_eq!(read(""), [""; 0]);
        assert_eq!(read("wal-dir: null\n"), [""; 0]);
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_line() {
        let refused = |text| flags(text).unwrap_err().to_string();
        assert!(refused("- a\n").starts_with("line 1: a file begins with keys"));
        assert!(refused("name: a\nother:\n  key: b\n").contains("only the two transport-security sections"));
        assert!(refused("log-outputs:\n- [a]\n").contains("a list has words"));
        assert!(!refused("name: 'a\n").is_empty());
    }
}
