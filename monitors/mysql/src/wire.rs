//! Packets of the protocol as far as a login needs them (MySQL documentation, "MySQL Packets", "Connection Phase").

use std::io;

use mysql_async::ServerError;
use mysql_async::consts::CapabilityFlags;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use wise_core::Failure;

use crate::error::from_server;
use crate::gate::not_mysql;

/// Bytes of a packet of a login at most. A key has a few hundred, the answer to a greeting as many as its attributes.
const MOST_BYTES: usize = 64 * 1024;
/// Three bytes of length and one of number.
const HEADER: usize = 4;
const OK: u8 = 0x00;
const ERR: u8 = 0xff;
/// Version of the greeting since MySQL 3.21.
const VERSION: u8 = 10;

/// A packet with its header.
#[derive(Clone, Debug)]
pub(crate) struct Packet(Vec<u8>);

impl Packet {
    fn payload(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }

    /// Moves its number.
    pub(crate) fn move_by(&mut self, moved: u8) {
        if let Some(number) = self.0.get_mut(HEADER - 1) {
            *number = number.wrapping_add(moved);
        }
    }

    /// Whether the server has decided: everything else that it sends during a login begins otherwise.
    pub(crate) fn ends_login(&self) -> bool {
        matches!(self.payload().first(), Some(&OK | &ERR))
    }

    /// Sets one of the first 32 capabilities in an answer to a greeting.
    pub(crate) fn set_capability(&mut self, flag: u32) {
        for (byte, bits) in self.0.iter_mut().skip(HEADER).zip(flag.to_le_bytes()) {
            *byte |= bits;
        }
    }

    /// A packet of this number with the first bytes of this one.
    pub(crate) fn beginning(&self, length: usize) -> Option<Self> {
        let payload = self.payload().get(..length)?;
        let mut bytes = (length as u32).to_le_bytes().to_vec();
        bytes[HEADER - 1] = *self.0.get(HEADER - 1)?;
        bytes.extend_from_slice(payload);
        Some(Self(bytes))
    }
}

/// Reads one packet. Not to be cancelled and called again.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Packet> {
    let mut bytes = vec![0; HEADER];
    stream.read_exact(&mut bytes).await?;
    let length = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]) as usize;
    if length > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    bytes.resize(HEADER + length, 0);
    stream.read_exact(&mut bytes[HEADER..]).await?;
    Ok(Packet(bytes))
}

/// Writes one packet.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), packet: &Packet) -> io::Result<()> {
    stream.write_all(&packet.0).await?;
    stream.flush().await
}

/// What the server says first.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// As it came.
    pub(crate) packet: Packet,
    /// Whether it has TLS.
    pub(crate) offers_tls: bool,
}

impl Greeting {
    /// Reads it.
    ///
    /// # Errors
    /// The server refuses the connection before any login, or the packet is no greeting.
    pub(crate) fn new(packet: Packet) -> Result<Self, Failure> {
        match packet.payload().split_first() {
            Some((&VERSION, rest)) => {
                let capabilities = capabilities(rest).ok_or_else(not_mysql)?;
                Ok(Self { offers_tls: capabilities.contains(CapabilityFlags::CLIENT_SSL), packet })
            }
            Some((&ERR, rest)) => Err(refusal(rest).map_or_else(not_mysql, |error| from_server(&error))),
            _ => Err(not_mysql()),
        }
    }
}

/// The lower half of the capabilities: behind the version as text, the session's number (4 bytes), a part of the
/// scramble (8) and a zero.
fn capabilities(greeting: &[u8]) -> Option<CapabilityFlags> {
    let version = greeting.iter().position(|byte| *byte == 0)?;
    let low = greeting.get(version + 1 + 4 + 8 + 1..)?.first_chunk::<2>()?;
    Some(CapabilityFlags::from_bits_truncate(u32::from(u16::from_le_bytes(*low))))
}

/// Number and text of an error that comes instead of a greeting. The state between them, which begins with `#`, is not
/// always there.
fn refusal(body: &[u8]) -> Option<ServerError> {
    let (code, text) = body.split_first_chunk::<2>()?;
    let text = match text {
        [b'#', rest @ ..] => rest.get(5..)?,
        text => text,
    };
    Some(ServerError {
        code: u16::from_le_bytes(*code),
        message: String::from_utf8_lossy(text).into_owned(),
        state: String::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u8, payload: &[u8]) -> Packet {
        let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
        bytes[3] = number;
        bytes.extend_from_slice(payload);
        Packet(bytes)
    }

    /// As MySQL 8.0 and MariaDB 10.11 send it, up to the capabilities.
    fn greeting(low: u16) -> Packet {
        let mut payload = b"\x0a8.0.36\0\x08\0\0\0abcdefgh\0".to_vec();
        payload.extend(low.to_le_bytes());
        packet(0, &payload)
    }

    #[test]
    fn greetings_say_whether_there_is_tls() {
        assert!(Greeting::new(greeting(0xffff)).unwrap().offers_tls);
        assert!(!Greeting::new(greeting(0xf7ff)).unwrap().offers_tls);
    }

    #[test]
    fn refusals_come_with_and_without_a_state() {
        for text in ["Too many connections", "#08004Too many connections"] {
            let mut payload = vec![ERR];
            payload.extend(1040_u16.to_le_bytes());
            payload.extend(text.as_bytes());
            let failure = Greeting::new(packet(0, &payload)).unwrap_err();
            assert_eq!(
                (failure.class.name, failure.code.as_deref(), failure.message.as_str()),
                ("too_many_connections", Some("1040"), "Too many connections")
            );
        }
    }

    #[test]
    fn what_is_no_greeting_is_said_to_be_none() {
        for payload in [&b""[..], b"\x0a8.0.36\0\x08", b"\x0a8.0.36", b"\x09", b"\xff", b"\xff\x10\x04#0800"]
        {
            assert_eq!(Greeting::new(packet(0, payload)).unwrap_err().class.name, "protocol", "{payload:?}");
        }
    }

    #[tokio::test]
    async fn a_length_that_no_login_has_is_refused() {
        let error = read(&mut &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = read(&mut &b"\x05\0\0\0abc"[..]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_request_for_tls_is_the_beginning_of_the_answer() {
        let mut answer = packet(1, &[0b0100_0000; 40]);
        answer.set_capability(CapabilityFlags::CLIENT_SSL.bits());
        let request = answer.beginning(32).unwrap();
        assert_eq!(request.0[..6], [32, 0, 0, 1, 0b0100_0000, 0b0100_1000]);
        assert_eq!(request.0.len(), 36);
        answer.move_by(1);
        assert_eq!(answer.0[3], 2);
        answer.move_by(0_u8.wrapping_sub(1));
        assert_eq!(answer.0[3], 1);
        assert!(packet(2, &[OK]).ends_login() && !packet(2, &[0xfe]).ends_login());
        assert!(packet(0, &[0; 31]).beginning(32).is_none());
    }
}
