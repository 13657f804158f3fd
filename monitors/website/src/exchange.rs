//! One request and its answer, on one fresh connection.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::CertificateDer;
use url::Url;
use wise_core::{Failure, common};
use wise_net::{Host, Stage, Target, Trace};

use crate::body::Body;
use crate::config::HttpVersion;
use crate::error::{MAX_HEAD, MAX_HEADERS, classify_http};
use crate::proxy::blame_proxy;
use crate::stream::{Counted, Traffic, Transport};
use crate::target::Website;

/// What is known of one exchange. Filled as it goes, so that a timeout leaves what there was.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub trace: Trace,
    pub traffic: Arc<Traffic>,
    /// Time from sending the request to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Time to read the body.
    pub transfer: Option<Duration>,
    pub head: Option<Head>,
    pub body: Body,
    /// The certificates that the server showed, its own first, when the handshake succeeded.
    pub chain: Vec<CertificateDer<'static>>,
    /// Bytes of the request's body.
    pub request_body: u64,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub status: u16,
    pub version: Version,
    pub headers: HeaderMap,
}

impl Exchange {
    pub(crate) fn new() -> Self {
        Self {
            trace: Trace::default(),
            traffic: Arc::default(),
            first_byte: None,
            transfer: None,
            head: None,
            body: Body::default(),
            chain: Vec::new(),
            request_body: 0,
        }
    }

    /// What a missed deadline means here: a server that does not read differs from one that does not answer.
    pub(crate) fn deadline_missed(&self, timeout: Duration) -> Failure {
        let mut failure = self.trace.deadline_missed(timeout);
        if self.trace.stage == Stage::Protocol("first_byte") {
            let (sent, received) = (self.traffic.sent(), self.traffic.received());
            let millis = timeout.as_millis();
            if sent < self.request_body {
                failure.code = Some("request".into());
                failure.message = format!(
                    "the server took {sent} bytes of the request within {millis} ms and stopped reading"
                );
            } else if received == 0 {
                failure.message = format!("the server took the request and sent nothing within {millis} ms");
            } else {
                failure.code = Some("head".into());
                failure.message =
                    format!("the server sent {received} bytes and no complete head within {millis} ms");
            }
        } else if self.trace.stage == Stage::Protocol("transfer") {
            let received = self.traffic.received();
            failure.message = format!(
                "the body was not complete within {} ms; {received} bytes had come",
                timeout.as_millis()
            );
        }
        failure
    }
}

/// Makes the exchange. What happened is in `exchange`, whatever the outcome.
pub(crate) async fn run(
    site: &Website,
    url: &Url,
    method: &Method,
    with_body: bool,
    exchange: &mut Exchange,
) -> Result<(), Failure> {
    let is_home = site.is_home(url);
    let is_tls = url.scheme() == "https";
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or(80);
    let trace = &mut exchange.trace;
    let mut stream = match &site.proxy {
        None => {
            let fixed = site.fixed.filter(|_| is_home);
            let target = Target { host: Host::parse(host), port, prefer: site.prefer, fixed };
            site.net.connect(&target, trace).await?
        }
        Some(proxy) => site.net.connect(&proxy.target(site.prefer), trace).await.map_err(blame_proxy)?,
    };
    if let Some(proxy) = site.proxy.as_ref().filter(|_| is_tls) {
        proxy.tunnel(&mut stream, &format!("{host}:{port}"), trace).await?;
    }
    let (transport, is_h2) = if is_tls {
        let config = site
            .tls
            .config(&site.net, is_home)
            .await
            .map_err(|error| Failure::new(&common::DEFINITION, error).code("tls_files"))?;
        let stream = site.net.handshake(stream, config, host, trace).await?;
        let session = stream.get_ref().1;
        exchange.chain =
            session.peer_certificates().unwrap_or_default().iter().map(|c| c.clone().into_owned()).collect();
        let is_h2 = session.alpn_protocol() == Some(b"h2");
        (Transport::Tls(Box::new(stream)), is_h2)
    } else {
        (Transport::Plain(stream), site.version == HttpVersion::Http2)
    };
    let request = build_request(site, url, method, with_body, is_home, is_h2)?;
    exchange.request_body = request.body().size_hint_exact();
    let io = TokioIo::new(Counted { transport, traffic: exchange.traffic.clone() });
    exchange.trace.begin(Stage::Protocol("first_byte"));
    if is_h2 {
        let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEAD as u32)
            .handshake(io)
            .await
            .map_err(|error| classify_http(&error, "first_byte", exchange.traffic.received()))?;
        converse(connection, async { sender.send_request(request).await }, site.max_body, exchange).await
    } else {
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .handshake(io)
            .await
            .map_err(|error| classify_http(&error, "first_byte", exchange.traffic.received()))?;
        converse(connection, async { sender.send_request(request).await }, site.max_body, exchange).await
    }
}

