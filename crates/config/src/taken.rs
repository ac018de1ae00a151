//! What a reader has taken, and its text as YAML. Decides how `--dump-config` looks; secrets arrive here
//! already hidden.

use crate::node::is_null;
use crate::problem::{Origin, needs_escape};
use crate::quantity;
use std::fmt::Write;

/// A value that a reader took, or the default that it chose.
#[derive(Clone)]
pub(crate) enum Taken {
    Value {
        text: String,
        /// It is text to its reader: quoted where another YAML reader would see a number or a truth value.
        is_text: bool,
        origin: Origin,
    },
    List(Vec<Self>, Origin),
    Map(Vec<(String, Self)>, Origin),
}

impl Taken {
    /// The YAML text of a root map.
    pub(crate) fn yaml(entries: &[(String, Self)]) -> String {
        let mut out = String::new();
        if entries.is_empty() {
            out.push_str("{}\n");
        }
        write_map(entries, 0, &mut out);
        out
    }
}

fn write_map(entries: &[(String, Taken)], indent: usize, out: &mut String) {
    for (key, taken) in entries {
        let key = scalar(key, true);
        push(out, &format!("{:indent$}{key}:", ""));
        write_value(taken, indent + 2, out);
    }
}

/// What follows a key or a dash, with its line end.
fn write_value(taken: &Taken, indent: usize, out: &mut String) {
    match taken {
        Taken::Value { text, is_text, origin } => {
            push(out, &format!(" {}  # from {origin}\n", scalar(text, *is_text)));
        }
        Taken::List(items, origin) if items.is_empty() => push(out, &format!(" []  # from {origin}\n")),
        Taken::Map(entries, origin) if entries.is_empty() => push(out, &format!(" {{}}  # from {origin}\n")),
        Taken::List(items, _) => {
            out.push('\n');
            for item in items {
                write_item(item, indent, out);
            }
        }
        Taken::Map(entries, _) => {
            out.push('\n');
            write_map(entries, indent, out);
        }
    }
}

fn write_item(item: &Taken, indent: usize, out: &mut String) {
    match item {
        Taken::Map(entries, _) if !entries.is_empty() => {
            let mut inner = String::new();
            write_map(entries, indent + 2, &mut inner);
            push(out, &format!("{:indent$}- {}", "", inner.trim_start_matches(' ')));
        }
        _ => {
            push(out, &format!("{:indent$}-", ""));
            write_value(item, indent + 2, out);
        }
    }
}

fn push(out: &mut String, text: &str) {
    out.push_str(text);
}

/// A scalar that every YAML reader understands as this text.
fn scalar(text: &str, is_text: bool) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "_./:%+-@ ".contains(c);
    let plain =
        text.trim_start_matches(['-', '+', '.', '/']).starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.find(|c: char| c.is_ascii_alphanumeric()).is_some_and(|at| at < 3)
            && text.chars().all(simple)
            && !text.contains(": ")
            && !text.ends_with([':', ' '])
            && !is_null(text)
            && !(is_text && looks_typed(text));
    if plain { text.to_owned() } else { double_quoted(text) }
}

/// Whether some YAML reader sees a number, date or truth value in it.
fn looks_typed(text: &str) -> bool {
    let word = ["true", "false", "yes", "no", "on", "off", "y", "n"].contains(&text.to_lowercase().as_str());
    let digits = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.chars().all(|c| c.is_ascii_hexdigit() || "+-._:eEoxTZ".contains(c));
    word || digits || quantity::number(text).is_some()
}

fn double_quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) => {
                write!(out, "\\U{:08x}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
