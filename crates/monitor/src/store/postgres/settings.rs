//! Where a PostgreSQL store is and what it promises. Decides how a URL and single keys go together; nothing is
//! connected here, and no secret is shown.

use crate::store::Durability;
use farol_config::Secret;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// Everything a PostgreSQL store is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// Which server and database, and as whom.
    pub server: PostgresServer,
    /// A connection or a statement that takes longer is given up.
    pub timeout: Duration,
    /// At start, so many times it is tried again.
    pub max_retries: u32,
    /// The longest wait before the first of them; each later one may wait twice as long, up to 30 s.
    pub retry_delay: Duration,
    /// So many connections may read at once; one more writes.
    pub connections: u32,
    /// What a commit survives.
    pub durability: Durability,
}

/// A server and a database. A single key wins over its part of the URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresServer {
    /// As in libpq: `postgres://user:password@host:port/database?sslmode=…`.
    pub url: Option<Secret>,
    /// A name, an address, or the directory of a Unix socket; `127.0.0.1` if nothing is said.
    pub host: Option<String>,
    /// 5432 if nothing is said.
    pub port: Option<u16>,
    /// The database; `farol` if nothing is said.
    pub name: Option<String>,
    /// `farol` if nothing is said.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// Encryption.
    pub tls: PostgresTls,
}

/// How the way to the server is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostgresTls {
    /// What is demanded; `prefer` if nothing is said.
    pub mode: Option<TlsMode>,
    /// Who signs the server, PEM; the machine's authorities if nothing is said.
    pub ca: Option<PathBuf>,
    /// Our own certificate, PEM.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

/// What is demanded of the way to the server, as libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// TLS where the server offers it.
    Prefer,
    /// TLS, whoever signed.
    Require,
    /// TLS, signed by the authority.
    VerifyCa,
    /// And made out for the host's name.
    VerifyFull,
}

impl PostgresServer {
    /// Whether the URL is one; the error does not repeat it.
    pub(crate) fn check_url(url: &str) -> Result<(), String> {
        parsed(url).map(drop)
    }

    /// For the library. What neither a key nor the URL says is the default; a URL's gaps are libpq's.
    pub(super) fn options(&self) -> PgConnectOptions {
        let url = self.url.as_ref().and_then(|url| parsed(url.expose()).ok());
        let mut options = url.unwrap_or_else(|| {
            let defaults = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(5432);
            defaults.username("farol").database("farol")
        });
        if let Some(host) = &self.host {
            options = options.host(host);
        }
        if let Some(port) = self.port {
            options = options.port(port);
        }
        if let Some(name) = &self.name {
            options = options.database(name);
        }
        if let Some(user) = &self.user {
            options = options.username(user);
        }
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        self.tls.lay_over(options).disable_statement_logging()
    }

    /// Where it is, for messages: never a password.
    #[must_use]
    pub fn place(&self) -> String {
        let options = self.options();
        let database = options.get_database().unwrap_or(options.get_username());
        let (host, port) = (options.get_host(), options.get_port());
        match options.get_socket() {
            Some(socket) => format!("PostgreSQL at {}:{port}, database `{database}`", socket.display()),
            None => format!("PostgreSQL at {host}:{port}, database `{database}`"),
        }
    }
}

impl PostgresTls {
    fn lay_over(&self, mut options: PgConnectOptions) -> PgConnectOptions {
        if let Some(mode) = self.mode {
            options = options.ssl_mode(match mode {
                TlsMode::Disable => PgSslMode::Disable,
                TlsMode::Prefer => PgSslMode::Prefer,
                TlsMode::Require => PgSslMode::Require,
                TlsMode::VerifyCa => PgSslMode::VerifyCa,
                TlsMode::VerifyFull => PgSslMode::VerifyFull,
            });
        }
        if let Some(ca) = &self.ca {
            options = options.ssl_root_cert(ca);
        }
        if let Some(cert) = &self.cert {
            options = options.ssl_client_cert(cert);
        }
        if let Some(key) = &self.key {
            options = options.ssl_client_key(key);
        }
        options
    }
}

fn parsed(url: &str) -> Result<PgConnectOptions, String> {
    const EXAMPLE: &str =
        "write for instance `postgres://farol@127.0.0.1/farol` (not shown: it may hold a password)";
    let is_ours = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = PgConnectOptions::from_str(url).ok().filter(|_| is_ours);
    let options = options.ok_or_else(|| format!("is not a PostgreSQL URL; {EXAMPLE}"))?;
    // A bracketed address is not a host name to the resolver.
    let host = options.get_host().trim_matches(['[', ']']).to_owned();
    Ok(options.host(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_win_over_the_url_and_no_password_is_shown() {
        let server = PostgresServer {
            url: Some(Secret::new("postgres://app:hunter2@db.example:6432/fleet?sslmode=disable")),
            ..PostgresServer::default()
        };
        assert_eq!(server.place(), "PostgreSQL at db.example:6432, database `fleet`");
        let over = PostgresServer {
            host: Some("::1".into()),
            name: Some("other".into()),
            user: Some("me".into()),
            password: Some(Secret::new("hunter3")),
            ..server.clone()
        };
        let options = over.options();
        assert_eq!((options.get_host(), options.get_port(), options.get_username()), ("::1", 6432, "me"));
        assert_eq!(options.get_database(), Some("other"));
        for shown in [format!("{over:?}"), over.place(), format!("{server:?}")] {
            assert!(!shown.contains("hunter"), "{shown}");
        }
    }

    #[test]
    fn nothing_said_is_the_database_farol_on_this_machine() {
        let server = PostgresServer::default();
        assert_eq!(server.place(), "PostgreSQL at 127.0.0.1:5432, database `farol`");
        assert_eq!(server.options().get_username(), "farol");
    }

    #[test]
    fn a_url_that_is_none_is_told_without_repeating_it() {
        for bad in ["mysql://a:hunter2@b/c", "postgres://a:hunter2@b:port/c", "hunter2"] {
            let why = PostgresServer::check_url(bad).unwrap_err();
            assert!(!why.contains("hunter2") && why.contains("postgres://farol@"), "{why}");
        }
        PostgresServer::check_url("postgresql://a:b@[::1]:5433/c").unwrap();
    }
}
