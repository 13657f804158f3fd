//! Logging in stage by stage, and running statements.
//!
//! The client library panics on some answers that no server should give: that is caught, and means another protocol.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row as DriverRow, Value};
use wise_core::{Failure, async_trait, common, label};
use wise_database::{Address, Keep, Kept, Place, Reusable, Stages, TlsFiles, TlsMode};
use wise_net::Net;

use crate::error::classify;
use crate::gate::{self, Door, Gate, Stream, Tls};
use crate::table::Table;
use crate::wire::{self, Greeting};

/// The server's own limit for a statement of a kept session.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// The server that is watched, as its probes share it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) net: Arc<Net>,
    pub(crate) address: Address,
    pub(crate) tls: TlsFiles,
    /// The session that activity and replication use in turn.
    kept: Keep<Session>,
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
    pub(crate) gate: Gate,
    pub(crate) flavour: Flavour,
    pub(crate) is_local: bool,
    /// Version of TLS; `None` in plain text.
    pub(crate) tls: Option<&'static str>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("flavour", &self.flavour).finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(net: Arc<Net>, address: Address, tls: TlsFiles) -> Self {
        Self { net, address, tls, kept: Keep::default() }
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
        let (server, greeting) = self.greet(stages).await?;
        let tls = self.tls_with(&greeting, stages)?;
        let door = Door::open(stages.is_plaintext).await?;
        let options = OptsBuilder::default()
            .user(self.address.username.as_deref())
            .pass(self.address.password.as_ref().map(|password| password.as_str()))
            .db_name(database.or(self.address.database.as_deref()))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .max_allowed_packet(Some(gate::MOST_BYTES as usize))
            .wait_timeout(Some(28_800));
        let driver = connect(door.lead(options)?.into());
        let carrying = Gate::log_in(door, server, &greeting, tls, stages);
        let (gate, conn) = self.meet(carrying, driver).await?;
        stages.begin("role");
        let mut session = Session {
            conn: Some(conn),
            gate,
            flavour: Flavour::default(),
            is_local: stages.trace.is_local(),
            tls: stages.trace.tls_session.map(|(version, _)| version),
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

    /// Connects, and hears what the server says first.
    async fn greet(&self, stages: &mut Stages) -> Result<(Box<dyn Stream>, Greeting), Failure> {
        let mut server: Box<dyn Stream> = match &self.address.place {
            Place::Socket(path) => Box::new(self.net.connect_unix(path, &mut stages.trace).await?),
            Place::Tcp(target) => Box::new(self.net.connect(target, &mut stages.trace).await?),
        };
        stages.begin("handshake");
        let packet = wire::read(&mut server).await.map_err(|error| gate::broken(&error))?;
        Ok((server, Greeting::new(packet)?))
    }

    /// Whether to use TLS with the server that has sent this greeting.
    fn tls_with(&self, greeting: &Greeting, stages: &mut Stages) -> Result<Option<Tls<'_>>, Failure> {
        if matches!(self.address.place, Place::Socket(_)) {
            return Ok(None);
        }
        stages.is_plaintext = self.tls.mode == TlsMode::Off || !greeting.offers_tls;
        if !stages.is_plaintext {
            return Ok(Some(Tls { net: &self.net, files: &self.tls, host: &self.address.host }));
        }
        if self.tls.mode > TlsMode::Prefer {
            let text = "the server has no TLS, and tls.mode asks for it";
            return Err(Failure::new(&common::TLS, text).code("not_offered"));
        }
        Ok(None)
    }

    /// Runs the driver and what carries it side by side. The first failure of either is the one that counts.
    async fn meet(
        &self,
        carrying: impl Future<Output = Result<Gate, Failure>>,
        driver: impl Future<Output = Result<Conn, Option<Error>>>,
    ) -> Result<(Gate, Conn), Failure> {
        let mut carrying = std::pin::pin!(carrying);
        let mut driver = std::pin::pin!(driver);
        let (gate, conn) = tokio::select! {
            gate = &mut carrying => (gate?, driver.await),
            conn = &mut driver => match conn {
                Ok(conn) => (carrying.await?, Ok(conn)),
                // It does not go on with what the server wants.
                Err(error) => return Err(self.login_failure(error)),
            },
        };
        match conn {
            Ok(conn) => Ok((gate, conn)),
            Err(error) => Err(self.login_failure(error)),
        }
    }

    fn login_failure(&self, error: Option<Error>) -> Failure {
        let mut failure = error.map_or_else(gate::not_mysql, |error| classify(&error));
        if failure.class.name == common::AUTH.name && self.address.password.is_none() {
            failure.message = format!("{}; no password is configured", failure.message);
        }
        failure
    }

    /// The kept session, or a new one.
    ///
    /// # Errors
    /// Which stage of the login failed, and why.
    pub(crate) async fn kept(&self, stages: &mut Stages) -> Result<Kept<'_, Session>, Failure> {
        let login = async |stages: &mut Stages| self.login(None, STATEMENT_LIMIT, stages).await.map(Some);
        self.kept.take(stages, login).await?.ok_or_else(closed)
    }
}

