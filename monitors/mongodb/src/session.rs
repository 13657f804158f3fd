//! Logging in stage by stage, and running commands.

use std::sync::Arc;
use std::time::Duration;

use bson::{Document, doc};
use mongodb::Client;
use mongodb::options::{
    AuthMechanism, ClientOptions, Credential, ReadPreference, SelectionCriteria, ServerAddress,
    ServerMonitoringMode,
};
use wise_core::{Failure, async_trait, common};
use wise_database::{Address, Keep, Kept, Place, Reusable, Stages, TlsFiles, TlsMode, classes};
use wise_net::{Certificate, Net};
use zeroize::Zeroizing;

use crate::document;
use crate::error::{CLUSTER_MONITOR, UNAUTHORIZED, classify, number};
use crate::gate::{Gate, Stream};
use crate::hello::{Hello, Role};
use crate::wire::{self, Message};

/// Name of our connections in the server's log and in `$currentOp`, by which they are left out of what is reported.
pub(crate) const APPLICATION: &str = "wise-monitoring";
/// Time that the server grants to a command of activity and replication.
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(5);
/// The driver asks for news from itself, through the gate; once an hour is as good as never.
const HEARTBEAT: Duration = Duration::from_secs(3600);

/// Who logs in.
pub(crate) struct Login {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Zeroizing<String>>,
    /// Database that has the user.
    pub(crate) source: String,
    /// Without it, what the server says about the user decides.
    pub(crate) mechanism: Option<AuthMechanism>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("source", &self.source).finish_non_exhaustive()
    }
}

/// The server that is watched, as its probes share it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) net: Arc<Net>,
    pub(crate) address: Address,
    pub(crate) tls: TlsFiles,
    pub(crate) login: Option<Login>,
    /// The session that all probes but availability and custom queries use in turn.
    kept: Keep<Session>,
}

/// A server that has said what it is, and to which no one has logged in yet.
pub(crate) struct Reached {
    stream: Box<dyn Stream>,
    pub(crate) hello: Hello,
    /// TLS version; `None` in plain text.
    pub(crate) tls: Option<&'static str>,
    pub(crate) certificate: Option<Certificate>,
    is_local: bool,
}

/// A session. Its socket closes when it is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    gate: Gate,
    /// The server's own limit for each command.
    limit: Duration,
    /// What it was when the session began.
    pub(crate) role: Role,
    pub(crate) is_local: bool,
}

impl Server {
    pub(crate) fn new(net: Arc<Net>, address: Address, tls: TlsFiles, login: Option<Login>) -> Self {
        Self { net, address, tls, login, kept: Keep::default() }
    }

    /// Connects and asks the server what it is, for which no one has to log in.
    ///
    /// # Errors
    /// Which stage failed, and why.
    pub(crate) async fn reach(&self, stages: &mut Stages) -> Result<Reached, Failure> {
        let (mut stream, certificate): (Box<dyn Stream>, _) = match &self.address.place {
            Place::Socket(path) => (Box::new(self.net.connect_unix(path, &mut stages.trace).await?), None),
            Place::Tcp(target) => {
                let stream = self.net.connect(target, &mut stages.trace).await?;
                self.secure(stream, stages).await?
            }
        };
        stages.begin("handshake");
        let user =
            self.login.as_ref().and_then(|login| Some((login.source.as_str(), login.username.as_deref()?)));
        let user = user.filter(|_| self.login.as_ref().is_some_and(|login| login.mechanism.is_none()));
        wire::write(&mut stream, &Message::new(1, 0, &Hello::question(user))?).await?;
        let answer = wire::read(&mut stream).await?.document()?;
        stages.end();
        if document::number(&answer, &["ok"]) != Some(1.0) {
            return Err(refused_hello(&answer));
        }
        let hello = Hello::read(answer);
        if hello.is_too_old() {
            let text = "the server is older than MongoDB 4.2, and the driver does not speak its protocol";
            return Err(Failure::new(&common::PROTOCOL, text).code("version"));
        }
        let tls = stages.trace.tls_session.map(|(version, _)| version);
        Ok(Reached { stream, hello, tls, certificate, is_local: stages.trace.is_local() })
    }

    /// MongoDB has no way to ask for TLS on a connection in plain text: it is used from the start, or not at all.
    async fn secure(
        &self,
        stream: tokio::net::TcpStream,
        stages: &mut Stages,
    ) -> Result<(Box<dyn Stream>, Option<Certificate>), Failure> {
        if matches!(self.tls.mode, TlsMode::Off | TlsMode::Prefer) {
            return Ok((Box::new(stream), None));
        }
        let config = self.tls.config(&self.net).await?;
        let stream = self.net.handshake(stream, config, &self.address.host, &mut stages.trace).await?;
        let chain = stream.get_ref().1.peer_certificates();
        let certificate = chain.and_then(|chain| Certificate::parse(chain.first()?));
        Ok((Box::new(stream), certificate))
    }

