//! The settings of a website monitor. The doc comments are the documentation that users read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wise_core::{BuildContext, FieldErrors, Monitor, MonitorSettings, Secret};

use crate::assertion::Assertion;
use crate::status_codes::StatusRange;
use crate::target::{Website, WebsiteMonitor};

/// Default for `max_body_bytes`.
const DEFAULT_BODY: u64 = 1024 * 1024;

/// What to request and what to expect. Not `Debug`: URLs may hold passwords.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebsiteSettings {
    /// Address of the page, http or https. A user name and password in it are sent as basic authentication.
    #[schemars(title = "URL", extend("x-wise" = "url", "format" = "uri", "examples" = ["https://example.com/health"]))]
    pub url: String,

    /// Request method.
    #[serde(default)]
    #[schemars(title = "Method", extend("x-wise-group" = "Request"))]
    pub method: Method,
    /// Request headers. Values may be references to secrets; those of headers that authenticate are never shown.
    #[serde(default)]
    #[schemars(title = "Headers", extend("x-wise" = "headers", "x-wise-group" = "Request"))]
    pub headers: BTreeMap<String, Secret>,
    /// Request body. Kept as a secret, because bodies often hold one.
    #[serde(default)]
    #[schemars(title = "Body", extend("x-wise-group" = "Request", "x-wise-multiline" = true))]
    pub body: Option<Secret>,
    /// How to log in.
    #[serde(default)]
    #[schemars(title = "Authentication", extend("x-wise-group" = "Request"))]
    pub auth: Option<Auth>,

    /// Status codes that count as success: codes, ranges or classes.
    #[serde(default = "default_status")]
    #[schemars(title = "Accepted status codes", extend("x-wise-group" = "Expectations"))]
    pub accept_status: Vec<StatusRange>,
    /// What must hold besides the status code.
    #[serde(default)]
    #[schemars(title = "Assertions", extend("x-wise-group" = "Expectations"))]
    pub assertions: Vec<Assertion>,
    /// Read at most this many bytes of the body; the rest counts only when an assertion needs it.
    #[serde(default = "default_body")]
    #[schemars(title = "Body cap in bytes", range(min = 0, max = 67_108_864), extend("x-wise-group" = "Expectations"))]
    pub max_body_bytes: u64,
    /// Turn the outcome round: success when the check fails through the target, failure when it passes.
    #[serde(default)]
    #[schemars(title = "Inverted", extend("x-wise-group" = "Expectations"))]
    pub inverted: bool,

    /// Follow redirects; credentials are not sent to another host.
    #[serde(default = "default_true")]
    #[schemars(title = "Follow redirects", extend("x-wise-group" = "Redirects"))]
    pub follow_redirects: bool,
    /// Redirects followed at most.
    #[serde(default = "default_redirects")]
    #[schemars(title = "Redirect limit", range(min = 0, max = 50), extend("x-wise-group" = "Redirects"))]
    pub max_redirects: u32,

    /// How to treat certificates.
    #[serde(default)]
    #[schemars(title = "TLS", extend("x-wise-group" = "TLS"))]
    pub tls: Tls,

    /// HTTP version. Over TLS `auto` lets the server choose; without TLS it is HTTP/1.1.
    #[serde(default)]
    #[schemars(title = "HTTP version", extend("x-wise-group" = "Connection"))]
    pub http_version: HttpVersion,
    /// Which addresses of the name to use.
    #[serde(default)]
    #[schemars(title = "IP version", extend("x-wise-group" = "Connection"))]
    pub ip_version: IpVersion,
    /// Connect to this address instead of resolving the name.
    #[serde(default)]
    #[schemars(title = "Fixed address", with = "Option<String>", extend("x-wise-group" = "Connection"))]
    pub fixed_address: Option<IpAddr>,
    /// HTTP proxy to go through, such as `http://user:password@proxy.example:3128`. Trouble with the proxy is ours,
    /// not the target's.
    #[serde(default)]
    #[schemars(title = "Proxy", extend("x-wise" = "url", "x-wise-group" = "Connection"))]
    pub proxy: Option<String>,
}

/// A request method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    #[default]
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

/// A login.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// Basic authentication.
    Basic {
        /// User name.
        #[schemars(title = "User name")]
        username: String,
        /// Password.
        #[schemars(title = "Password")]
        password: Secret,
    },
    /// Bearer token.
    Bearer {
        /// Token.
        #[schemars(title = "Token")]
        token: Secret,
    },
}

/// TLS settings.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Refuse certificates that are expired, for another host, or signed by no one we trust.
    #[serde(default = "default_true")]
    #[schemars(title = "Verify certificates")]
    pub verify: bool,
    /// PEM file with the certificates to trust instead of the system's.
    #[serde(default)]
    #[schemars(title = "CA file")]
    pub ca_file: Option<String>,
    /// PEM file with the client certificate and its chain.
    #[serde(default)]
    #[schemars(title = "Client certificate file")]
    pub client_certificate_file: Option<String>,
    /// PEM file with the client certificate's private key.
    #[serde(default)]
    #[schemars(title = "Client key file")]
    pub client_key_file: Option<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { verify: true, ca_file: None, client_certificate_file: None, client_key_file: None }
    }
}

/// HTTP versions to offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum HttpVersion {
    /// What the server prefers.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// Only HTTP/1.1.
    #[serde(rename = "1.1")]
    Http1,
    /// Only HTTP/2; without TLS by prior knowledge.
    #[serde(rename = "2")]
    Http2,
}

/// Which addresses to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IpVersion {
    /// Both, IPv6 first.
    #[default]
    Any,
    /// IPv4 first.
    PreferIpv4,
    /// IPv6 first.
    PreferIpv6,
    /// Only IPv4.
    OnlyIpv4,
    /// Only IPv6.
    OnlyIpv6,
}

fn default_true() -> bool {
    true
}

fn default_body() -> u64 {
    DEFAULT_BODY
}

fn default_redirects() -> u32 {
    10
}

fn default_status() -> Vec<StatusRange> {
    vec![StatusRange::SUCCESS]
}

impl MonitorSettings for WebsiteSettings {
    fn example() -> Value {
        json!({
            "url": "https://example.com/health",
            "accept_status": ["200-299"],
            "assertions": [{"on": "json", "path": "$.status", "op": "equals", "value": "ok"}]
        })
    }

    fn build(self, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        Ok(Arc::new(WebsiteMonitor(Arc::new(Website::new(self, cx)?))))
    }
}
