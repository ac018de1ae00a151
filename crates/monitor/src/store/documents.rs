//! Documents: what alerting must not lose, each under its kind and a key, with a time and a body that the store does not
//! read. Decides how long each kind is kept and which word on a key is the last; what they mean is alerting's.

use super::sealed::{DAY_MS, Retention};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of a key; one with a longer key is not kept.
pub const DOCUMENT_KEY_AT_MOST: usize = 1_024;

/// Documents that are given at once, however many were asked for; and one more, which says that there are more.
pub const DOCUMENTS_AT_MOST: usize = 10_000;

/// Documents that a step of the upkeep deletes at most.
pub(crate) const DOCUMENTS_A_STEP: i64 = 512;

/// What a document takes up besides its key and body, nearly.
pub(crate) const DOCUMENT_OVERHEAD: usize = 64;

/// What a document is. Its number is what is stored: one that was given never means anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DocumentKind {
    /// The life of one thing that a rule looks at: pending, firing and since when.
    Element = 1,
    /// What a receiver was told of a group of alerts, and is to be told next.
    Conversation = 2,
    /// A message that was sent, or could not be.
    Notice = 3,
    /// Alerts that are not told to anybody for a while.
    Silence = 4,
    /// Somebody has taken an alert on.
    Acknowledgement = 5,
    /// A time of maintenance.
    Window = 6,
    /// Alerts of one cause.
    Incident = 7,
    /// One entry on an incident's time line.
    IncidentEntry = 8,
    /// What was done about an alert, or would have been.
    Action = 9,
    /// A circuit breaker's state.
    Breaker = 10,
    /// A message that is to be sent.
    Due = 11,
    /// An alert that fires, or did until a moment ago.
    Alert = 12,
}

impl DocumentKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Element,
        Self::Conversation,
        Self::Notice,
        Self::Silence,
        Self::Acknowledgement,
        Self::Window,
        Self::Incident,
        Self::IncidentEntry,
        Self::Action,
        Self::Breaker,
        Self::Due,
        Self::Alert,
    ];

    /// How long after its time one is kept; `None`: until it is deleted. A start is given all of the latter.
    #[must_use]
    pub const fn kept_ms(self) -> Option<i64> {
        match self {
            Self::Notice => Some(30 * DAY_MS),
            Self::Incident | Self::IncidentEntry | Self::Action => Some(400 * DAY_MS),
            Self::Element
            | Self::Conversation
            | Self::Silence
            | Self::Acknowledgement
            | Self::Window
            | Self::Breaker
            | Self::Due
            | Self::Alert => None,
        }
    }

    /// Those of which a start is given all.
    pub(crate) fn until_deleted() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| kind.kept_ms().is_none())
    }

    /// Those that go for their age, and before which time.
    pub(crate) fn too_old(retention: &Retention, now_ms: i64) -> Vec<(Self, i64)> {
        let aged = Self::ALL.into_iter().filter(|_| retention.deletes_by_age());
        aged.filter_map(|kind| Some((kind, now_ms.saturating_sub(kind.kept_ms()?)))).collect()
    }

    /// As it is stored.
    pub(crate) const fn number(self) -> i16 {
        self as i16
    }

    fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| i64::from(kind.number()) == number)
    }
}

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Which one of its kind: at most [`DOCUMENT_KEY_AT_MOST`] bytes.
    pub key: Arc<str>,
    /// Its time, unix milliseconds: its age counts from there.
    pub at_ms: i64,
    /// JSON, which the store does not read.
    pub body: Bytes,
}

/// What becomes of a document. Of several in one group the last word on a key counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentChange {
    /// It is this from now on.
    Put(Document),
    /// The same of one on which nothing depends any more, such as a notice that was sent: while the store refuses and
    /// there is no room, it goes before others.
    PutSpare(Document),
    /// It is no more.
    Delete {
        /// What it was.
        kind: DocumentKind,
        /// Which one.
        key: Arc<str>,
    },
}

