//! Why something is alerted, or is not: what each rule that could look at it says, who holds it back, who is told and
//! what became of that. Decides which rules could look at what is asked about; what they say is the book's.

mod delivery;
mod element;
mod receiver;
mod target;
mod telling;
mod text;

pub(super) use receiver::{ReceiverWhy, receiver};

use super::alerts::{self, Alert};
use super::asked::Asked;
use super::json::Json;
use super::named::Named;
use super::problem::Problem;
use super::route::{Kind, Param};
use crate::alerting::rules_moment;
use crate::app::App;
use axum::Extension;
use axum::extract::State;
use delivery::{Delivery, WaitingNotice};
use element::{Candidate, RuleWhy};
use farol_rules::{AlertShown, NAMED_AT_MOST};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const ASKS: &[Param] = &[Param::new("rule", Kind::Text, "Only what this rule says.")];

/// Of so few elements the last samples are given.
const SAMPLED_AT_MOST: usize = 3;

/// Why something is alerted, or is not.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Why {
    /// What is asked about.
    about: String,
    /// The alert that is asked about.
    alert: Option<Alert>,
    /// What each rule says that could look at it; 50 elements at most.
    rules: Vec<RuleWhy>,
    /// So many elements are left out.
    more: usize,
    /// Attempts to tell of the alert that is asked about, oldest first.
    deliveries: Vec<Delivery>,
    /// Notices of the alert that is asked about that were not taken yet, in their order.
    waiting: Vec<WaitingNotice>,
    /// All of it for people, line by line.
    text: Vec<String>,
}

/// What is to be explained.
struct Question {
    about: String,
    candidates: Vec<Candidate>,
    /// Said before all else.
    text: Vec<String>,
    /// The alert whose attempts are said elsewhere, by its word.
    said: Option<String>,
}

async fn explain(app: &App, asked: &Asked, question: Question) -> Result<Why, Problem> {
    let Question { about, mut candidates, text: mut lines, said } = question;
    let wanted = asked.text("rule");
    if let Some(name) = wanted
        && app.alerting.book().rules().rule(name).is_none()
    {
        let detail = format!("there is no rule `{name:.100}`; /api/v1/rules lists them");
        return Err(Problem::not_found("unknown_rule", detail));
    }
    candidates.retain(|candidate| wanted.is_none_or(|wanted| *candidate.rule.name == *wanted));
    let more = candidates.len().saturating_sub(NAMED_AT_MOST);
    candidates.truncate(NAMED_AT_MOST);
    let now = app.clock.now();
    let mut rules: Vec<RuleWhy> = {
        let book = app.alerting.book();
        let mut alerts: BTreeMap<_, Option<AlertShown>> = BTreeMap::new();
        let of = |candidate: &Candidate| element::explain(&book, candidate, rules_moment(now), &mut alerts);
        candidates.iter().map(of).collect()
    };
    for rule in &mut rules {
        rule.deliveries = delivery::in_memory(app, rule.word.as_deref());
    }
    if rules.len() <= SAMPLED_AT_MOST {
        for (rule, candidate) in rules.iter_mut().zip(&candidates) {
            rule.samples = element::samples(app, candidate, now.wall_ms).await;
        }
    }
    lines.insert(0, about.clone());
    text::of_rules(&mut rules, said);
    lines.extend(rules.iter().flat_map(|rule| rule.text.iter().cloned()));
    if rules.is_empty() {
        lines.push(match wanted {
            Some(name) => format!("Rule `{name}` does not look at it."),
            None => "No rule looks at it.".to_owned(),
        });
    }
    if more > 0 {
        let more = text::counted(more, "more element");
        lines.push(format!("… and {more}; ask for one of them, or with `rule`."));
    }
    Ok(Why { about, alert: None, rules, more, deliveries: Vec::new(), waiting: Vec::new(), text: lines })
}

pub(super) async fn alert(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Why>, Problem> {
    let moment = app.clock.now();
    let now = rules_moment(moment);
    let id = alerts::find(&app, &name).ok_or_else(|| alerts::unknown(&name))?;
    let shown = app.alerting.book().alert(&id, now).ok_or_else(|| alerts::unknown(&name))?;
    let (word, since_ms) = (crate::alerting::word_id(&id, shown.view.since_ms), shown.view.since_ms);
    // What waits first: what lands meanwhile is then among what was delivered.
    let waiting = app.alerting.dispatcher().waiting(&word).into_iter();
    let waiting: Vec<WaitingNotice> = waiting.map(WaitingNotice::from).collect();
    let deliveries = delivery::all(&app, &word, since_ms).await;
    let mut lines = text::of_alert(&shown);
    lines.extend(telling::of_alert(&shown.told, &deliveries, &waiting));
    let age_ms = moment.boot_ms.saturating_sub(app.own.born_ms());
    lines.extend(text::of_restart(since_ms, moment.wall_ms.saturating_sub_unsigned(age_ms)));
    let question = Question {
        about: format!("Alert {id}: {}, {}", shown.state.as_str(), shown.view.severity),
        candidates: target::of_alert(&app, &id),
        text: lines,
        said: Some(word),
    };
    let mut why = explain(&app, &asked, question).await?;
    why.text.extend(deliveries.iter().map(text::of_delivery));
    (why.deliveries, why.waiting) = (deliveries, waiting);
    why.alert = Some(Alert::new(&app, shown));
    Ok(Json(why))
}

pub(super) async fn component(
    State(app): State<Arc<App>>,
    Named((agent, service, component)): Named<(String, String, String)>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Why>, Problem> {
    let question = target::component(&app, &agent, &service, &component)?;
    explain(&app, &asked, question).await.map(Json)
}

pub(super) async fn agent(
    State(app): State<Arc<App>>,
    Named(agent): Named,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Why>, Problem> {
    let question = target::agent(&app, &agent)?;
    explain(&app, &asked, question).await.map(Json)
}

pub(super) async fn service(
    State(app): State<Arc<App>>,
    Named(service): Named,
    Extension(asked): Extension<Asked>,
) -> Result<Json<Why>, Problem> {
    let question = target::service(&app, &service)?;
    explain(&app, &asked, question).await.map(Json)
}
