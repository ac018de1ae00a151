//! What of the template language is allowed: values, `if` and `for`. Assignments and multiplication could make a text
//! grow without end in few steps, so they are refused before anything is run.

const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// Goes through the tags of a template. What is not closed is left to the compiler.
pub(super) fn check(source: &str) -> Result<(), (usize, String)> {
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        let begin = source.len() - rest.len() + at;
        rest = &rest[at + 1..];
        let inside = match rest.chars().next() {
            Some('{') => None,
            Some('%') => Some(rest[1..].trim_start_matches(['-', '+']).trim_start()),
            Some('#') => {
                rest = rest.split_once("#}").map_or("", |(_, after)| after);
                continue;
            }
            _ => continue,
        };
        let line = source[..begin].matches('\n').count() + 1;
        if let Some(statement) = inside {
            let word = statement.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
            if let Some(word) = word.filter(|word| !STATEMENTS.contains(word)) {
                return Err((line, format!("`{word}` is not allowed; there are `if` and `for`")));
            }
        }
        let close = if inside.is_some() { '%' } else { '}' };
        let (multiplies, after) = expression(&rest[1..], close);
        if multiplies {
            return Err((line, "`*` is not allowed; write for instance `{{ value|times(100) }}`".into()));
        }
        rest = after;
    }
    Ok(())
}

/// Whether a tag multiplies, and what comes after it. Texts in quotes may hold anything.
fn expression(tag: &str, close: char) -> (bool, &str) {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in tag.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(mark) if c == mark => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '*' => return (true, ""),
            None if c == close && tag[at + 1..].starts_with('}') => return (false, &tag[at + 2..]),
            None => {}
        }
    }
    (false, "")
}
