//! The metric catalogue.

use wise_core::{Direction, MetricSpec, Threshold};

wise_core::metrics! {
    /// Every measurement.
    pub(crate) ALL;
    DNS = MetricSpec::latency(
        "website.phase.dns_seconds",
        "DNS",
        "Time to resolve the name, summed over redirects; zero for an address or a fixed address",
    );
    CONNECT = MetricSpec::latency(
        "website.phase.connect_seconds",
        "Connect",
        "Time to open the TCP connection, summed over redirects",
    );
    TLS = MetricSpec::latency(
        "website.phase.tls_seconds",
        "TLS",
        "Time of the TLS handshake, never a resumed one, summed over redirects",
    );
    FIRST_BYTE = MetricSpec::latency(
        "website.phase.first_byte_seconds",
        "First byte",
        "Time from sending the request to the head of the answer, summed over redirects",
    );
    TRANSFER = MetricSpec::latency(
        "website.phase.transfer_seconds",
        "Transfer",
        "Time to read the body up to the cap, summed over redirects",
    );
    TOTAL = MetricSpec::latency(
        "website.total_seconds",
        "Response time",
        "Time of the whole check, from the name to the end of the body",
    )
    .threshold(Threshold {
        direction: Direction::Above,
        warning: None,
        critical: None,
        hysteresis: 0.1,
        checks: 2,
    });
    STATUS = MetricSpec::gauge(
        "website.response.status_state",
        "state",
        "Status code",
        "HTTP status code of the last answer, a redirect only when it is not followed",
    )
    .resolution(1.0);
    BODY = MetricSpec::gauge(
        "website.response.body_bytes",
        "bytes",
        "Body size",
        "Bytes of the body that were read, at most the cap",
    )
    .resolution(1.0);
    REDIRECTS = MetricSpec::gauge("website.redirects_count", "count", "Redirects", "Redirects that were followed")
        .resolution(1.0);
    CERTIFICATE = MetricSpec::gauge(
        "website.certificate.expires_in_days",
        "days",
        "Certificate expires in",
        "Days until the earliest expiry in the certificate chains that were shown; negative after it",
    )
    .resolution(0.001)
    .threshold(Threshold {
        direction: Direction::Below,
        warning: Some(21.0),
        critical: Some(7.0),
        hysteresis: 0.0,
        checks: 1,
    });
}
