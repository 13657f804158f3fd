//! The way of the driver: it cannot take a connection, so it is given an address of ours to connect to, and what it
//! says there is carried over a connection of the network stack.
//!
//! So the stages, the certificates, the egress gate and the bounds are those of every other monitor, and the end of a
//! check is the end of everything that the driver has begun. TLS is agreed on here, between the greeting and the login
//! (MySQL documentation, "Connection Phase"): the driver never knows of it. Packets of a login are numbered, and the
//! request for TLS takes a number that the driver has not counted, so numbers are moved by one until the login is over.
//!
//! A driver that is behind a Unix socket sends its password as it is where the server asks for that. This is right over
//! TLS, and over a Unix socket of the server; before a connection in plain text the driver is given a TCP port instead,
//! where it asks for the server's key first.

use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mysql_async::OptsBuilder;
use mysql_async::consts::CapabilityFlags;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use wise_core::{Failure, common};
use wise_database::{Stages, TlsFiles};
use wise_net::{Allowance, Bounded, Certificate, Net};

use crate::wire::{self, Greeting, Packet};

/// Bytes that one statement may answer.
pub(crate) const MOST_BYTES: u64 = 16 * 1024 * 1024;
/// How long to wait for the end of a session that was told to end.
const GOODBYE: Duration = Duration::from_millis(500);
/// Length of the request for TLS: the driver's own answer to the greeting begins with the same fields.
const TLS_REQUEST: usize = 32;

/// A connection.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Where the driver connects to.
pub(crate) enum Door {
    Port(TcpListener),
    Socket(UnixListener, String),
}

impl Door {
    /// Opens one. `is_plaintext` says that what goes through can be read on the network.
    ///
    /// # Errors
    /// This machine has no port or socket left.
    pub(crate) async fn open(is_plaintext: bool) -> Result<Self, Failure> {
        if is_plaintext {
            return Ok(Self::Port(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|e| own(&e))?));
        }
        let number = getrandom::u64().map_err(|error| own(&error.into()))?;
        // The leading zero makes it a name of the kernel's own, without a file.
        let path = format!("\0wise-mysql-{}-{number:016x}", std::process::id());
        Ok(Self::Socket(UnixListener::bind(&path).map_err(|error| own(&error))?, path))
    }

    /// Tells the driver.
    ///
    /// # Errors
    /// The port is gone.
    pub(crate) fn lead(&self, options: OptsBuilder) -> Result<OptsBuilder, Failure> {
        Ok(match self {
            Self::Port(listener) => {
                let address = listener.local_addr().map_err(|error| own(&error))?;
                options
                    .ip_or_hostname(address.ip().to_string())
                    .tcp_port(address.port())
                    .resolved_ips(Some(vec![address.ip()]))
            }
            Self::Socket(_, path) => options.socket(Some(path.clone())),
        })
    }

    /// The driver's connection; anyone else who finds the name is turned away.
    async fn accept(self) -> Result<Box<dyn Stream>, Failure> {
        match self {
            Self::Port(listener) => {
                let (stream, _) = listener.accept().await.map_err(|error| own(&error))?;
                stream.set_nodelay(true).map_err(|error| own(&error))?;
                Ok(Box::new(stream))
            }
            Self::Socket(listener, _) => loop {
                let (stream, _) = listener.accept().await.map_err(|error| own(&error))?;
                let peer = stream.peer_cred().ok().and_then(|peer| peer.pid()).map(i32::cast_unsigned);
                if peer == Some(std::process::id()) {
                    return Ok(Box::new(stream));
                }
            },
        }
    }
}

fn own(error: &io::Error) -> Failure {
    Failure::new(&common::LOCAL_RESOURCES, format!("no way for the driver: {error}")).code("socket")
}

/// How to agree on TLS.
pub(crate) struct Tls<'a> {
    pub(crate) net: &'a Net,
    pub(crate) files: &'a TlsFiles,
    pub(crate) host: &'a str,
}

