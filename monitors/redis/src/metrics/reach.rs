//! Reaching the server.

use wise_core::{MetricSpec, Threshold};

use super::seconds;

wise_core::metrics! {
    /// Measurements of the login and of the server's start.
    pub(crate) ALL;
    TOTAL = MetricSpec::latency("redis.total_seconds", "Response time",
        "Time of the whole check: name, connection, TLS, login, INFO and PING on a fresh connection");
    DNS = MetricSpec::latency("redis.stage.dns_seconds", "DNS", "Time to resolve the name; zero for an address");
    CONNECT = MetricSpec::latency("redis.stage.connect_seconds", "Connect", "Time to open the TCP connection");
    TLS = MetricSpec::latency("redis.stage.tls_seconds", "TLS", "Time of the TLS handshake, never a resumed one");
    AUTH = MetricSpec::latency("redis.stage.auth_seconds", "Login", "Time of AUTH; not there without credentials");
    HANDSHAKE = MetricSpec::latency("redis.stage.handshake_seconds", "Handshake",
        "Time of CLIENT SETNAME and SELECT: the first answers that need no right to data");
    ROLE = MetricSpec::latency("redis.stage.role_seconds", "INFO",
        "Time of INFO, which says role and state, and is answered even while data is loaded");
    QUERY = MetricSpec::latency("redis.stage.query_seconds", "PING",
        "Time of PING, which the server refuses while it loads data or may not write");
    CERTIFICATE = MetricSpec::gauge("redis.certificate.expires_in_days", "days", "Certificate expires in",
        "Days until the earliest expiry in the certificate chain that the server showed; negative after it")
        .resolution(0.001).threshold(Threshold::below(Some(21.0), Some(7.0)).hysteresis(0.0));
    UPTIME = seconds("redis.uptime_seconds", "Uptime", "Time since the server was started, uptime_in_seconds of INFO");
    RESTARTED = MetricSpec::state("redis.restarted_state", "Recently restarted",
        "1 in the minute after a restart that was seen from here: the uptime went back")
        .threshold(Threshold::above(Some(1.0), None).hysteresis(0.0));
    LOADING_ETA = seconds("redis.loading.eta_seconds", "Loading, time left",
        "Time until the data is loaded as the server estimates it, loading_eta_seconds; not there when nothing is loaded");
    LOADED = MetricSpec::ratio("redis.loading.loaded_ratio", "Loaded",
        "Share of the data that is loaded, loading_loaded_perc; not there when nothing is loaded");
}

/// The stages of a login and their metrics.
pub(crate) static STAGES: [(&str, &MetricSpec); 7] = [
    ("dns", &DNS),
    ("connect", &CONNECT),
    ("tls", &TLS),
    ("auth", &AUTH),
    ("handshake", &HANDSHAKE),
    ("role", &ROLE),
    ("query", &QUERY),
];
