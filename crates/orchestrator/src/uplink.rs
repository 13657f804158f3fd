//! Is it them, or is it us? The egress self-check, asked before a target is blamed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Tells whether this machine has a way out.
pub trait UplinkCheck: Send + Sync {
    /// Tries the configured addresses; true when as many answered as the quorum asks.
    fn alive(&self) -> BoxFuture<'_, bool>;
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// When the self-check began that found this.
    asked: Instant,
    alive: bool,
}

/// One self-check at a time, anyone who asks; all who wait share the answer.
pub struct Uplink {
    check: Arc<dyn UplinkCheck>,
    wanted: Notify,
    known: watch::Sender<Option<Known>>,
}

impl std::fmt::Debug for Uplink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Uplink").field("known", &*self.known.borrow()).finish_non_exhaustive()
    }
}

impl Uplink {
    /// Longest wait for an answer. Past it the target is not blamed either.
    const PATIENCE: Duration = Duration::from_secs(5);

    /// An uplink that is looked at through `check`. Runs once [`Uplink::run`] is spawned.
    pub fn new(check: Arc<dyn UplinkCheck>) -> Arc<Self> {
        Arc::new(Self { check, wanted: Notify::new(), known: watch::Sender::new(None) })
    }

    /// Answers the questions, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            self.wanted.notified().await;
            let asked = Instant::now();
            let alive = self.check.alive().await;
            self.known.send_replace(Some(Known { asked, alive }));
        }
    }

    /// Whether the uplink was alive at some moment after `since`. Waits for a self-check that began after it.
    pub async fn alive_since(&self, since: Instant) -> bool {
        let mut known = self.known.subscribe();
        let answer = async {
            loop {
                if let Some(known) = *known.borrow_and_update()
                    && known.asked >= since
                {
                    return known.alive;
                }
                self.wanted.notify_one();
                if known.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(Self::PATIENCE, answer).await.unwrap_or(false)
    }

    /// What the last self-check found; `None` before the first.
    pub fn last(&self) -> Option<bool> {
        self.known.borrow().map(|known| known.alive)
    }
}
