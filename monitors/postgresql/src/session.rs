//! Logging in stage by stage, and running statements.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};
use wise_core::{Failure, async_trait, common};
use wise_database::{Address, Keep, Kept, Place, Reusable, Stages, TlsFiles, TlsMode};
use wise_net::{Allowance, Bounded, Certificate, Net};

use crate::error::classify;
use crate::rows::{Rows, split};

/// Name of our sessions in pg_stat_activity, by which they are left out of what is reported.
pub(crate) const APPLICATION: &str = "wise-monitoring";
/// Bytes that one check may read.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// The server's own limit for a statement of a kept session.
pub(crate) const STATEMENT_LIMIT: Duration = Duration::from_secs(5);
/// How long to wait for the end of a session that was told to end.
const GOODBYE: Duration = Duration::from_millis(500);
/// The request for TLS: length 8, code 80877103 (PostgreSQL documentation, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The server that is watched, as its probes share it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) net: Arc<Net>,
    pub(crate) address: Address,
    pub(crate) tls: TlsFiles,
    /// The session that all probes but availability and custom queries use in turn.
    kept: Keep<Session>,
}

/// A session. Its socket closes when it is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    client: Option<Client>,
    driver: JoinHandle<()>,
    allowance: Allowance,
    /// As in `server_version_num`: 150004.
    pub(crate) version: u32,
    /// Version as the server writes it.
    pub(crate) version_text: String,
    /// TLS version and cipher; `None` in plain text.
    pub(crate) tls: Option<(&'static str, &'static str)>,
    /// The server's certificate.
    pub(crate) certificate: Option<Certificate>,
    pub(crate) is_local: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Server {
    pub(crate) fn new(net: Arc<Net>, address: Address, tls: TlsFiles) -> Self {
        Self { net, address, tls, kept: Keep::default() }
    }

    /// Logs in. `statement_timeout` is the server's own limit for each statement; ours is the caller's deadline.
    ///
    /// # Errors
    /// Which stage failed, and why.
    pub(crate) async fn login(
        &self,
        database: Option<&str>,
        statement_timeout: Duration,
        stages: &mut Stages,
    ) -> Result<Session, Failure> {
        let (stream, certificate): (Box<dyn Stream>, _) = match &self.address.place {
            Place::Socket(path) => {
                let path = self.socket_file(path);
                (Box::new(self.net.connect_unix(&path, &mut stages.trace).await?), None)
            }
            Place::Tcp(target) => {
                let stream = self.net.connect(target, &mut stages.trace).await?;
                self.secure(stream, stages).await?
            }
        };
        stages.begin("auth");
        let allowance = Allowance::new(MOST_BYTES);
        let mut config = Config::new();
        // Without a user name the server would be asked for an empty one.
        config.user(self.address.username.as_deref().unwrap_or("postgres"));
        if let Some(password) = &self.address.password {
            config.password(password.as_bytes());
        }
        let database = database.or(self.address.database.as_deref());
        config.dbname(database.or(self.address.username.as_deref()).unwrap_or("postgres"));
        config.application_name(APPLICATION);
        config.ssl_mode(SslMode::Disable);
        config.options(format!(
            "-c statement_timeout={} -c lock_timeout=1000 -c idle_in_transaction_session_timeout=10000 \
             -c search_path=pg_catalog -c DateStyle=ISO",
            statement_timeout.as_millis()
        ));
        let connecting = config.connect_raw(Bounded::new(stream, allowance.clone()), NoTls).await;
        let (client, connection) = connecting.map_err(|error| self.login_failure(&error, &allowance))?;
        let version_text = connection.parameter("server_version").unwrap_or("").to_owned();
        let driver = tokio::spawn(async move {
            // The error reaches anyone who waits for an answer.
            connection.await.ok();
        });
        stages.end();
        Ok(Session {
            client: Some(client),
            driver,
            allowance,
            version: version_number(&version_text),
            version_text,
            tls: stages.trace.tls_session,
            certificate,
            is_local: stages.trace.is_local(),
        })
    }

    async fn secure(
        &self,
        mut stream: tokio::net::TcpStream,
        stages: &mut Stages,
    ) -> Result<(Box<dyn Stream>, Option<Certificate>), Failure> {
        if self.tls.mode == TlsMode::Off {
            return Ok((Box::new(stream), None));
        }
        let config = self.tls.config(&self.net).await?;
        stages.begin("handshake");
        let io = |error: &std::io::Error| {
            let (class, code) = wise_net::classify_io(error, None);
            let text = "the connection failed while TLS was asked for; is this PostgreSQL?";
            Failure::new(class, format!("{text} ({error})")).code(code)
        };
        stream.write_all(&SSL_REQUEST).await.map_err(|error| io(&error))?;
        let answer = stream.read_u8().await.map_err(|error| io(&error))?;
        stages.end();
        match answer {
            b'S' => {
                let stream =
                    self.net.handshake(stream, config, &self.address.host, &mut stages.trace).await?;
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.and_then(|chain| Certificate::parse(chain.first()?));
                Ok((Box::new(stream), certificate))
            }
            b'N' if self.tls.mode == TlsMode::Prefer => {
                stages.is_plaintext = true;
                Ok((Box::new(stream), None))
            }
            b'N' => {
                let text = "the server has no TLS, and tls.mode asks for it";
                Err(Failure::new(&common::TLS, text).code("not_offered"))
            }
            b'E' => {
                let text = "the server ended the login before TLS: it is overloaded, or very old";
                Err(Failure::new(&common::RESET, text).code("closed"))
            }
            _ => {
                let text = "the answer to the request for TLS is not PostgreSQL's";
                Err(Failure::new(&common::PROTOCOL, text).code("not_postgresql"))
            }
        }
    }

    fn login_failure(&self, error: &tokio_postgres::Error, allowance: &Allowance) -> Failure {
        if allowance.is_used_up() {
            return too_much();
        }
        if error.as_db_error().is_none() && self.address.password.is_none() && !error.is_closed() {
            let failure = classify(error);
            if failure.class.name == common::PROTOCOL.name {
                return Failure::new(&common::AUTH, "the server asks for a password, and none is configured")
                    .code("password_missing");
            }
            return failure;
        }
        classify(error)
    }

    /// PostgreSQL's clients name the folder of a socket.
    fn socket_file(&self, path: &str) -> String {
        let is_file = path.rsplit('/').next().is_some_and(|name| name.starts_with(".s.PGSQL."));
        let port = self.address.parameters.get("port").map_or("5432", String::as_str);
        if is_file { path.to_owned() } else { format!("{}/.s.PGSQL.{port}", path.trim_end_matches('/')) }
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

#[async_trait]
impl Reusable for Session {
    fn is_open(&self) -> bool {
        self.client.as_ref().is_some_and(|client| !client.is_closed())
    }

    async fn answers(&mut self) -> bool {
        self.run("").await.is_ok()
    }

    /// Says goodbye, so that the server's log has no broken connection.
    async fn close(mut self) {
        self.client = None;
        tokio::time::timeout(GOODBYE, &mut self.driver).await.ok();
    }
}

impl Session {
    /// Sets the server's own limit for each statement.
    ///
    /// # Errors
    /// The session is lost.
    pub(crate) async fn limit_statements(&self, limit: Duration) -> Result<(), Failure> {
        self.run(&format!("SET statement_timeout = {}", limit.as_millis())).await.map(|_| ())
    }

    /// Runs statements in one round trip, and answers the rows of each.
    ///
    /// # Errors
    /// The first that fails; those behind it were not run.
    pub(crate) async fn run(&self, statements: &str) -> Result<Vec<Rows>, Failure> {
        self.allowance.grant(MOST_BYTES);
        match self.client()?.simple_query(statements).await {
            Ok(messages) => Ok(split(messages)),
            Err(_) if self.allowance.is_used_up() => Err(too_much()),
            Err(error) => Err(classify(&error)),
        }
    }

    /// Runs one statement; its rows.
    ///
    /// # Errors
    /// It fails.
    pub(crate) async fn rows(&self, statement: &str) -> Result<Rows, Failure> {
        Ok(self.run(statement).await?.into_iter().next().unwrap_or_default())
    }

    /// For what the simple protocol cannot do.
    ///
    /// # Errors
    /// The session is closed.
    pub(crate) fn client(&self) -> Result<&Client, Failure> {
        self.client.as_ref().ok_or_else(closed)
    }
}

fn closed() -> Failure {
    Failure::new(&common::RESET, "the session is closed").code("closed")
}

fn too_much() -> Failure {
    let text = format!("the server sent more than the {MOST_BYTES} bytes that a check may read");
    Failure::new(&common::PROTOCOL, text).code("too_much")
}

/// `server_version` as `server_version_num`: "15.4 (Debian …)" is 150004.
fn version_number(text: &str) -> u32 {
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    major.saturating_mul(10_000).saturating_add(minor)
}

#[cfg(test)]
mod tests {
    use super::version_number;

    #[test]
    fn versions_are_numbers_not_fractions() {
        for (text, number) in [
            ("15.4 (Debian 15.4-1)", 150_004),
            ("9.6.24", 90_006),
            ("18beta1", 180_000),
            ("10.11", 100_011),
            ("", 0),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
    }
}
