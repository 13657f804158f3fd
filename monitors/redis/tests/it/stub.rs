//! A server that misbehaves at one command, as no real one can be made to.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wise_testbed::eventually;

/// Answers a command by its name: nothing and waiting, nothing and closing (an empty text), or this.
type Answer = fn(&str) -> Option<String>;

pub(crate) struct Stub {
    port: u16,
    is_over: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
}

impl Stub {
    pub(crate) fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_over, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (over, counter) = (is_over.clone(), open.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let counter = counter.clone();
                counter.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    serve(stream, answer);
                    counter.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, is_over, open }
    }

    /// What a healthy server says.
    pub(crate) fn usual(command: &str) -> Option<String> {
        let info = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\nmaxclients:10\r\nused_memory:1000\r\n";
        Some(match command {
            "PING" => "+PONG\r\n".to_owned(),
            "INFO" => format!("${}\r\n{info}\r\n", info.len()),
            "SLOWLOG" | "LATENCY" | "CONFIG" => "*0\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Every connection is closed.
    pub(crate) async fn is_left(&self) {
        eventually("connections are closed", || match self.open.load(Ordering::SeqCst) {
            0 => Ok(()),
            open => Err(open),
        })
        .await;
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

fn serve(stream: TcpStream, answer: Answer) {
    let mut writer = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines();
    // A command is a count, and for each word its length and itself.
    while let Some(Ok(count)) = lines.next() {
        let count: usize = count.trim_start_matches('*').parse().unwrap_or(0);
        let words: Vec<String> = lines.by_ref().take(count * 2).map_while(Result::ok).collect();
        let Some(name) = words.get(1) else { return };
        let said = match answer(&name.to_ascii_uppercase()) {
            None => continue,
            Some(text) if text.is_empty() => return,
            Some(text) => writer.write_all(text.as_bytes()),
        };
        if said.is_err() {
            return;
        }
    }
}
