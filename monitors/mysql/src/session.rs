//! Logging in, and running statements.
//!
//! The client library opens its connection itself: it is given the addresses that the network stack resolved and
//! allowed, and connecting, TLS and login are one stage. Two of its habits are worked around here. It ends a dropped
//! connection in a task of its own, which waits for ever when the server is frozen: what is broken off is dropped on a
//! thread without a runtime, where it closes at once. And it panics on some answers that no server should give.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use mysql_async::prelude::Queryable;
use mysql_async::{
    ClientIdentity, Conn, DriverError, Error, Opts, OptsBuilder, Row as DriverRow, SslOpts, Value,
};
use tokio::sync::OnceCell;
use tokio::time::Instant;
use wise_core::{Failure, common};
use wise_database::{Address, Place, Stages, TlsFiles, TlsMode};
use wise_net::Net;

use crate::error::classify;
use crate::table::Table;

/// Bytes of one answer at most.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// How long a server that had no TLS is not asked for it again in the mode prefer: each try that it refuses counts as a
/// broken login there.
const TLS_AGAIN: Duration = Duration::from_secs(3600);
const GOODBYE: Duration = Duration::from_millis(500);

/// The server that is watched, as its probes share it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) net: Arc<Net>,
    pub(crate) address: Address,
    pub(crate) tls: TlsFiles,
    /// TLS options with their files read, made once.
    ssl: OnceCell<SslOpts>,
    without_tls: Mutex<Option<Instant>>,
    /// A name of the server's certificate, for the mode verify-ca: the library cannot skip the name, so the one that the
    /// certificate has is asked for.
    name_for_tls: Mutex<Option<String>>,
    /// The session that activity and replication use in turn.
    kept: Mutex<Option<Session>>,
}

/// What answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flavour {
    pub(crate) is_mariadb: bool,
    /// Version as numbers: (8, 0, 36).
    pub(crate) version: (u32, u32, u32),
    /// Version as the server writes it.
    pub(crate) text: String,
    /// Its comment: who built it.
    pub(crate) comment: String,
    /// Switched off, its tables are empty without an error.
    pub(crate) has_performance_schema: bool,
}

/// A session. Its socket closes when it is dropped. Not `Debug`: the library's connection shows its password.
pub(crate) struct Session {
    conn: Option<Conn>,
    host: String,
    peer: String,
    pub(crate) flavour: Flavour,
    pub(crate) is_local: bool,
    pub(crate) is_encrypted: bool,
}

/// Drops a value where there is no runtime, so that the client library cannot leave a task behind.
fn drop_apart<T: Send + 'static>(value: T) {
    // Without a thread the library's own way is the one that is left.
    std::thread::Builder::new().name("mysql-close".to_owned()).spawn(move || drop(value)).ok();
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            drop_apart(conn);
        }
    }
}

/// A login under way. Broken off, it is dropped apart.
struct Login(Option<futures_util::future::BoxFuture<'static, Result<Conn, Error>>>);

impl Future for Login {
    type Output = Result<Conn, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return Poll::Pending };
        let result = Pin::new(future).poll(cx);
        if result.is_ready() {
            self.0 = None;
        }
        result
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if let Some(future) = self.0.take() {
            drop_apart(future);
        }
    }
}

