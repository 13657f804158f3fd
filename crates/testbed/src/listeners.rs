//! Ports that are no servers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// A port that accepts connections and never speaks.
#[derive(Debug)]
pub struct Silent(TcpListener);

impl Default for Silent {
    fn default() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a port"))
    }
}

impl Silent {
    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }
}

/// A port that says something to anyone who connects, reads what comes and says no more.
#[derive(Debug)]
pub struct Speaking {
    /// Its port.
    pub port: u16,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Speaking {
    /// Says these bytes. With `and_closes` it hangs up afterwards.
    ///
    /// # Panics
    /// There is no free port.
    pub fn new(greeting: &'static [u8], and_closes: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = is_over.clone();
        let thread = std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(mut stream) = stream else { return };
                stream.write_all(greeting).ok();
                if and_closes {
                    // Reading first lets the greeting arrive before the end.
                    stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).ok();
                    stream.take(1024).read_to_end(&mut Vec::new()).ok();
                } else {
                    held.push(stream);
                }
            }
        });
        Self { port, is_over, thread: Some(thread) }
    }
}

impl Drop for Speaking {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}
