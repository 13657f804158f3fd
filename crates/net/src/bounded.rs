//! A stream that reads no more than it may: a length field that a hostile server sends must not fill the memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much may still be read, shared with anyone who grants it.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<AtomicU64>);

impl Allowance {
    /// So many bytes.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Sets how much may be read from now on.
    pub fn grant(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// Whether nothing is left.
    pub fn is_used_up(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// A stream under an allowance. Past it reading fails.
#[derive(Debug)]
pub struct Bounded<S> {
    stream: S,
    allowance: Allowance,
}

impl<S> Bounded<S> {
    /// Puts a stream under an allowance.
    pub fn new(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = (buffer.filled().len() - before) as u64;
        if read > 0 {
            let left = self.allowance.0.load(Ordering::Relaxed);
            self.allowance.0.store(left.saturating_sub(read), Ordering::Relaxed);
            if read > left {
                return Poll::Ready(Err(io::Error::other("the server sent more than a check may read")));
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn reading_ends_with_the_allowance() {
        let allowance = Allowance::new(10);
        let mut stream = Bounded::new(&[7u8; 30][..], allowance.clone());
        let mut buffer = [0; 8];
        stream.read_exact(&mut buffer).await.unwrap();
        assert!(!allowance.is_used_up());
        assert!(stream.read_exact(&mut buffer).await.is_err() && allowance.is_used_up());
        allowance.grant(10);
        stream.read_exact(&mut buffer).await.unwrap();
    }
}