impl Server {
    pub(crate) fn new(net: Arc<Net>, address: Address, tls: TlsFiles) -> Self {
        Self {
            net,
            address,
            tls,
            ssl: OnceCell::new(),
            without_tls: Mutex::default(),
            name_for_tls: Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Logs in, and sets the limits of the session. `statement_limit` is the server's own limit for each statement.
    ///
    /// # Errors
    /// Which stage failed, and why.
    pub(crate) async fn login(
        &self,
        database: Option<&str>,
        statement_limit: Duration,
        stages: &mut Stages,
    ) -> Result<Session, Failure> {
        let mut builder = OptsBuilder::default()
            .user(self.address.username.as_deref())
            .pass(self.address.password.as_ref().map(|password| password.as_str()))
            .db_name(database.or(self.address.database.as_deref()))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(MOST_BYTES))
            .wait_timeout(Some(28_800));
        let peer = match &self.address.place {
            Place::Socket(path) => {
                stages.trace.socket = Some(path.clone());
                builder = builder.socket(Some(path.clone()));
                path.clone()
            }
            Place::Tcp(target) => {
                let addresses = self.net.resolve(target, &mut stages.trace).await?;
                stages.trace.address = addresses.first().copied();
                stages.trace.attempts.extend(addresses.iter().map(|address| wise_net::Attempt {
                    address: *address,
                    took: None,
                    error: None,
                }));
                builder = builder
                    .ip_or_hostname(self.address.host.clone())
                    .tcp_port(target.port)
                    .resolved_ips(Some(addresses.iter().map(std::net::SocketAddr::ip).collect::<Vec<_>>()));
                stages.trace.peer()
            }
        };
        stages.begin("login");
        let is_tcp = matches!(self.address.place, Place::Tcp(_));
        let wants_tls = is_tcp && self.tls.mode != TlsMode::Off && !self.is_known_without_tls();
        let mut is_encrypted = wants_tls;
        let mut outcome = connect(self.with_tls(&builder, wants_tls).await?).await;
        if self.tls.mode == TlsMode::VerifyCa
            && let Err(Some(error)) = &outcome
            && let Some(name) = presented_name(error)
        {
            *self.name_for_tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
            outcome = connect(self.with_tls(&builder, true).await?).await;
        }
        if self.tls.mode == TlsMode::Prefer
            && let Err(Some(Error::Driver(DriverError::NoClientSslFlagFromServer))) = outcome
        {
            *self.without_tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            is_encrypted = false;
            outcome = connect(builder.into()).await;
        }
        stages.is_plaintext = is_tcp && !is_encrypted;
        let conn = outcome.map_err(|error| match error {
            Some(error) => self.login_failure(&error, &peer),
            None => Failure::new(&common::PROTOCOL, "the answer is not MySQL's protocol").code("not_mysql"),
        })?;
        stages.begin("role");
        let mut session = Session {
            conn: Some(conn),
            host: self.address.host.clone(),
            peer,
            flavour: Flavour::default(),
            is_local: stages.trace.is_local(),
            is_encrypted,
        };
        let versions = session
            .query("SELECT @@version AS version, @@version_comment AS comment, @@performance_schema AS ps")
            .await?;
        if let Some(row) = versions.first() {
            session.flavour = Flavour::new(&row.string(&["version"]), &row.string(&["comment"]));
            session.flavour.has_performance_schema = row.text(&["ps"]) == Some("1");
        }
        session.set_limits(statement_limit).await?;
        stages.end();
        Ok(session)
    }

    async fn with_tls(&self, builder: &OptsBuilder, wants_tls: bool) -> Result<Opts, Failure> {
        if !wants_tls {
            return Ok(builder.clone().into());
        }
        let name = self.name_for_tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ssl = self.ssl().await?.with_danger_tls_hostname_override(name);
        Ok(builder.clone().ssl_opts(ssl).into())
    }

    fn login_failure(&self, error: &Error, peer: &str) -> Failure {
        let mut failure = classify(error, &self.address.host, peer);
        if failure.class.name == common::AUTH.name && self.address.password.is_none() {
            failure.message = format!("{}; no password is configured", failure.message);
        }
        if let (Place::Socket(path), Error::Io(mysql_async::IoError::Io(io))) = (&self.address.place, error)
            && io.kind() == std::io::ErrorKind::NotFound
        {
            return Failure::new(&common::REFUSED, format!("there is no socket {path}")).code("no_socket");
        }
        failure
    }

    fn is_known_without_tls(&self) -> bool {
        let known = *self.without_tls.lock().unwrap_or_else(PoisonError::into_inner);
        self.tls.mode == TlsMode::Prefer && known.is_some_and(|since| since.elapsed() < TLS_AGAIN)
    }

    async fn ssl(&self) -> Result<SslOpts, Failure> {
        let make = || async {
            let options = self.tls.options().await?;
            let mut ssl = SslOpts::default();
            if let Some(roots) = options.roots {
                ssl = ssl.with_root_certs(vec![roots.into()]).with_disable_built_in_roots(true);
            } else if self.tls.mode >= TlsMode::VerifyCa
                && let Some(roots) = system_roots()
            {
                ssl = ssl.with_root_certs(vec![roots.into()]).with_disable_built_in_roots(true);
            }
            if let Some((certificate, key)) = &self.tls.identity {
                ssl = ssl.with_client_identity(Some(ClientIdentity::new(
                    std::path::PathBuf::from(certificate).into(),
                    std::path::PathBuf::from(key).into(),
                )));
            }
            ssl = match self.tls.mode {
                TlsMode::Off | TlsMode::Prefer | TlsMode::Require => {
                    ssl.with_danger_accept_invalid_certs(true).with_danger_skip_domain_validation(true)
                }
                TlsMode::VerifyCa | TlsMode::VerifyFull => ssl,
            };
            Ok(ssl)
        };
        self.ssl.get_or_try_init(make).await.cloned()
    }

    /// The kept session, or a new one. Give it back with [`Server::keep`] after success; dropped, it is closed.
    pub(crate) async fn kept(&self, stages: &mut Stages) -> Result<Session, Failure> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut session) = kept {
            // The library notices that the server has hung up only when it writes.
            stages.begin("ping");
            if session.ping().await {
                stages.end();
                return Ok(session);
            }
        }
        self.login(None, Duration::from_secs(5), stages).await
    }

    /// Keeps a session for the next check; a surplus one is closed.
    pub(crate) async fn keep(&self, session: Session) {
        let surplus = self.kept.lock().unwrap_or_else(PoisonError::into_inner).replace(session);
        if let Some(surplus) = surplus {
            surplus.close().await;
        }
    }
}

