//! Errors of the operating system and of TLS into classes, by code and never by message.

use std::io;
use std::net::SocketAddr;

use wise_core::{ErrorClass, Failure, common};

use crate::certificate::Certificate;

// Linux errno values; std has no stable `ErrorKind` for all of them.
const EPERM: i32 = 1;
const EAGAIN: i32 = 11;
const ENOMEM: i32 = 12;
const EACCES: i32 = 13;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const EADDRNOTAVAIL: i32 = 99;
const ENETDOWN: i32 = 100;
const ENETUNREACH: i32 = 101;
const ENOBUFS: i32 = 105;
const ETIMEDOUT: i32 = 110;
const EHOSTDOWN: i32 = 112;
const EHOSTUNREACH: i32 = 113;

/// Class and code of an I/O error on the way to `address`.
pub fn classify_io(error: &io::Error, address: Option<SocketAddr>) -> (&'static ErrorClass, &'static str) {
    if let Some(code) = error.raw_os_error() {
        match code {
            EMFILE | ENFILE => return (&common::LOCAL_RESOURCES, "files"),
            EADDRNOTAVAIL | EAGAIN => return (&common::LOCAL_RESOURCES, "ports"),
            ENOBUFS | ENOMEM => return (&common::LOCAL_RESOURCES, "memory"),
            // A local packet filter refuses to send.
            EPERM | EACCES => return (&common::NO_EGRESS, "firewall"),
            ENETDOWN => return (&common::NO_EGRESS, "interface_down"),
            // A router far away can cause these as well as our own routing table: only the latter is our fault.
            ENETUNREACH | EHOSTUNREACH | EHOSTDOWN => {
                return match address {
                    Some(address) if !has_route(address) => (&common::NO_EGRESS, "no_route"),
                    _ => (&common::UNREACHABLE, "unreachable"),
                };
            }
            ETIMEDOUT => return (&common::TIMEOUT, "connect"),
            _ => {}
        }
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => (&common::REFUSED, "refused"),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => (&common::RESET, "reset"),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotConnected => {
            (&common::RESET, "closed")
        }
        io::ErrorKind::TimedOut => (&common::TIMEOUT, "connect"),
        _ => (&common::PROTOCOL, "io"),
    }
}

/// Whether this machine itself knows a way to the address: connecting a UDP socket asks the routing table and sends
/// nothing.
fn has_route(address: SocketAddr) -> bool {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    std::net::UdpSocket::bind(any).and_then(|socket| socket.connect(address)).is_ok()
}

/// The failure of a TLS handshake.
pub fn classify_tls(error: &io::Error, chain: &[Certificate], host: &str, peer: &str) -> Failure {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        let (class, code) = classify_io(error, None);
        return Failure::new(class, format!("{peer} ended the connection during the TLS handshake"))
            .code(code);
    };
    let (code, message) = describe_tls(tls, chain, host);
    Failure::new(&common::TLS, message).code(code)
}

fn describe_tls(error: &rustls::Error, chain: &[Certificate], host: &str) -> (String, String) {
    use rustls::{AlertDescription, CertificateError as Bad, Error};
    let leaf = chain.first();
    let owned = |code: &str, message: String| (code.to_owned(), message);
    match error {
        Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            // Any certificate of the chain may be the one that has expired.
            let worst = chain.iter().min_by_key(|certificate| certificate.not_after);
            let what = worst.map_or_else(String::new, |c| format!(" `{}` on {}", c.subject, c.not_after));
            owned("expired", format!("a certificate has expired:{what}"))
        }
        Error::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => owned(
            "not_yet_valid",
            "a certificate is not valid yet; check the clocks of both machines".to_owned(),
        ),
        Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            let names = leaf.map_or_else(String::new, |c| c.names.join(", "));
            owned("wrong_host", format!("the certificate is not for {host}; it names: {names}"))
        }
        Error::InvalidCertificate(Bad::Revoked) => owned("revoked", "the certificate is revoked".to_owned()),
        Error::InvalidCertificate(Bad::BadSignature) => owned(
            "bad_signature",
            "a signature in the chain is wrong: a certificate is forged or damaged".to_owned(),
        ),
        Error::InvalidCertificate(Bad::UnknownIssuer) => unknown_issuer(chain),
        Error::InvalidCertificate(Bad::Other(_)) if leaf.is_some_and(Certificate::is_self_issued) => {
            unknown_issuer(chain)
        }
        Error::InvalidCertificate(other) => {
            owned("invalid_certificate", format!("the certificate is not acceptable: {other:?}"))
        }
        Error::NoCertificatesPresented => {
            owned("no_certificate", "the server showed no certificate".to_owned())
        }
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            owned("client_certificate", "the server wants a client certificate".to_owned())
        }
        Error::AlertReceived(alert) => {
            owned("alert", format!("the server ended the handshake with the alert {alert:?}"))
        }
        Error::PeerIncompatible(why) => {
            owned("incompatible", format!("no TLS version or cipher in common: {why:?}"))
        }
        Error::InvalidMessage(_) => owned("not_tls", "what came back is not TLS".to_owned()),
        Error::NoApplicationProtocol => {
            owned("alpn", "the server speaks none of the HTTP versions asked for".to_owned())
        }
        other => owned("handshake", format!("the handshake failed: {other}")),
    }
}

/// A chain that leads to no trusted root has three different hints, so it has three codes.
fn unknown_issuer(chain: &[Certificate]) -> (String, String) {
    let (Some(leaf), Some(top)) = (chain.first(), chain.last()) else {
        return ("unknown_issuer".to_owned(), "the certificate is signed by no one we trust".to_owned());
    };
    if leaf.is_self_issued() {
        return ("self_signed".to_owned(), format!("the certificate `{}` is signed by itself", leaf.subject));
    }
    if top.is_self_issued() {
        return (
            "unknown_issuer".to_owned(),
            format!("the chain ends in `{}`, which is not among the trusted roots", top.subject),
        );
    }
    (
        "incomplete_chain".to_owned(),
        format!(
            "the server did not send the certificate of `{}`, and it is not among the trusted roots",
            top.issuer
        ),
    )
}
