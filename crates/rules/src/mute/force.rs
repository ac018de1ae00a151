//! What of all silences and windows is in force at one moment. Made once for a moment and asked for each alert, so that
//! no calendar is read twice.

use super::{Silence, SilenceState, Window};
use crate::{Labels, Matcher};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A clock that is set back by so much undoes nothing that began.
const BACK_MS: i64 = 3_600_000;

/// All that hold at one moment.
#[derive(Clone, Debug, Default)]
pub struct InForce {
    /// Those that hold longest come first: the first that matches says how long.
    all: Vec<One>,
}

/// One that holds.
#[derive(Clone, Debug)]
struct One {
    matchers: Vec<Matcher>,
    from_ms: i64,
    until_ms: i64,
    window: bool,
    id: Arc<str>,
}

/// Held back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Muted {
    /// By what; of several, what holds longest.
    pub by: MutedBy,
    /// Until then at least: another one may follow.
    pub until_ms: i64,
}

/// What holds it back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutedBy {
    /// This silence.
    Silence(Arc<str>),
    /// This window.
    Window(Arc<str>),
}

impl fmt::Display for MutedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silence(id) => write!(f, "silence {id}"),
            Self::Window(id) => write!(f, "maintenance {id}"),
        }
    }
}

impl InForce {
    /// Those that hold now.
    pub fn at<'a>(
        now_ms: i64,
        silences: impl IntoIterator<Item = &'a Silence>,
        windows: impl IntoIterator<Item = &'a Window>,
    ) -> Self {
        let silences = silences.into_iter().filter(|silence| silence.state(now_ms) == SilenceState::Active);
        let silences = silences.map(|silence| One {
            matchers: silence.matchers.clone(),
            from_ms: silence.starts_ms,
            until_ms: silence.ends_ms,
            window: false,
            id: Arc::clone(&silence.id),
        });
        let windows = windows.into_iter().filter_map(|window| {
            let span = window.span(now_ms)?;
            let (matchers, id) = (window.matchers.clone(), Arc::clone(&window.id));
            Some(One { matchers, from_ms: span.from_ms, until_ms: span.to_ms, window: true, id })
        });
        let mut at = Self { all: silences.chain(windows).collect() };
        at.sort();
        at
    }

    /// As at this moment, and what began before goes on until its end: the clock may have been set back. By more than
    /// [`BACK_MS`] before its beginning, and it was wrong that it began.
    #[must_use]
    pub(crate) fn going_on(mut self, before: &Self, now_ms: i64) -> Self {
        let has =
            |all: &[One], one: &One| all.iter().any(|known| known.window == one.window && known.id == one.id);
        let began = |one: &One| one.until_ms > now_ms && one.from_ms.saturating_sub(BACK_MS) <= now_ms;
        let goes_on = before.all.iter().filter(|one| began(one) && !has(&self.all, one));
        let goes_on: Vec<One> = goes_on.cloned().collect();
        self.all.extend(goes_on);
        self.sort();
        self
    }

    /// What is taken back, or another one by now, has not begun.
    pub(crate) fn forget(&mut self, id: &str, window: bool) {
        self.all.retain(|one| one.window != window || *one.id != *id);
    }

    fn sort(&mut self) {
        self.all.sort_by(|a, b| {
            b.until_ms.cmp(&a.until_ms).then(a.window.cmp(&b.window)).then_with(|| a.id.cmp(&b.id))
        });
    }

    /// Whether nothing is held back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What holds back what has these labels.
    #[must_use]
    pub fn muted(&self, labels: &Labels) -> Option<Muted> {
        self.all_that_mute(labels).next()
    }

    /// All that hold back what has these labels, those that hold longest first.
    pub fn all_that_mute<'a>(&'a self, labels: &'a Labels) -> impl Iterator<Item = Muted> + 'a {
        let all = self.all.iter().filter(|one| Matcher::all(&one.matchers, labels));
        all.map(|one| {
            let id = Arc::clone(&one.id);
            let by = if one.window { MutedBy::Window(id) } else { MutedBy::Silence(id) };
            Muted { by, until_ms: one.until_ms }
        })
    }
}

/// What holds back what has these labels, now. For more than one question at a moment: [`InForce`].
pub fn muted<'a>(
    labels: &Labels,
    now_ms: i64,
    silences: impl IntoIterator<Item = &'a Silence>,
    windows: impl IntoIterator<Item = &'a Window>,
) -> Option<Muted> {
    InForce::at(now_ms, silences, windows).muted(labels)
}

/// When the next of them begins or ends: until then every answer stays what it is.
pub fn next_mute_change<'a>(
    now_ms: i64,
    silences: impl IntoIterator<Item = &'a Silence>,
    windows: impl IntoIterator<Item = &'a Window>,
) -> Option<i64> {
    let silences = silences.into_iter().filter_map(|silence| silence.next_change(now_ms));
    silences.chain(windows.into_iter().filter_map(|window| window.next_change(now_ms))).min()
}
