//! The gate between the driver and the server.
//!
//! What the driver reads has no bound, neither in bytes nor in depth, and it has no setting for one: lists nested a
//! hundred thousand deep would end this whole process by a stack overflow. It also opens its connections itself, keeps
//! no time for their stages, and passes errors of the network and of TLS on as text. So the connection to the server is
//! made by the network stack, and the driver is given a port of this machine behind which every byte from the server is
//! counted before the driver sees it. The port takes one connection and closes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Most bytes of one answer. INFO with many commands and CLUSTER NODES of a large cluster have some hundred kilobytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Most bytes of a line that is not the body of a text.
const MAX_LINE: usize = 64 * 1024;
/// Most parts of one answer.
const MAX_PARTS: u64 = 100_000;
/// Deepest nesting. SLOWLOG GET has three levels.
const MAX_DEPTH: usize = 8;
const CHUNK: usize = 16 * 1024;

/// An open gate. Dropped, both of its sides close.
pub(crate) struct Gate {
    task: JoinHandle<()>,
    /// Where the driver has to connect to.
    pub address: SocketAddr,
    violation: Arc<OnceLock<&'static str>>,
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Gate {
    /// Opens a gate before a connection to the server.
    ///
    /// # Errors
    /// This machine has no port left.
    pub(crate) async fn open<S>(server: S) -> io::Result<Self>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let violation = Arc::new(OnceLock::new());
        let found = violation.clone();
        let task = tokio::spawn(async move {
            let Ok((driver, _)) = listener.accept().await else { return };
            drop(listener);
            driver.set_nodelay(true).ok();
            if let Some(what) = relay(driver, server).await {
                found.set(what).ok();
            }
        });
        Ok(Self { task, address, violation })
    }

    /// Closes both sides, and waits until they are closed.
    pub(crate) async fn close(&mut self) {
        self.task.abort();
        (&mut self.task).await.ok();
    }

    /// What the server sent that no Redis would.
    pub(crate) fn violation(&self) -> Option<&'static str> {
        self.violation.get().copied()
    }
}

/// Passes on both ways until one side ends. Answers what was wrong with an answer.
async fn relay<A, B>(driver: A, server: B) -> Option<&'static str>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut driver_read, mut driver_write) = tokio::io::split(driver);
    let (mut server_read, mut server_write) = tokio::io::split(server);
    let questions = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = driver_read.read(&mut buffer).await {
            if server_write.write_all(&buffer[..count]).await.is_err() || server_write.flush().await.is_err()
            {
                break;
            }
        }
        None
    };
    let answers = async {
        let (mut scanner, mut buffer) = (Scanner::default(), vec![0; CHUNK]);
        while let Ok(count @ 1..) = server_read.read(&mut buffer).await {
            if let Err(what) = scanner.feed(&buffer[..count]) {
                return Some(what);
            }
            if driver_write.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        None
    };
    tokio::select! {
        outcome = questions => outcome,
        outcome = answers => outcome,
    }
}

/// Follows answers byte by byte without keeping them.
#[derive(Debug, Default)]
struct Scanner {
    /// The line so far.
    line: Vec<u8>,
    /// Bytes of a text that are still to come.
    skip: u64,
    /// Parts still to come, a level each.
    open: Vec<u64>,
    /// Bytes and parts of the answer so far.
    bytes: u64,
    parts: u64,
}

impl Scanner {
    fn feed(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let some = self.skip.min(bytes.len() as u64);
                self.skip -= some;
                self.count(some)?;
                bytes = &bytes[some as usize..];
                if self.skip == 0 {
                    self.complete();
                }
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let some = end.map_or(bytes.len(), |end| end + 1);
            self.line.extend_from_slice(&bytes[..some]);
            self.count(some as u64)?;
            if self.line.len() > MAX_LINE {
                return Err("a line is too long");
            }
            bytes = &bytes[some..];
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.header(line.strip_suffix(b"\r\n").ok_or("a line ends without a return")?)?;
                // The room is used again for the next line.
                self.line = line;
                self.line.clear();
            }
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64) -> Result<(), &'static str> {
        self.bytes += bytes;
        if self.bytes > MAX_BYTES { Err("an answer is too long") } else { Ok(()) }
    }

    fn header(&mut self, line: &[u8]) -> Result<(), &'static str> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err("an answer has too many parts");
        }
        let (kind, rest) = line.split_first().ok_or("a line is empty")?;
        match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => self.complete(),
            b'$' | b'!' | b'=' => match length(rest)? {
                None => self.complete(),
                Some(length) if length <= MAX_BYTES => self.skip = length + 2,
                Some(_) => return Err("a text is too long"),
            },
            b'*' | b'~' | b'>' | b'%' => {
                let parts = length(rest)?.unwrap_or(0).saturating_mul(if *kind == b'%' { 2 } else { 1 });
                if parts > MAX_PARTS {
                    return Err("a list is too long");
                }
                if parts == 0 {
                    self.complete();
                } else if self.open.len() >= MAX_DEPTH {
                    return Err("lists are nested too deep");
                } else {
                    self.open.push(parts);
                }
            }
            _ => return Err("an answer begins like another protocol"),
        }
        Ok(())
    }

    /// A part is complete, and with it perhaps the lists that it ends.
    fn complete(&mut self) {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return;
            }
            self.open.pop();
        }
        (self.bytes, self.parts) = (0, 0);
    }
}

/// The length behind a sign; `None` for -1, which stands for nothing.
fn length(text: &[u8]) -> Result<Option<u64>, &'static str> {
    if text == b"-1" {
        return Ok(None);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or("a length is no number")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fed whole and byte by byte: packets may end anywhere.
    fn feed(bytes: &[u8]) -> Result<(), &'static str> {
        let whole = Scanner::default().feed(bytes);
        let mut scanner = Scanner::default();
        let single = bytes.chunks(1).try_for_each(|byte| scanner.feed(byte));
        assert_eq!(whole, single);
        whole
    }

    #[test]
    fn answers_pass_and_each_begins_again() {
        let answer =
            b"*3\r\n$1\r\na\r\n*2\r\n:1\r\n*0\r\n$-1\r\n+OK\r\n-ERR no\r\n$4\r\na\r\nb\r\n%1\r\n+a\r\n_\r\n";
        assert_eq!(feed(answer), Ok(()));
        let mut scanner = Scanner::default();
        for _ in 0..2 * MAX_PARTS / 4 {
            assert_eq!(scanner.feed(b"*3\r\n:1\r\n:2\r\n:3\r\n"), Ok(()));
        }
        assert!(scanner.open.is_empty() && scanner.bytes == 0);
    }

    #[test]
    fn what_would_harm_the_driver_is_stopped() {
        let long = format!("+{}", "x".repeat(MAX_LINE));
        let wide = format!("*{MAX_PARTS}\r\n{}", ":1\r\n".repeat(MAX_PARTS as usize));
        for (bytes, part) in [
            ("*1\r\n".repeat(100_000), "too deep"),
            (long, "line is too long"),
            (wide, "too many parts"),
            (format!("${}\r\n", u64::MAX), "text is too long"),
            ("*99999999999\r\n".to_owned(), "list is too long"),
            ("$x\r\n".to_owned(), "no number"),
            ("HTTP/1.1 400 Bad Request\r\n".to_owned(), "another protocol"),
            ("+OK\n".to_owned(), "without a return"),
            ("\r\n".to_owned(), "empty"),
        ] {
            let what = Scanner::default().feed(bytes.as_bytes()).unwrap_err();
            assert!(what.contains(part), "{what}");
        }
    }
}
