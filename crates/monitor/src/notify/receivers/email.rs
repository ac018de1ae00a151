//! The kind `email`: one mail a notice, as text and HTML, by SMTP with TLS. The mail itself is written in `mail.rs`.

mod mail;

use super::progress::Progress;
use super::reading;
use super::{Failure, Receiver, Sent};
use crate::notify::egress::Egress;
use crate::notify::message::Message;
use crate::notify::text;
use farol_config::{HostPort, Map, Secret};
use futures::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, extension::Extension, extension::MailParameter};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

const CONNECT: Duration = Duration::from_secs(3);
/// A whole session: servers make strangers wait before they greet.
const WHOLE: Duration = Duration::from_secs(30);
/// The most people one receiver writes to.
const RECIPIENTS: usize = 50;

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    server: HostPort,
    tls: Tls,
    login: Option<(String, Secret)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    ca: Option<Vec<u8>>,
}

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tls {
    /// Plain at first; a server that does not offer STARTTLS is not spoken to.
    Start,
    /// From the first byte.
    Whole,
    /// None: to this machine only.
    Plain,
}

impl Settings {
    pub(super) fn read(m: &mut Map<'_>, egress: &Egress) -> Self {
        let server = m.host_port("server").example("mail.example.org:587").required();
        if let Ok(address) = server.host.parse::<std::net::IpAddr>()
            && let Err(why) = egress.check(&server.host, address)
        {
            m.problem("server", why);
        }
        let tls = m.one_of("tls", &[("starttls", Tls::Start), ("tls", Tls::Whole), ("none", Tls::Plain)]);
        let tls = tls.or(Tls::Start);
        let (user, password) = (m.text("username").optional(), m.secret("password").optional());
        if user.is_some() != password.is_some() {
            m.problem("username", "and `password` stand together");
        }
        let from = m.text("from").example("farol@example.org").required();
        let from = mailbox(m, "from", &from);
        let to: Vec<Mailbox> = m.texts("to").iter().map(|text| mailbox(m, "to", text)).collect();
        if to.is_empty() || to.len() > RECIPIENTS {
            m.problem("to", format!("names {} addresses; name 1 to {RECIPIENTS}", to.len()));
        }
        Self { server, tls, login: user.zip(password), from, to, ca: reading::ca(m) }
    }
}

fn mailbox(m: &mut Map<'_>, key: &str, text: &str) -> Mailbox {
    let good = text.parse().ok().filter(|_| !text.contains(char::is_control));
    good.unwrap_or_else(|| {
        if m.has(key) {
            m.problem(key, "holds what is no address; write for instance `Ops <ops@example.org>`");
        }
        "nobody@localhost".parse().expect("this address is well formed")
    })
}

/// An address as the server is told it.
fn wire(mailbox: &Mailbox) -> &str {
    mailbox.email.as_ref()
}

/// Sends by one server.
pub(super) struct Sender {
    settings: Settings,
    tls: Option<TlsParameters>,
    egress: Egress,
    /// Who has a mail already that others are still waiting for.
    progress: Progress,
}

impl Sender {
    pub(super) fn new(settings: &Settings, egress: &Egress) -> Result<Self, String> {
        let wrong = |error: Error| format!("TLS cannot be spoken to {}: {error}", settings.server);
        let mut builder = TlsParameters::builder(settings.server.host.clone());
        if let Some(pem) = &settings.ca {
            let ca = Certificate::from_pem(pem).map_err(wrong)?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(ca);
        }
        let tls = match settings.tls {
            Tls::Plain => None,
            Tls::Start | Tls::Whole => Some(builder.build().map_err(wrong)?),
        };
        let (settings, egress) = (settings.clone(), egress.clone());
        Ok(Self { settings, tls, egress, progress: Progress::default() })
    }

    async fn post(&self, message: &Message) -> Result<Sent, Failure> {
        let mail = mail::write(message, &self.settings.from, &self.settings.to)
            .map_err(|why| Failure::Dead { why })?;
        let sent = timeout(WHOLE, self.session(message, &mail)).await;
        let late = || Failure::retry(format!("{} does not answer in time", self.settings.server));
        let result = sent.map_err(|_| late())?;
        if !matches!(result, Err(Failure::Retry { .. })) {
            self.progress.finish(&message.notice_id);
        }
        result
    }