impl DocumentChange {
    /// Which document it is about.
    #[must_use]
    pub fn place(&self) -> (DocumentKind, &Arc<str>) {
        match self {
            Self::Put(document) | Self::PutSpare(document) => (document.kind, &document.key),
            Self::Delete { kind, key } => (*kind, key),
        }
    }

    /// What it takes up, nearly.
    pub(crate) fn weight(&self) -> usize {
        let body = self.put().map_or(0, |document| document.body.len());
        2 * DOCUMENT_OVERHEAD + self.place().1.len() + body
    }

    fn put(&self) -> Option<&Document> {
        match self {
            Self::Put(document) | Self::PutSpare(document) => Some(document),
            Self::Delete { .. } => None,
        }
    }
}

/// A page of documents of a kind, newest first; of the same time, the last key first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentPage {
    /// Not older than this, unix milliseconds.
    pub from_ms: i64,
    /// Not younger than this.
    pub to_ms: i64,
    /// Whose keys begin so.
    pub prefix: Option<Arc<str>>,
    /// Those that come after this time and key: the last ones of the page before.
    pub after: Option<(i64, Arc<str>)>,
    /// So many; [`DOCUMENTS_AT_MOST`] and one at most.
    pub limit: usize,
}

impl Default for DocumentPage {
    fn default() -> Self {
        Self { from_ms: i64::MIN, to_ms: i64::MAX, prefix: None, after: None, limit: DOCUMENTS_AT_MOST }
    }
}

/// More than any key: no text has such a byte.
const PAST_EVERY_KEY: &[u8] = b"\xff";

impl DocumentPage {
    /// What is given comes before this, in the order of times and keys.
    pub(crate) fn before(&self) -> (i64, Vec<u8>) {
        match &self.after {
            Some((at_ms, key)) if *at_ms <= self.to_ms => (*at_ms, key.as_bytes().to_vec()),
            _ => (self.to_ms, PAST_EVERY_KEY.to_vec()),
        }
    }

    /// The first key that begins so, and the first one after those.
    pub(crate) fn keys(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let first = self.prefix.as_ref().filter(|prefix| !prefix.is_empty())?.as_bytes().to_vec();
        let mut end = first.clone();
        // The last byte of a text is never the highest one.
        *end.last_mut()? += 1;
        Some((first, end))
    }

    pub(crate) fn rows(&self) -> i64 {
        self.limit.min(DOCUMENTS_AT_MOST + 1) as i64
    }
}

/// Kind, key, time, body.
pub(crate) type DocumentRow = (i64, Vec<u8>, i64, Vec<u8>);

/// Documents as they were read; those of a kind that this program does not know are left out. The error says what is
/// damaged.
pub(crate) fn read(rows: Vec<DocumentRow>) -> Result<Vec<Document>, String> {
    let mut documents = Vec::with_capacity(rows.len());
    for (number, key, at_ms, body) in rows {
        let Some(kind) = DocumentKind::from_number(number) else { continue };
        let key = str::from_utf8(&key).map_err(|e| format!("the key of a document of kind {number}: {e}"))?;
        documents.push(Document { kind, key: key.into(), at_ms, body: body.into() });
    }
    Ok(documents)
}

/// The last word on each key: what is put, and what is deleted.
#[derive(Debug, Default)]
pub(crate) struct LastWords<'a> {
    pub(crate) put: Vec<&'a Document>,
    pub(crate) deleted: Vec<(DocumentKind, &'a str)>,
}

impl<'a> LastWords<'a> {
    pub(crate) fn of(changes: &'a [DocumentChange]) -> Self {
        let last: HashMap<_, usize> = changes.iter().enumerate().map(|(n, c)| (c.place(), n)).collect();
        let mut words = Self::default();
        for (_, change) in changes.iter().enumerate().filter(|(n, c)| last.get(&c.place()) == Some(n)) {
            match (change.put(), change.place()) {
                (Some(document), _) => words.put.push(document),
                (None, (kind, key)) => words.deleted.push((kind, key)),
            }
        }
        words
    }

