//! The parser's errors in plain words. Decides only the wording; the place is the parser's.

/// Part of the parser's message, and what a human is told instead.
const PLAIN: &[(&str, &str)] = &[
    ("tabs disallowed", "a tab stands where spaces belong; indent with spaces"),
    ("tab cannot be used", "a tab stands where spaces belong; indent with spaces"),
    ("found a tab", "a tab stands where spaces belong; indent with spaces"),
    ("cannot start with a tab", "a tab stands where spaces belong; indent with spaces"),
    (
        "mapping values are not allowed",
        "a second `:` makes no sense here; check the indentation, or put the value in quotes if it holds `: `",
    ),
    (
        "illegal placement of ':'",
        "the `:` makes no sense here; check the indentation and that each `[`, `{` and quote above is closed",
    ),
    (
        "did not find expected key",
        "a `key: value` line is wanted here; check the indentation against the lines above",
    ),
    ("simple key expect", "this line has no `:`; a `key: value` line is wanted, or the indentation is wrong"),
    (
        "did not find expected '-'",
        "a list item (`- …`) is wanted here; check the indentation against the lines above",
    ),
    (
        "block sequence entries are not allowed",
        "a list item (`- …`) makes no sense here; begin the list on a line of its own",
    ),
    ("only valid inside a block", "`- ` makes no sense inside `[ ]` or `{ }`; separate items with commas"),
    ("expected ',' or ']'", "a list opened with `[` goes on here without `,` or `]`"),
    ("expected ',' or '}'", "a map opened with `{` goes on here without `,` or `}`"),
    ("invalid indentation in flow", "a `[` or `{` is still open here; close it, or indent this line further"),
    (
        "did not find expected node content",
        "a value is wanted here; is a `]`, `}` or quote missing above, or a comma too many?",
    ),
    ("misplaced bracket", "this bracket closes nothing; remove it or open it first"),
    (
        "unexpected end of stream",
        "a quote that is opened here or above is never closed; add the closing quote",
    ),
    ("invalid trailing content after double-quoted", "text goes on after the closing quote"),
    (
        "invalid indentation in quoted",
        "a quoted text goes on here with too little indentation; is a quote missing?",
    ),
    ("unknown escape character", "this `\\` escape is unknown; in a path write `\\\\`, or use single quotes"),
    ("hexadecimal number", "this `\\` escape needs hexadecimal digits; or use single quotes"),
    ("invalid Unicode character escape", "this `\\` escape names no character"),
    ("unknown anchor", "this `*alias` names an `&anchor` that does not stand above it"),
    (
        "anchor or alias, did not find",
        "`&` and `*` begin an anchor or alias; put the value in quotes if it is text",
    ),
    ("unprintable character", "a control character stands here; remove it"),
    ("byte order mark", "a byte order mark stands inside the file; remove it"),
    ("recursion limit", "is nested too deep"),
    ("handle wasn't declared", "this `!tag` is unknown; put the value in quotes if it is text"),
    ("unexpected character: `%'", "a value cannot begin with `%`; put it in quotes"),
    ("unexpected character: `@'", "a value cannot begin with `@`; put it in quotes"),
    ("unexpected character: ``'", "a value cannot begin with a back-tick; put it in quotes"),
    (
        "invalid indentation",
        "the indentation fits no line above; use the same number of spaces as its neighbours",
    ),
    ("wrongly indented line in block", "this line is indented less than the text block it stands in"),
    ("comment intercepting", "a comment stands inside a text of several lines; move it or use quotes"),
    (
        "did not find expected <document start>",
        "text goes on after the value that ends here; is an indentation wrong?",
    ),
    ("unexpected end of plain scalar", "a value is wanted here; put it in quotes if it is text"),
];

/// Whether the parser finds this out only after the line that is wrong.
pub(super) fn is_seen_a_line_late(info: &str) -> bool {
    info.contains("simple key expect")
}

/// What a human is told.
pub(super) fn plain(info: &str) -> String {
    match PLAIN.iter().find(|(part, _)| info.contains(part)) {
        Some((_, words)) => (*words).to_owned(),
        None => format!("is not YAML: {}", crate::problem::printable(info)),
    }
}
