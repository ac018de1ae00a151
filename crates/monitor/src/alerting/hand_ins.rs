//! How what follows of one decision is divided into hand-ins, so that much of it finds room. Decides which word goes with
//! which notice, for a crash may come between two hand-ins; hands nothing in.

use crate::store::DocumentChange;

/// The notices of one hand-in, in bytes; a larger one goes alone.
const NOTICES_AT_MOST: usize = 4 << 20;

/// What is told, in its order.
pub(super) enum Told<N> {
    /// What a conversation was told, with the notices that come next: kept no earlier than all of them, or a crash in
    /// between would leave some of them untold for good.
    Kept(DocumentChange),
    /// A notice, and its bytes.
    Notice(N, usize),
}

/// Gives the words and notices of one hand-in after the other, at least one, which is what the number of the first is
/// for: it has all of the `state`. Words stand before notices: those are sent even where there is no room to keep them.
/// A crash between two of them leaves notices of which their conversation knows nothing: what they told is told once more
/// in others, for none is to be missing.
pub(super) fn divide<N>(
    state: Vec<DocumentChange>,
    told: impl IntoIterator<Item = Told<N>>,
    mut give: impl FnMut(Vec<DocumentChange>, Vec<N>) -> u64,
) -> u64 {
    let (mut words, mut notices, mut bytes) = (state, Vec::new(), 0);
    let (mut kept, mut first) = (None, None);
    for told in told {
        match told {
            Told::Kept(word) => words.extend(kept.replace(word)),
            Told::Notice(notice, weight) => {
                if bytes > 0 && bytes + weight > NOTICES_AT_MOST {
                    let number = give(std::mem::take(&mut words), std::mem::take(&mut notices));
                    first.get_or_insert(number);
                    bytes = 0;
                }
                bytes += weight;
                notices.push(notice);
            }
        }
    }
    words.extend(kept);
    let number = give(words, notices);
    first.unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DocumentKind;

    fn word(key: &str) -> DocumentChange {
        DocumentChange::Delete { kind: DocumentKind::Conversation, key: key.into() }
    }

    /// What each hand-in has, its words before its notices.
    fn divided(told: Vec<Told<&'static str>>) -> Vec<String> {
        let mut all = Vec::new();
        let number = divide(vec![word("state"), word("said")], told, |words, notices| {
            let words: Vec<&str> = words.iter().map(|word| &**word.place().1).collect();
            all.push(format!("{} | {}", words.join(" "), notices.join(" ")));
            all.len() as u64
        });
        assert_eq!(number, 1, "it has what was said");
        all
    }

    #[test]
    fn what_is_small_is_one_hand_in_with_its_words_first() {
        assert_eq!(divided(Vec::new()), ["state said | "]);
        let told = || [Told::Kept(word("a")), Told::Notice("a1", 1 << 20), Told::Kept(word("b"))];
        let told = told().into_iter().chain([Told::Notice("b1", 3 << 20)]).collect();
        assert_eq!(divided(told), ["state said a b | a1 b1"]);
    }

    #[test]
    fn what_is_large_is_several_and_no_word_is_kept_before_the_last_notice_that_it_tells_of() {
        let told = vec![
            Told::Kept(word("a")),
            Told::Notice("a1", 3 << 20),
            Told::Notice("a2", 3 << 20),
            Told::Notice("a3", 3 << 20),
            Told::Kept(word("b")),
            Told::Notice("b1", 1 << 20),
            Told::Kept(word("c")),
            Told::Notice("c1", 40 << 20),
            Told::Notice("c2", 1),
        ];
        assert_eq!(divided(told), ["state said | a1", " | a2", "a b | a3 b1", " | c1", "c | c2"]);
    }
}