trait SizeHintExact {
    fn size_hint_exact(&self) -> u64;
}

impl SizeHintExact for Full<Bytes> {
    fn size_hint_exact(&self) -> u64 {
        hyper::body::Body::size_hint(self).exact().unwrap_or(0)
    }
}

/// Sends and reads while driving the connection in the same task: no task of its own, no wake-ups across threads.
async fn converse<C, S>(connection: C, send: S, max_body: u64, exchange: &mut Exchange) -> Result<(), Failure>
where
    C: Future<Output = hyper::Result<()>>,
    S: Future<Output = hyper::Result<http::Response<Incoming>>>,
{
    let mut driver = Driver { connection: Some(pin!(connection)) };
    let response = driver
        .drive(send)
        .await
        .map_err(|error| classify_http(&error, "first_byte", exchange.traffic.received()))?;
    exchange.first_byte = Some(exchange.trace.elapsed());
    exchange.trace.begin(Stage::Protocol("transfer"));
    let (parts, mut incoming) = response.into_parts();
    exchange.head =
        Some(Head { status: parts.status.as_u16(), version: parts.version, headers: parts.headers });
    let mut bytes = BytesMut::new();
    let mut truncated = false;
    let result = loop {
        match driver.drive(incoming.frame()).await {
            None => break Ok(()),
            Some(Err(error)) => break Err(classify_http(&error, "transfer", 0)),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                let room = usize::try_from(max_body).unwrap_or(usize::MAX).saturating_sub(bytes.len());
                if data.len() > room {
                    bytes.extend_from_slice(&data[..room]);
                    truncated = true;
                    break Ok(());
                }
                bytes.extend_from_slice(&data);
            }
        }
    };
    exchange.transfer = result.is_ok().then(|| exchange.trace.elapsed());
    exchange.body = Body::new(bytes.freeze(), truncated);
    result
}

struct Driver<'a, C> {
    connection: Option<Pin<&'a mut C>>,
}

impl<C: Future<Output = hyper::Result<()>>> Driver<'_, C> {
    async fn drive<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            if let Some(connection) = &mut self.connection
                && connection.as_mut().poll(cx).is_ready()
            {
                // Its error, if any, reaches `work` as well, which knows what it was doing.
                self.connection = None;
            }
            match work.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(output),
                // The work may have queued something for the connection to send.
                Poll::Pending => match &mut self.connection {
                    Some(connection) => {
                        if connection.as_mut().poll(cx).is_ready() {
                            self.connection = None;
                            work.as_mut().poll(cx)
                        } else {
                            Poll::Pending
                        }
                    }
                    None => Poll::Pending,
                },
            }
        })
        .await
    }
}

fn build_request(
    site: &Website,
    url: &Url,
    method: &Method,
    with_body: bool,
    is_home: bool,
    is_h2: bool,
) -> Result<Request<Full<Bytes>>, Failure> {
    let bad = |_| Failure::new(&common::PROTOCOL, "the address cannot be put into a request").code("bad_url");
    let through_proxy = site.proxy.is_some() && url.scheme() == "http";
    let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
    let path = &url[url::Position::BeforePath..url::Position::AfterQuery];
    // HTTP/2 and proxies want the whole address, an origin server the path alone.
    let target = if is_h2 || through_proxy {
        format!("{}://{authority}{path}", url.scheme())
    } else {
        path.to_owned()
    };
    let uri: Uri = target.parse().map_err(bad)?;
    let mut request = Request::new(match &site.body {
        Some(body) if with_body && is_home => Full::new(body.clone()),
        _ => Full::default(),
    });
    *request.method_mut() = method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = if is_home { site.headers.clone() } else { site.public_headers.clone() };
    let headers = request.headers_mut();
    if is_h2 {
        *request.version_mut() = Version::HTTP_2;
    } else {
        if !(is_home && headers.contains_key(HOST)) {
            let host = HeaderValue::from_str(authority).map_err(|_| {
                Failure::new(&common::PROTOCOL, "the host cannot be put into a header").code("bad_url")
            })?;
            headers.insert(HOST, host);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if let Some(value) =
            site.proxy.as_ref().filter(|_| through_proxy).and_then(|proxy| proxy.authorization.clone())
        {
            headers.insert(PROXY_AUTHORIZATION, value);
        }
    }
    Ok(request)
}