/// Carries the driver. Both of its sides close when it is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    task: JoinHandle<()>,
    failure: Arc<OnceLock<Failure>>,
    allowance: Allowance,
    /// The server's certificate.
    pub(crate) certificate: Option<Certificate>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Carries the driver through its login to the server that has sent `greeting`.
    ///
    /// # Errors
    /// TLS cannot be agreed on, or the connection fails. A login that the server refuses is no error here: the driver
    /// hears of it.
    pub(crate) async fn log_in(
        door: Door,
        mut server: Box<dyn Stream>,
        greeting: &Greeting,
        tls: Option<Tls<'_>>,
        stages: &mut Stages,
    ) -> Result<Self, Failure> {
        let mut driver = door.accept().await?;
        wire::write(&mut driver, &greeting.packet).await.map_err(|error| own(&error))?;
        let mut answer = wire::read(&mut driver).await.map_err(|error| own(&error))?;
        let moved = u8::from(tls.is_some());
        let mut certificate = None;
        if let Some(tls) = tls {
            (server, certificate) = agree_on_tls(server, &mut answer, &tls, stages).await?;
        }
        stages.begin("auth");
        let allowance = Allowance::new(MOST_BYTES);
        let server = Bounded::new(server, allowance.clone());
        let (mut server_read, mut server_write) = tokio::io::split(server);
        let (mut driver_read, mut driver_write) = tokio::io::split(driver);
        answer.move_by(moved);
        wire::write(&mut server_write, &answer).await.map_err(|error| broken(&error))?;
        let verdict = {
            let questions = async {
                loop {
                    let mut packet = wire::read(&mut driver_read).await?;
                    packet.move_by(moved);
                    wire::write(&mut server_write, &packet).await?;
                }
            };
            let answers = async {
                loop {
                    let mut packet = wire::read(&mut server_read).await?;
                    packet.move_by(0_u8.wrapping_sub(moved));
                    if packet.ends_login() {
                        return Ok(packet);
                    }
                    wire::write(&mut driver_write, &packet).await?;
                }
            };
            let outcome: io::Result<Packet> = tokio::select! {
                outcome = answers => outcome,
                outcome = questions => outcome,
            };
            outcome.map_err(|error| broken(&error))?
        };
        wire::write(&mut driver_write, &verdict).await.map_err(|error| own(&error))?;
        stages.end();
        let failure = Arc::new(OnceLock::new());
        let task = tokio::spawn({
            let (failure, allowance) = (failure.clone(), allowance.clone());
            async move {
                let ended = carry((driver_read, driver_write), (&mut server_read, &mut server_write)).await;
                if let Err(error) = ended {
                    let what = if allowance.is_used_up() { too_much() } else { broken(&error) };
                    failure.set(what).ok();
                }
            }
        });
        Ok(Self { task, failure, allowance, certificate })
    }

    /// Lets the server send an answer of the usual size from now on.
    pub(crate) fn grant(&self) {
        self.allowance.grant(MOST_BYTES);
    }

    /// Whether the connection to the server stands.
    pub(crate) fn is_open(&self) -> bool {
        !self.task.is_finished()
    }

    /// Why the connection to the server ended.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.get().cloned()
    }

    /// Waits until the server has closed the connection, after the driver has said goodbye.
    pub(crate) async fn close(mut self) {
        tokio::time::timeout(GOODBYE, &mut self.task).await.ok();
    }
}

/// Asks for TLS in the driver's words: the server takes what it may do from this request, and not from the answer that
/// follows it.
async fn agree_on_tls(
    mut server: Box<dyn Stream>,
    answer: &mut Packet,
    tls: &Tls<'_>,
    stages: &mut Stages,
) -> Result<(Box<dyn Stream>, Option<Certificate>), Failure> {
    let config = tls.files.config(tls.net).await?;
    answer.set_capability(CapabilityFlags::CLIENT_SSL.bits());
    let request = answer.beginning(TLS_REQUEST).ok_or_else(|| {
        Failure::new(&common::PROTOCOL, "the server speaks a version before MySQL 4.1").code("too_old")
    })?;
    stages.end();
    wire::write(&mut server, &request).await.map_err(|error| broken(&error))?;
    let stream = tls.net.handshake(server, config, tls.host, &mut stages.trace).await?;
    let chain = stream.get_ref().1.peer_certificates();
    let certificate = chain.and_then(|chain| Certificate::parse(chain.first()?));
    Ok((Box::new(stream), certificate))
}

type Halves<S> = (ReadHalf<S>, WriteHalf<S>);

/// Passes on both ways until one side ends; an error is one of the server's side.
async fn carry<D: Stream, S: Stream>(
    (mut driver_read, mut driver_write): Halves<D>,
    (server_read, server_write): (&mut ReadHalf<S>, &mut WriteHalf<S>),
) -> io::Result<()> {
    let mut answers = pin!(tokio::io::copy(server_read, &mut driver_write));
    let asked = {
        let mut questions = pin!(tokio::io::copy(&mut driver_read, server_write));
        tokio::select! {
            asked = &mut questions => asked,
            answered = &mut answers => return match answered {
                Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
                // The driver has gone.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                Err(error) => Err(error),
            },
        }
    };
    asked?;
    // The driver has gone, and has said so: a server that hears it closes the connection itself.
    server_write.shutdown().await.ok();
    tokio::time::timeout(GOODBYE, answers).await.ok();
    Ok(())
}

/// What an error of the connection to the server means.
pub(crate) fn broken(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return Failure::new(&common::RESET, "the server closed the connection").code("closed");
    }
    if error.kind() == io::ErrorKind::InvalidData {
        return not_mysql();
    }
    let (class, code) = wise_net::classify_io(error, None);
    Failure::new(class, format!("the connection failed: {error}")).code(code)
}

pub(crate) fn not_mysql() -> Failure {
    Failure::new(&common::PROTOCOL, "the answer is not MySQL's protocol").code("not_mysql")
}

fn too_much() -> Failure {
    let text = format!("the server sent more than the {MOST_BYTES} bytes that a statement may answer");
    Failure::new(&common::PROTOCOL, text).code("too_much")
}
