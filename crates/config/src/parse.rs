//! YAML text becomes a tree of nodes with their places. Decides what Farol takes of YAML (one document, text
//! keys, no foreign tags) and how much of it; does not decide what any key means.

mod words;

use crate::node::{Entry, Layer, Node, Value, join};
use crate::problem::{Origin, Problem, quoted};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use std::collections::HashMap;
use std::sync::Arc;

/// The largest file that is read.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and maps.
const MAX_DEPTH: usize = 64;
/// The longest key.
const MAX_KEY: usize = 256;
/// The most values of one file, after its aliases are followed.
const MAX_VALUES: usize = 200_000;
/// The most text of one file, after its aliases are followed.
const MAX_TEXT: usize = 4 << 20;

/// What a file holds.
pub(crate) struct Parsed {
    /// A map, empty for an empty file.
    pub(crate) root: Node,
    /// What is wrong without making the rest unreadable, such as a key that is given twice.
    pub(crate) problems: Vec<Problem>,
}

/// Parses a file's bytes.
///
/// # Errors
/// What makes the file unreadable as a whole, after the other problems found up to there.
pub(crate) fn parse(path: &Arc<str>, bytes: &[u8]) -> Result<Parsed, Vec<Problem>> {
    let text = text_of(path, bytes).map_err(|problem| vec![problem])?;
    let mut builder = Builder::new(path);
    match builder.build(text) {
        Ok(()) => builder.finish(),
        Err(problem) => {
            builder.problems.push(problem);
            Err(builder.problems)
        }
    }
}

fn text_of<'a>(path: &Arc<str>, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    let whole = |message: String| Problem::new(&Origin::file(path, 0, 0), "", message);
    if bytes.len() > MAX_BYTES {
        return Err(whole(format!(
            "is larger than {} KiB; is this the right file? A large set goes in several files by `include`",
            MAX_BYTES / 1024
        )));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(whole("is UTF-16; save it as UTF-8".to_owned()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let good = &bytes[..error.valid_up_to()];
        let line = 1 + good.iter().filter(|&&byte| byte == b'\n').count();
        let column = 1 + good.iter().rev().take_while(|&&byte| byte != b'\n').count();
        let message = "is not UTF-8 here; save the file as UTF-8";
        Problem::new(&Origin::file(path, line, column), "", message)
    })
}

/// A list or map that is not ended yet.
struct Frame {
    /// Where it starts.
    origin: Origin,
    /// The anchor it will be known by; 0 for none.
    anchor: usize,
    open: Open,
}

enum Open {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The line of each key so far, to find those given twice.
        lines: HashMap<String, usize>,
        key: Key,
    },
}

/// What the next node of a map is.
enum Key {
    Wanted,
    Have(String, Origin),
    /// The value of a key that was refused.
    Refused,
}

struct Builder<'p> {
    path: &'p Arc<str>,
    stack: Vec<Frame>,
    /// Finished nodes that an alias may name.
    anchors: HashMap<usize, Node>,
    /// The document, once it is whole.
    root: Option<Node>,
    documents: usize,
    /// What is left of `MAX_VALUES` and `MAX_TEXT`, so that aliases of aliases cannot fill the memory.
    values_left: usize,
    text_left: usize,
    problems: Vec<Problem>,
}

impl<'p> Builder<'p> {
    fn new(path: &'p Arc<str>) -> Self {
        Self {
            path,
            stack: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            documents: 0,
            values_left: MAX_VALUES,
            text_left: MAX_TEXT,
            problems: Vec::new(),
        }
    }

    /// The root map, once the text is at its end.
    fn finish(mut self) -> Result<Parsed, Vec<Problem>> {
        let root = match self.root.take() {
            Some(node) if matches!(node.value, Value::Map(_)) => node,
            Some(node) if !node.is_null() => {
                let message = format!("is {} at its top; a map of `key: value` lines is wanted", node.kind());
                self.problems.push(Problem::new(&node.origin, "", message));
                return Err(self.problems);
            }
            _ => Node::empty_map(Origin::file(self.path, 1, 1), Layer::File),
        };
        Ok(Parsed { root, problems: self.problems })
    }

