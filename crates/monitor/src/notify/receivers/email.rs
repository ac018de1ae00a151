//! The kind `email`: one mail a notice, as text and HTML, by SMTP with TLS. Each of several people is a receiver of its
//! own, so that a full mailbox keeps nothing from the others. The mail itself is written in `mail.rs`.

mod mail;

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
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::timeout;

const CONNECT: Duration = Duration::from_secs(3);
/// All that comes before the end of the mail: servers make strangers wait before they greet.
const HAND_OVER: Duration = Duration::from_secs(60);
/// A server that has the whole mail looks through it before it answers. Whoever does not wait for that sends copies.
const TAKE: Duration = Duration::from_secs(300);
/// The most people one receiver writes to.
const RECIPIENTS: usize = 10;

/// Where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    server: HostPort,
    tls: Tls,
    login: Option<(String, Secret)>,
    from: Mailbox,
    /// Who gets it.
    to: Mailbox,
    /// All who are told, that one included, as each mail names them.
    all: Vec<Mailbox>,
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
        // A password whose file cannot be read is told by itself.
        if user.is_some() != (m.is_set("password") || m.is_set("password_file")) {
            m.problem("username", "and `password` stand together");
        }
        let from = m.text("from").example("farol@example.org").required();
        let from = mailbox(m, "from", &from);
        let all: Vec<Mailbox> = m.texts("to").iter().map(|text| mailbox(m, "to", text)).collect();
        if all.is_empty() || all.len() > RECIPIENTS {
            let why = format!(
                "names {} addresses; name 1 to {RECIPIENTS}, and for more people the address of a list",
                all.len()
            );
            m.problem("to", why);
        }
        // There is none only where there is a problem.
        let to = all.first().cloned().unwrap_or_else(nobody);
        Self { server, tls, login: user.zip(password), from, to, all, ca: reading::ca(m) }
    }

    /// Each of those who are told, under the address; one who is named twice is told once.
    pub(super) fn peers(self) -> Vec<(String, Self)> {
        let mut peers: BTreeMap<String, Self> = BTreeMap::new();
        for to in &self.all {
            // A name is part of keys, in which `/` separates.
            let name = wire(to).replace('/', "%2F");
            peers.insert(name, Self { to: to.clone(), ..self.clone() });
        }
        peers.into_iter().collect()
    }
}

fn mailbox(m: &mut Map<'_>, key: &str, text: &str) -> Mailbox {
    let good = text.parse().ok().filter(|_| !text.contains(char::is_control));
    good.unwrap_or_else(|| {
        if m.has(key) {
            m.problem(key, "holds what is no address; write for instance `Ops <ops@example.org>`");
        }
        nobody()
    })
}

fn nobody() -> Mailbox {
    "nobody@localhost".parse().expect("this address is well formed")
}

/// An address as the server is told it.
fn wire(mailbox: &Mailbox) -> &str {
    mailbox.email.as_ref()
}

