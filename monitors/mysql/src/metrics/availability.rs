//! What the availability probe measures.

use wise_core::{MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement of the probe.
    pub(crate) ALL;
    DNS = MetricSpec::latency("mysql.stage.dns_seconds", "DNS", "Time to resolve the name; zero for an address");
    LOGIN = MetricSpec::latency(
        "mysql.stage.login_seconds", "Login",
        "Time to connect, agree on TLS and log in: the client library does these in one go");
    ROLE = MetricSpec::latency(
        "mysql.stage.role_seconds", "Role", "Time to ask for version, read_only and uptime, and to set limits");
    QUERY = MetricSpec::latency("mysql.stage.query_seconds", "Query", "Time of SELECT 1");
    TOTAL = MetricSpec::latency(
        "mysql.total_seconds", "Check time", "Time of the whole check, from the name to the answer of SELECT 1")
        .threshold(Threshold::above(None, None).checks(2));
    UPTIME = MetricSpec::gauge("mysql.server.uptime_seconds", "seconds", "Uptime", "Status variable Uptime")
        .resolution(1.0);
    READ_ONLY = MetricSpec::gauge(
        "mysql.server.read_only_state", "state", "Read-only",
        "0 writable, 1 read_only, 2 super_read_only (or a stricter read_only of MariaDB)").resolution(1.0);
}
