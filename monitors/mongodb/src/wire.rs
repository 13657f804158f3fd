//! Messages of MongoDB's wire protocol (OP_MSG), with a bound on length and depth.

use std::io;

use bson::raw::{RawArrayIter, RawIter};
use bson::{Document, RawBsonRef, RawDocument};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wise_core::{Failure, common};

/// Bytes of one message at most. MongoDB's documents have 16 MiB at most, and an answer is one document.
pub(crate) const MOST_BYTES: u64 = 17 * 1024 * 1024;
/// Documents within documents at most: decoding takes a stack frame each. MongoDB stops at 180 or 200, and its
/// statistics at a dozen.
const MOST_DEPTH: usize = 100;
const HEADER: usize = 16;
/// Flags of OP_MSG and the kind of its first section.
const PREFIX: usize = 5;
const OP_MSG: i32 = 2013;
/// OP_REPLY and OP_COMPRESSED: MongoDB's too, and neither is asked for.
const OTHER_OPCODES: [i32; 2] = [1, 2012];

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    /// A message with one document.
    pub(crate) fn new(id: i32, response_to: i32, document: &Document) -> Result<Self, Failure> {
        let body = document.to_vec().map_err(|error| {
            Failure::new(&common::INTERNAL, format!("a command cannot be written: {error}")).code("bson")
        })?;
        let length = i32::try_from(HEADER + PREFIX + body.len()).map_err(|_| too_much())?;
        let mut bytes = Vec::with_capacity(HEADER + PREFIX + body.len());
        for number in [length, id, response_to, OP_MSG] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([0; PREFIX]);
        bytes.extend(body);
        Ok(Self { bytes })
    }

    /// Its number, to which an answer refers.
    pub(crate) fn id(&self) -> i32 {
        self.bytes.get(4..8).and_then(|part| part.try_into().ok()).map_or(0, i32::from_le_bytes)
    }

    /// The document, not yet decoded.
    pub(crate) fn raw(&self) -> Result<&RawDocument, Failure> {
        let body = self.bytes.get(HEADER + PREFIX..).unwrap_or_default();
        let has_one = self.bytes.get(HEADER + PREFIX - 1) == Some(&0);
        // A checksum, or sections of another kind, may follow the document.
        let length = body.get(..4).and_then(|part| part.try_into().ok()).map_or(0, i32::from_le_bytes);
        let body = usize::try_from(length).ok().and_then(|length| body.get(..length)).filter(|_| has_one);
        let body = body.ok_or_else(not_mongodb)?;
        RawDocument::from_bytes(body).map_err(|_| not_mongodb())
    }

    /// The document, decoded.
    pub(crate) fn document(&self) -> Result<Document, Failure> {
        Document::try_from(self.raw()?).map_err(|_| not_mongodb())
    }
}

/// Reads a message, and sees to it that it can be decoded without harm.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Message, Failure> {
    let mut bytes = vec![0; HEADER];
    stream.read_exact(&mut bytes).await.map_err(|error| broken(&error))?;
    let field =
        |at: usize| bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, i32::from_le_bytes);
    let (length, opcode) = (field(0), field(12));
    if opcode != OP_MSG {
        let known = OTHER_OPCODES.contains(&opcode);
        return Err(if known {
            unexpected("answers in another form of the protocol")
        } else {
            not_mongodb()
        });
    }
    let length = usize::try_from(length).map_err(|_| not_mongodb())?;
    if length <= HEADER + PREFIX {
        return Err(not_mongodb());
    }
    if length as u64 > MOST_BYTES {
        return Err(too_much());
    }
    // The buffer grows with what comes, and not with what was promised.
    let mut body = Vec::new();
    let wanted = length - HEADER;
    (&mut *stream).take(wanted as u64).read_to_end(&mut body).await.map_err(|error| broken(&error))?;
    if body.len() < wanted {
        return Err(broken(&io::ErrorKind::UnexpectedEof.into()));
    }
    bytes.append(&mut body);
    let message = Message { bytes };
    if !is_shallow(message.raw()?) {
        return Err(unexpected("sends documents nested too deeply"));
    }
    Ok(message)
}

/// Writes a message.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), message: &Message) -> Result<(), Failure> {
    stream.write_all(&message.bytes).await.map_err(|error| broken(&error))?;
    stream.flush().await.map_err(|error| broken(&error))
}

