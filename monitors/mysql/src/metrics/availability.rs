//! What the availability probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    DNS = MetricSpec::latency("mysql.stage.dns_seconds", "DNS", "Time to resolve the name; zero for an address");
    CONNECT = MetricSpec::latency(
        "mysql.stage.connect_seconds", "Connect", "Time to open the TCP connection or the Unix socket");
    HANDSHAKE = MetricSpec::latency(
        "mysql.stage.handshake_seconds", "Handshake",
        "Time until the server's greeting; a server that looks up names of clients does so here");
    TLS = MetricSpec::latency("mysql.stage.tls_seconds", "TLS", "Time of the TLS handshake");
    AUTH = MetricSpec::latency("mysql.stage.auth_seconds", "Login", "Time from the user name until the session is ready");
    ROLE = MetricSpec::latency(
        "mysql.stage.role_seconds", "Role", "Time to ask for version, read_only and uptime, and to set limits");
    QUERY = MetricSpec::latency("mysql.stage.query_seconds", "Query", "Time of SELECT 1");
    TOTAL = MetricSpec::latency(
        "mysql.total_seconds", "Check time", "Time of the whole check, from the name to the answer of SELECT 1")
        .threshold(Threshold::above(None, None).checks(2));
    CERTIFICATE = MetricSpec::gauge(
        "mysql.certificate.expires_in_days", "days", "Certificate expires in",
        "Days until the server's certificate expires; only over TLS")
        .resolution(0.001)
        .threshold(Threshold::below(Some(21.0), Some(7.0)).hysteresis(0.0));
    UPTIME = MetricSpec::gauge("mysql.server.uptime_seconds", "seconds", "Uptime", "Status variable Uptime")
        .resolution(1.0);
    READ_ONLY = MetricSpec::gauge(
        "mysql.server.read_only_state", "state", "Read-only",
        "0 writable, 1 read_only, 2 super_read_only (or a stricter read_only of MariaDB)").resolution(1.0);
}
