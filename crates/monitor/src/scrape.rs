//! The scrape pages: `/metrics`, Farol's own, and `/metrics/fleet`, the agents' series. Decides how much one scrape
//! may take and how many may run at once.

mod alerts;
mod exposition;
mod families;
mod fleet;
mod meaning;
mod own;
mod picture;
mod process;
mod selector;
mod stream;
mod traffic;

use crate::app::App;
use crate::http::{Asked, Kind as Written, Param, Problem, document};
use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use exposition::Format;
use families::Families;
use fleet::FleetPage;
use own::Own;
use picture::{Choice, Picture, SELECTORS, TooMany};
use selector::Selector;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use stream::{Page, Pieces};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Scrapes of the fleet at once: each holds a copy of what it shows.
const AT_ONCE: usize = 4;

/// Which series.
pub(crate) const MATCH: &[Param] = &[Param::new(
    "match[]",
    Written::Texts,
    "Only series that this selector matches, for instance `system_load1{agent=~\"web-.*\"}`; given more than once, \
     those that any of them matches (64 at most).",
)];

/// How much a scrape may take, and how the last one went.
#[derive(Debug)]
pub struct Scrapes {
    /// `scrape.max_series`: a scrape of more is refused.
    max_series: AtomicUsize,
    /// One for each scrape that may run.
    places: Arc<Semaphore>,
    /// Series shown by the last scrape.
    shown: AtomicUsize,
    /// Series that the last scrape left out because their name has another type.
    conflicting: AtomicUsize,
    /// Scrapes refused because they had too many series.
    refused: AtomicU64,
}

impl Scrapes {
    /// With this `scrape.max_series`.
    #[must_use]
    pub fn new(max_series: usize) -> Self {
        Self {
            max_series: AtomicUsize::new(max_series),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            shown: AtomicUsize::new(0),
            conflicting: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Takes over what a reload says.
    pub fn set_max_series(&self, max_series: usize) {
        self.max_series.store(max_series, Ordering::Relaxed);
    }

    fn tell(&self, families: &mut Families<'_>) {
        let (shown, conflicting) = (&self.shown, &self.conflicting);
        let help = "Series shown by the last scrape of the fleet.";
        families.count("farol_scrape_series", help, shown.load(Ordering::Relaxed));
        let help = "Series left out of the last scrape because their name has another type.";
        families.count("farol_scrape_conflicting_series", help, conflicting.load(Ordering::Relaxed));
        let help = "Scrapes refused because they had too many series.";
        families.total("farol_scrapes_refused_total", help, self.refused.load(Ordering::Relaxed));
    }
}

/// The same by OTLP, where that is wanted, but for the statuses of each agent's components: those are the agents' to
/// export.
pub(crate) fn export(app: &Arc<App>) {
    let app = Arc::clone(app);
    farol_logging::observe("farol-monitor", move |metrics| {
        own::counts(&app, &mut Families::Exported(metrics));
    });
}

/// Farol's own metrics.
pub(crate) async fn own(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let format = Format::of(&headers);
    answer(format, Pieces::of(Own::new(app, format)).into_body())
}

/// The agents' series.
pub(crate) async fn fleet(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let format = Format::of(&headers);
    let selectors = selectors(&asked)?;
    let Ok(place) = Arc::clone(&app.scrapes.places).try_acquire_owned() else {
        return Err(Problem::too_many(
            "too_many_scrapes",
            format!("{AT_ONCE} scrapes run already; wait for one"),
        ));
    };
    // Copying a large fleet takes longer than others should wait.
    let taken = tokio::task::spawn_blocking(move || take(&app, &selectors)).await;
    let picture = match taken {
        Ok(picture) => picture?,
        Err(error) => {
            tracing::error!(%error, "a scrape broke off");
            return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the scrape broke off"));
        }
    };
    let page = Held { page: FleetPage::new(picture, format), _place: place };
    Ok(answer(format, Pieces::of(page).into_body()))
}

fn answer(format: Format, body: Body) -> Response {
    document(StatusCode::OK, format.media_type(), body)
}

fn selectors(asked: &Asked) -> Result<Vec<Selector>, Problem> {
    let selectors: Result<Vec<_>, _> = asked.texts("match[]").map(Selector::parse).collect();
    let selectors =
        selectors.map_err(|error| Problem::bad_request("bad_selector", format!("`match[]`: {error}")))?;
    if selectors.len() > SELECTORS {
        let detail = format!("more than {SELECTORS} `match[]`; write patterns that match more");
        return Err(Problem::bad_request("bad_selector", detail));
    }
    Ok(selectors)
}

fn take(app: &App, selectors: &[Selector]) -> Result<Picture, Problem> {
    let scrapes = &app.scrapes;
    let max_series = scrapes.max_series.load(Ordering::Relaxed);
    match Picture::take(&app.fleet, app.clock.now(), &Choice { selectors, max_series }) {
        Ok(picture) => {
            scrapes.shown.store(picture.shown, Ordering::Relaxed);
            scrapes.conflicting.store(picture.conflicting, Ordering::Relaxed);
            Ok(picture)
        }
        Err(TooMany) => {
            scrapes.refused.fetch_add(1, Ordering::Relaxed);
            Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "too_many_series",
                format!(
                    "this is more than {max_series} series; choose some with `match[]`, for instance \
                     `?match[]={{__name__=~\"system_.*\"}}`, or raise `scrape.max_series`"
                ),
            ))
        }
    }
}

/// A page that holds its place until it is sent.
struct Held<P> {
    page: P,
    _place: OwnedSemaphorePermit,
}

impl<P: Page> Page for Held<P> {
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        self.page.write(out)
    }
}

#[cfg(test)]
mod tests;
