//! A small HTTP client over std: what a test sends is exactly what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Makes a request; `headers` are whole lines.
///
/// # Errors
/// The connection fails.
pub fn request(
    port: u16,
    method: &str,
    path: &str,
    headers: &[&str],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|header| header.to_ascii_lowercase().starts_with("host:")) {
        head.push_str(&format!("Host: 127.0.0.1:{port}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    // A server that has refused the head may not take the body.
    stream.write_all(body).ok();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        read?;
        return Err(std::io::Error::other(format!("no answer: {text}")));
    };
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { unchunk(body) } else { body.to_owned() };
    Ok(Answer { status, head: head.to_owned(), body })
}

fn unchunk(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || tail.len() < size {
            break;
        }
        out.push_str(&tail[..size]);
        rest = tail[size..].trim_start_matches("\r\n");
    }
    out
}

/// A stream of server-sent events.
pub struct EventStream {
    reader: BufReader<TcpStream>,
}

impl EventStream {
    /// Listens, from an event on when `last` names one.
    ///
    /// # Errors
    /// The connection fails.
    pub fn open(port: u16, last: Option<&str>) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(crate::PATIENCE))?;
        let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        write!(stream, "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{last}\r\n")?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// The next change of status of a monitor: the id of the event, and its data.
    ///
    /// # Panics
    /// None comes in time.
    pub fn next_status(&mut self, monitor: &str) -> (String, Value) {
        loop {
            let (id, event) = self.next("event");
            if event["type"] == "status" && event["monitor"] == monitor {
                return (id, event);
            }
        }
    }

    /// The next event of that name: its id and data.
    ///
    /// # Panics
    /// None comes in time.
    pub fn next(&mut self, wanted: &str) -> (String, Value) {
        let (mut id, mut event) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            let count = self
                .reader
                .read_line(&mut line)
                .unwrap_or_else(|error| panic!("waiting for {wanted}: {error}"));
            assert!(count > 0, "the stream ended, waiting for {wanted}");
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("id: ") {
                text.clone_into(&mut id);
            } else if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut event);
            } else if let Some(text) = line.strip_prefix("data: ")
                && event == wanted
            {
                return (id, serde_json::from_str(text).expect("events are JSON"));
            }
        }
    }
}
