//! One GET over a connection that is open already, over TCP, TLS or a Unix socket.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use wise_core::{Failure, common};
use wise_net::classify_io;

/// Most bytes of a head, so that a hostile server cannot make us keep megabytes.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;

/// Sends the request and reads the answer, of at most `cap` bytes.
///
/// # Errors
/// The connection broke, what came back is no HTTP, or it is longer than the cap.
pub(crate) async fn get<S>(
    stream: S,
    request: Request<Empty<Bytes>>,
    cap: usize,
) -> Result<(StatusCode, Bytes), Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| classify(&error))?;
    let mut driver = Driver { connection: Some(pin!(connection)) };
    let response = driver.drive(sender.send_request(request)).await.map_err(|error| classify(&error))?;
    let (head, mut incoming) = response.into_parts();
    let mut body = BytesMut::new();
    while let Some(frame) = driver.drive(incoming.frame()).await {
        let frame = frame.map_err(|error| classify(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if body.len() + data.len() > cap {
            let text = format!("the answer is longer than {cap} bytes");
            return Err(Failure::new(&common::PROTOCOL, text).code("too_large"));
        }
        body.extend_from_slice(&data);
    }
    Ok((head.status, body.freeze()))
}

fn classify(error: &hyper::Error) -> Failure {
    if error.is_parse() || error.is_parse_status() {
        return Failure::new(&common::PROTOCOL, "what came back is no valid HTTP").code("invalid_http");
    }
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            let (class, code) = classify_io(io, None);
            return Failure::new(class, format!("the connection failed while waiting for the answer: {io}"))
                .code(code);
        }
        source = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        return Failure::new(&common::RESET, "the connection was closed before the answer was complete")
            .code("closed");
    }
    Failure::new(&common::PROTOCOL, "the answer breaks the rules of HTTP").code("http")
}

/// Drives the connection in the task that waits for its answer: no task is left behind.
struct Driver<'a, C> {
    connection: Option<Pin<&'a mut C>>,
}

impl<C: Future<Output = hyper::Result<()>>> Driver<'_, C> {
    async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            // The connection's error, if any, reaches `work` as well. It comes twice, because the work may have queued
            // something for it to send.
            for _ in 0..2 {
                if let Some(connection) = &mut self.connection
                    && connection.as_mut().poll(cx).is_ready()
                {
                    self.connection = None;
                }
                if let Poll::Ready(output) = work.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// A connection with or without TLS.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