    /// Logs in to a server that was reached. `limit` is the server's own limit for each command; ours is the caller's
    /// deadline.
    ///
    /// # Errors
    /// The login fails.
    pub(crate) async fn enter(
        &self,
        reached: Reached,
        limit: Duration,
        stages: &mut Stages,
    ) -> Result<Session, Failure> {
        let Reached { stream, hello, is_local, .. } = reached;
        let role = hello.role;
        stages.begin("auth");
        let gate = Gate::open(stream, hello.for_driver())?;
        let client = Client::with_options(self.options(&gate))
            .map_err(|error| classify(&error, "login", "", &gate))?;
        let session = Session { client, gate, limit, role, is_local };
        let outcome = session.command("admin", doc! {"ping": 1}).await;
        if let Err(failure) = outcome {
            // The users of a member that copies its data, or has none yet, may not be there yet.
            let is_unready = matches!(role, Role::Unready | Role::Unconfigured);
            if is_unready && failure.class.name == common::AUTH.name {
                let text = "the member is not ready, and does not know the user yet";
                return Err(Failure::new(&classes::STARTING, text).code("no_users"));
            }
            return Err(failure);
        }
        stages.end();
        Ok(session)
    }

    fn options(&self, gate: &Gate) -> ClientOptions {
        let credential = self.login.as_ref().map(|login| {
            Credential::builder()
                .username(login.username.clone())
                .password(login.password.as_ref().map(|password| password.to_string()))
                .source(login.source.clone())
                .mechanism(login.mechanism.clone())
                .build()
        });
        ClientOptions::builder()
            .hosts(vec![ServerAddress::Unix { path: gate.path() }])
            .app_name(APPLICATION.to_owned())
            .credential(credential)
            .direct_connection(true)
            .server_selection_timeout(Duration::from_secs(5))
            .connect_timeout(Duration::from_secs(3))
            .heartbeat_freq(HEARTBEAT)
            .server_monitoring_mode(ServerMonitoringMode::Poll)
            .max_pool_size(1)
            .max_connecting(1)
            .min_pool_size(0)
            .retry_reads(false)
            .retry_writes(false)
            .build()
    }

    /// Logs in; `None` for an arbiter, which has no users.
    ///
    /// # Errors
    /// Which stage failed, and why.
    pub(crate) async fn login(
        &self,
        limit: Duration,
        stages: &mut Stages,
    ) -> Result<Option<Session>, Failure> {
        let reached = self.reach(stages).await?;
        if reached.hello.role == Role::Arbiter {
            return Ok(None);
        }
        Ok(Some(self.enter(reached, limit, stages).await?))
    }

    /// The kept session, or a new one; `None` for an arbiter.
    ///
    /// # Errors
    /// Which stage of the login failed, and why.
    pub(crate) async fn kept(
        &self,
        limit: Duration,
        stages: &mut Stages,
    ) -> Result<Option<Kept<'_, Session>>, Failure> {
        let mut kept =
            self.kept.take(stages, async |stages: &mut Stages| self.login(limit, stages).await).await?;
        if let Some(session) = &mut kept {
            session.limit = limit;
        }
        Ok(kept)
    }
}

#[async_trait]
impl Reusable for Session {
    fn is_open(&self) -> bool {
        self.gate.is_open()
    }

    async fn answers(&mut self) -> bool {
        self.command("admin", doc! {"ping": 1}).await.is_ok()
    }

    /// Ends the session, so that the server's log has no broken connection.
    async fn close(self) {
        let Self { client, gate, .. } = self;
        drop(client);
        gate.close().await;
    }
}

impl Session {
    /// Runs a command. It carries a limit of its own for the server.
    ///
    /// # Errors
    /// It fails.
    pub(crate) async fn command(&self, database: &str, command: Document) -> Result<Document, Failure> {
        self.command_as(database, command, CLUSTER_MONITOR).await
    }

    /// As [`Session::command`], for a command that needs another right than most.
    ///
    /// # Errors
    /// It fails.
    pub(crate) async fn command_as(
        &self,
        database: &str,
        command: Document,
        grant: &str,
    ) -> Result<Document, Failure> {
        self.command_within(database, command, grant, self.limit).await
    }

    /// As [`Session::command_as`], with a limit of its own.
    ///
    /// # Errors
    /// It fails.
    pub(crate) async fn command_within(
        &self,
        database: &str,
        mut command: Document,
        grant: &str,
        limit: Duration,
    ) -> Result<Document, Failure> {
        let name = command.keys().next().cloned().unwrap_or_default();
        command.insert("maxTimeMS", i64::try_from(limit.as_millis()).unwrap_or(i64::MAX).max(1));
        // A secondary may answer as well as a primary; the driver adds this for itself only to a part of the commands.
        let reading = SelectionCriteria::ReadPreference(ReadPreference::PrimaryPreferred { options: None });
        let database = self.client.database(database);
        let answer = database.run_command(command).selection_criteria(reading).await;
        answer.map_err(|error| classify(&error, &name, grant, &self.gate))
    }

    /// Whether a user of this monitor has to log in, and none is configured.
    pub(crate) fn wants_login(failure: &Failure, login: Option<&Login>) -> bool {
        login.is_none() && number(failure) == Some(UNAUTHORIZED)
    }
}

fn refused_hello(answer: &Document) -> Failure {
    let code = document::number(answer, &["code"]);
    let text = document::text(answer, &["errmsg"]).unwrap_or("no reason is given");
    let text = format!("the server refuses to say what it is: {}", wise_database::shorten(text, 200));
    let failure = match code {
        Some(91.0 | 11600.0) => Failure::new(&classes::SHUTTING_DOWN, text),
        _ => Failure::new(&classes::STATEMENT, text),
    };
    failure.code(code.map_or("hello".to_owned(), |code| code.to_string()))
}
