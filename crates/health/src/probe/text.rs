//! `/livez`, `/readyz` and `/healthz` in the words of the Kubernetes API server. Decides the lines and their
//! verdict; a failing answer is always verbose and withholds reasons from those who may not see details.

use super::{Moment, shown, spelling};
use crate::ComponentView;
use crate::aggregate::Aggregate;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The process itself.
    Livez,
    /// Start, shutdown, drain and the readiness components.
    Readyz,
    /// Drain and every component; an optional one may fail.
    Healthz,
}

/// A plain text answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Good news: HTTP says 200, else 503.
    pub ok: bool,
    /// Bad news while the process is under maintenance.
    pub maintenance: bool,
    /// The text.
    pub body: String,
}

/// The answer, with the checks named in `exclude` left out.
pub fn text<'e>(
    endpoint: Endpoint,
    moment: &Moment<'_>,
    verbose: bool,
    exclude: impl IntoIterator<Item = &'e str>,
) -> Text {
    let mut unmatched: BTreeSet<&str> = exclude.into_iter().collect();
    let excluded = unmatched.clone();
    let mut body = String::new();
    let mut ok = true;
    for line in lines(endpoint, moment) {
        unmatched.remove(line.name);
        if excluded.contains(line.name) {
            push(&mut body, format_args!("[+]{} excluded: ok", line.name));
            continue;
        }
        ok &= line.passes();
        line.write(moment.details, &mut body);
    }
    if !unmatched.is_empty() {
        let names: Vec<String> = unmatched.iter().map(|name| format!("{name:?}")).collect();
        push(
            &mut body,
            format_args!("warn: some health checks cannot be excluded: no matches for {}", names.join(", ")),
        );
    }
    let word = if ok { "passed" } else { "failed" };
    push(&mut body, format_args!("{} check {word}", endpoint.name()));
    if ok && !verbose {
        "ok".clone_into(&mut body);
    }
    Text { ok, maintenance: !ok && endpoint.drained(moment), body }
}

impl Endpoint {
    const fn name(self) -> &'static str {
        match self {
            Self::Livez => "livez",
            Self::Readyz => "readyz",
            Self::Healthz => "healthz",
        }
    }

    /// All that the endpoint asks is under maintenance.
    fn drained(self, moment: &Moment<'_>) -> bool {
        let asked = match self {
            Self::Livez => return false,
            Self::Readyz => moment.dependable(),
            Self::Healthz => moment.overall(),
        };
        asked == Aggregate::Maintenance
    }
}

/// One check of an endpoint.
struct Line<'m> {
    name: &'m str,
    state: State,
}

enum State {
    Ok,
    /// Left out of the verdict because it is under maintenance.
    Maintenance,
    /// Failed, and why.
    Failed(String),
    /// Failed, but the verdict does not depend on it.
    Tolerated(String),
}

impl Line<'_> {
    fn passes(&self) -> bool {
        !matches!(self.state, State::Failed(_))
    }

    fn write(&self, details: bool, body: &mut String) {
        let name = self.name;
        match &self.state {
            State::Ok => push(body, format_args!("[+]{name} ok")),
            State::Maintenance => push(body, format_args!("[+]{name} maintenance: ok")),
            State::Failed(why) => push(body, format_args!("[-]{name} failed: {}", told(why, details))),
            State::Tolerated(why) => {
                push(body, format_args!("[-]{name} failed (optional): {}", told(why, details)));
            }
        }
    }
}

fn told(why: &str, details: bool) -> String {
    if details { spelling::line(why) } else { "reason withheld".to_owned() }
}

fn push(body: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(body, "{line}").expect("writing to a String cannot fail");
}

/// The checks of an endpoint in their order.
fn lines<'m>(endpoint: Endpoint, moment: &'m Moment<'_>) -> Vec<Line<'m>> {
    let mut lines = vec![Line { name: "ping", state: State::Ok }];
    let mut add = |name, good: bool, why: &dyn Fn() -> String| {
        lines.push(Line { name, state: if good { State::Ok } else { State::Failed(why()) } });
    };
    let drained = || match &moment.snapshot.maintenance {
        Some(reason) => format!("under maintenance: {reason}"),
        None => "under maintenance".to_owned(),
    };
    match endpoint {
        Endpoint::Livez => add("heartbeat", moment.alive(), &|| {
            let age = u64::try_from(moment.heartbeat_age().as_millis()).unwrap_or(u64::MAX);
            format!("the last heartbeat is {} old", spelling::age(age))
        }),
        Endpoint::Readyz => {
            add("started", moment.started, &|| "the process is still starting".to_owned());
            add("shutdown", !moment.stopping, &|| "the process is shutting down".to_owned());
            add("drain", !endpoint.drained(moment), &drained);
            lines.extend(moment.dependencies().map(|c| component(c, true, moment.now_ms)));
        }
        Endpoint::Healthz => {
            add("drain", !endpoint.drained(moment), &drained);
            let components = moment.snapshot.components.iter();
            lines.extend(components.map(|c| component(c, c.required, moment.now_ms)));
        }
    }
    lines
}

fn component(view: &ComponentView, required: bool, now_ms: u64) -> Line<'_> {
    let state = match shown(view, now_ms) {
        Aggregate::Maintenance => State::Maintenance,
        Aggregate::Status(status) if status.is_up() => State::Ok,
        Aggregate::Status(_) if required => State::Failed(why(view, now_ms)),
        Aggregate::Status(_) => State::Tolerated(why(view, now_ms)),
    };
    Line { name: &view.name, state }
}

fn why(view: &ComponentView, now_ms: u64) -> String {
    let status = view.status_at(now_ms);
    match view.checked_ms {
        None => format!("{status}: no result yet"),
        Some(at) if view.is_stale(now_ms) => {
            let age = spelling::age(now_ms.saturating_sub(at));
            format!("{status}: the last result ({}) is {age} old", view.hard)
        }
        Some(_) if view.message.is_empty() => format!("{status}: {}", view.reason),
        Some(_) => format!("{status}: {}", view.message),
    }
}
