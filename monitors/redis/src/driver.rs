//! The one place that knows the driver. It is generic and slow to compile, so that nothing generic leaves here.
//!
//! The driver runs each connection in a task of its own. The task is ended, and its socket closed, when a [`Session`]
//! goes away, however it goes: a check that is cut off leaves neither.
//!
//! It is kept apart from the server by a [`Gate`], which bounds what it may read.

use std::time::Duration;

use fred::error::{Error, ErrorKind};
use fred::interfaces::{ClientLike, Resp3Frame};
use fred::prelude::{Builder, Client, Config, ConnectionConfig, Server as Node, ServerConfig, TcpConfig};
use fred::types::{ClusterHash, ConnectHandle, CustomCommand, Value};

use crate::error::Broken;
use crate::gate::Gate;
use crate::resp::Reply;

/// How the driver is to reach a server.
pub(crate) struct Way {
    /// The way to the server.
    pub gate: Gate,
    /// User name and password.
    pub credentials: Option<(Option<String>, zeroize::Zeroizing<String>)>,
    pub database: u8,
}

/// A connection of the driver.
pub(crate) struct Session {
    client: Client,
    task: ConnectHandle,
    gate: Gate,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Longer than any deadline: deadlines are the probes'.
const NO_LIMIT: Duration = Duration::from_secs(3600);

impl Session {
    /// Connects, logs in and selects the database.
    ///
    /// # Errors
    /// The server refused one of these, or there is no connection; the driver does not say which.
    pub(crate) async fn open(way: Way) -> Result<Self, Broken> {
        let (username, password) = match way.credentials {
            Some((username, password)) => (username, Some(password.as_str().to_owned())),
            None => (None, None),
        };
        let config = Config {
            username,
            password,
            server: ServerConfig::Centralized {
                server: Node::new(way.gate.address.ip().to_string(), way.gate.address.port()),
            },
            database: (way.database != 0).then_some(way.database),
            ..Config::default()
        };
        let mut builder = Builder::from_config(config);
        // No policy for reconnecting: retries are the engine's.
        builder.set_connection_config(ConnectionConfig {
            connection_timeout: NO_LIMIT,
            internal_command_timeout: NO_LIMIT,
            max_command_attempts: 1,
            max_redirections: 0,
            // As `Net` closes: a check has nothing left to say, and no port is kept for a minute.
            tcp: TcpConfig { nodelay: Some(true), linger: Some(Duration::ZERO), ..TcpConfig::default() },
            ..ConnectionConfig::default()
        });
        let client = builder.build().map_err(|error| broken(&error))?;
        let task = client.connect();
        let mut session = Self { client, task, gate: way.gate };
        match session.connected().await {
            Ok(()) => Ok(session),
            Err(broken) => Err(session.told(broken)),
        }
    }

    async fn connected(&mut self) -> Result<(), Broken> {
        let announced = std::pin::pin!(self.client.wait_for_connect());
        // The task ends when it cannot connect; waiting for the announcement alone could miss it.
        match futures_util::future::select(announced, &mut self.task).await {
            futures_util::future::Either::Left((announced, _)) => announced.map_err(|error| broken(&error)),
            futures_util::future::Either::Right((Ok(Err(error)), _)) => Err(broken(&error)),
            futures_util::future::Either::Right(_) => Err(Broken::Lost),
        }
    }

    /// Sends a command and reads its answer.
    ///
    /// # Errors
    /// It is refused, or the connection is lost.
    pub(crate) async fn ask(&self, words: &[&str]) -> Result<Reply, Broken> {
        let Some((name, arguments)) = words.split_first() else { return Err(Broken::Lost) };
        let arguments: Vec<&[u8]> = arguments.iter().map(|word| word.as_bytes()).collect();
        self.ask_about(name, &arguments).await
    }

    /// Sends a command whose arguments need not be text, such as the name of a key.
    ///
    /// # Errors
    /// It is refused, or the connection is lost.
    pub(crate) async fn ask_about(&self, name: &str, arguments: &[&[u8]]) -> Result<Reply, Broken> {
        // The driver would queue it for a connection that never comes.
        if self.is_over() {
            return Err(Broken::Lost);
        }
        let command = CustomCommand::new(name.to_owned(), ClusterHash::FirstKey, false);
        let arguments: Vec<Value> = arguments.iter().map(|word| Value::from(*word)).collect();
        match self.client.custom_raw(command, arguments).await {
            Ok(frame) => match reply(frame) {
                Reply::Refusal(text) => Err(Broken::Refused(text)),
                reply => Ok(reply),
            },
            Err(error) => Err(self.told(broken(&error))),
        }
    }

    /// A connection that the gate has ended was not lost.
    fn told(&self, broken: Broken) -> Broken {
        match self.gate.violation() {
            Some(what) => Broken::Violation(what.to_owned()),
            None => broken,
        }
    }

    /// Whether its task has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Closes it, and waits until the task is gone.
    pub(crate) async fn close(mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
        self.gate.close().await;
    }
}

/// An error of the driver. Refusals are passed on by some of its paths with the server's words as the details; a kind
/// of the driver's own is never one.
fn broken(error: &Error) -> Broken {
    let word = crate::error::word(error.details());
    let is_code = word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    match error.kind() {
        ErrorKind::Protocol | ErrorKind::Parse => Broken::Violation("the driver cannot read it".to_owned()),
        ErrorKind::IO | ErrorKind::Timeout | ErrorKind::Canceled => Broken::Lost,
        _ if is_code => Broken::Refused(error.details().to_owned()),
        _ => Broken::Lost,
    }
}

fn reply(frame: Resp3Frame) -> Reply {
    match frame {
        Resp3Frame::SimpleError { data, .. } => Reply::Refusal(data.to_string()),
        Resp3Frame::BlobError { data, .. } => Reply::Refusal(String::from_utf8_lossy(&data).into_owned()),
        Resp3Frame::SimpleString { data, .. }
        | Resp3Frame::BlobString { data, .. }
        | Resp3Frame::BigNumber { data, .. }
        | Resp3Frame::VerbatimString { data, .. } => Reply::of_bytes(&data),
        Resp3Frame::Number { data, .. } => Reply::Number(data as f64),
        Resp3Frame::Double { data, .. } => Reply::Number(data),
        Resp3Frame::Boolean { data, .. } => Reply::Number(f64::from(u8::from(data))),
        Resp3Frame::Array { data, .. } | Resp3Frame::Push { data, .. } => {
            Reply::List(data.into_iter().map(reply).collect())
        }
        // We never ask for RESP3, which alone has more.
        _ => Reply::Nothing,
    }
}