/// `None` when the library panicked on the server's answer.
async fn connect(opts: Opts) -> Result<Conn, Option<Error>> {
    match AssertUnwindSafe(Login(Some(Conn::new(opts)))).catch_unwind().await {
        Ok(outcome) => outcome.map_err(Some),
        Err(_) => Err(None),
    }
}

/// A name of the certificate that was refused because of its names alone.
fn presented_name(error: &Error) -> Option<String> {
    let Error::Io(mysql_async::IoError::Io(io)) = error else { return None };
    let inner = io.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForNameContext {
        presented, ..
    }) = inner
    else {
        return None;
    };
    // As in `DnsName("db.example")` and `IpAddress(192.0.2.1)`.
    let inside = presented
        .iter()
        .find_map(|name| Some(name.split_once('(')?.1.trim_end_matches(')').trim_matches('"')))?;
    Some(inside.replacen('*', "any", 1))
}

/// The system's trusted roots, which the library does not look for by itself.
fn system_roots() -> Option<std::path::PathBuf> {
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
        .into_iter()
        .map(std::path::PathBuf::from)
        .find(|path| path.is_file())
}

impl Session {
    async fn set_limits(&mut self, limit: Duration) -> Result<(), Failure> {
        let seconds = limit.as_secs_f64();
        // Without this the monitor's own statements would show up as slow ones (MariaDB alone has it by session).
        let statement = if self.flavour.is_mariadb {
            format!("SET SESSION max_statement_time = {seconds}, lock_wait_timeout = 2, slow_query_log = OFF")
        } else {
            format!("SET SESSION max_execution_time = {}, lock_wait_timeout = 2", limit.as_millis())
        };
        match self.query(&statement).await {
            Ok(_) => Ok(()),
            // An older or compatible server may not know all of them: our own deadline holds anyhow.
            Err(failure) if failure.code.as_deref() == Some("1193") => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    async fn ping(&mut self) -> bool {
        match &mut self.conn {
            Some(conn) => conn.ping().await.is_ok(),
            None => false,
        }
    }

    /// Runs a statement.
    ///
    /// # Errors
    /// It fails.
    pub(crate) async fn query(&mut self, statement: &str) -> Result<Table, Failure> {
        let Some(conn) = &mut self.conn else {
            return Err(Failure::new(&common::RESET, "the session is closed").code("closed"));
        };
        let asking = async {
            let mut result = conn.query_iter(statement).await?;
            let columns: Arc<[String]> =
                result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
            let rows: Vec<DriverRow> = result.collect().await?;
            Ok::<_, Error>((columns, rows))
        };
        match AssertUnwindSafe(asking).catch_unwind().await {
            Ok(Ok((columns, rows))) => Ok(Table { columns, rows: rows.into_iter().map(cells).collect() }),
            Ok(Err(error)) => Err(classify(&error, &self.host, &self.peer)),
            Err(_) => {
                self.conn.take().into_iter().for_each(drop_apart);
                Err(Failure::new(&common::PROTOCOL, "the answer is not MySQL's protocol").code("not_mysql"))
            }
        }
    }

    /// For what needs more than a table.
    pub(crate) fn conn(&mut self) -> Option<&mut Conn> {
        self.conn.as_mut()
    }

    /// A failure of the connection that [`Session::conn`] gave.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        classify(error, &self.host, &self.peer)
    }

    /// Says goodbye, so that the server counts no broken session.
    pub(crate) async fn close(mut self) {
        if let Some(conn) = self.conn.take() {
            // The library's own way out is bounded here: only what has no answer pending is closed like this.
            tokio::time::timeout(GOODBYE, conn.disconnect()).await.ok();
        }
    }
}

fn cells(row: DriverRow) -> Vec<Option<String>> {
    row.unwrap().into_iter().map(text).collect()
}

pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

impl Flavour {
    /// From `@@version` and `@@version_comment`. The greeting would not do: MariaDB 10 begins it with 5.5.5.
    pub(crate) fn new(version: &str, comment: &str) -> Self {
        let is_mariadb = version.contains("MariaDB") || comment.to_ascii_lowercase().contains("mariadb");
        let version_text = version.strip_prefix("5.5.5-").unwrap_or(version);
        let mut parts =
            version_text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        Self {
            is_mariadb,
            version: (next(), next(), next()),
            text: version_text.to_owned(),
            comment: comment.to_owned(),
            has_performance_schema: false,
        }
    }

