//! A website ready to be checked: settings parsed, compiled and resolved once, so that a check does not.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method};
use tokio::sync::OnceCell;
use url::Url;
use wise_core::{
    BuildContext, FieldError, FieldErrors, Masker, Monitor, Probe, ProbeSpec, Secret, is_secret_header,
};
use wise_net::{Alpn, ClientIdentity, IpPreference, Net, TlsOptions, Verify, percent_decode};

use crate::assertion::Check;
use crate::check::AvailabilityProbe;
use crate::config::{self, Auth, HttpVersion, IpVersion, Tls, WebsiteSettings};
use crate::proxy::Proxy;
use crate::status_codes::StatusRange;

const AGENT: &str = concat!("wise-monitoring/", env!("CARGO_PKG_VERSION"));
/// Headers that HTTP itself sets.
const RESERVED: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "upgrade"];
const MAX_BODY_CAP: u64 = 64 * 1024 * 1024;

/// A configured website.
pub(crate) struct Website {
    pub(crate) net: Arc<Net>,
    pub(crate) url: Url,
    pub(crate) method: Method,
    /// Headers for the configured origin.
    pub(crate) headers: HeaderMap,
    /// Headers that may go to other origins too, after a redirect.
    pub(crate) public_headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    pub(crate) accept: Vec<StatusRange>,
    pub(crate) checks: Vec<Check>,
    pub(crate) max_body: u64,
    pub(crate) inverted: bool,
    pub(crate) max_redirects: Option<u32>,
    pub(crate) tls: TlsSetup,
    pub(crate) version: HttpVersion,
    pub(crate) prefer: IpPreference,
    pub(crate) fixed: Option<IpAddr>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) masker: Masker,
}

impl std::fmt::Debug for Website {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL and the body may hold a password.
        f.debug_struct("Website").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

/// TLS settings whose files are read at the first handshake, because a constructor does no I/O.
#[derive(Debug)]
pub(crate) struct TlsSetup {
    verify: bool,
    ca_file: Option<String>,
    identity_files: Option<(String, String)>,
    alpn: Alpn,
    own: OnceCell<Arc<rustls::ClientConfig>>,
    foreign: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Website {
    pub(crate) fn new(settings: WebsiteSettings, cx: &BuildContext) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let mut masker = Masker::default();
        let url = parse_url(&mut errors, "url", &settings.url);
        let mut headers = HeaderMap::new();
        let mut public_headers = HeaderMap::new();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        public_headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        for (name, value) in &settings.headers {
            if let Err(error) = add_header(name, value, cx, &mut masker, &mut headers, &mut public_headers) {
                errors.push(error.under("headers"));
            }
        }
        if let Some(url) = &url {
            add_auth(&mut errors, settings.auth.as_ref(), url, cx, &mut masker, &mut headers);
        }
        let body = match settings.body.as_ref().map(|body| body.resolve(cx.secrets())) {
            None => None,
            Some(Ok(body)) => {
                mask_body(&body, &mut masker);
                Some(Bytes::from(body.as_bytes().to_vec()))
            }
            Some(Err(error)) => {
                errors.push(FieldError::new("body", error.to_string()));
                None
            }
        };
        if settings.accept_status.is_empty() {
            errors.push(FieldError::new("accept_status", "must not be empty").hint("use [\"200-299\"]"));
        }
        if settings.max_body_bytes > MAX_BODY_CAP {
            errors.push(
                FieldError::new("max_body_bytes", "out of range")
                    .value(settings.max_body_bytes)
                    .hint(format!("use a number from 0 to {MAX_BODY_CAP}")),
            );
        }
        if settings.max_redirects > 50 {
            errors.push(
                FieldError::new("max_redirects", "out of range")
                    .value(settings.max_redirects)
                    .hint("use a number from 0 to 50"),
            );
        }
        let mut checks = Vec::with_capacity(settings.assertions.len());
        for (index, assertion) in settings.assertions.iter().enumerate() {
            match assertion.compile() {
                Ok(check) => checks.push(check),
                Err(error) => errors.push(error.under(&format!("assertions[{index}]"))),
            }
        }
        let identity_files =
            match (settings.tls.client_certificate_file.clone(), settings.tls.client_key_file.clone()) {
                (Some(certificate), Some(key)) => Some((certificate, key)),
                (None, None) => None,
                (Some(_), None) => {
                    errors.push(
                        FieldError::new("tls.client_key_file", "missing beside client_certificate_file")
                            .hint("add it"),
                    );
                    None
                }
                (None, Some(_)) => {
                    errors.push(
                        FieldError::new("tls.client_certificate_file", "missing beside client_key_file")
                            .hint("add it"),
                    );
                    None
                }
            };
        let proxy = match settings.proxy.as_deref().map(|text| Proxy::parse(text, &mut masker)) {
            None => None,
            Some(Ok(proxy)) => Some(proxy),
            Some(Err(error)) => {
                errors.push(error);
                None
            }
        };
        if proxy.is_some() && settings.fixed_address.is_some() {
            errors.push(
                FieldError::new(
                    "fixed_address",
                    "has no effect through a proxy, which resolves the name itself",
                )
                .hint("remove one of proxy and fixed_address"),
            );
        }
        let alpn = match settings.http_version {
            HttpVersion::Auto => Alpn::Http,
            HttpVersion::Http1 => Alpn::Http1,
            HttpVersion::Http2 => Alpn::Http2,
        };
        errors.into_result()?;
        let Some(url) = url else { return Err(FieldError::new("url", "is no URL").into()) };
        Ok(Self {
            net: Net::shared(cx),
            url,
            method: method(settings.method),
            headers,
            public_headers,
            body,
            accept: settings.accept_status,
            checks,
            max_body: settings.max_body_bytes,
            inverted: settings.inverted,
            max_redirects: settings.follow_redirects.then_some(settings.max_redirects),
            tls: TlsSetup::new(&settings.tls, identity_files, alpn),
            version: settings.http_version,
            prefer: match settings.ip_version {
                IpVersion::Any => IpPreference::Any,
                IpVersion::PreferIpv4 => IpPreference::PreferV4,
                IpVersion::PreferIpv6 => IpPreference::PreferV6,
                IpVersion::OnlyIpv4 => IpPreference::OnlyV4,
                IpVersion::OnlyIpv6 => IpPreference::OnlyV6,
            },
            fixed: settings.fixed_address,
            proxy,
            masker,
        })
    }

