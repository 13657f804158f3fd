//! The way of the driver: it cannot take a connection, so it is given a socket of ours to connect to, and what it says
//! there is carried over a connection of the network stack.
//!
//! So the stages, the classes of I/O errors, TLS, the egress gate and the bounds are those of every other monitor, and
//! the end of a check is the end of everything that the driver has begun: its sockets are ours, and closed. The server
//! sees one connection. The driver opens two, the first to watch the server for itself; that one never leaves this
//! process, and is told what the server has told us.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bson::{Document, RawBsonRef};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use wise_core::{Failure, common};

use crate::wire::{self, Message};

/// How long to wait for the end of a connection that was told to end.
const GOODBYE: Duration = Duration::from_millis(500);

/// Rounds of hashing that a server may ask for; MongoDB's own choice is 15,000. The driver knows no bound, and hashes on
/// the thread that it shares with all other checks.
const MOST_ITERATIONS: u64 = 200_000;

/// A connection to the server.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What went by on the way.
#[derive(Debug, Default)]
struct Seen {
    /// Why the connection ended.
    failure: Option<Failure>,
    /// The code of the last answer that was an error: the driver keeps that of a refused login to itself.
    code: Option<i32>,
}

/// Carries the driver. Everything ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Gate {
    path: PathBuf,
    task: JoinHandle<()>,
    seen: Arc<Mutex<Seen>>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Opens a socket for the driver, in front of a connection over which `hello` was said already.
    pub(crate) fn open(server: Box<dyn Stream>, hello: Document) -> Result<Self, Failure> {
        let own = |what: String| Failure::new(&common::LOCAL_RESOURCES, what).code("socket");
        let number = getrandom::u64().map_err(|error| own(format!("no random number: {error}")))?;
        // The leading zero makes it a name of the kernel's own, without a file.
        let path = PathBuf::from(format!("\0wise-mongodb-{}-{number:016x}", std::process::id()));
        let listener =
            UnixListener::bind(&path).map_err(|error| own(format!("no socket for the driver: {error}")))?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn({
            let seen = seen.clone();
            async move {
                let outcome = carry(listener, server, &hello, &seen).await;
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.failure = outcome.err();
            }
        });
        Ok(Self { path, task, seen })
    }

    /// Where the driver is to connect to.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Whether the connection to the server stands.
    pub(crate) fn is_open(&self) -> bool {
        !self.task.is_finished()
    }

    /// Why the connection to the server ended.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }

    /// The code of the last error that the server answered.
    pub(crate) fn code(&self) -> Option<i32> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).code
    }

    /// Waits until the connection has ended, after the driver is gone.
    pub(crate) async fn close(mut self) {
        tokio::time::timeout(GOODBYE, &mut self.task).await.ok();
    }
}

async fn carry(
    listener: UnixListener,
    mut server: Box<dyn Stream>,
    hello: &Document,
    seen: &Mutex<Seen>,
) -> Result<(), Failure> {
    let mut watching = accept(&listener).await?;
    let watch = greet(&mut watching, hello, usize::MAX);
    tokio::pin!(watch);
    let mut commands = tokio::select! {
        accepted = accept(&listener) => accepted?,
        _ = &mut watch => return Ok(()),
    };
    // No one else is expected.
    drop(listener);
    let watched = async {
        // The driver may leave here first, and is then still to say goodbye to the server.
        watch.await.ok();
        std::future::pending().await
    };
    tokio::select! {
        ended = relay(&mut commands, &mut server, hello, seen) => ended,
        never = watched => never,
    }
}

/// The next connection of this process; others that find the name are turned away.
async fn accept(listener: &UnixListener) -> Result<UnixStream, Failure> {
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| {
            Failure::new(&common::LOCAL_RESOURCES, format!("no connection for the driver: {error}"))
                .code("socket")
        })?;
        let peer = stream.peer_cred().ok().and_then(|peer| peer.pid()).map(i32::cast_unsigned);
        if peer == Some(std::process::id()) {
            return Ok(stream);
        }
    }
}