    /// Whether this is MySQL of at least that version.
    pub(crate) fn is_mysql_from(&self, version: (u32, u32, u32)) -> bool {
        !self.is_mariadb && self.version >= version
    }

    /// The name for people.
    pub(crate) fn name(&self) -> &'static str {
        if self.is_mariadb {
            "MariaDB"
        } else if self.comment.contains("Percona") {
            "Percona Server"
        } else {
            "MySQL"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Flavour;

    #[test]
    fn flavours_and_versions_are_told_apart() {
        for (version, comment, name, numbers) in [
            ("10.11.19-MariaDB-0+deb12u1", "Debian 12", "MariaDB", (10, 11, 19)),
            ("5.5.5-10.5.9-MariaDB", "", "MariaDB", (10, 5, 9)),
            ("8.0.36", "MySQL Community Server - GPL", "MySQL", (8, 0, 36)),
            ("8.4.0-1", "Percona Server (GPL)", "Percona Server", (8, 4, 0)),
            ("", "", "MySQL", (0, 0, 0)),
        ] {
            let flavour = Flavour::new(version, comment);
            assert_eq!((flavour.name(), flavour.version), (name, numbers), "{version}");
        }
        let ten = Flavour::new("10.11.1-MariaDB", "");
        assert!(ten.version > (10, 5, 0), "10.11 comes after 10.5");
        assert!(!ten.is_mysql_from((8, 0, 22)));
    }
}