/// Sends to one by one server.
pub(super) struct Sender {
    settings: Settings,
    tls: Option<TlsParameters>,
    egress: Egress,
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
        Ok(Self { settings, tls, egress })
    }

    async fn post(&self, message: &Message) -> Result<Sent, Failure> {
        let mail = mail::write(message, &self.settings.from, &self.settings.all)
            .map_err(|why| Failure::Dead { why })?;
        let late = |_| Failure::retry(format!("{} does not answer in time", self.settings.server));
        let mut connection = timeout(HAND_OVER, self.hand_over()).await.map_err(late)??;
        let taken = timeout(TAKE, connection.message(&mail)).await.map_err(late)?;
        taken.map_err(|error| self.failure(&error))?;
        // It is the server's from here on, whatever becomes of the connection.
        drop(timeout(CONNECT, connection.quit()).await);
        Ok(Sent::default())
    }

    /// Everything but the mail itself.
    async fn hand_over(&self) -> Result<AsyncSmtpConnection, Failure> {
        let mut connection = self.connect().await?;
        if let Some((user, password)) = &self.settings.login {
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let known = [Mechanism::Plain, Mechanism::Login];
            if connection.server_info().get_auth_mechanism(&known).is_none() {
                let server = &self.settings.server;
                let why = format!(
                    "{server} offers no login by PLAIN or LOGIN; take `username` out, or correct `server`"
                );
                return Err(Failure::Unsure { why });
            }
            connection.auth(&known, &credentials).await.map_err(|error| self.unwelcome(&error))?;
        }
        let Settings { from, to, server, .. } = &self.settings;
        let wide = !wire(from).is_ascii() || !wire(to).is_ascii();
        let options = if wide { vec![MailParameter::SmtpUtfEight] } else { Vec::new() };
        if wide && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = format!("{server} takes no addresses that are not ASCII");
            return Err(Failure::Dead { why });
        }
        let mail = Mail::new(Some(from.email.clone()), options);
        connection.command(mail).await.map_err(|error| self.unwelcome(&error))?;
        let to = Rcpt::new(to.email.clone(), Vec::new());
        connection.command(to).await.map_err(|error| self.failure(&error))?;
        connection.command(Data).await.map_err(|error| self.failure(&error))?;
        Ok(connection)
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
                        started.map_err(|error| self.unwelcome(&error))?;
                    }
                    return Ok(connection);
                }
                Err(error) => last = self.unwelcome(&error),
            }
        }
        Err(last)
    }

    /// A refusal before anybody was named is of us, not of the mail: a password is being changed, a server is busy.
    fn unwelcome(&self, error: &Error) -> Failure {
        match self.failure(error) {
            Failure::Dead { why } => Failure::Unsure { why },
            other => other,
        }
    }

    /// What a server says after its codes may hold anything, also a secret that it was sent: it is not repeated. Nor is
    /// an answer in which no code can be read.
    fn failure(&self, error: &Error) -> Failure {
        let server = &self.settings.server;
        let deepest = std::iter::successors(std::error::Error::source(error), |error| error.source()).last();
        let what = deepest.map_or_else(|| error.to_string(), ToString::to_string);
        let Some(code) = error.status() else {
            if error.is_response() {
                return Failure::retry(format!("{server} answers what is no SMTP"));
            }
            let why = format!("{server} cannot be spoken to: {}", text::cut(&text::line(&what), 200));
            return Failure::retry(why);
        };
        let why = match detail(&what) {
            Some(detail) => format!("{server} answers {code} {detail}"),
            None => format!("{server} answers {code}"),
        };
        tracing::warn!(%server, why, "a mail server refuses");
        if error.is_permanent() { Failure::Dead { why } } else { Failure::retry(why) }
    }
}

/// The code in three numbers with which most answers begin: `5.7.1`.
fn detail(said: &str) -> Option<&str> {
    let word = said.split_whitespace().next()?;
    let numbers: Vec<&str> = word.split('.').collect();
    let number = |text: &&str| matches!(text.len(), 1..=3) && text.bytes().all(|byte| byte.is_ascii_digit());
    (numbers.len() == 3 && numbers.iter().all(number)).then_some(word)
}

impl Receiver for Sender {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn deadline(&self) -> Duration {
        // Our own patience ends first, and says what it waited for.
        HAND_OVER + TAKE + 2 * CONNECT
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        Box::pin(self.post(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_answer_only_its_codes_are_repeated() {
        for (said, expected) in [
            ("5.7.1 S3CRET is not welcome", Some("5.7.1")),
            ("4.2.0", Some("4.2.0")),
            ("5.7.8888 no", None),
            ("1.2.3.4 is blocked", None),
            ("no such user", None),
            ("5.x.1 no", None),
            ("", None),
        ] {
            assert_eq!(detail(said), expected, "{said}");
        }
    }
}
