//! How the connection to MongoDB fares, for those who watch over it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::error::StoreError;

/// What may fail while the connection is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Sending checks.
    Sending,
    /// Rolling days up.
    RollingUp,
}

/// How the connection to MongoDB fares.
#[derive(Debug)]
pub struct RemoteState {
    is_connected: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Why it was away last.
    reason: Mutex<Option<String>>,
    /// Trouble with what is sent, while the connection is well.
    work: [Mutex<Option<String>>; 2],
    refused: AtomicU64,
    unsent: AtomicU64,
    given_up: AtomicU64,
    lost: watch::Sender<Option<String>>,
}

impl Default for RemoteState {
    fn default() -> Self {
        Self {
            is_connected: AtomicBool::new(true),
            trouble: Mutex::default(),
            reason: Mutex::default(),
            work: Default::default(),
            refused: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            lost: watch::Sender::new(None),
        }
    }
}

impl RemoteState {
    /// Whether the last call was answered.
    pub fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    /// What is wrong, `None` when all is well.
    pub fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let work =
            || self.work.iter().find_map(|one| one.lock().unwrap_or_else(PoisonError::into_inner).clone());
        trouble.or_else(work)
    }

    /// Hours of a monitor's checks that are not sent yet, those that are not over among them.
    pub fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Days of checks that were given up unsent, because the spool may not grow.
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Documents that MongoDB did not take, and that were left out.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Gets the name of the process that has taken the store over, or why it has to be opened again. This one writes
    /// nothing more.
    pub fn lost(&self) -> watch::Receiver<Option<String>> {
        self.lost.subscribe()
    }

    /// Why nothing can be written without the lease to.
    pub(super) fn no_right(&self) -> StoreError {
        if let Some(by) = &*self.lost.borrow() {
            return StoreError::Superseded { by: by.clone() };
        }
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone();
        StoreError::Away { reason: reason.unwrap_or_else(|| "it has not been reached yet".to_owned()) }
    }

    pub(super) fn set_unsent(&self, count: usize) {
        self.unsent.store(count as u64, Ordering::Relaxed);
    }

    pub(super) fn set_given_up(&self, days: u64) {
        self.given_up.store(days, Ordering::Relaxed);
    }

    /// Notes how a call went.
    pub(super) fn note(&self, outcome: &Result<(), StoreError>) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                if !self.is_connected.swap(true, Ordering::Relaxed) {
                    tracing::info!("MongoDB is there again; what has waited is being sent");
                }
                *trouble = None;
            }
            Err(StoreError::Superseded { by }) => {
                *trouble = Some(StoreError::Superseded { by: by.clone() }.to_string());
                if self.lost.borrow().is_none() {
                    self.lost.send_replace(Some(by.clone()));
                }
            }
            Err(error) => {
                let text = error.to_string();
                let reason = match error {
                    StoreError::Away { reason } => reason.clone(),
                    _ => text.clone(),
                };
                *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
                self.is_connected.store(false, Ordering::Relaxed);
                // Once for each trouble, not once a second.
                if trouble.as_deref() != Some(text.as_str()) {
                    tracing::error!(
                        "{text}; checks and notifications go on, and what is to be sent waits in the spool"
                    );
                    *trouble = Some(text);
                }
            }
        }
    }

    pub(super) fn add_refused(&self, documents: usize) {
        self.refused.fetch_add(documents as u64, Ordering::Relaxed);
    }

    /// Notes how sending checks and rolling up went, which may fail for long while the connection is well.
    pub(super) fn note_work(&self, what: Work, outcome: &Result<(), StoreError>) {
        let slot = &self.work[what as usize];
        match outcome {
            // These are noted as trouble of the connection.
            Err(StoreError::Away { .. } | StoreError::Superseded { .. }) => self.note(outcome),
            Err(error) => {
                let text = error.to_string();
                let mut work = slot.lock().unwrap_or_else(PoisonError::into_inner);
                if work.as_deref() != Some(text.as_str()) {
                    tracing::error!("{text}; it is tried again");
                    *work = Some(text);
                }
            }
            Ok(()) => *slot.lock().unwrap_or_else(PoisonError::into_inner) = None,
        }
    }

    /// Whether the store was lost to another process.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.borrow().is_some()
    }
}
