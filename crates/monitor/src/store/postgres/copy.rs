//! A copy by PostgreSQL's own programs, `pg_dump` and `pg_restore`, run as children. Decides who may restore: only one who
//! holds the writer's lock; and that a schema that is there is only renamed.

use super::connect::Link;
use super::{PostgresServer, PostgresSettings, fault, lock};
use crate::store::StoreError;
use crate::store::copy::{Child, Copied, Seen, stamp, watched};
use anyhow::{Context, ensure};
use percent_encoding::percent_decode_str;
use std::ffi::OsString;
use std::path::Path;

const ID: &str = "SELECT id FROM farol.store";
const SCHEMA: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'farol')";
/// Copies the schema into `to`, an empty file; the store's id.
pub(in crate::store) async fn backup(
    settings: &PostgresSettings,
    to: &Path,
    seen: Seen<'_>,
) -> anyhow::Result<String> {
    let place = settings.server.place();
    let mut link = connect(settings, "farol backup").await?;
    ensure!(has_schema(settings, &mut link).await?, "there is no store in {place}");
    let id = id(settings, &mut link).await?;
    link.close().await.map_err(|e| fault::judge(&place, &e))?;
    let dump = Child::new("pg_dump", &environment(&settings.server));
    let mut file = OsString::from("--file=");
    file.push(std::path::absolute(to)?);
    let dump = dump.args(["--format=custom", "--schema=farol", "--no-password"]).args([file]);
    // It is packed: how large it will be is not known.
    watched(dump.run(), to, None, seen).await.with_context(|| place.clone())?;
    // Its list of contents is at its end, and read whole.
    let list =
        Child::new("pg_restore", &[]).args([OsString::from("--list"), std::path::absolute(to)?.into()]);
    list.run().await.context("the copy cannot be read again")?;
    Ok(id)
}

/// Puts a copy into the database.
pub(in crate::store) async fn restore(
    settings: &PostgresSettings,
    file: &Path,
    replace: bool,
) -> anyhow::Result<Copied> {
    let place = settings.server.place();
    let bytes = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?.len();
    let mut link = connect(settings, "farol restore").await?;
    // No monitor writes meanwhile, and none begins to.
    lock::take(&mut link, &place, None, fault::judge_opening).await?;
    let there = has_schema(settings, &mut link).await?;
    ensure!(
        replace || !there,
        "a store is in {place}; restore into another database, or set it aside with `--force`"
    );
    let aside = there.then(|| format!("farol_before_{}", stamp().to_lowercase()));
    if let Some(aside) = &aside {
        rename(settings, &mut link, "farol", aside).await?;
    }
    let restore = Child::new("pg_restore", &environment(&settings.server));
    let mut database = OsString::from("--dbname=");
    database.push(settings.server.options().get_database().unwrap_or("farol"));
    let restore = restore
        .args(["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges", "--no-password"])
        .args([database, std::path::absolute(file)?.into()]);
    if let Err(error) = restore.run().await {
        if let Some(aside) = &aside {
            rename(settings, &mut link, aside, "farol")
                .await
                .context("the old store could not be put back")?;
        }
        return Err(error.context(place));
    }
    let store_id = id(settings, &mut link).await?;
    link.close().await.map_err(|e| fault::judge(&place, &e))?;
    Ok(Copied { store_id, bytes, aside: aside.map(|schema| format!("the schema {schema} of {place}")) })
}

async fn connect(settings: &PostgresSettings, name: &str) -> Result<Link, StoreError> {
    let judged = |e: sqlx::Error| fault::judge_opening(&settings.server.place(), &e);
    Link::open(settings, name).await.map_err(judged)
}

async fn has_schema(settings: &PostgresSettings, link: &mut Link) -> Result<bool, StoreError> {
    let rows: Result<Vec<(bool,)>, _> = link.all(sqlx::query_as(SCHEMA)).await;
    Ok(rows.map_err(|e| fault::judge(&settings.server.place(), &e))? == [(true,)])
}

