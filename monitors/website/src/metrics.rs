//! The metric catalogue.

use wise_core::{Direction, MetricSpec, Threshold};

pub(crate) const TOTAL_NAME: &str = "website.total_seconds";

/// Every measurement. The constants below index it, so that name, unit and help stand in one place.
pub(crate) static ALL: &[MetricSpec] = &[
    MetricSpec::latency(
        "website.phase.dns_seconds",
        "DNS",
        "Time to resolve the name, summed over redirects; zero for an address or a fixed address",
    ),
    MetricSpec::latency(
        "website.phase.connect_seconds",
        "Connect",
        "Time to open the TCP connection, summed over redirects",
    ),
    MetricSpec::latency(
        "website.phase.tls_seconds",
        "TLS",
        "Time of the TLS handshake, never a resumed one, summed over redirects",
    ),
    MetricSpec::latency(
        "website.phase.first_byte_seconds",
        "First byte",
        "Time from sending the request to the head of the answer, summed over redirects",
    ),
    MetricSpec::latency(
        "website.phase.transfer_seconds",
        "Transfer",
        "Time to read the body up to the cap, summed over redirects",
    ),
    MetricSpec::latency(
        TOTAL_NAME,
        "Response time",
        "Time of the whole check, from the name to the end of the body",
    )
    .threshold(Threshold {
        direction: Direction::Above,
        warning: None,
        critical: None,
        hysteresis: 0.1,
        checks: 2,
    }),
    MetricSpec::gauge(
        "website.response.status_state",
        "state",
        "Status code",
        "HTTP status code of the last answer, a redirect only when it is not followed",
    )
    .resolution(1.0),
    MetricSpec::gauge(
        "website.response.body_bytes",
        "bytes",
        "Body size",
        "Bytes of the body that were read, at most the cap",
    )
    .resolution(1.0),
    MetricSpec::gauge("website.redirects_count", "count", "Redirects", "Redirects that were followed")
        .resolution(1.0),
    MetricSpec::gauge(
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
    }),
];

pub(crate) const DNS: usize = 0;
pub(crate) const CONNECT: usize = 1;
pub(crate) const TLS: usize = 2;
pub(crate) const FIRST_BYTE: usize = 3;
pub(crate) const TRANSFER: usize = 4;
pub(crate) const TOTAL: usize = 5;
pub(crate) const STATUS: usize = 6;
pub(crate) const BODY: usize = 7;
pub(crate) const REDIRECTS: usize = 8;
pub(crate) const CERTIFICATE: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_indices_name_what_they_say() {
        let pairs = [
            (DNS, "dns"),
            (CONNECT, "connect"),
            (TLS, "tls"),
            (FIRST_BYTE, "first_byte"),
            (TRANSFER, "transfer"),
            (TOTAL, "total"),
            (STATUS, "status"),
            (BODY, "body"),
            (REDIRECTS, "redirects"),
            (CERTIFICATE, "certificate"),
        ];
        assert_eq!(pairs.len(), ALL.len());
        for (index, word) in pairs {
            assert!(ALL[index].name.contains(word), "{index} is not {word}");
        }
    }
}
