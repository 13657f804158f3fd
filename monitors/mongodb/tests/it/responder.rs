//! A server that answers OP_MSG with what a test wants: replica sets, error codes, silence, junk.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bson::{Bson, Document, doc};
use wise_testbed::Certificates;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// This document, with `ok: 1`.
    Is(Document),
    /// An error with this code.
    Error(i32),
    /// None, and the connection stays open.
    Silence,
    /// None, and the connection ends.
    HangUp,
    /// These bytes in the place of a message.
    Junk(Vec<u8>),
}

type Answers = Arc<Mutex<HashMap<String, Answer>>>;

/// Answers by the name of the command; of `aggregate` by its first stage as well (`aggregate $currentOp`), of `find` by
/// the direction of its order (`find -1`).
#[derive(Debug)]
pub(crate) struct Responder {
    pub(crate) port: u16,
    answers: Answers,
    seen: Arc<Mutex<Vec<Document>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    pub(crate) fn new(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        Self::start(answers, None)
    }

    pub(crate) fn with_tls(
        answers: impl IntoIterator<Item = (&'static str, Answer)>,
        certificates: &Certificates,
    ) -> Self {
        Self::start(answers, Some(tls(certificates)))
    }

    fn start(
        answers: impl IntoIterator<Item = (&'static str, Answer)>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let usual = [("ping", Answer::Is(doc! {})), ("buildInfo", Answer::Is(doc! {"version": "7.0.14"}))];
        let answers = usual.into_iter().chain(answers).map(|(name, answer)| (name.to_owned(), answer));
        let answers: Answers = Arc::new(Mutex::new(answers.collect()));
        let listener = TcpListener::bind("127.0.0.1:0").expect("as the test wants it");
        let port = listener.local_addr().expect("as the test wants it").port();
        let (seen, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (answers, seen, is_over) = (answers.clone(), seen.clone(), is_over.clone());
            move || {
                for stream in listener.incoming() {
                    let Ok(stream) = stream else { return };
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let (answers, seen, tls) = (answers.clone(), seen.clone(), tls.clone());
                    // It ends with its connection.
                    std::thread::spawn(move || {
                        let stream: Box<dyn Stream> = match tls {
                            Some(config) => {
                                let session = rustls::ServerConnection::new(config).expect("TLS");
                                Box::new(rustls::StreamOwned::new(session, stream))
                            }
                            None => Box::new(stream),
                        };
                        serve(stream, &answers, &seen);
                    });
                }
            }
        });
        Self { port, answers, seen, is_over, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("mongodb://127.0.0.1:{}", self.port)
    }

    /// Serves one connection to a Unix socket, in a folder of its own.
    pub(crate) fn listen_on_socket(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mongodb-27017.sock");
        let listener = std::os::unix::net::UnixListener::bind(path).expect("a socket");
        let (answers, seen) = (self.answers.clone(), self.seen.clone());
        std::thread::spawn(move || {
            if let Ok((stream, _)) = listener.accept() {
                serve(Box::new(stream), &answers, &seen);
            }
        });
        folder
    }

    /// Answers a command otherwise from now on.
    pub(crate) fn set(&self, command: &str, answer: Answer) {
        self.answers.lock().expect("as the test wants it").insert(command.to_owned(), answer);
    }

    /// The commands that came, by their names.
    pub(crate) fn commands(&self, name: &str) -> Vec<Document> {
        let seen = self.seen.lock().expect("as the test wants it");
        seen.iter()
            .filter(|command| command.keys().next().is_some_and(|first| first == name))
            .cloned()
            .collect()
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn serve(mut stream: Box<dyn Stream>, answers: &Answers, seen: &Mutex<Vec<Document>>) {
    loop {
        let mut header = [0; 16];
        if stream.read_exact(&mut header).is_err() {
            return;
        }
        let length = i32::from_le_bytes(header[..4].try_into().expect("as the test wants it"));
        let mut body = vec![0; usize::try_from(length).expect("as the test wants it") - 16];
        if stream.read_exact(&mut body).is_err() {
            return;
        }
        let command = Document::from_reader(&body[5..]).expect("as the test wants it");
        let key = key(&command);
        seen.lock().expect("as the test wants it").push(command);
        let answer = answers.lock().expect("as the test wants it").get(&key).cloned();
        let document = match answer.unwrap_or(Answer::Error(59)) {
            Answer::Is(mut document) => {
                document.insert("ok", 1.0);
                document
            }
            Answer::Error(code) => {
                doc! {"ok": 0.0, "code": code, "codeName": "Told", "errmsg": format!("{key} was told to fail")}
            }
            Answer::Silence => continue,
            Answer::HangUp => return,
            Answer::Junk(bytes) => {
                stream.write_all(&bytes).and_then(|()| stream.flush()).ok();
                continue;
            }
        };
        let payload = document.to_vec().expect("as the test wants it");
        let mut bytes = Vec::new();
        let length = i32::try_from(payload.len() + 21).expect("as the test wants it");
        let id = i32::from_le_bytes(header[4..8].try_into().expect("as the test wants it"));
        for number in [length, 1, id, 2013] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([0; 5]);
        bytes.extend(payload);
        if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
            return;
        }
    }
}

fn key(command: &Document) -> String {
    let name = command.keys().next().cloned().unwrap_or_default();
    match name.as_str() {
        "aggregate" => {
            let stages = command.get_array("pipeline").ok();
            let first = stages.and_then(|stages| stages.first()?.as_document()?.keys().next().cloned());
            format!("aggregate {}", first.unwrap_or_default())
        }
        "find" => {
            let order = command.get_document("sort").and_then(|sort| sort.get_i32("$natural"));
            format!("find {}", order.unwrap_or_default())
        }
        _ => name,
    }
}

fn tls(certificates: &Certificates) -> Arc<rustls::ServerConfig> {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let chain = CertificateDer::pem_file_iter(&certificates.server)
        .expect("as the test wants it")
        .collect::<Result<_, _>>()
        .expect("as the test wants it");
    let key = PrivateKeyDer::from_pem_file(&certificates.server_key).expect("as the test wants it");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("as the test wants it")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("as the test wants it");
    Arc::new(config)
}

/// A cursor with these documents and no more.
pub(crate) fn cursor(documents: impl IntoIterator<Item = Document>) -> Answer {
    let batch: Vec<Bson> = documents.into_iter().map(Bson::from).collect();
    Answer::Is(doc! {"cursor": {"firstBatch": batch, "id": 0i64, "ns": "db.collection"}})
}
