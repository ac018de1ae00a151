//! What was measured: one metric over a range, reduced to steps. Decides the spelling of question and answer; which
//! samples belong to it is `crate::history`'s.

use super::asked::Asked;
use super::json::{Json, Time, Values};
use super::problem::Problem;
use super::range::{TO, no_answer, range};
use super::route::{Kind, Param};
use crate::app::App;
use crate::history::{self, HistoryError, Past, Query, SeriesPoints};
use crate::store::Level;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use farol_series::Reduce;
use farol_wire::SeriesType;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// The range when nothing is said.
const HOUR_MS: i64 = 3_600_000;
/// And into how many steps it is cut.
const STEPS: i64 = 240;

pub(super) const ASKS: &[Param] = &[
    Param::required("metric", Kind::Text, "The metric's name, for instance `system_load1`."),
    Param::new("agent", Kind::Text, "Only series of this agent."),
    Param::new(
        "service",
        Kind::Text,
        "Only series of this service, as the agent names it (without its scope).",
    ),
    Param::new("component", Kind::Text, "Only series of this component."),
    Param::new(
        "label",
        Kind::Texts,
        "Only series with this label: `name=value`, or `name=` for those without it. May be given more than once.",
    ),
    Param::new("from", Kind::Time, "From here; one hour before `to` when not given."),
    TO,
    Param::new(
        "step",
        Kind::Duration,
        "The length of a step; when not given so long that there are 240, yet at least 1 s.",
    ),
    Param::new(
        "reduce",
        Kind::Word(&["avg", "max", "min", "last", "sum", "count", "rate", "p95"]),
        "What becomes of a step's samples; `avg` when not given. `rate` is a counter's growth a second.",
    ),
];

/// What was measured.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct History {
    /// Where the first step begins.
    from: Time,
    /// Where the last step ends.
    to: Time,
    /// The length of a step.
    step_ms: i64,
    /// What became of a step's samples.
    reduce: &'static str,
    /// How fine it is, from when on: every sample, or roll-ups where samples are kept no longer.
    #[schema(inline)]
    resolution: Vec<Resolution>,
    /// The series.
    items: Vec<Measured>,
    /// Always `null`: an answer is whole, or refused.
    #[schema(value_type = Option<String>)]
    next: (),
}

/// How fine a part of an answer is.
#[derive(Debug, Serialize, ToSchema)]
struct Resolution {
    /// From here on.
    from: Time,
    /// `raw`, `5m` or `1h`.
    each: &'static str,
}

impl From<(i64, Level)> for Resolution {
    fn from((from_ms, level): (i64, Level)) -> Self {
        Self { from: Time(from_ms), each: level.as_str() }
    }
}

/// One series.
#[derive(Debug, Serialize, ToSchema)]
struct Measured {
    /// The agent.
    #[schema(value_type = String)]
    agent: Arc<str>,
    /// The metric.
    metric: String,
    /// Its labels.
    labels: BTreeMap<String, String>,
    /// `gauge` or `counter`.
    r#type: &'static str,
    /// What it counts; may be empty.
    unit: String,
    /// One value per step: a number, `null` for a gap, `"+Inf"` or `"-Inf"`.
    #[schema(inline)]
    values: Values,
}

impl From<SeriesPoints> for Measured {
    fn from(series: SeriesPoints) -> Self {
        Self {
            agent: series.agent,
            metric: series.metric,
            labels: series.labels,
            r#type: match series.kind {
                SeriesType::Gauge => "gauge",
                SeriesType::Counter => "counter",
            },
            unit: series.unit,
            values: Values(series.points.into_iter().map(|point| point.value).collect()),
        }
    }
}

pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
) -> Result<Json<History>, Problem> {
    let query = query(&asked, app.clock.now().wall_ms)?;
    let _place = app.questions.place()?;
    let past = Past { store: &*app.store, recent: Some(app.journal.recent()) };
    let found = history::query(past, &query).await.map_err(refused)?;
    Ok(Json(History {
        from: Time(query.from_ms),
        to: Time(query.to_ms),
        step_ms: query.step_ms,
        reduce: query.reduce.as_str(),
        resolution: found.resolution.into_iter().map(Resolution::from).collect(),
        items: found.series.into_iter().map(Measured::from).collect(),
        next: (),
    }))
}

fn query(asked: &Asked, now_ms: i64) -> Result<Query, Problem> {
    let (from_ms, to_ms) = range(asked, HOUR_MS, now_ms)?;
    let step_ms = asked.duration_ms("step").unwrap_or_else(|| {
        let fitting = to_ms.saturating_sub(from_ms).saturating_add(STEPS - 1) / STEPS;
        fitting.saturating_add(999) / 1_000 * 1_000
    });
    let mut labels = BTreeMap::new();
    for name in ["service", "component"] {
        if let Some(value) = asked.text(name) {
            labels.insert(name.to_owned(), value.to_owned());
        }
    }
    for label in asked.texts("label") {
        let Some((name, value)) = label.split_once('=') else {
            let detail = format!("`label` is `{label:.100}`; write `name=value`");
            return Err(Problem::bad_request("bad_parameter", detail));
        };
        if labels.insert(name.to_owned(), value.to_owned()).is_some() {
            let detail = format!("the label `{name:.100}` is there twice; give it once");
            return Err(Problem::bad_request("bad_parameter", detail));
        }
    }
    let reduce = asked.text("reduce").and_then(|word| word.parse().ok()).unwrap_or(Reduce::Avg);
    let metric = asked.text("metric").unwrap_or_default().to_owned();
    Ok(Query {
        agent: asked.text("agent").map(str::to_owned),
        metric,
        labels,
        from_ms,
        to_ms,
        step_ms,
        reduce,
    })
}

fn refused(error: HistoryError) -> Problem {
    match error {
        HistoryError::Range(why) => Problem::bad_request("bad_range", why.to_string()),
        HistoryError::Store(error) => no_answer(&error),
        HistoryError::NeedsSamples { .. } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "needs_samples", error.to_string())
        }
        other => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "too_much", other.to_string()),
    }
}
