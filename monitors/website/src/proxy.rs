//! Going through an HTTP proxy. Its trouble is ours: the target has not been asked yet.

use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;
use wise_core::{Failure, FieldError, Masker, common};
use wise_net::{Host, IpPreference, Stage, Target, Trace, percent_decode};

use crate::target::basic;

/// Longest head of an answer to CONNECT.
const MAX_HEAD: usize = 8 * 1024;

#[derive(Debug)]
pub(crate) struct Proxy {
    host: Host,
    port: u16,
    pub(crate) authorization: Option<HeaderValue>,
}

impl Proxy {
    pub(crate) fn parse(text: &str, masker: &mut Masker) -> Result<Self, FieldError> {
        let wrong = |reason: String| {
            FieldError::new("proxy", reason).hint("use an address such as http://proxy.example:3128")
        };
        let url = Url::parse(text).map_err(|error| wrong(format!("is no URL: {error}")))?;
        if url.scheme() != "http" {
            return Err(wrong(format!("only http proxies, not {}", url.scheme())));
        }
        let host =
            url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("has no host".to_owned()))?;
        let authorization = match url.password() {
            None => None,
            Some(password) => {
                masker.add(password);
                let text = basic(&percent_decode(url.username()), &percent_decode(password), masker);
                let value = HeaderValue::from_str(&text)
                    .map_err(|_| wrong("holds characters that a header cannot carry".to_owned()))?;
                Some(value)
            }
        };
        Ok(Self { host: Host::parse(host), port: url.port_or_known_default().unwrap_or(80), authorization })
    }

    pub(crate) fn target(&self, prefer: IpPreference) -> Target {
        Target { host: self.host.clone(), port: self.port, prefer, fixed: None }
    }

    /// Opens a tunnel to `authority`.
    pub(crate) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        authority: &str,
        trace: &mut Trace,
    ) -> Result<(), Failure> {
        trace.begin(Stage::Protocol("proxy"));
        let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let lost =
            |error: std::io::Error| ours("proxy_lost", format!("the proxy ended the connection: {error}"));
        stream.write_all(&request).await.map_err(lost)?;
        let mut head = Vec::with_capacity(256);
        // Byte by byte, so that nothing of the tunnel is read: heads are short and come in one segment.
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() > MAX_HEAD {
                return Err(ours("proxy_protocol", "the proxy's answer is too long".to_owned()));
            }
            head.push(stream.read_u8().await.map_err(lost)?);
        }
        let text = String::from_utf8_lossy(&head);
        let code = text
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse::<u16>().ok())
            .filter(|_| text.starts_with("HTTP/1."));
        match code {
            Some(200..=299) => Ok(()),
            Some(407) => Err(ours("proxy_auth", "the proxy wants another login".to_owned())),
            // The proxy tried and could not reach the target: that is about the target.
            Some(code @ (502..=504)) => Err(Failure::new(
                &common::UNREACHABLE,
                format!("the proxy cannot reach {authority}: it answers {code}"),
            )
            .code(format!("proxy_{code}"))),
            Some(code) => {
                Err(ours("proxy_refused", format!("the proxy refuses to connect to {authority} with {code}")))
            }
            None => Err(ours("proxy_protocol", "the proxy does not answer in HTTP".to_owned())),
        }
    }
}

/// A failure on the way to the proxy, blamed on us.
pub(crate) fn blame_proxy(failure: Failure) -> Failure {
    if failure.class.fault == wise_core::Fault::Own {
        return failure;
    }
    ours(&format!("proxy_{}", failure.class.name), format!("the proxy cannot be used: {}", failure.message))
}

fn ours(code: &str, message: String) -> Failure {
    Failure::new(&common::NO_EGRESS, message).code(code.to_owned())
}
