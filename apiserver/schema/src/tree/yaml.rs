//! YAML as upstream reads it: one document, YAML 1.1 scalars, turned into JSON.
//!
//! In: bytes. Out: a [`Node`] without repeated fields, and a line of text for each repeated field that was dropped.
//!
//! Bounded: anchors and aliases may add a given number of nodes and bytes of text, so that aliases of aliases, or of long
//! texts, cannot multiply without end. What is written out is as long as the document.

mod scalar;

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{MAX_DEPTH, Node};

/// The most nodes that anchors and aliases may add to a document.
const MAX_COPIED_NODES: usize = 1_000_000;

/// The most bytes of text that anchors and aliases may add to a document.
const MAX_COPIED_BYTES: usize = 16 << 20;

/// A document and what is repeated in it.
#[derive(Debug)]
pub(crate) struct Yaml {
    pub(crate) node: Node<'static>,
    /// Go's lines, such as `line 11: key "foo" already set in map`.
    pub(crate) repeated: Vec<String>,
}

/// Reads the first document; an empty one is null.
///
/// # Errors
/// A message in the form of upstream's.
pub(crate) fn parse(bytes: &[u8]) -> Result<Yaml, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    let mut loader = Loader {
        events: Parser::new_from_str(text),
        anchors: HashMap::new(),
        repeated: Vec::new(),
        copied_nodes: 0,
        copied_bytes: 0,
    };
    let node = loader.document()?;
    Ok(Yaml { node, repeated: loader.repeated })
}

struct Loader<'a> {
    events: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node<'static>>,
    repeated: Vec<String>,
    copied_nodes: usize,
    copied_bytes: usize,
}

impl<'a> Loader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.events.next_event() {
            Some(event) => event.map_err(|error| scan_error(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node<'static>, String> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Node::Null),
                (event, span) => return self.node(event, span, 0),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node<'static>, String> {
        let line = span.start.line();
        let nests = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        if nests && depth == MAX_DEPTH {
            return Err(format!("yaml: line {line}: exceeded max depth of {MAX_DEPTH}"));
        }
        let (node, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, line, depth),
            Event::Scalar(text, style, anchor, tag) => {
                (scalar_node(&text, style, tag.as_deref(), line)?, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(depth)?, anchor),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                return Err(format!("yaml: line {line}: did not find expected node content"));
            }
        };
        if anchor != 0 {
            self.count_copy(&node, line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Counts what a copy of a node adds.
    fn count_copy(&mut self, node: &Node<'_>, line: usize) -> Result<(), String> {
        self.copied_bytes = self.copied_bytes.saturating_add(text_bytes(node));
        self.copied_nodes = self.copied_nodes.saturating_add(size(node));
        if self.copied_nodes > MAX_COPIED_NODES || self.copied_bytes > MAX_COPIED_BYTES {
            return Err(format!("yaml: line {line}: document contains excessive aliasing"));
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, line: usize, depth: usize) -> Result<Node<'static>, String> {
        // Taken out while it is counted, so that it is copied only once that is known to be harmless.
        let node = self.anchors.remove(&anchor);
        let node = node.ok_or_else(|| format!("yaml: line {line}: anchor contains itself"))?;
        self.count_copy(&node, line)?;
        if depth + height(&node) > MAX_DEPTH {
            return Err(format!("yaml: line {line}: exceeded max depth of {MAX_DEPTH}"));
        }
        self.anchors.insert(anchor, node.clone());
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Node<'static>, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Node::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Node<'static>, String> {
        let mut fields = Fields::default();
        let mut merged = Vec::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd, _) => break,
                other => other,
            };
            let line = span.start.line();
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            if merge {
                merged.push((value, line));
            } else {
                let key = key_text(key, line)?;
                if fields.set(key.clone(), value) {
                    let key = crate::go_text::quote(&key);
                    self.repeated.push(format!("line {line}: key {key} already set in map"));
                }
            }
        }
        for (value, line) in merged {
            fields.merge(value, line)?;
        }
        Ok(Node::Object(fields.list))
    }
}

