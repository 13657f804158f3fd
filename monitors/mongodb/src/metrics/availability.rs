//! What the availability probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    DNS = MetricSpec::latency("mongodb.stage.dns_seconds", "DNS", "Time to resolve the name; zero for an address");
    CONNECT = MetricSpec::latency(
        "mongodb.stage.connect_seconds", "Connect", "Time to open the TCP connection or the Unix socket");
    TLS = MetricSpec::latency("mongodb.stage.tls_seconds", "TLS", "Time of the TLS handshake");
    HANDSHAKE = MetricSpec::latency(
        "mongodb.stage.handshake_seconds", "Handshake", "Time until the server has said what it is (hello), before any login");
    AUTH = MetricSpec::latency(
        "mongodb.stage.auth_seconds", "Login", "Time from the start of the driver to the first answer after the login");
    ROLE = MetricSpec::latency(
        "mongodb.stage.role_seconds", "Version and start", "Time to ask for version and start time (buildInfo, serverStatus)");
    QUERY = MetricSpec::latency("mongodb.stage.query_seconds", "Ping", "Time of a ping");
    TOTAL = MetricSpec::latency(
        "mongodb.total_seconds", "Check time", "Time of the whole check, from the name to the answer of the ping")
        .threshold(Threshold::above(None, None).checks(2));
    CERTIFICATE = MetricSpec::gauge(
        "mongodb.certificate.expires_in_days", "days", "Certificate expires in",
        "Days until the server's certificate expires; only over TLS")
        .resolution(0.001)
        .threshold(Threshold::below(Some(21.0), Some(7.0)).hysteresis(0.0));
    UPTIME = MetricSpec::gauge(
        "mongodb.server.uptime_seconds", "seconds", "Uptime", "Time since the start (serverStatus.uptime)").resolution(1.0);
    ROLE_STATE = MetricSpec::gauge(
        "mongodb.server.role_state", "state", "Role",
        "0 primary, 1 secondary, 2 arbiter, 3 mongos, 4 standalone, 5 not ready, 6 without a configuration (hello)")
        .resolution(1.0);
    WRITABLE = MetricSpec::gauge(
        "mongodb.server.writable_state", "state", "Takes writes", "1 when the server takes writes (hello)").resolution(1.0);
}
