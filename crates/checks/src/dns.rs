//! Kind `dns`: do names resolve, and to what is expected? Each run asks the servers anew and keeps no answer, so
//! that a run measures the DNS and not a cache. Which servers those are stands in `servers.rs`, a question and its
//! answer on the wire in `message.rs`.

mod exchange;
mod message;
mod read;
mod records;
mod servers;

use crate::address::Address;
use crate::failure::Failure;
use farol_health::{Check, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use message::{Answer, Question};
pub(crate) use read::KIND;
pub use records::RecordType;
use servers::Servers;
use std::borrow::Cow;
use std::net::SocketAddr;
use tokio::time::Instant;

/// Where the system says whom to ask.
const SYSTEM: &str = "/etc/resolv.conf";
/// So many names may be asked in one check.
pub(crate) const MAX_NAMES: usize = 16;

/// What a `dns` check asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    names: Vec<String>,
    records: RecordType,
    /// Asked instead of the system's.
    server: Option<Address>,
    /// Normal forms of what each name must have.
    expect: Vec<String>,
    /// It must have nothing else.
    exact: bool,
}

impl Settings {
    /// Addresses (IPv4) of this name, by the system's servers.
    ///
    /// # Errors
    /// It is no name of the DNS.
    pub fn of(name: &str) -> Result<Self, String> {
        let settings = Self {
            names: Vec::new(),
            records: RecordType::A,
            server: None,
            expect: Vec::new(),
            exact: false,
        };
        settings.name(name)
    }

    /// Asks for this name, too.
    ///
    /// # Errors
    /// It is no name of the DNS, or there are too many.
    pub fn name(mut self, name: &str) -> Result<Self, String> {
        Question::new(name, self.records)?;
        if self.names.len() >= MAX_NAMES {
            return Err(format!("names more than {MAX_NAMES}; make it several checks"));
        }
        self.names.push(name.to_owned());
        Ok(self)
    }

    /// Asks for records of this type.
    #[must_use]
    pub fn records(self, records: RecordType) -> Self {
        Self { records, ..self }
    }

    /// Asks this server; names are then whole ones.
    #[must_use]
    pub fn server(self, host: &str, port: u16) -> Self {
        Self { server: Some(Address::Tcp(host.to_owned(), port)), ..self }
    }

    /// Each name must have this record (of the type set before).
    ///
    /// # Errors
    /// It is no record of that type.
    pub fn expect(mut self, record: &str) -> Result<Self, String> {
        self.expect.push(self.records.normal(record)?);
        Ok(self)
    }

    /// Each name must have nothing but what is expected.
    #[must_use]
    pub fn exact(self, exact: bool) -> Self {
        Self { exact, ..self }
    }
}

/// The check.
#[derive(Debug)]
pub struct Dns {
    settings: Settings,
}

/// A name that was found.
struct Found {
    seconds: f64,
    answer: Answer,
}

impl Dns {
    /// A check of these names.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    async fn ask(&self) -> Result<Outcome, Failure> {
        let Settings { names, records, .. } = &self.settings;
        let servers = self.servers().await?;
        let asked = join_all(names.iter().map(|name| self.find(name, &servers))).await;
        let (mut figures, mut failed) = (Vec::new(), None);
        for (name, found) in names.iter().zip(asked) {
            let judged = found.and_then(|found| {
                figures.push(seconds(name, found.seconds));
                self.judge(name, &found.answer)
            });
            failed = failed.or(judged.err());
        }
        let mut outcome = match failed {
            Some(failure) => failure.outcome(),
            None => Outcome::healthy(),
        };
        outcome.figures.extend(figures);
        Ok(outcome.with_fact("records", records.to_string()))
    }

    async fn servers(&self) -> Result<Servers, Failure> {
        let Some(server) = &self.settings.server else {
            // A few lines, most often in memory; a name that moved in is followed at once.
            let text = std::fs::read_to_string(SYSTEM).unwrap_or_default();
            return Ok(Servers::of(&text));
        };
        let Address::Tcp(host, port) = server else {
            return Err(Failure::ours("bad_settings", format!("{server} is no address of the network")));
        };
        let mut found = tokio::net::lookup_host((host.as_str(), *port))
            .await
            .map_err(|error| Failure::io(&error, &server.to_string(), "the DNS server"))?;
        let address = found.next().ok_or_else(|| {
            Failure::theirs("dns_failure", format!("the name in {server} does not resolve: correct it"))
        })?;
        Ok(Servers::one(address))
    }

    /// The first of the forms a name may have that is found.
    async fn find(&self, name: &str, servers: &Servers) -> Result<Found, Failure> {
        let mut missing = None;
        for form in servers.forms(name) {
            // One of a search list may be too long with its domain.
            let Ok(question) = Question::new(&form, self.settings.records) else { continue };
            let before = Instant::now();
            let answer = self.first_answer(&question, servers.addresses()).await?;
            let seconds = before.elapsed().as_secs_f64();
            match answer.missing(name, self.settings.records) {
                None => return Ok(Found { seconds, answer }),
                Some(failure) => missing = Some(failure),
            }
        }
        Err(missing.unwrap_or_else(|| Failure::ours("bad_settings", format!("`{name}` is too long a name"))))
    }

    /// The first server that has a word on the matter.
    async fn first_answer(&self, question: &Question, servers: &[SocketAddr]) -> Result<Answer, Failure> {
        let mut last = None;
        for server in servers {
            match exchange::ask(*server, question).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => last = Some(failure),
            }
        }
        Err(last.unwrap_or_else(|| Failure::ours("no_server", format!("{SYSTEM} names no server: add one"))))
    }

    fn judge(&self, name: &str, answer: &Answer) -> Result<(), Failure> {
        let Settings { expect, exact, records, .. } = &self.settings;
        if let Some(lacking) = expect.iter().find(|record| !answer.records.contains(record)) {
            let message =
                format!("`{name}` has no {records} record {lacking}: correct the zone, or what is expected");
            return Err(Failure::theirs("unexpected_answer", message));
        }
        if *exact && answer.records.iter().any(|record| !expect.contains(record)) {
            let message = format!(
                "`{name}` has {records} records besides those expected: correct the zone, or what is expected"
            );
            return Err(Failure::theirs("unexpected_answer", message));
        }
        Ok(())
    }
}

fn seconds(name: &str, seconds: f64) -> Figure {
    Figure::gauge("dns_response_seconds", seconds, Unit::Seconds).label(Cow::Borrowed("name"), name)
}

impl Check for Dns {
    fn kind(&self) -> &'static str {
        "dns"
    }

    fn target(&self) -> Option<String> {
        let server = self.settings.server.as_ref();
        Some(server.map_or_else(|| format!("the servers in {SYSTEM}"), Address::to_string))
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        self.ask().map(|asked| asked.unwrap_or_else(Failure::outcome)).boxed()
    }
}
