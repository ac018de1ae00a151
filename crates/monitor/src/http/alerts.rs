//! The alerts: what fires, is about to or just ended, who takes care of it and who was told. Decides which alerts a
//! question is about; what they are is the book's.

mod ack;
mod document;
mod place;

pub(super) use ack::{Acknowledge, acknowledge, unacknowledge};
pub(super) use document::{Alert, Muting};
pub(super) use place::{find, unknown};

use super::asked::{AFTER, Asked, LIMIT};
use super::json::{Json, List};
use super::named::Named;
use super::problem::Problem;
use super::route::{Kind, Param};
use crate::alerting::{rules_moment, short_id};
use crate::app::App;
use axum::Extension;
use axum::extract::State;
use farol_rules::{AlertHead, AlertId, AlertShown, AlertState, Matcher, Moment, Pattern};
use std::sync::Arc;

/// So many alerts are looked at before others may look at the book.
const AT_ONCE: usize = 256;

pub(super) const ASKS: &[Param] = &[
    LIMIT,
    AFTER,
    Param::new(
        "state",
        Kind::Word(&["firing", "ended", "pending", "all"]),
        "Only alerts in this state; `firing` when not given. One that ended is shown for a quarter of an hour.",
    ),
    Param::new("severity", Kind::Word(&["warning", "critical"]), "Only alerts that are so bad."),
    Param::new("rule", Kind::Text, "Only alerts of this rule."),
    Param::new(
        "match",
        Kind::Texts,
        "Only alerts with this label: `label:pattern`, where a pattern is `text`, `!text`, `~expression` or \
         `!~expression`. May be given more than once.",
    ),
];

/// Which alerts are meant.
struct Wanted {
    state: Option<AlertState>,
    severity: Option<String>,
    rule: Option<String>,
    matchers: Vec<Matcher>,
}

impl Wanted {
    fn read(asked: &Asked) -> Result<Self, Problem> {
        let state = match asked.text("state") {
            Some("all") => None,
            Some("pending") => Some(AlertState::Pending),
            Some("ended") => Some(AlertState::Ended),
            _ => Some(AlertState::Firing),
        };
        Ok(Self {
            state,
            severity: asked.text("severity").map(str::to_owned),
            rule: asked.text("rule").map(str::to_owned),
            matchers: asked.texts("match").map(matcher).collect::<Result<_, _>>()?,
        })
    }

    fn is_rule(&self, id: &AlertId) -> bool {
        self.rule.as_deref().is_none_or(|rule| rule == &*id.rule)
    }

    fn is(&self, head: &AlertHead) -> bool {
        self.state.is_none_or(|state| state == head.state)
            && self.severity.as_deref().is_none_or(|severity| severity == head.severity.as_str())
            && Matcher::all(&self.matchers, &head.labels)
    }
}

fn matcher(text: &str) -> Result<Matcher, Problem> {
    let wrong = |why: String| Problem::bad_request("bad_parameter", why);
    let Some((label, pattern)) = text.split_once(':') else {
        return Err(wrong(format!("`match` is `{text:.100}`; write `label:pattern`")));
    };
    let pattern = Pattern::parse(pattern).map_err(|error| wrong(format!("`match`: {error:.300}")))?;
    Ok(Matcher { label: label.into(), pattern })
}

/// The next few alerts that are wanted, and after which one to go on; nothing after the last one.
fn look(
    app: &App,
    wanted: &Wanted,
    after: Option<&AlertId>,
    now: Moment,
) -> (Vec<AlertShown>, Option<AlertId>) {
    let book = app.alerting.book();
    let ids: Vec<&AlertId> = book.all_after(after).take(AT_ONCE).collect();
    let is_wanted = |id: &AlertId| wanted.is_rule(id) && book.head(id).is_some_and(|head| wanted.is(&head));
    let found = ids.iter().filter(|id| is_wanted(id)).filter_map(|id| book.alert(id, now)).collect();
    let last = ids.last().filter(|_| ids.len() == AT_ONCE).map(|id| (*id).clone());
    (found, last)
}

pub(super) async fn list(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<List<Alert>>, Problem> {
    let (limit, wanted) = (asked.limit(), Wanted::read(&asked)?);
    let mut after = asked.after().map(place::read_place).transpose()?;
    let mut shown: Vec<AlertShown> = Vec::new();
    let now = rules_moment(app.clock.now());
    loop {
        let (found, last) = look(&app, &wanted, after.as_ref(), now);
        shown.extend(found);
        after = last;
        if after.is_none() || shown.len() > limit {
            break;
        }
        // Others wait for the book and for this thread.
        tokio::task::yield_now().await;
    }
    shown.truncate(limit + 1);
    let page = List::page(shown, limit, |alert| place::place(&alert.view.id));
    let items = page.items.into_iter().map(|alert| Alert::new(&app, alert)).collect();
    Ok(Json(List { items, next: page.next }))
}

pub(super) async fn one(State(app): State<Arc<App>>, Named(id): Named) -> Result<Json<Alert>, Problem> {
    let now = rules_moment(app.clock.now());
    let id = find(&app, &id).ok_or_else(|| unknown(&id))?;
    let shown = app.alerting.book().alert(&id, now).ok_or_else(|| unknown(&short_id(&id)))?;
    Ok(Json(Alert::new(&app, shown)))
}
