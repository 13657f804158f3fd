//! The protocol, RESP2, read within bounds: whatever a peer sends, an answer has at most so many bytes, parts and
//! levels.

use std::borrow::Cow;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use wise_core::label;

use crate::error::Broken;

/// Most bytes of an answer. INFO of a busy server has some tens of kilobytes.
const MAX_BYTES: usize = 1024 * 1024;
/// Most bytes of a line. It is looked at again with each packet, so that a long one would cost much time.
const MAX_LINE: usize = 16 * 1024;
/// Most parts of an answer: a login asks for nothing that has any.
const MAX_PARTS: usize = 64;
/// Deepest nesting.
const MAX_DEPTH: usize = 4;

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// A text, or a status such as `OK`.
    Text(String),
    /// A value that is no UTF-8: names and keys are bytes for Redis.
    Binary(Vec<u8>),
    /// A number.
    Number(f64),
    /// Several answers.
    List(Vec<Reply>),
    /// No value.
    Nothing,
    /// A refusal inside of a list.
    Refusal(String),
}

impl Reply {
    /// Of bytes that were sent.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Binary(bytes.to_owned()),
        }
    }

    /// The text, such that two values never have the same.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        self.bytes().map(label::from_bytes)
    }

    /// The value as it was sent.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> &[Reply] {
        match self {
            Self::List(list) => list,
            _ => &[],
        }
    }

    /// The value of a name in a flat list of names and values, as `CONFIG GET` and `SENTINEL MASTERS` give.
    pub(crate) fn field(&self, name: &str) -> Option<&Reply> {
        self.list().chunks_exact(2).find(|pair| pair[0].bytes() == Some(name.as_bytes())).map(|pair| &pair[1])
    }
}

/// A connection that is asked one command at a time.
pub(crate) struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// Sends a command and reads its answer.
    ///
    /// # Errors
    /// It is refused, the connection ends, or what comes back is not the protocol.
    pub(crate) async fn ask(&mut self, words: &[&str]) -> Result<Reply, Broken> {
        // A server that refuses a connection says why, and closes: then sending fails, and the reason can be read.
        let sent = self.stream.write_all(&encode(words)).await;
        if sent.is_ok() {
            self.stream.flush().await.ok();
        }
        match self.read().await? {
            Reply::Refusal(text) => Err(Broken::Refused(text)),
            reply => Ok(reply),
        }
    }

    async fn read(&mut self) -> Result<Reply, Broken> {
        loop {
            let mut parser = Parser { bytes: &self.buffer, at: 0, parts: 0 };
            match parser.reply(0) {
                Ok(reply) => {
                    let read = parser.at;
                    self.buffer.drain(..read);
                    return Ok(reply);
                }
                Err(Stop::Wrong(what)) => return Err(Broken::Violation(what.to_owned())),
                Err(Stop::More) if self.buffer.len() >= MAX_BYTES => {
                    return Err(Broken::Violation(format!("it is longer than {MAX_BYTES} bytes")));
                }
                Err(Stop::More) => {}
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(Broken::Lost),
                Ok(_) => {}
            }
        }
    }
}