    /// Whether the URL has the configured origin, so that credentials may go there. An upgrade to https on the same
    /// host counts as the same.
    pub(crate) fn is_home(&self, url: &Url) -> bool {
        url.host_str() == self.url.host_str()
            && ((url.scheme() == self.url.scheme()
                && url.port_or_known_default() == self.url.port_or_known_default())
                || (self.url.scheme() == "http"
                    && url.scheme() == "https"
                    && self.url.port_or_known_default() == Some(80)
                    && url.port_or_known_default() == Some(443)))
    }
}

impl Monitor for WebsiteMonitor {
    fn probe(&self, name: &str) -> Option<Box<dyn Probe>> {
        (name == ProbeSpec::AVAILABILITY)
            .then(|| Box::new(AvailabilityProbe::new(self.0.clone())) as Box<dyn Probe>)
    }

    fn host(&self) -> Option<&str> {
        self.0.url.host_str()
    }
}

/// The monitor: a shared website that its probes point to.
#[derive(Debug)]
pub(crate) struct WebsiteMonitor(pub(crate) Arc<Website>);

impl TlsSetup {
    fn new(tls: &Tls, identity_files: Option<(String, String)>, alpn: Alpn) -> Self {
        Self {
            verify: tls.verify,
            ca_file: tls.ca_file.clone(),
            identity_files,
            alpn,
            own: OnceCell::new(),
            foreign: OnceCell::new(),
        }
    }

    /// The configuration for the website itself, or without the client certificate for another host.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub(crate) async fn config(&self, net: &Net, is_home: bool) -> Result<Arc<rustls::ClientConfig>, String> {
        let cell = if is_home { &self.own } else { &self.foreign };
        let load = || async {
            let roots = match &self.ca_file {
                Some(path) => Some(read(path).await?),
                None => None,
            };
            let identity = match &self.identity_files {
                Some((certificate, key)) if is_home => {
                    Some(ClientIdentity::new(read(certificate).await?, read(key).await?))
                }
                _ => None,
            };
            net.tls_config(&TlsOptions {
                verify: if self.verify { Verify::Full } else { Verify::Nothing },
                roots,
                identity,
                alpn: self.alpn,
            })
        };
        cell.get_or_try_init(load).await.cloned()
    }
}

async fn read(path: &str) -> Result<Vec<u8>, String> {
    tokio::fs::read(path).await.map_err(|error| format!("cannot read {path}: {error}"))
}

