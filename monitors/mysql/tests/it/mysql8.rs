//! The login that MySQL 8 asks for by default (caching_sha2_password, when it has forgotten the account): a responder
//! plays the server's side as the documentation has it, "Caching_sha2_password information", for there is no MySQL 8
//! among the machine's packages.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wise_monitor_mysql::REGISTERED;
use wise_testbed::{Certificates, Watch, evidence};

use crate::SOON;

const PASSWORD: &str = "s3cret-pw";
/// Protocol 4.1, scrambles of 20 bytes, names of plugins; TLS is bit 11 of the lower half.
const LOWER: u16 = 0xf7ff;
const TLS: u16 = 0x0800;
const UPPER: u16 = 0x0008;
/// The private half is nowhere.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA3cWe9xX2PI2P+Zhyav54
nXkXVtn089YdJPcjIyeN7pPssxHwIr2+fnCwSB3d6//YaAzubQfzbmc7k52EBmRQ
CwKuG4hrAjfXTFYtyhlHrAhifnTO4j/H6cWw1Q8Ld0pdlJocAOWW8bN1+6lXcm/J
jQ2XvhYNFKBoswC2PLLMhSNBTQca3F1O3sZnaGkH94Ae9HDBaceY3t2QbS9jQRKJ
3pSDjsaAhnQDtVk+xUVY4w7e529nqLUUJi/UPQqYMLekZY43/ay2ywnnEst+cpN4
i9KeeblGkApqA3n1y0qHBPjFFcUwKJ6JqiDmK5NE9GOik9QLm7yl3AJbIHu34M9/
YwIDAQAB
-----END PUBLIC KEY-----
";

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A conversation whose packets have to be numbered without a gap.
struct Talk {
    stream: Box<dyn Stream>,
    number: u8,
}

impl Talk {
    async fn say(&mut self, payload: &[u8]) {
        let mut packet = (payload.len() as u32).to_le_bytes();
        packet[3] = self.number;
        self.number += 1;
        self.stream.write_all(&[&packet, payload].concat()).await.expect("the client takes a packet");
        self.stream.flush().await.expect("the client takes a packet");
    }

    async fn hear(&mut self) -> Vec<u8> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header).await.expect("the client sends a packet");
        assert_eq!(header[3], self.number, "the packet's number");
        self.number += 1;
        header[3] = 0;
        let mut payload = vec![0; u32::from_le_bytes(header) as usize];
        self.stream.read_exact(&mut payload).await.expect("the packet is whole");
        payload
    }
}

/// Lets one client log in, and answers what it sent as its password.
async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>) -> Vec<u8> {
    let (stream, _) = listener.accept().await.expect("a client");
    let mut talk = Talk { stream: Box::new(stream), number: 0 };
    let lower = LOWER | if tls.is_some() { TLS } else { 0 };
    let mut greeting = b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0".to_vec();
    greeting.extend(lower.to_le_bytes());
    greeting.extend(b"\xff\x02\0");
    greeting.extend(UPPER.to_le_bytes());
    greeting.extend(b"\x15\0\0\0\0\0\0\0\0\0\0ijklmnopqrst\0caching_sha2_password\0");
    talk.say(&greeting).await;
    let has_tls = tls.is_some();
    if let Some(acceptor) = tls {
        let request = talk.hear().await;
        assert_eq!((request.len(), request[1] & 0x08), (32, 0x08), "the request for TLS");
        talk.stream = Box::new(acceptor.accept(talk.stream).await.expect("TLS"));
    }
    let answer = talk.hear().await;
    assert!(answer.windows(4).any(|part| part == b"mon\0"), "the user's name");
    talk.say(b"\x01\x04").await;
    let mut password = talk.hear().await;
    if !has_tls {
        assert_eq!(password, [2], "the key is asked for");
        talk.say(&[b"\x01", KEY.as_bytes()].concat()).await;
        password = talk.hear().await;
    }
    talk.say(b"\0\0\0\x02\0\0\0").await;
    // Numbers begin again with each statement.
    talk.number = 0;
    let statement = talk.hear().await;
    assert!(statement.starts_with(b"\x03SELECT @@version"), "the first statement");
    talk.say(b"\xff\x1d\x04#08S01Server shutdown in progress").await;
    password
}

async fn log_in(acceptor: Option<TlsAcceptor>, tls: Value) -> (Vec<u8>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("mysql://mon@127.0.0.1:{}", listener.local_addr().expect("a port").port());
    let mut watch = Watch::new(&REGISTERED, json!({"url": url, "password": PASSWORD, "tls": tls}));
    let server = tokio::spawn(serve(listener, acceptor));
    let report = watch.check_within("availability", SOON).await;
    let sent = server.await.expect("the responder heard what it expects");
    let failure = report.failure.as_ref().expect("the first statement fails");
    assert_eq!((failure.class.name, failure.code.as_deref()), ("shutting_down", Some("1053")));
    (sent, evidence(&report))
}

#[tokio::test]
async fn over_tls_the_password_goes_as_it_is() {
    let certificates = Certificates::default();
    let chain = vec![CertificateDer::from_pem_file(&certificates.server).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificates.server_key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (sent, evidence) =
        log_in(Some(acceptor), json!({"mode": "verify-full", "ca_file": certificates.ca})).await;
    assert_eq!(sent, format!("{PASSWORD}\0").as_bytes());
    assert!(evidence.contains("cipher") && evidence.contains("tls_ms"), "{evidence}");
}

#[tokio::test]
async fn in_plain_text_the_password_goes_under_the_servers_key() {
    let (sent, evidence) = log_in(None, json!({})).await;
    assert_eq!(sent.len(), 256, "one block of the key");
    assert!(!sent.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()));
    assert!(evidence.contains("plain text"), "{evidence}");
}