fn encode(words: &[&str]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

enum Stop {
    /// The answer is not complete yet.
    More,
    /// It never will be.
    Wrong(&'static str),
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    parts: usize,
}

impl<'a> Parser<'a> {
    fn reply(&mut self, depth: usize) -> Result<Reply, Stop> {
        self.parts += 1;
        if depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return Err(Stop::Wrong("it has too many parts or levels"));
        }
        // The first byte decides: a peer that speaks something else is known by it without waiting for a line.
        let kind = *self.bytes.get(self.at).ok_or(Stop::More)?;
        if !matches!(kind, b'+' | b'-' | b':' | b'$' | b'*') {
            return Err(Stop::Wrong("it begins like another protocol"));
        }
        self.at += 1;
        let line = self.line()?;
        match kind {
            b'+' => Ok(Reply::of_bytes(line)),
            b'-' => Ok(Reply::Refusal(text(line))),
            b':' => Ok(Reply::Number(number(line)? as f64)),
            b'$' => match number(line)? {
                -1 => Ok(Reply::Nothing),
                length => {
                    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_BYTES);
                    let length = length.ok_or(Stop::Wrong("it announces a text of impossible length"))?;
                    let end = self.at + length;
                    let body = self.bytes.get(self.at..end).ok_or(Stop::More)?;
                    let mark = self.bytes.get(end..end + 2).ok_or(Stop::More)?;
                    if mark != b"\r\n" {
                        return Err(Stop::Wrong("a text does not end where it should"));
                    }
                    self.at = end + 2;
                    Ok(Reply::of_bytes(body))
                }
            },
            _ => match number(line)? {
                -1 => Ok(Reply::Nothing),
                length => {
                    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_PARTS);
                    let length = length.ok_or(Stop::Wrong("it announces a list of impossible length"))?;
                    // Not reserved in advance: a length is only a promise.
                    let mut list = Vec::new();
                    for _ in 0..length {
                        list.push(self.reply(depth + 1)?);
                    }
                    Ok(Reply::List(list))
                }
            },
        }
    }

    fn line(&mut self) -> Result<&'a [u8], Stop> {
        let rest = &self.bytes[self.at..];
        let within = &rest[..rest.len().min(MAX_LINE)];
        let end = match within.iter().position(|byte| *byte == b'\n') {
            Some(end) => end,
            None if rest.len() < MAX_LINE => return Err(Stop::More),
            None => return Err(Stop::Wrong("a line is too long")),
        };
        let line = rest[..end].strip_suffix(b"\r").ok_or(Stop::Wrong("a line ends without a return"))?;
        self.at += end + 1;
        Ok(line)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(line: &[u8]) -> Result<i64, Stop> {
    let number = std::str::from_utf8(line).ok().and_then(|text| text.parse().ok());
    number.ok_or(Stop::Wrong("a number is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Reply, Broken> {
        let (client, mut server) = tokio::io::duplex(4096);
        let bytes = bytes.to_vec();
        let writing = async move {
            server.write_all(&bytes).await.ok();
            // The question is read, so that no one waits for it to be taken.
            tokio::io::copy(&mut server, &mut tokio::io::empty()).await.ok();
        };
        let asking = async move { Wire::new(client).ask(&["PING"]).await };
        futures_util::future::join(asking, writing).await.0
    }

    #[tokio::test]
    async fn answers_are_read() {
        assert_eq!(read(b"+PONG\r\n").await, Ok(Reply::Text("PONG".to_owned())));
        assert_eq!(read(b":-12\r\n").await, Ok(Reply::Number(-12.0)));
        assert_eq!(read(b"$-1\r\n").await, Ok(Reply::Nothing));
        assert_eq!(read(b"$4\r\na\r\nb\r\n").await, Ok(Reply::Text("a\r\nb".to_owned())));
        let binary = read(b"$2\r\na\xff\r\n").await.unwrap();
        assert_eq!((binary.bytes(), binary.text().as_deref()), (Some(&b"a\xff"[..]), Some("a\u{fffd}ff")));
        let list = Reply::List(vec![Reply::Text("a".to_owned()), Reply::List(vec![]), Reply::Number(1.0)]);
        assert_eq!(read(b"*3\r\n$1\r\na\r\n*0\r\n:1\r\n").await, Ok(list));
        assert_eq!(read(b"-ERR no\r\n").await, Err(Broken::Refused("ERR no".to_owned())));
    }

    #[tokio::test]
    async fn what_is_not_the_protocol_is_known_at_once() {
        let deep = "*1\r\n".repeat(100_000);
        let many = format!("*60\r\n{}", "*9\r\n".repeat(20));
        let long = format!("+{}", "x".repeat(MAX_LINE));
        for (bytes, part) in [
            (b"HTTP/1.1 400 Bad Request\r\n".as_slice(), "another protocol"),
            (b"\x15\x03\x03\x00\x02", "another protocol"),
            (b"$99999999999\r\n", "impossible length"),
            (b"*99999999999\r\n", "impossible length"),
            (b"$x\r\n", "number"),
            (b"$1\r\nabc", "does not end"),
            (b"+OK\n", "without a return"),
            (deep.as_bytes(), "levels"),
            (many.as_bytes(), "levels"),
            (long.as_bytes(), "too long"),
        ] {
            let Err(Broken::Violation(what)) = read(bytes).await else { panic!("{part}") };
            assert!(what.contains(part), "{what}");
        }
    }

    #[tokio::test]
    async fn an_endless_answer_is_cut_off() {
        let long = format!("${MAX_BYTES}\r\n{}", "x".repeat(MAX_BYTES + 70_000));
        let Err(Broken::Violation(what)) = read(long.as_bytes()).await else { panic!("it was read") };
        assert!(what.contains("longer than"), "{what}");
    }

    #[test]
    fn fields_of_flat_lists_are_found() {
        let text = |text: &str| Reply::Text(text.to_owned());
        let list = Reply::List(vec![text("maxclients"), text("10000")]);
        assert_eq!(list.field("maxclients").and_then(Reply::number), Some(10_000.0));
        assert_eq!(list.field("save"), None);
        assert_eq!(text("nan").number(), None);
    }
}
