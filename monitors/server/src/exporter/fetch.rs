//! Fetches the page of an exporter, and lets the probes of one monitor share it.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::Empty;
use tokio::sync::{Mutex, OnceCell};
use tokio::time::Instant;
use url::Url;
use wise_core::{Failure, FieldError, FieldErrors, Masker, Timestamp, common, label};
use wise_net::{
    Alpn, Certificate, Host, IpPreference, Net, Stage, Target, TlsOptions, Trace, Verify, percent_decode,
};

use super::map::{Page, read_page};
use crate::config::Tls;
use crate::error::{EXPORTER_STATUS, NOT_NODE_EXPORTER};
use crate::http::{Transport, get};

/// Longest page that is read.
const MAX_PAGE: usize = 16 << 20;
/// From this size on a page takes milliseconds, and is taken apart on another thread.
const LARGE_PAGE: usize = 1 << 18;
/// Probes that are due together share a page of at most this age.
const FRESH: Duration = Duration::from_secs(5);
const AGENT: &str = concat!("wise-monitoring/", env!("CARGO_PKG_VERSION"));

/// The exporter of a machine.
#[derive(Debug)]
pub(crate) struct Exporter {
    net: Arc<Net>,
    /// Without user name and password.
    url: Url,
    shown: String,
    headers: HeaderMap,
    verify: bool,
    ca_file: Option<String>,
    tls: OnceCell<Arc<rustls::ClientConfig>>,
    masker: Masker,
    /// The last outcome, a failure too: probes that are due together need not each wait for a dead host.
    last: Mutex<Option<Outcome>>,
}

#[derive(Clone, Debug)]
struct Outcome {
    at: Instant,
    result: Result<Arc<Page>, Failure>,
    local: bool,
}

/// What a check got, and what is to be told of how.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub result: Result<Arc<Page>, Failure>,
    pub local: bool,
    pub trace: Trace,
    pub http: Option<Duration>,
    /// Status code and the beginning of an answer that is no page.
    pub answer: Option<(StatusCode, String)>,
    pub expires: Option<Timestamp>,
}