/// `None` when the library panicked on the server's answer.
async fn connect(options: Opts) -> Result<Conn, Option<Error>> {
    match AssertUnwindSafe(Conn::new(options)).catch_unwind().await {
        Ok(outcome) => outcome.map_err(Some),
        Err(_) => Err(None),
    }
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

    /// Runs a statement.
    ///
    /// # Errors
    /// It fails.
    pub(crate) async fn query(&mut self, statement: &str) -> Result<Table, Failure> {
        let Some(conn) = self.conn() else { return Err(closed()) };
        let asking = async {
            let mut result = conn.query_iter(statement).await?;
            let columns: Arc<[String]> =
                result.columns_ref().iter().map(|column| column.name_str().into_owned()).collect();
            let rows: Vec<DriverRow> = result.collect().await?;
            Ok::<_, Error>((columns, rows))
        };
        match AssertUnwindSafe(asking).catch_unwind().await {
            Ok(Ok((columns, rows))) => Ok(Table { columns, rows: rows.into_iter().map(cells).collect() }),
            Ok(Err(error)) => Err(self.failure(&error)),
            Err(_) => {
                self.conn = None;
                Err(gate::not_mysql())
            }
        }
    }

    /// For what needs more than a table: one statement.
    pub(crate) fn conn(&mut self) -> Option<&mut Conn> {
        self.gate.grant();
        self.conn.as_mut()
    }

    /// A failure of the connection that [`Session::conn`] gave.
    pub(crate) fn failure(&self, error: &Error) -> Failure {
        // The driver knows only that its own connection has ended.
        let is_cut = !matches!(error, Error::Server(_));
        self.gate.failure().filter(|_| is_cut).unwrap_or_else(|| classify(error))
    }
}

#[async_trait]
impl Reusable for Session {
    fn is_open(&self) -> bool {
        self.conn.is_some() && self.gate.is_open()
    }

    async fn answers(&mut self) -> bool {
        match self.conn() {
            Some(conn) => conn.ping().await.is_ok(),
            None => false,
        }
    }

    /// Says goodbye, so that the server counts no broken session.
    async fn close(mut self) {
        if let Some(conn) = self.conn.take() {
            // What it writes goes to the gate, which always reads.
            conn.disconnect().await.ok();
        }
        self.gate.close().await;
    }
}

/// The failure of a session that has ended.
pub(crate) fn closed() -> Failure {
    Failure::new(&common::RESET, "the session is closed").code("closed")
}

fn cells(row: DriverRow) -> Vec<Option<String>> {
    row.unwrap().into_iter().map(text).collect()
}

pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        // Two binary values must not become one text.
        Value::Bytes(bytes) => Some(label::from_bytes(&bytes).into_owned()),
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
