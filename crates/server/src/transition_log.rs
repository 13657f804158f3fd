//! Changes of status in the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wise_core::Status;
use wise_storage::Overview;
use wise_storage::ports::Store;

/// Writes every change of status to the log, once each, also those from just before a crash: it follows the main record
/// by a cursor of its own.
pub(crate) struct TransitionLog {
    store: Arc<dyn Store>,
    overview: Arc<Overview>,
    cursor: AtomicU64,
}

impl TransitionLog {
    const CONSUMER: &'static str = "log";
    const PAGE: usize = 500;

    /// Goes on where the cursor stands.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn new(store: Arc<dyn Store>, overview: Arc<Overview>) -> anyhow::Result<Self> {
        let cursor = AtomicU64::new(store.cursor(Self::CONSUMER)?);
        Ok(Self { store, overview, cursor })
    }

    /// Logs what is new.
    pub(crate) fn catch_up(&self) {
        if let Err(error) = self.try_catch_up() {
            tracing::error!("changes of status could not be read for the log: {error}");
        }
    }

    fn try_catch_up(&self) -> Result<(), wise_storage::StoreError> {
        loop {
            let page = self.store.transitions_after(self.cursor.load(Ordering::Relaxed), Self::PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            for (sequence, transition) in &page {
                let id = transition.monitor;
                let name = self.overview.item(id).map_or_else(|| id.to_string(), |item| item.name);
                let before = transition.from.map_or("new", Status::name);
                let reason = transition.reason.as_ref();
                let why = reason.map(|reason| format!(": {}", reason.message)).unwrap_or_default();
                let class = reason.map_or("", |reason| reason.class.as_str());
                let text = format!("{name}: {before} → {}{why}", transition.to);
                match transition.to {
                    Status::Unhealthy => {
                        tracing::error!(monitor.id = %id, sequence, status = %transition.to, error.class = class, "{text}");
                    }
                    Status::Degraded | Status::Unknown => {
                        tracing::warn!(monitor.id = %id, sequence, status = %transition.to, error.class = class, "{text}");
                    }
                    _ => tracing::info!(monitor.id = %id, sequence, status = %transition.to, "{text}"),
                }
            }
            self.store.advance_cursor(Self::CONSUMER, *last)?;
            self.cursor.store(*last, Ordering::Relaxed);
        }
    }
}
