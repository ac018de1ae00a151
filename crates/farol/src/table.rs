//! Tables for people. Decides their look: no borders, the status first, wrapped where lines have an end, and
//! colour for the status words alone. What stands in them is each command's.

use crate::terminal::{Terminal, one_line};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::Timestamp;

/// Narrower than this nothing can be read: lines then run on.
const NARROWEST: u16 = 40;

/// The rows under their headings. The first column is coloured where it is a status.
pub(crate) fn render(headings: &[&str], rows: &[Vec<String>], terminal: &Terminal) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(headings.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| one_line(cell)));
    }
    if let Some(width) = terminal.width().filter(|width| *width >= NARROWEST) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let paint_line = |line: String| paint(line.trim_end(), terminal.has_colour());
    table.lines().map(paint_line).collect::<Vec<_>>().join("\n")
}

/// Colours the status word that a line begins with.
pub(crate) fn paint(line: &str, colour: bool) -> String {
    let end = line.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    match code(word) {
        Some(code) if colour => format!("\u{1b}[{code}m{word}\u{1b}[0m{rest}"),
        _ => line.to_owned(),
    }
}

/// Green, yellow, red, magenta, blue.
fn code(word: &str) -> Option<u8> {
    match word {
        "healthy" => Some(32),
        "degraded" | "warning" | "pending" => Some(33),
        "unhealthy" | "critical" => Some(31),
        "unknown" => Some(35),
        "starting" | "maintenance" => Some(34),
        _ => None,
    }
}

/// For how long it is so: see [`age`].
pub(crate) fn since(then: Timestamp, now: Timestamp) -> String {
    age(u64::try_from(now.as_millisecond() - then.as_millisecond()).unwrap_or(0))
}

/// The two largest units: `4s`, `12m 5s`, `3h 20m`, `9d 4h`.
pub(crate) fn age(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m {}s", s / 60, s % 60),
        3_600..86_400 => format!("{}h {}m", s / 3_600, s / 60 % 60),
        _ => format!("{}d {}h", s / 86_400, s / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings_and_no_line_ends_in_blanks() {
        let rows = [
            vec!["healthy".to_owned(), "disk".to_owned(), String::new()],
            vec!["unhealthy".to_owned(), "database".to_owned(), "refused\nconnection".to_owned()],
        ];
        let text = render(&["STATUS", "CHECK", "MESSAGE"], &rows, &Terminal::plain(std::io::sink()));
        assert_eq!(
            text,
            "STATUS     CHECK     MESSAGE\n\
             healthy    disk\n\
             unhealthy  database  refused connection"
        );
    }

    #[test]
    fn only_a_leading_status_word_is_coloured() {
        assert_eq!(paint("unhealthy  database", true), "\u{1b}[31munhealthy\u{1b}[0m  database");
        assert_eq!(paint("STATUS  CHECK", true), "STATUS  CHECK");
        assert_eq!(paint("healthy  disk", false), "healthy  disk");
        assert_eq!(paint("", true), "");
    }
}