    fn build(&mut self, text: &str) -> Result<(), Problem> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.malformed(text, &error))?;
            self.event(event, self.origin(span.start))?;
        }
        Ok(())
    }

    /// The parser's error in plain words, at the line that a human would point at.
    fn malformed(&self, text: &str, error: &ScanError) -> Problem {
        let mut message = words::plain(error.info());
        let opened = self.stack.last().map(|frame| &frame.origin);
        if let (Some(Origin::File { line, .. }), true) = (opened, error.info().contains("parsing a flow")) {
            message = format!("{message}; it is opened in line {line}");
        }
        let marker = *error.marker();
        let at_end = marker.index() >= text.chars().count();
        let origin = if at_end || words::is_seen_a_line_late(error.info()) {
            let before = text.lines().take(marker.line().saturating_sub(1)).enumerate();
            let written =
                before.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
            written
                .last()
                .map(|(index, line)| Origin::file(self.path, index + 1, line.trim_end().chars().count()))
        } else {
            None
        };
        Problem::new(&origin.unwrap_or_else(|| self.origin(marker)), "", message)
    }

    fn origin(&self, marker: Marker) -> Origin {
        Origin::file(self.path, marker.line().max(1), marker.col() + 1)
    }

    fn event(&mut self, event: Event<'_>, origin: Origin) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message =
                        "a second document starts here (`---`); keep one, or split the file and `include` it";
                    return Err(Problem::new(&origin, "", message));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = self.tag(tag.as_deref(), &origin);
                let plain = style == ScalarStyle::Plain && !is_text;
                let text = text.into_owned();
                self.spend((1, text.len()), &origin)?;
                self.add(Node { origin, layer: Layer::File, value: Value::Scalar { text, plain } }, anchor)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.tag(tag.as_deref(), &origin);
                self.open(Open::List(Vec::new()), anchor, origin)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.tag(tag.as_deref(), &origin);
                let open = Open::Map { entries: Vec::new(), lines: HashMap::new(), key: Key::Wanted };
                self.open(open, anchor, origin)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.alias(anchor, &origin)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// Refuses foreign tags; true when the tag makes a plain scalar text.
    fn tag(&mut self, tag: Option<&Tag>, origin: &Origin) -> bool {
        let Some(tag) = tag else { return false };
        let text = (tag.is_yaml_core_schema() && tag.suffix == "str")
            || (tag.handle.is_empty() && tag.suffix == "!");
        let known = ["str", "int", "float", "bool", "null", "map", "seq"].contains(&tag.suffix.as_str());
        if !(text || tag.is_yaml_core_schema() && known) {
            let message = format!("the tag {} means nothing here; remove it", quoted(&tag.to_string()));
            let problem = Problem::new(origin, &self.key_path(), message);
            self.problems.push(problem);
        }
        text
    }

    fn open(&mut self, open: Open, anchor: usize, origin: Origin) -> Result<(), Problem> {
        self.spend((1, 0), &origin)?;
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("is nested deeper than {MAX_DEPTH} levels");
            return Err(Problem::new(&origin, "", message));
        }
        self.stack.push(Frame { origin, anchor, open });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let value = match frame.open {
            Open::List(items) => Value::List(items),
            Open::Map { entries, .. } => Value::Map(entries),
        };
        self.add(Node { origin: frame.origin, layer: Layer::File, value }, frame.anchor)
    }

    fn alias(&mut self, anchor: usize, origin: &Origin) -> Result<(), Problem> {
        let Some((size, depth)) = self.anchors.get(&anchor).map(|node| (node.size(), node.depth())) else {
            let message = "this alias stands inside the value that it names; write the value out";
            return Err(Problem::new(origin, "", message));
        };
        self.spend(size, origin)?;
        if self.stack.len() + depth > MAX_DEPTH {
            let message = format!("with this alias the file is nested deeper than {MAX_DEPTH} levels");
            return Err(Problem::new(origin, "", message));
        }
        match self.anchors.get(&anchor).cloned() {
            Some(node) => self.add(node, 0),
            None => Ok(()),
        }
    }

    /// Hands a finished node to what it stands in.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor > 0 {
            self.spend(node.size(), &node.origin)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.stack.last_mut().map(|frame| &mut frame.open) {
            None => self.root = Some(node),
            Some(Open::List(items)) => items.push(node),
            Some(Open::Map { entries, key, .. }) => match std::mem::replace(key, Key::Wanted) {
                Key::Wanted => self.key(node),
                Key::Have(key, origin) => entries.push(Entry { key, origin, value: node }),
                Key::Refused => {}
            },
        }
        Ok(())
    }

    /// Takes a node as the key of the innermost map, or refuses it.
    fn key(&mut self, node: Node) {
        let Some(Frame { open: Open::Map { lines, key, .. }, .. }) = self.stack.last_mut() else { return };
        let Origin::File { line, .. } = node.origin else { return };
        let refused = match &node.value {
            Value::Scalar { text, .. } if text.is_empty() => "a key is missing before the `:`".to_owned(),
            Value::Scalar { text, .. } if text.len() > MAX_KEY => {
                format!("a key is at most {MAX_KEY} bytes long; is a line end or a quote missing?")
            }
            Value::Scalar { text, plain: true } if text == "<<" => {
                "merge keys (`<<`) are not part of YAML 1.2; write the keys out".to_owned()
            }
            Value::Scalar { text, .. } => match lines.insert(text.clone(), line) {
                None => {
                    *key = Key::Have(text.clone(), node.origin);
                    return;
                }
                Some(first) => {
                    format!("{} is given twice, first in line {first}; remove one of them", quoted(text))
                }
            },
            Value::List(_) | Value::Map(_) => format!("a key is a single word, this one is {}", node.kind()),
        };
        *key = Key::Refused;
        let problem = Problem::new(&node.origin, &self.key_path(), refused);
        self.problems.push(problem);
    }

    /// The key that stands open, for instance `agent.checks[2].interval`.
    fn key_path(&self) -> String {
        self.stack.iter().fold(String::new(), |path, frame| match &frame.open {
            Open::List(items) => format!("{path}[{}]", items.len()),
            Open::Map { key: Key::Have(key, _), .. } => join(&path, key),
            Open::Map { .. } => path,
        })
    }

    fn spend(&mut self, (values, text): (usize, usize), origin: &Origin) -> Result<(), Problem> {
        match (self.values_left.checked_sub(values), self.text_left.checked_sub(text)) {
            (Some(values), Some(text)) => {
                (self.values_left, self.text_left) = (values, text);
                Ok(())
            }
            _ => {
                let message = format!(
                    "here the file grows beyond {MAX_VALUES} values or {} MiB of text; use fewer aliases or split it",
                    MAX_TEXT >> 20
                );
                Err(Problem::new(origin, "", message))
            }
        }
    }
}

#[cfg(test)]
mod tests;
