//! Kind `prometheus`: a number on a page that Prometheus could scrape, against limits. The page is read as it comes
//! and never held; which series are meant is decided in `selector.rs`, what they are worth in `judge.rs`.

mod judge;
mod labels;
mod page;
mod read;
mod selector;

use crate::failure::Failure;
use crate::pattern::Bound;
use crate::trust::Trust;
use crate::web::{Request, Web};
use farol_health::{Check, Figure, Outcome, Status, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use page::{Fault, Page};
pub(crate) use read::KIND;
pub use selector::Selector;
use tokio::time::Instant;

/// What is asked for: the older format, which every exporter speaks.
const ACCEPT: &str = "text/plain;version=0.0.4, */*;q=0.1";

/// What several series that are meant become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Several {
    /// Each is judged, the worst counts.
    #[default]
    Each,
    /// Their sum is judged.
    Sum,
    /// The smallest is judged.
    Min,
    /// The largest is judged.
    Max,
    /// Their mean is judged.
    Avg,
}

/// When a number is how bad.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// What several series become.
    pub several: Several,
    /// A number that keeps this is degraded.
    pub degraded: Option<Bound>,
    /// A number that keeps this is unhealthy.
    pub unhealthy: Option<Bound>,
    /// What it is when no series is there.
    pub missing: Status,
}

impl Default for Limits {
    fn default() -> Self {
        Self { several: Several::Each, degraded: None, unhealthy: None, missing: Status::Unknown }
    }
}

/// What a `prometheus` check asks.
#[derive(Clone)]
pub struct Settings {
    request: Request,
    selector: Selector,
    limits: Limits,
}

impl Settings {
    /// The series that are meant, on the page at this URL.
    ///
    /// # Errors
    /// Says what a right URL looks like, without repeating it: it may hold a password.
    pub fn from_url(url: &str, selector: Selector) -> Result<Self, String> {
        let request = Request::to(url)?.header("accept", ACCEPT)?;
        Ok(Self { request, selector, limits: Limits::default() })
    }

    /// Sends this header, too.
    ///
    /// # Errors
    /// Says what is wrong with it, without its value.
    pub fn header(self, name: &str, value: &str) -> Result<Self, String> {
        Ok(Self { request: self.request.header(name, value)?, ..self })
    }

    /// Trusts and presents these certificates.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { request: self.request.trust(trust), ..self }
    }

    /// Judges by these limits.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// The check.
pub struct Prometheus {
    web: Web,
    selector: Selector,
    limits: Limits,
}

impl Prometheus {
    /// A check of this page.
    ///
    /// # Errors
    /// The TLS library could not be set up (no trusted certificates on this machine).
    pub fn new(settings: Settings) -> Result<Self, String> {
        let Settings { request, selector, limits } = settings;
        Ok(Self { web: Web::new(request)?, selector, limits })
    }

    async fn ask(&self) -> Result<Outcome, Failure> {
        let target = self.web.target();
        let before = Instant::now();
        let mut response = self.web.send().await?;
        let status = response.status();
        if !status.is_success() {
            let message =
                format!("{target} answers {}, not a page of metrics: correct the URL", status.as_u16());
            return Err(Failure::theirs("unexpected_status", message));
        }
        let mut page = Page::new(&self.selector);
        let fault = |fault: Fault| fault.failure(target);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => page.feed(&chunk).map_err(fault)?,
                Ok(None) => break,
                Err(error) => return Err(self.web.failure(&error)),
            }
        }
        let series = page.finish().map_err(fault)?;
        let seconds = before.elapsed().as_secs_f64();
        let outcome = self.limits.judge(&series, &self.selector, target);
        Ok(outcome.with(Figure::gauge("prometheus_scrape_seconds", seconds, Unit::Seconds)))
    }
}

impl Check for Prometheus {
    fn kind(&self) -> &'static str {
        "prometheus"
    }

    fn target(&self) -> Option<String> {
        Some(self.web.target().to_owned())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        self.ask().map(|asked| asked.unwrap_or_else(Failure::outcome)).boxed()
    }
}