    async fn session(&self, message: &Message, mail: &[u8]) -> Result<Sent, Failure> {
        let mut connection = self.connect().await?;
        let failed = |error: &Error| self.failure(error);
        if let Some((user, password)) = &self.settings.login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let known = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&known, &credentials).await.map_err(|error| failed(&error))?;
        }
        let from = Some(self.settings.from.email.clone());
        let wide =
            !wire(&self.settings.from).is_ascii() || self.settings.to.iter().any(|to| !wire(to).is_ascii());
        let options = if wide { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
        if wide && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = format!("{} takes no addresses that are not ASCII", self.settings.server);
            return Err(Failure::Dead { why });
        }
        connection.command(Mail::new(from, options)).await.map_err(|error| failed(&error))?;
        let recipients = self.recipients(&mut connection, &message.notice_id).await?;
        if !recipients.taken.is_empty() {
            connection.command(Data).await.map_err(|error| failed(&error))?;
            connection.message(mail).await.map_err(|error| failed(&error))?;
        }
        // It is the server's from here on, whatever becomes of the connection.
        for to in &recipients.taken {
            self.progress.done(&message.notice_id, to);
        }
        drop(timeout(CONNECT, connection.quit()).await);
        recipients.outcome(self.settings.to.len())
    }

    /// Names those who have not got it yet.
    async fn recipients(
        &self,
        connection: &mut AsyncSmtpConnection,
        notice: &str,
    ) -> Result<Recipients, Failure> {
        let mut recipients = Recipients::default();
        for to in &self.settings.to {
            let address = to.email.to_string();
            if self.progress.is_done(notice, &address) {
                continue;
            }
            match connection.command(Rcpt::new(to.email.clone(), Vec::new())).await {
                Ok(_) => recipients.taken.push(address),
                Err(error) if error.is_permanent() => {
                    recipients.why = Some(self.failure(&error));
                    recipients.refused.push(address);
                }
                Err(error) if error.is_transient() => recipients.later = Some(self.failure(&error)),
                Err(error) => return Err(self.failure(&error)),
            }
        }
        Ok(recipients)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let HostPort { host, port } = &self.settings.server;
        let mut addresses = self.egress.addresses(host).await.map_err(Failure::retry)?;
        if self.settings.tls == Tls::Plain {
            addresses.retain(|address| address.to_canonical().is_loopback());
            if addresses.is_empty() {
                let why = format!("{host} is not this machine: set `tls: starttls` or `tls: tls`");
                return Err(Failure::Dead { why });
            }
        }
        let hello = ClientId::default();
        let mut last = Failure::retry(format!("{host} has no address"));
        for address in addresses {
            let at = SocketAddr::new(address, *port);
            let tls = self.tls.clone().filter(|_| self.settings.tls == Tls::Whole);
            match AsyncSmtpConnection::connect_tokio1(at, Some(CONNECT), &hello, tls, None).await {
                Ok(mut connection) => {
                    if let Some(tls) = self.tls.clone().filter(|_| self.settings.tls == Tls::Start) {
                        if !connection.can_starttls() {
                            let why =
                                format!("{host} offers no STARTTLS; set `tls: tls`, or correct `server`");
                            return Err(Failure::retry(why));
                        }
                        let started = connection.starttls(tls, &hello).await;
                        started.map_err(|error| self.failure(&error))?;
                    }
                    return Ok(connection);
                }
                Err(error) => last = self.failure(&error),
            }
        }
        Err(last)
    }

    /// What a server says after its code may hold anything, so it goes to the log only.
    fn failure(&self, error: &Error) -> Failure {
        let server = &self.settings.server;
        let Some(code) = error.status() else {
            let deepest =
                std::iter::successors(std::error::Error::source(error), |error| error.source()).last();
            let what = deepest.map_or_else(|| error.to_string(), ToString::to_string);
            let why = format!("{server} cannot be spoken to: {}", text::cut(&text::line(&what), 200));
            return Failure::retry(why);
        };
        let said = error.to_string();
        tracing::warn!(%server, answer = &*text::cut(&text::line(&said), 200), "a mail server refuses");
        let why = format!("{server} answers {code}");
        if error.is_permanent() { Failure::Dead { why } } else { Failure::retry(why) }
    }
}

impl Receiver for Sender {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        Box::pin(self.post(message))
    }
}

/// What became of those to whom one mail goes.
#[derive(Default)]
struct Recipients {
    taken: Vec<String>,
    refused: Vec<String>,
    /// The last refusal.
    why: Option<Failure>,
    /// Some are to be tried again.
    later: Option<Failure>,
}

impl Recipients {
    fn outcome(self, all: usize) -> Result<Sent, Failure> {
        let why = self.why.as_ref().map_or("", Failure::why);
        match self.later {
            Some(later) => Err(later),
            None if self.refused.is_empty() => Ok(Sent::default()),
            None if self.refused.len() == all => Err(Failure::Dead { why: why.to_owned() }),
            None => Ok(Sent { note: Some(format!("not taken for {}: {why}", self.refused.join(", "))) }),
        }
    }
}