/// The fields of a mapping, each once.
#[derive(Default)]
struct Fields {
    list: Vec<(Cow<'static, str>, Node<'static>)>,
    positions: HashMap<String, usize>,
}

impl Fields {
    /// Sets a field; the last value wins. Says whether there was one.
    fn set(&mut self, key: String, value: Node<'static>) -> bool {
        if let Some(at) = self.positions.get(&key) {
            self.list[*at].1 = value;
            return true;
        }
        self.positions.insert(key.clone(), self.list.len());
        self.list.push((Cow::Owned(key), value));
        false
    }

    /// `<<`: fields of another mapping, or of several, that are not set here.
    fn merge(&mut self, value: Node<'static>, line: usize) -> Result<(), String> {
        match value {
            Node::Object(fields) => {
                for (key, value) in fields {
                    if !self.positions.contains_key(key.as_ref()) {
                        self.set(key.into_owned(), value);
                    }
                }
                Ok(())
            }
            Node::List(items) if items.iter().all(|item| matches!(item, Node::Object(_))) => {
                items.into_iter().try_for_each(|item| self.merge(item, line))
            }
            _ => Err(format!("yaml: line {line}: map merge requires map or sequence of maps as the value")),
        }
    }
}

/// A mapping's key as the string that JSON needs.
fn key_text(key: Node<'static>, line: usize) -> Result<String, String> {
    match key {
        Node::String(text) | Node::Number(text) => Ok(text.into_owned()),
        Node::Bool(value) => Ok(value.to_string()),
        Node::Null => Ok("null".into()),
        Node::List(_) | Node::Object(_) => Err(format!("yaml: line {line}: invalid map key")),
    }
}

fn scalar_node(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    line: usize,
) -> Result<Node<'static>, String> {
    let wanted = tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str());
    match (wanted, style) {
        (Some("str" | "binary"), _) => Ok(Node::String(Cow::Owned(text.to_owned()))),
        (None, ScalarStyle::Plain) => Ok(scalar::resolve(text)),
        (None, _) => Ok(Node::String(Cow::Owned(text.to_owned()))),
        (Some(tag), _) => {
            let node = scalar::resolve(text);
            let fits = match tag {
                "null" => node == Node::Null,
                "bool" => matches!(node, Node::Bool(_)),
                "int" | "float" => matches!(node, Node::Number(_)),
                _ => true,
            };
            let text = crate::go_text::quote(text);
            if fits { Ok(node) } else { Err(format!("yaml: line {line}: cannot decode {text} as a !!{tag}")) }
        }
    }
}

/// How many nodes a node is.
fn size(node: &Node<'_>) -> usize {
    match node {
        Node::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Node::Object(fields) => 1 + fields.iter().map(|(_, value)| 1 + size(value)).sum::<usize>(),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_) => 1,
    }
}

/// How many bytes of text a node holds.
fn text_bytes(node: &Node<'_>) -> usize {
    match node {
        Node::List(items) => items.iter().map(text_bytes).sum(),
        Node::Object(fields) => fields.iter().map(|(key, value)| key.len() + text_bytes(value)).sum(),
        Node::Number(text) | Node::String(text) => text.len(),
        Node::Null | Node::Bool(_) => 0,
    }
}

/// How many levels lie below a node.
fn height(node: &Node<'_>) -> usize {
    match node {
        Node::List(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Node::Object(fields) => 1 + fields.iter().map(|(_, value)| height(value)).max().unwrap_or(0),
        Node::Null | Node::Bool(_) | Node::Number(_) | Node::String(_) => 0,
    }
}

fn scan_error(error: &ScanError) -> String {
    format!("yaml: line {}: {}", error.marker().line(), error.info())
}

#[cfg(test)]
mod tests;
