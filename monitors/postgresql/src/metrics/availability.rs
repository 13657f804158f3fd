//! What the availability probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    DNS = MetricSpec::latency("postgresql.stage.dns_seconds", "DNS", "Time to resolve the name; zero for an address");
    CONNECT = MetricSpec::latency(
        "postgresql.stage.connect_seconds", "Connect", "Time to open the TCP connection or the Unix socket");
    HANDSHAKE = MetricSpec::latency(
        "postgresql.stage.handshake_seconds", "Handshake", "Time to agree on whether to use TLS (SSLRequest)");
    TLS = MetricSpec::latency("postgresql.stage.tls_seconds", "TLS", "Time of the TLS handshake");
    AUTH = MetricSpec::latency(
        "postgresql.stage.auth_seconds", "Login", "Time from the startup message until the session is ready");
    ROLE = MetricSpec::latency(
        "postgresql.stage.role_seconds", "Role", "Time to ask for role, start time and version");
    QUERY = MetricSpec::latency("postgresql.stage.query_seconds", "Query", "Time of SELECT 1");
    TOTAL = MetricSpec::latency(
        "postgresql.total_seconds", "Check time", "Time of the whole check, from the name to the answer of SELECT 1")
        .threshold(Threshold::above(None, None).checks(2));
    CERTIFICATE = MetricSpec::gauge(
        "postgresql.certificate.expires_in_days", "days", "Certificate expires in",
        "Days until the server's certificate expires; only over TLS")
        .resolution(0.001)
        .threshold(Threshold::below(Some(21.0), Some(7.0)).hysteresis(0.0));
    UPTIME = MetricSpec::gauge(
        "postgresql.server.uptime_seconds", "seconds", "Uptime", "Time since pg_postmaster_start_time()")
        .resolution(1.0);
    ROLE_STATE = MetricSpec::gauge(
        "postgresql.server.role_state", "state", "Role", "0 for a primary, 1 for a standby (pg_is_in_recovery())")
        .resolution(1.0);
    READ_ONLY = MetricSpec::gauge(
        "postgresql.server.read_only_state", "state", "Read-only",
        "1 when new transactions only read: a standby, or default_transaction_read_only")
        .resolution(1.0);
    TIMELINE = MetricSpec::gauge(
        "postgresql.server.timeline_count", "count", "Timeline",
        "Number of the timeline (pg_control_checkpoint()); it goes up at each promotion")
        .resolution(1.0);
}