/// Answers so many questions with what the server has said about itself.
async fn greet(driver: &mut UnixStream, hello: &Document, questions: usize) -> Result<(), Failure> {
    for _ in 0..questions {
        let question = wire::read(driver).await?;
        wire::write(driver, &Message::new(1, question.id(), hello)?).await?;
    }
    Ok(())
}

/// Carries questions and answers, one after the other, which is all that a driver does on a connection.
async fn relay(
    driver: &mut UnixStream,
    server: &mut Box<dyn Stream>,
    hello: &Document,
    seen: &Mutex<Seen>,
) -> Result<(), Failure> {
    // Its first question is who the server is. A server accepts that once a connection, and it was asked already.
    greet(driver, hello, 1).await?;
    loop {
        let mut unasked = [0; 1];
        let question = tokio::select! {
            question = wire::read(driver) => question,
            read = server.read(&mut unasked) => return Err(unasked_for(&read)),
        };
        let Ok(question) = question else {
            // The driver has gone.
            server.shutdown().await.ok();
            tokio::time::timeout(GOODBYE, server.read(&mut unasked)).await.ok();
            return Ok(());
        };
        wire::write(server, &question).await?;
        let answer = wire::read(server).await?;
        if let Some(code) = error_code(&answer) {
            seen.lock().unwrap_or_else(PoisonError::into_inner).code = Some(code);
        }
        harmless(&question, &answer)?;
        wire::write(driver, &answer).await?;
    }
}

/// Keeps from the driver what it does not bear in the first answer of a login (RFC 5802: `r=…,s=…,i=15000`): it panics
/// when the number that it made up does not come back, and hashes as often as it is told.
fn harmless(question: &Message, answer: &Message) -> Result<(), Failure> {
    let (Some(asked), Some(given)) = (payload(question), payload(answer)) else { return Ok(()) };
    let part = |name: &str| given.split(',').find_map(|part| part.strip_prefix(name));
    // A count that does not fit is a large one.
    if part("i=").is_some_and(|count| count.parse().unwrap_or(u64::MAX) > MOST_ITERATIONS) {
        let text = format!("the server asks for more than {MOST_ITERATIONS} rounds of hashing at the login");
        return Err(Failure::new(&common::PROTOCOL, text).code("iterations"));
    }
    let made_up = asked.rsplit(',').find_map(|part| part.strip_prefix("r="));
    if part("r=").is_some_and(|number| !made_up.is_some_and(|made_up| number.starts_with(made_up))) {
        let text = "the server answers another login than the one that was begun";
        return Err(Failure::new(&common::PROTOCOL, text).code("nonce"));
    }
    Ok(())
}

/// What a login says, where it is text.
fn payload(message: &Message) -> Option<&str> {
    let RawBsonRef::Binary(payload) = message.raw().ok()?.get("payload").ok()?? else { return None };
    std::str::from_utf8(payload.bytes).ok()
}

/// The server has hung up between two questions, or speaks without being asked.
fn unasked_for(read: &std::io::Result<usize>) -> Failure {
    match read {
        Ok(0) => Failure::new(&common::RESET, "the server closed the connection").code("closed"),
        Ok(_) => Failure::new(&common::PROTOCOL, "the server speaks without being asked").code("mongodb"),
        Err(error) => {
            let (class, code) = wise_net::classify_io(error, None);
            Failure::new(class, format!("the connection failed: {error}")).code(code)
        }
    }
}

fn error_code(answer: &Message) -> Option<i32> {
    let document = answer.raw().ok()?;
    let number = |name: &str| match document.get(name).ok()?? {
        RawBsonRef::Double(number) => Some(number),
        RawBsonRef::Int32(number) => Some(f64::from(number)),
        RawBsonRef::Int64(number) => Some(number as f64),
        RawBsonRef::Boolean(truth) => Some(f64::from(u8::from(truth))),
        _ => None,
    };
    let is_error = number("ok").is_none_or(|ok| ok == 0.0);
    number("code").filter(|_| is_error).map(|code| code as i32)
}