enum Level<'a> {
    Document(RawIter<'a>),
    Array(RawArrayIter<'a>),
}

/// Whether nothing is nested deeper than allowed. Goes down on a list of its own: the stack is what it protects.
fn is_shallow(document: &RawDocument) -> bool {
    let mut levels = vec![Level::Document(document.iter_elements())];
    while let Some(level) = levels.last_mut() {
        let value = match level {
            Level::Document(elements) => elements.next().map(|element| element.and_then(|e| e.value())),
            Level::Array(values) => values.next(),
        };
        match value {
            None => {
                levels.pop();
            }
            Some(Ok(RawBsonRef::Document(inner))) => levels.push(Level::Document(inner.iter_elements())),
            Some(Ok(RawBsonRef::Array(inner))) => levels.push(Level::Array(inner.into_iter())),
            // Its scope is a document, which no one sends.
            Some(Ok(RawBsonRef::JavaScriptCodeWithScope(_)) | Err(_)) => return false,
            Some(Ok(_)) => {}
        }
        if levels.len() > MOST_DEPTH {
            return false;
        }
    }
    true
}

fn broken(error: &io::Error) -> Failure {
    // Since TLS 1.3 a server says only after the handshake that it wants another client certificate.
    let tls = wise_net::classify_tls(error, &[], "", "the server");
    if tls.class.name == common::TLS.name {
        return tls;
    }
    let (class, code) = wise_net::classify_io(error, None);
    let text = if class.name == common::RESET.name {
        "the server closed the connection; one that has no connection left, or asks for TLS, does so"
            .to_owned()
    } else {
        format!("the connection failed: {error}")
    };
    Failure::new(class, text).code(code)
}

fn too_much() -> Failure {
    let text = format!("the server sent more than the {MOST_BYTES} bytes that a message may have");
    Failure::new(&common::PROTOCOL, text).code("too_much")
}

fn not_mongodb() -> Failure {
    Failure::new(&common::PROTOCOL, "what came back is not MongoDB's protocol").code("not_mongodb")
}

fn unexpected(what: &str) -> Failure {
    Failure::new(&common::PROTOCOL, format!("the server {what}")).code("mongodb")
}

#[cfg(test)]
mod tests {
    use bson::{Bson, doc};

    use super::*;

    async fn reread(bytes: &[u8]) -> Result<Document, Failure> {
        read(&mut &*bytes).await?.document()
    }

    fn code(result: Result<Document, Failure>) -> String {
        result.unwrap_err().code.unwrap().into_owned()
    }

    #[tokio::test]
    async fn messages_are_read_as_they_were_written() {
        let document = doc! {"hello": 1, "nested": {"list": [1, {"a": "b"}]}};
        let message = Message::new(7, 3, &document).unwrap();
        assert_eq!((message.id(), reread(&message.bytes).await.unwrap()), (7, document));
    }

    #[tokio::test]
    async fn what_is_no_message_is_refused() {
        assert_eq!(code(reread(b"HTTP/1.1 400 Bad Request\r\n\r\n").await), "not_mongodb");
        assert_eq!(code(reread(b"short").await), "closed");
        let mut huge = Message::new(1, 0, &doc! {"a": 1}).unwrap().bytes;
        huge[..4].copy_from_slice(&i32::MAX.to_le_bytes());
        assert_eq!(code(reread(&huge).await), "too_much");
        let mut lying = Message::new(1, 0, &doc! {"a": 1}).unwrap().bytes;
        lying[21..25].copy_from_slice(&1000i32.to_le_bytes());
        assert_eq!(code(reread(&lying).await), "not_mongodb");
    }

    #[tokio::test]
    async fn depth_has_a_bound() {
        let nested = |depth: usize| {
            let inner = (0..depth).fold(Bson::Int32(1), |inner, at| {
                if at % 2 == 0 { doc! {"d": inner}.into() } else { Bson::Array(vec![inner]) }
            });
            Message::new(1, 0, &doc! {"d": inner}).unwrap().bytes
        };
        assert!(reread(&nested(90)).await.is_ok());
        assert_eq!(code(reread(&nested(150)).await), "mongodb");
    }
}
