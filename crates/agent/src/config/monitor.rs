//! The addresses of monitors, and the certificates for the way there.

use farol_config::Map;
use farol_shutdown::listener::verify_files;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of a monitor's agents.
const PORT: u16 = 8502;

/// Where a monitor takes agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// A name or an address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the way there is TLS.
    pub tls: bool,
}

impl Monitor {
    /// Host and port, as HTTP has it.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http{}://{}", if self.tls { "s" } else { "" }, self.authority())
    }
}

impl FromStr for Monitor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let example = "write for instance `http://127.0.0.1:8502` or `https://monitor.example:8502`";
        let wrong = |what: &str| format!("{text:.80?} {what}; {example}");
        let uri: http::Uri = text.parse().map_err(|_| wrong("is not an address"))?;
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("begins with neither `http://` nor `https://`")),
        };
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("has a path; a monitor's address is a host and a port"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("has a user; agents are known by their certificates"));
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(wrong("has no host"));
        }
        Ok(Self { host, port: uri.port_u16().unwrap_or(PORT), tls })
    }
}

/// PEM files of the agent's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who signs monitors.
    pub ca: PathBuf,
    /// The agent's own certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// With `look`, the files are read too: what is wrong with them is told with the rest.
    pub(super) fn read(m: &mut Map<'_>, look: bool) -> Self {
        let has_ca = m.has("ca");
        let ca = m.path("ca").example("tls/ca.pem").required();
        let (cert, key) = (m.path("cert").optional(), m.path("key").example("tls/key.pem").optional());
        if look {
            for (part, why) in verify_files(cert.as_deref(), key.as_deref(), has_ca.then_some(&*ca)) {
                m.problem(part, why);
            }
        }
        let identity = match (cert, key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            (Some(_), None) => {
                m.problem("cert", "has no `key` beside it; give both, or neither");
                None
            }
            (None, Some(_)) => {
                m.problem("key", "has no `cert` beside it; give both, or neither");
                None
            }
        };
        Self { ca, identity }
    }
}

/// Reads the list.
pub(super) fn read(m: &mut Map<'_>) -> Vec<Monitor> {
    let mut monitors = Vec::new();
    for text in m.texts("monitors") {
        match text.parse() {
            Ok(monitor) if monitors.contains(&monitor) => {
                m.problem("monitors", format!("{monitor} stands there twice"))
            }
            Ok(monitor) => monitors.push(monitor),
            Err(why) => m.problem("monitors", why),
        }
    }
    monitors
}

/// Addresses and certificates must agree.
pub(super) fn verify(m: &mut Map<'_>, monitors: &[Monitor], tls: Option<&TlsFiles>) {
    if let Some(monitor) = monitors.iter().find(|monitor| monitor.tls)
        && tls.is_none()
    {
        m.problem(
            "monitors",
            format!("{monitor} needs `tls: {{ca: …}}`: who signs the monitor's certificate"),
        );
    }
    if let Some(monitor) = monitors.iter().find(|monitor| !monitor.tls)
        && tls.is_some()
    {
        m.problem(
            "monitors",
            format!("{monitor} is plain text, so `tls` would not count; write `https://…`"),
        );
    }
}
