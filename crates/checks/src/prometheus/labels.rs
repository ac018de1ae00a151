//! The part of a series between its braces, as pages and selectors write it. Pure; each label, text and list is
//! bounded by the line it stands in.

/// A label's name, how it is compared, and its value.
pub(super) type Label<'t> = (&'t str, Relation, String);

/// How a label is compared; a page knows only `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Is,
    IsNot,
    Matches,
    MatchesNot,
}

/// Longer words first: `=` begins `=~`.
const RELATIONS: [(&str, Relation); 4] =
    [("=~", Relation::Matches), ("!~", Relation::MatchesNot), ("!=", Relation::IsNot), ("=", Relation::Is)];

/// What stands between braces.
pub(super) struct Braces<'t> {
    /// A name written inside, quoted, as names of any letters are.
    pub(super) name: Option<String>,
    pub(super) labels: Vec<Label<'t>>,
    /// What follows the closing brace.
    pub(super) rest: &'t str,
}

/// The metric's or label's name at the start of `text`, and the rest.
pub(super) fn name(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')))
        .unwrap_or(text.len());
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '_' | ':'));
    if begins { text.split_at(end) } else { ("", text) }
}

/// Reads what follows an opening brace; `None` when it is wrong.
pub(super) fn braces(mut rest: &str) -> Option<Braces<'_>> {
    let mut read = Braces { name: None, labels: Vec::new(), rest: "" };
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('}') {
            return Some(Braces { rest: after, ..read });
        }
        if rest.starts_with('"') {
            let (text, after) = quoted(rest)?;
            // A quoted label has a relation behind it and is skipped; nobody can ask for it here.
            match relation(after) {
                Some((_, after)) => rest = quoted(after.trim_start())?.1,
                None if read.name.is_none() => (read.name, rest) = (Some(text), after),
                None => return None,
            }
        } else {
            let (label, after) = name(rest);
            let (relation, after) = relation(after).filter(|_| !label.is_empty())?;
            let (value, after) = quoted(after.trim_start())?;
            read.labels.push((label, relation, value));
            rest = after;
        }
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.starts_with('}') => {}
            None => return None,
        }
    }
}

fn relation(text: &str) -> Option<(Relation, &str)> {
    let text = text.trim_start();
    RELATIONS.iter().find_map(|(word, relation)| Some((*relation, text.strip_prefix(word)?)))
}

/// A text in quotes with `\\`, `\"` and `\n`, and the rest.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut letters = inside.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &inside[at + 1..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_braces_is_read_or_refused() {
        for (text, labels, rest) in [
            ("}", vec![], ""),
            (r#"a="b"} 1"#, vec![("a", Relation::Is, "b")], " 1"),
            (r#" a = "b" , c!="d", } 1"#, vec![("a", Relation::Is, "b"), ("c", Relation::IsNot, "d")], " 1"),
            (
                r#"a=~"b.*",c!~"d"}"#,
                vec![("a", Relation::Matches, "b.*"), ("c", Relation::MatchesNot, "d")],
                "",
            ),
            (r#"a="\"}\\\n,"} 1"#, vec![("a", Relation::Is, "\"}\\\n,")], " 1"),
            (r#"a="ü"} 1"#, vec![("a", Relation::Is, "ü")], " 1"),
            (r#""x.y","l.m"="z",a="b"} 1"#, vec![("a", Relation::Is, "b")], " 1"),
        ] {
            let read = braces(text).unwrap_or_else(|| panic!("{text}"));
            let seen: Vec<_> = read.labels.iter().map(|(l, r, v)| (*l, *r, v.as_str())).collect();
            assert_eq!((seen, read.rest), (labels, rest), "{text}");
        }
        assert_eq!(braces(r#""x.y",a="b"} 1"#).unwrap().name.as_deref(), Some("x.y"));
        for text in
            ["", "a", "a=}", r#"a="b"#, r#"a="b" c="d"}"#, r#"="b"}"#, r#""a":1}"#, r#""a","b"}"#, "\"\\"]
        {
            assert!(braces(text).is_none(), "{text}");
        }
    }
}