impl Exporter {
    pub(crate) fn new(text: &str, tls: &Tls, net: Arc<Net>) -> Result<Self, FieldErrors> {
        let mut url = parse_url(text)?;
        let shown = shown(&url);
        let mut masker = Masker::default();
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static("text/plain;version=0.0.4"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let authority = &url[url::Position::BeforeHost..url::Position::AfterPort];
        let bad = |_| FieldError::new("node_exporter", "holds characters that a header cannot carry");
        headers.insert(HOST, HeaderValue::from_str(authority).map_err(bad)?);
        if let Some(password) = url.password() {
            let (user, plain) = (percent_decode(url.username()), percent_decode(password));
            let encoded = STANDARD.encode(format!("{user}:{plain}"));
            for secret in [password, &plain, &encoded] {
                masker.add(secret);
            }
            let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).map_err(bad)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if url.set_password(None).is_err() || url.set_username("").is_err() {
            return Err(FieldError::new("node_exporter", "cannot be an address with a login").into());
        }
        Ok(Self {
            net,
            url,
            shown,
            headers,
            verify: tls.verify,
            ca_file: tls.ca_file.clone(),
            tls: OnceCell::new(),
            masker,
            last: Mutex::new(None),
        })
    }

    pub(crate) fn host(&self) -> Option<&str> {
        self.url.host_str()
    }

    pub(crate) fn masker(&self) -> &Masker {
        &self.masker
    }

    /// The URL without its password.
    pub(crate) fn shown(&self) -> &str {
        &self.shown
    }

    /// Fetches the page, within the deadline. With `shared`, a page that another probe has just fetched will do.
    pub(crate) async fn page(&self, timeout: Duration, shared: bool) -> Fetched {
        let mut fetched = Fetched {
            result: Err(Failure::new(&common::OVERLOAD, "the check did not begin")),
            local: false,
            trace: Trace::default(),
            http: None,
            answer: None,
            expires: None,
        };
        let result = tokio::time::timeout(timeout, self.fetch_or_share(shared, &mut fetched)).await;
        if result.is_err() {
            fetched.result = Err(match fetched.trace.stage {
                // Only another probe of this monitor can have held us up, and it was waiting for the exporter.
                Stage::Start => Failure::new(
                    &common::TIMEOUT,
                    format!(
                        "another check waited for the exporter's answer for more than {} ms",
                        timeout.as_millis()
                    ),
                )
                .code("shared"),
                _ => fetched.trace.deadline_missed(timeout),
            });
            fetched.local = fetched.trace.is_local();
        }
        if let Err(failure) = &mut fetched.result {
            failure.message = self.masker.mask(&failure.message).into_owned();
        }
        fetched
    }

    async fn fetch_or_share(&self, shared: bool, fetched: &mut Fetched) {
        // Who shares waits, bounded by its deadline; who holds the lock is bounded by its own. Who does not share never
        // waits, so that a slow exporter is not asked one check after the other until the last misses its deadline.
        let mut last = if shared { Some(self.last.lock().await) } else { self.last.try_lock().ok() };
        if let Some(last) = &mut last {
            if let Some(outcome) = last.as_ref().filter(|outcome| shared && outcome.at.elapsed() <= FRESH) {
                fetched.result = outcome.result.clone();
                fetched.local = outcome.local;
                return;
            }
            **last = None;
        }
        fetched.result = self.fetch(fetched).await;
        fetched.local = fetched.trace.is_local();
        if let Some(last) = &mut last {
            **last =
                Some(Outcome { at: Instant::now(), result: fetched.result.clone(), local: fetched.local });
        }
    }

    async fn fetch(&self, fetched: &mut Fetched) -> Result<Arc<Page>, Failure> {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or(9100);
        let target = Target { host: Host::parse(host), port, prefer: IpPreference::Any, fixed: None };
        let trace = &mut fetched.trace;
        let stream = self.net.connect(&target, trace).await?;
        let transport = if self.url.scheme() == "https" {
            let config = self.tls_config().await?;
            let stream = self.net.handshake(stream, config, host, trace).await?;
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            fetched.expires = chain.iter().filter_map(Certificate::parse).map(|found| found.not_after).min();
            Transport::Tls(Box::new(stream))
        } else {
            Transport::Plain(stream)
        };
        trace.begin(Stage::Protocol("http"));
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() =
            self.url[url::Position::BeforePath..url::Position::AfterQuery].parse::<Uri>().map_err(|_| {
                Failure::new(&common::PROTOCOL, "the path cannot be put into a request").code("bad_url")
            })?;
        *request.headers_mut() = self.headers.clone();
        let (status, body) = get(transport, request, MAX_PAGE).await?;
        fetched.http = Some(trace.elapsed());
        let taken = Instant::now();
        if status != StatusCode::OK {
            fetched.answer = Some((status, self.beginning(&body)));
            let class = match status {
                StatusCode::UNAUTHORIZED => &common::AUTH,
                StatusCode::FORBIDDEN => &common::PERMISSION,
                _ => &EXPORTER_STATUS,
            };
            return Err(Failure::new(
                class,
                format!("the exporter answers with the status code {}", status.as_u16()),
            )
            .code(status.as_u16().to_string()));
        }
        let page = if body.len() > LARGE_PAGE {
            let body = body.clone();
            let read = tokio::task::spawn_blocking(move || read_page(&label::from_bytes(&body), taken));
            read.await.map_err(|_| Failure::new(&common::INTERNAL, "the page could not be taken apart"))?
        } else {
            read_page(&label::from_bytes(&body), taken)
        };
        if page.node_samples == 0 {
            fetched.answer = Some((status, self.beginning(&body)));
            let (code, text) = match page.samples {
                0 => ("no_metrics", "the answer holds no measurement in Prometheus text"),
                _ => ("other_exporter", "the answer holds measurements, and none of a machine"),
            };
            return Err(Failure::new(&NOT_NODE_EXPORTER, text).code(code));
        }
        Ok(Arc::new(page))
    }

    /// What of an unexpected answer goes into evidence.
    fn beginning(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
        let short: String = self.masker.mask(&text).chars().take(500).collect();
        short
    }

    async fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>, Failure> {
        let load = || async {
            let roots = match &self.ca_file {
                Some(path) => Some(
                    tokio::fs::read(path).await.map_err(|error| format!("cannot read {path}: {error}"))?,
                ),
                None => None,
            };
            let verify = if self.verify { Verify::Full } else { Verify::Nothing };
            self.net.tls_config(&TlsOptions { verify, roots, identity: None, alpn: Alpn::Http1 })
        };
        let config = self.tls.get_or_try_init(load).await;
        config.cloned().map_err(|error: String| Failure::new(&common::DEFINITION, error).code("tls_files"))
    }
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    if url.password().is_some() && url.set_password(Some(wise_core::MASK)).is_err() {
        return format!("{}://…", url.scheme());
    }
    url.to_string()
}

fn parse_url(text: &str) -> Result<Url, FieldError> {
    // The text may hold a password, so errors never show it.
    let error = |reason: String| {
        FieldError::new("node_exporter", reason).hint("use an address such as http://10.0.0.5:9100/metrics")
    };
    let url = Url::parse(text).map_err(|why| error(format!("is no URL: {why}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(error(format!("only http and https, not {}", url.scheme())));
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Err(error("has no host, or the port 0".to_owned()));
    }
    Ok(url)
}