    /// Bytes that are written.
    pub(crate) fn bytes(changes: &[DocumentChange]) -> usize {
        changes.iter().map(DocumentChange::weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, Document, DocumentChange, DocumentKind, DocumentPage, LastWords, Retention, read};

    #[test]
    fn each_kind_comes_back_from_its_number_and_an_unknown_one_is_left_out() {
        for (number, kind) in (1..).zip(DocumentKind::ALL) {
            assert_eq!(i64::from(kind.number()), number);
            let read = read(vec![(number, b"k".to_vec(), -1, b"{}".to_vec())]).unwrap();
            assert_eq!(read, [Document { kind, key: "k".into(), at_ms: -1, body: "{}".into() }]);
        }
        for number in [0, 13, i64::MIN, 257] {
            assert_eq!(read(vec![(number, b"k".to_vec(), 0, Vec::new())]), Ok(Vec::new()));
        }
        assert!(read(vec![(1, vec![0xff], 0, Vec::new())]).is_err_and(|why| why.contains("key")));
    }

    #[test]
    fn what_is_kept_until_it_is_deleted_is_never_too_old_and_nothing_is_while_the_clock_is_not_trusted() {
        let now_ms = 1_000 * DAY_MS;
        let old = DocumentKind::too_old(&Retention::default(), now_ms);
        let expected = [
            (DocumentKind::Notice, 970 * DAY_MS),
            (DocumentKind::Incident, 600 * DAY_MS),
            (DocumentKind::IncidentEntry, 600 * DAY_MS),
            (DocumentKind::Action, 600 * DAY_MS),
        ];
        assert_eq!(old, expected);
        assert_eq!(DocumentKind::until_deleted().count() + old.len(), DocumentKind::ALL.len());
        assert_eq!(DocumentKind::too_old(&Retention::FOR_EVER, now_ms), []);
    }

    #[test]
    fn the_last_word_on_a_key_of_a_kind_counts() {
        let put = |kind, key: &str, at_ms| {
            DocumentChange::Put(Document { kind, key: key.into(), at_ms, body: "{}".into() })
        };
        let delete = |kind, key: &str| DocumentChange::Delete { kind, key: key.into() };
        use DocumentKind::{Action, Element};
        let changes = [
            put(Element, "a", 1),
            delete(Element, "b"),
            put(Action, "a", 2),
            put(Element, "a", 3),
            put(Element, "b", 4),
            delete(Action, "a"),
        ];
        let words = LastWords::of(&changes);
        let put: Vec<_> = words.put.iter().map(|d| (&*d.key, d.at_ms)).collect();
        assert_eq!((put, words.deleted), (vec![("a", 3), ("b", 4)], vec![(Action, "a")]));
    }

    #[test]
    fn a_page_ends_where_its_time_or_the_page_before_it_does() {
        let page = |to_ms, after: Option<(i64, &str)>| DocumentPage {
            to_ms,
            after: after.map(|(at_ms, key)| (at_ms, key.into())),
            ..DocumentPage::default()
        };
        for (page, before) in [
            (page(5, None), (5, b"\xff".to_vec())),
            (page(5, Some((4, "k"))), (4, b"k".to_vec())),
            (page(5, Some((5, "k"))), (5, b"k".to_vec())),
            (page(5, Some((6, "k"))), (5, b"\xff".to_vec())),
        ] {
            assert_eq!(page.before(), before, "{page:?}");
        }
        let rows = |limit| DocumentPage { limit, ..page(5, None) }.rows();
        assert_eq!((rows(1), rows(usize::MAX)), (1, 10_001), "one more tells whether there is more");
        let keys = |prefix: &str| DocumentPage { prefix: Some(prefix.into()), ..page(5, None) }.keys();
        assert_eq!(keys(""), None);
        assert_eq!(keys("a/"), Some((b"a/".to_vec(), b"a0".to_vec())));
        assert_eq!(keys("\u{10ffff}"), Some((vec![0xf4, 0x8f, 0xbf, 0xbf], vec![0xf4, 0x8f, 0xbf, 0xc0])));
    }
}