fn parse_url(errors: &mut FieldErrors, field: &str, text: &str) -> Option<Url> {
    // The text may hold a password, so errors never show it.
    let hint = "use an address such as https://example.com/health";
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            errors.push(FieldError::new(field, format!("is no URL: {error}")).hint(hint));
            return None;
        }
    };
    if !matches!(url.scheme(), "http" | "https") {
        errors.push(FieldError::new(field, format!("only http and https, not {}", url.scheme())).hint(hint));
        return None;
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        errors.push(FieldError::new(field, "has no host, or the port 0").hint(hint));
        return None;
    }
    Some(url)
}

fn add_header(
    name: &str,
    value: &Secret,
    cx: &BuildContext,
    masker: &mut Masker,
    headers: &mut HeaderMap,
    public_headers: &mut HeaderMap,
) -> Result<(), FieldError> {
    let parsed =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| FieldError::new(name, "is no header name"))?;
    if RESERVED.contains(&parsed.as_str()) && parsed != HOST {
        return Err(FieldError::new(name, "is set by HTTP itself").hint("remove it"));
    }
    let text = value.resolve(cx.secrets()).map_err(|error| FieldError::new(name, error.to_string()))?;
    let mut header = HeaderValue::from_str(&text)
        .map_err(|_| FieldError::new(name, "the value holds characters that a header cannot carry"))?;
    let is_reference = !matches!(value.source(), wise_core::SecretSource::Text(_));
    if is_reference || is_secret_header(parsed.as_str()) {
        masker.add(&text);
        // The scheme before a token is no secret, and the token alone may turn up elsewhere.
        if let Some((_, token)) = text.split_once(' ') {
            masker.add(token);
        }
        header.set_sensitive(true);
    } else {
        public_headers.insert(parsed.clone(), header.clone());
    }
    headers.insert(parsed, header);
    Ok(())
}

fn add_auth(
    errors: &mut FieldErrors,
    auth: Option<&Auth>,
    url: &Url,
    cx: &BuildContext,
    masker: &mut Masker,
    headers: &mut HeaderMap,
) {
    let in_url = url.password().map(|password| (url.username(), password));
    let value = match (auth, in_url) {
        (Some(_), Some(_)) => {
            errors.push(FieldError::new("auth", "the URL has a password too").hint("keep one of the two"));
            return;
        }
        (None, None) => return,
        (None, Some((username, password))) => {
            let decode = |text: &str| percent_decode(text);
            masker.add(password);
            Ok(basic(&decode(username), &decode(password), masker))
        }
        (Some(Auth::Basic { username, password }), None) => password
            .resolve(cx.secrets())
            .map(|password| basic(username, &password, masker))
            .map_err(|e| ("auth.password", e)),
        (Some(Auth::Bearer { token }), None) => token
            .resolve(cx.secrets())
            .map(|token| {
                masker.add(&token);
                format!("Bearer {}", token.as_str())
            })
            .map_err(|error| ("auth.token", error)),
    };
    match value.map(|text| HeaderValue::from_str(&text)) {
        Ok(Ok(mut value)) => {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Err(_)) => errors.push(FieldError::new("auth", "holds characters that a header cannot carry")),
        Err((field, error)) => errors.push(FieldError::new(field, error.to_string())),
    }
}

/// The value of basic authentication. What a server may echo is masked in each of its forms.
pub(crate) fn basic(username: &str, password: &str, masker: &mut Masker) -> String {
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    masker.add(password);
    masker.add(&encoded);
    format!("Basic {encoded}")
}

/// A server may echo a body whole or in parts: each value in a form or in JSON is masked by itself too.
fn mask_body(body: &str, masker: &mut Masker) {
    masker.add(body);
    for pair in body.split('&') {
        if let Some((_, value)) = pair.split_once('=') {
            masker.add(value);
            masker.add(&percent_decode(&value.replace('+', " ")));
        }
    }
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(body) {
        let mut left = vec![&json];
        while let Some(value) = left.pop() {
            match value {
                serde_json::Value::String(text) => masker.add(text),
                serde_json::Value::Array(items) => left.extend(items),
                serde_json::Value::Object(map) => left.extend(map.values()),
                _ => {}
            }
        }
    }
}

fn method(method: config::Method) -> Method {
    match method {
        config::Method::Get => Method::GET,
        config::Method::Head => Method::HEAD,
        config::Method::Post => Method::POST,
        config::Method::Put => Method::PUT,
        config::Method::Patch => Method::PATCH,
        config::Method::Delete => Method::DELETE,
        config::Method::Options => Method::OPTIONS,
    }
}
