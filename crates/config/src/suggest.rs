//! Which known word a mistyped one means. Decides only how near is near enough.

/// The longest words that are compared.
const LONGEST: usize = 64;

/// The nearest of the known words, if it is near: a third of the letters may be wrong, two at most.
pub(crate) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.chars().count();
    let limit = (length / 3).clamp(1, 2);
    known
        .into_iter()
        .filter(|known| known.len() <= LONGEST && length <= LONGEST && known.chars().count() > 1)
        .map(|known| (distance(&normal(word), &normal(known)), known))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn normal(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Letters to add, remove, replace or swap with their neighbour.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_known_word_is_found_when_it_is_near() {
        let known = ["interval", "deadline", "name", "ttl", "failure_threshold", "n"];
        for (word, meant) in [
            ("intervall", Some("interval")),
            ("inetrval", Some("interval")),
            ("Deadline", Some("deadline")),
            ("nmae", Some("name")),
            ("ttls", Some("ttl")),
            ("failure-threshold", Some("failure_threshold")),
            ("x", None),
            ("cluster", None),
            ("", None),
            ("nme", Some("name")),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
        assert_eq!(nearest(&"interval".repeat(1000), known), None);
    }
}
