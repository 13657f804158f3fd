//! The staged login of `availability`, over a connection of our own.
//!
//! The driver opens connections itself, keeps no time for its stages and passes errors on as text, so that a closed
//! port, a bad certificate and a wrong password could only be told apart by their words. So the login is ours.

use tokio::io::{AsyncRead, AsyncWrite};
use wise_core::{Failure, Timestamp, common};
use wise_database::{Stages, TlsMode, classes};
use wise_net::Certificate;

use crate::error::{self, Broken, failure, word};
use crate::info::Info;
use crate::resp::{Reply, Wire};
use crate::server::Server;

/// The name that our connections have in CLIENT LIST.
pub(crate) const CLIENT_NAME: &str = "wise-monitoring";

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What a login found, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub info: Option<Info>,
    /// Earliest end of a certificate in the chain.
    pub certificates_end: Option<Timestamp>,
}

/// Logs in, reads INFO, and asks for PING: the last tells whether the server works for others.
///
/// # Errors
/// The stage that failed, with its class.
pub(crate) async fn login(server: &Server, stages: &mut Stages, found: &mut Found) -> Result<(), Failure> {
    let stream = connect(server, stages, found).await?;
    let mut wire = Wire::new(stream);
    if let Some((name, password)) = server.credentials() {
        stages.begin("auth");
        let mut words = vec!["AUTH"];
        words.extend(name);
        words.push(password);
        wire.ask(&words).await.map_err(|broken| auth_failure(&broken))?;
    }
    stages.begin("handshake");
    greet(server, &mut wire).await?;
    stages.begin("role");
    let text = wire.ask(&["INFO"]).await.map_err(|broken| failure(&broken, "info"))?;
    let info = read_info(&text)?;
    let is_loading = info.is("loading", "1");
    found.info = Some(info);
    if is_loading {
        return Err(error::refusal("LOADING", "info"));
    }
    stages.begin("query");
    let pong = wire.ask(&["PING"]).await.map_err(|broken| failure(&broken, "ping"))?;
    stages.end();
    match pong.text().as_deref() {
        Some("PONG") => Ok(()),
        _ => Err(failure(&Broken::Violation("PING was not answered by PONG".to_owned()), "ping")),
    }
}

/// Connects, and agrees on TLS where it is asked for.
///
/// # Errors
/// The stage that failed, with its class.
pub(crate) async fn connect(
    server: &Server,
    stages: &mut Stages,
    found: &mut Found,
) -> Result<Box<dyn Stream>, Failure> {
    let stream = server.net.connect(&server.target, &mut stages.trace).await?;
    if server.tls.mode == TlsMode::Off {
        Ok(Box::new(stream))
    } else {
        let config = server.tls.config(&server.net).await?;
        let stream = server.net.handshake(stream, config, &server.address.host, &mut stages.trace).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        found.certificates_end = chain.iter().filter_map(Certificate::parse).map(|one| one.not_after).min();
        Ok(Box::new(stream))
    }
}

/// What INFO answered, read.
///
/// # Errors
/// It is no INFO.
pub(crate) fn read_info(reply: &Reply) -> Result<Info, Failure> {
    reply.text().and_then(|text| Info::read(&text)).ok_or_else(|| {
        Failure::new(&common::PROTOCOL, "INFO names no version of Redis or Valkey").code("not_redis")
    })
}

/// Names the connection, and selects the database. A server that cannot name connections is still a server.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    server: &Server,
    wire: &mut Wire<S>,
) -> Result<(), Failure> {
    match wire.ask(&["CLIENT", "SETNAME", CLIENT_NAME]).await {
        Ok(_) => {}
        Err(Broken::Refused(text)) => {
            let first = error::refusal(&text, "client|setname");
            let is_harmless = matches!(first.class.name, "permission" | "statement");
            if !is_harmless {
                return Err(first);
            }
        }
        Err(broken) => return Err(failure(&broken, "client|setname")),
    }
    if server.database == 0 {
        return Ok(());
    }
    let number = server.database.to_string();
    match wire.ask(&["SELECT", &number]).await {
        Ok(_) => Ok(()),
        Err(broken) => Err(select_failure(server, &broken)),
    }
}

/// A refusal of SELECT without a code of its own says that there is no such database.
pub(crate) fn select_failure(server: &Server, broken: &Broken) -> Failure {
    match broken {
        Broken::Refused(text) if word(text) == "ERR" => {
            let text = format!("the server has no database {}", server.database);
            Failure::new(&classes::NO_DATABASE, text).code("select")
        }
        _ => failure(broken, "select"),
    }
}

/// A refusal of AUTH is about the login, whatever its word: before Redis 6 there is only `ERR`.
pub(crate) fn auth_failure(broken: &Broken) -> Failure {
    let of_auth = failure(broken, "auth");
    match broken {
        Broken::Refused(text) if of_auth.class.name == classes::STATEMENT.name => {
            let said = wise_database::shorten(text, 200);
            Failure::new(&common::AUTH, format!("the server refused the login: {said}")).code("refused")
        }
        _ => of_auth,
    }
}