async fn id(settings: &PostgresSettings, link: &mut Link) -> anyhow::Result<String> {
    let place = settings.server.place();
    let rows: Result<Vec<(String,)>, _> = link.all(sqlx::query_as(ID)).await;
    let row = rows.map_err(|e| fault::judge(&place, &e))?.pop();
    row.map(|(id,)| id).with_context(|| format!("{place} has no store's id"))
}

/// Both names are our own.
async fn rename(
    settings: &PostgresSettings,
    link: &mut Link,
    from: &str,
    to: &str,
) -> Result<(), StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("ALTER SCHEMA {from} RENAME TO {to}"));
    link.run(sqlx::query(sql)).await.map_err(|e| fault::judge(&settings.server.place(), &e))?;
    Ok(())
}

/// Where the server is, as PostgreSQL's programs are told it. The password is in no argument: others see those.
fn environment(server: &PostgresServer) -> Vec<(&'static str, OsString)> {
    let options = server.options();
    let host = match options.get_socket() {
        Some(socket) => socket.clone().into_os_string(),
        None => options.get_host().into(),
    };
    let mut all: Vec<(&str, OsString)> = vec![
        ("PGHOST", host),
        ("PGPORT", options.get_port().to_string().into()),
        ("PGUSER", options.get_username().into()),
        ("PGDATABASE", options.get_database().unwrap_or(options.get_username()).into()),
        ("PGSSLMODE", mode(options.get_ssl_mode()).into()),
        ("PGAPPNAME", "farol".into()),
    ];
    let url = server.url.as_ref().map_or("", |url| url.expose());
    let own = server.password.as_ref().map(|password| password.expose().to_owned());
    all.extend(own.or_else(|| password(url)).map(|password| ("PGPASSWORD", password.into())));
    let tls = &server.tls;
    for (key, own, parameter) in [
        ("PGSSLROOTCERT", &tls.ca, "sslrootcert"),
        ("PGSSLCERT", &tls.cert, "sslcert"),
        ("PGSSLKEY", &tls.key, "sslkey"),
    ] {
        let own = own.as_ref().map(|path| path.clone().into_os_string());
        all.extend(own.or_else(|| query(url, parameter).map(Into::into)).map(|path| (key, path)));
    }
    all
}

fn mode(mode: sqlx::postgres::PgSslMode) -> &'static str {
    use sqlx::postgres::PgSslMode;
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

/// The password that a URL holds, which the library keeps to itself.
fn password(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (who, _) = authority.rsplit_once('@').unwrap_or_default();
    let written = who.split_once(':').map(|(_, password)| decoded(password));
    query(url, "password").or(written)
}

fn query(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split('#').next()?.split_once('?')?;
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| decoded(&value.replace('+', " ")))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{PostgresServer, environment};
    use farol_config::Secret;

    fn told(server: &PostgresServer, key: &str) -> Option<String> {
        let all = environment(server);
        let value = all.into_iter().find(|(known, _)| *known == key)?.1;
        value.into_string().ok()
    }

    #[test]
    fn the_programs_are_told_what_the_url_and_the_keys_say() {
        let url = "postgres://app:p%40ss:%2F@db.example:6432/fleet?sslmode=verify-full&sslrootcert=%2Fca.pem";
        let mut server = PostgresServer { url: Some(Secret::new(url)), ..PostgresServer::default() };
        for (key, value) in [
            ("PGHOST", Some("db.example")),
            ("PGPORT", Some("6432")),
            ("PGUSER", Some("app")),
            ("PGDATABASE", Some("fleet")),
            ("PGPASSWORD", Some("p@ss:/")),
            ("PGSSLMODE", Some("verify-full")),
            ("PGSSLROOTCERT", Some("/ca.pem")),
            ("PGSSLCERT", None),
        ] {
            assert_eq!(told(&server, key).as_deref(), value, "{key}");
        }
        server.password = Some(Secret::new("other"));
        server.host = Some("/run/postgresql".to_owned());
        assert_eq!(told(&server, "PGPASSWORD").as_deref(), Some("other"));
        assert_eq!(told(&server, "PGHOST").as_deref(), Some("/run/postgresql"));
        assert_eq!(told(&PostgresServer::default(), "PGPASSWORD"), None);
    }
}
