//! A mail server that keeps what it is sent: STARTTLS or TLS with a given certificate, AUTH PLAIN and LOGIN, refusals by
//! address and by command, long thoughts. It speaks as much SMTP as a client needs to hand over a mail.

use anyhow::Result;
use parking_lot::Mutex;
use rustls::ServerConfig;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// One mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The envelope's sender.
    pub from: String,
    /// Its recipients.
    pub to: Vec<String>,
    /// The client's `AUTH` as it came, in base64.
    pub login: Option<String>,
    /// The connection was encrypted.
    pub encrypted: bool,
    /// The mail itself.
    pub data: String,
}

impl Mail {
    /// A header, unfolded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.data.split("\r\n\r\n").next().unwrap_or_default();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let wanted = format!("{}:", name.to_lowercase());
        let line = unfolded.lines().find(|line| line.to_lowercase().starts_with(&wanted))?;
        Some(line[wanted.len()..].trim().to_owned())
    }
}

/// How a server protects its connections.
#[derive(Clone)]
pub enum Protection {
    /// Not at all.
    None,
    /// When it is asked to.
    StartTls(Arc<ServerConfig>),
    /// From the first byte.
    Tls(Arc<ServerConfig>),
}

/// The server. It ends when it is dropped.
pub struct MailServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

struct Shared {
    protection: Protection,
    mails: Mutex<Vec<Mail>>,
    /// What `RCPT` is answered, by address; 250 otherwise.
    answers: Mutex<HashMap<String, &'static str>>,
    /// What else is answered, by the command's word, `GREETING`, or `.` for the end of a mail: an answer instead of the
    /// good one, after so long.
    moods: Mutex<HashMap<&'static str, (Duration, Option<&'static str>)>>,
    /// What it thinks about.
    thinks: Mutex<Option<String>>,
}

impl Shared {
    /// How it answers this, if otherwise than well, when it has thought about it.
    async fn mood(&self, word: &str) -> Option<&'static str> {
        let (thinks, answer) = self.moods.lock().get(word).copied().unwrap_or_default();
        if !thinks.is_zero() {
            *self.thinks.lock() = Some(word.to_owned());
            tokio::time::sleep(thinks).await;
            *self.thinks.lock() = None;
        }
        answer
    }
}

impl MailServer {
    /// A server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// There is no port.
    pub async fn start(protection: Protection) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (mails, answers) = (Mutex::default(), Mutex::default());
        let (moods, thinks) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { protection, mails, answers, moods, thinks });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _task: task })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it answers from now on when a mail is for this address, for instance `550 no such user`.
    pub fn answer(&self, to: &str, answer: &'static str) {
        self.shared.answers.lock().insert(to.to_owned(), answer);
    }

    /// What it answers from now on to a command (`AUTH`), as its greeting (`GREETING`) or at the end of a mail (`.`): the
    /// good answer where none is given, after so long.
    pub fn mood(&self, word: &'static str, thinks: Duration, answer: Option<&'static str>) {
        self.shared.moods.lock().insert(word, (thinks, answer));
    }

    /// About what it thinks now.
    #[must_use]
    pub fn thinks(&self) -> Option<String> {
        self.shared.thinks.lock().clone()
    }

    /// Every mail it took, the oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.mails.lock().clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut sessions = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        sessions.spawn(async move { drop(serve(stream, &shared).await) });
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    match &shared.protection {
        Protection::Tls(config) => {
            let stream = TlsAcceptor::from(Arc::clone(config)).accept(stream).await?;
            let mut session = Session::new(stream, true);
            session.greet(shared).await?;
            session.run(shared, false).await.map(drop)
        }
        Protection::None => {
            let mut session = Session::new(stream, false);
            session.greet(shared).await?;
            session.run(shared, false).await.map(drop)
        }
        Protection::StartTls(config) => {
            let mut session = Session::new(stream, false);
            session.greet(shared).await?;
            if session.run(shared, true).await? {
                let plain = session.stream.into_inner();
                let stream = TlsAcceptor::from(Arc::clone(config)).accept(plain).await?;
                Session::new(stream, true).run(shared, false).await?;
            }
            Ok(())
        }
    }
}

struct Session<S> {
    stream: BufReader<S>,
    mail: Mail,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    fn new(stream: S, encrypted: bool) -> Self {
        let (from, data) = (String::new(), String::new());
        let mail = Mail { from, to: Vec::new(), login: None, encrypted, data };
        Self { stream: BufReader::new(stream), mail }
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        Ok(())
    }

    async fn greet(&mut self, shared: &Shared) -> Result<()> {
        let mood = shared.mood("GREETING").await;
        self.say(mood.unwrap_or("220 mail.test")).await
    }

    async fn line(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).await?;
        Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Speaks until the client goes, or (`true`) is to be spoken to through TLS.
    async fn run(&mut self, shared: &Shared, starttls: bool) -> Result<bool> {
        while let Some(line) = self.line().await? {
            let word = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            if let Some(answer) = shared.mood(&word).await {
                self.say(answer).await?;
                continue;
            }
            match word.as_str() {
                "EHLO" => {
                    let more = if starttls { "250-STARTTLS\r\n" } else { "250-AUTH PLAIN LOGIN\r\n" };
                    self.say(&format!("250-mail.test\r\n{more}250 SIZE 10000000")).await?;
                }
                "STARTTLS" if starttls => {
                    self.say("220 go on").await?;
                    return Ok(true);
                }
                "AUTH" => {
                    self.mail.login = Some(line["AUTH ".len()..].to_owned());
                    self.say("235 welcome").await?;
                }
                "MAIL" => {
                    self.mail.from = between(&line);
                    self.say("250 fine").await?;
                }
                "RCPT" => self.recipient(shared, between(&line)).await?,
                "DATA" if self.mail.to.is_empty() => self.say("554 no recipients").await?,
                "DATA" => {
                    self.say("354 go on").await?;
                    self.data(shared).await?;
                }
                "QUIT" => {
                    self.say("221 bye").await?;
                    return Ok(false);
                }
                _ => self.say("500 what?").await?,
            }
        }
        Ok(false)
    }

    async fn recipient(&mut self, shared: &Shared, to: String) -> Result<()> {
        let answer = shared.answers.lock().get(&to).copied();
        if answer.is_none_or(|answer| answer.starts_with('2')) {
            self.mail.to.push(to);
        }
        self.say(answer.unwrap_or("250 fine")).await
    }

    async fn data(&mut self, shared: &Shared) -> Result<()> {
        let mut data = String::new();
        while let Some(line) = self.line().await? {
            if line == "." {
                break;
            }
            data.push_str(line.strip_prefix('.').unwrap_or(&line));
            data.push_str("\r\n");
        }
        let next = Mail { to: Vec::new(), data: String::new(), ..self.mail.clone() };
        let mut mail = std::mem::replace(&mut self.mail, next);
        mail.data = data;
        let answer = shared.mood(".").await;
        if answer.is_none() {
            shared.mails.lock().push(mail);
        }
        self.say(answer.unwrap_or("250 taken")).await
    }
}

/// The address between the angle brackets.
fn between(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}
