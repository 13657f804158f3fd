//! The one writer of verdicts: groups them, stores them, and only then tells anybody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use wise_core::{CheckRecord, Clock, Transition};

use crate::error::StoreError;
use crate::overview::Overview;
use crate::ports::Store;

/// How long results are gathered before they are written together: with the 100 ms that they wait in the
/// orchestrator, results are on the disk a quarter of a second after the check.
const GATHER: Duration = Duration::from_millis(100);
/// With nothing to write, house-keeping is done this often.
const IDLE: Duration = Duration::from_secs(1);
/// A batch this large is written at once.
const ENOUGH: usize = 4000;
/// Batches that may wait for the writer.
const QUEUE: usize = 1024;
/// Results kept while the store cannot be written. The oldest are given up first; transitions never.
const MAX_PENDING: usize = 100_000;
/// Pause before a store that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the store is told that we are alive, so that a restart knows how long we were not.
const ALIVE: Duration = Duration::from_secs(30);

/// Verdicts that are to be stored.
#[derive(Debug, Default)]
pub struct Verdicts {
    /// Checks, in the order they ended.
    pub records: Vec<CheckRecord>,
    /// Changes of status, in order.
    pub transitions: Vec<Transition>,
}

/// A transition with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTransition {
    /// Its number in the main record.
    pub sequence: u64,
    /// The transition.
    pub transition: Transition,
}

/// What was stored.
#[derive(Debug, Default)]
pub struct Published {
    /// Checks.
    pub records: Vec<CheckRecord>,
    /// Transitions.
    pub transitions: Vec<StoredTransition>,
}

/// How the writer fares.
#[derive(Debug, Default)]
pub struct RecorderState {
    healthy: AtomicBool,
    stored: AtomicU64,
    dropped: AtomicU64,
    pending: AtomicU64,
    refused: AtomicU64,
    error: Mutex<Option<String>>,
}

impl RecorderState {
    /// The last trouble of the store, `None` when all is well.
    pub fn trouble(&self) -> Option<String> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the last write succeeded.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Results stored since the start.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Results given up because the store could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Readings that were not kept, because their monitor has too many series.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Results that wait for the store.
    pub fn pending(&self) -> u64 {
        self.pending.load(Ordering::Relaxed)
    }
}

enum Message {
    Verdicts(Verdicts),
    Close,
}

/// Told after something was stored.
pub type Listener = Box<dyn Fn(&Published) + Send>;

/// The handle to the writer's thread.
#[derive(Debug)]
pub struct Recorder {
    inbox: Sender<Message>,
    state: Arc<RecorderState>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Starts the writer.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        overview: Arc<Overview>,
        listener: Listener,
    ) -> std::io::Result<Self> {
        let (inbox, messages) = bounded(QUEUE);
        let state = Arc::new(RecorderState { healthy: AtomicBool::new(true), ..RecorderState::default() });
        let writer = Writer {
            store,
            clock,
            overview,
            listener,
            state: state.clone(),
            records: VecDeque::new(),
            transitions: Vec::new(),
            since_alive: None,
        };
        let thread =
            std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writer.run(&messages))?;
        Ok(Self { inbox, state, thread: Mutex::new(Some(thread)) })
    }

    /// Hands over verdicts without waiting.
    ///
    /// # Errors
    /// The verdicts back, when the writer is too far behind.
    pub fn send(&self, verdicts: Verdicts) -> Result<(), Verdicts> {
        self.inbox.try_send(Message::Verdicts(verdicts)).map_err(|error| match error {
            TrySendError::Full(Message::Verdicts(verdicts))
            | TrySendError::Disconnected(Message::Verdicts(verdicts)) => verdicts,
            TrySendError::Full(Message::Close) | TrySendError::Disconnected(Message::Close) => {
                Verdicts::default()
            }
        })
    }

    /// How the writer fares.
    pub fn state(&self) -> &Arc<RecorderState> {
        &self.state
    }

    /// Writes what is left and ends the thread. Blocks.
    pub fn close(&self) {
        // A writer that has ended already has nothing left.
        self.inbox.send(Message::Close).ok();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the writer of the store ended in a panic");
        }
    }
}

struct Writer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    overview: Arc<Overview>,
    listener: Listener,
    state: Arc<RecorderState>,
    records: VecDeque<CheckRecord>,
    transitions: Vec<Transition>,
    since_alive: Option<wise_core::Timestamp>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let mut is_open = self.gather(messages);
            if !self.write() && is_open {
                is_open = self.wait_for_store(messages);
            }
            self.house_keeping();
            if !is_open {
                // What came in while the store rested has one more chance.
                if !self.write() {
                    let (records, transitions) = (self.records.len(), self.transitions.len());
                    tracing::error!(
                        "{records} results and {transitions} changes of status are lost: the store cannot be written"
                    );
                }
                return;
            }
        }
    }

    /// Takes in what comes until it is time to write; false when it was the last.
    fn gather(&mut self, messages: &Receiver<Message>) -> bool {
        // The window begins with the first verdict and is not moved by later ones: it bounds what a crash can take.
        let mut window = crossbeam_channel::after(IDLE);
        let mut is_first = true;
        loop {
            crossbeam_channel::select! {
                recv(window) -> _ => return true,
                recv(messages) -> message => match message {
                    Ok(Message::Verdicts(verdicts)) => {
                        self.take(verdicts);
                        // A change of status is not kept waiting.
                        if !self.transitions.is_empty() || self.records.len() >= ENOUGH {
                            return true;
                        }
                        if std::mem::take(&mut is_first) {
                            window = crossbeam_channel::after(GATHER);
                        }
                    }
                    Ok(Message::Close) | Err(_) => return false,
                },
            }
        }
    }

    /// The live view gets every verdict at once: trouble with the store changes no status.
    fn take(&mut self, verdicts: Verdicts) {
        self.overview.apply(&verdicts.records, &verdicts.transitions);
        self.records.extend(verdicts.records);
        self.transitions.extend(verdicts.transitions);
        if self.records.len() > MAX_PENDING {
            let excess = self.records.len() - MAX_PENDING;
            self.records.drain(..excess);
            self.state.dropped.fetch_add(excess as u64, Ordering::Relaxed);
        }
        self.state.pending.store(self.records.len() as u64, Ordering::Relaxed);
    }

    /// Writes what there is; false when the store failed and it stays.
    fn write(&mut self) -> bool {
        let mut published = Published::default();
        if !self.transitions.is_empty() {
            match self.store.commit(&self.transitions) {
                Ok(numbers) => {
                    let stored = self.transitions.drain(..).zip(numbers);
                    published.transitions.extend(
                        stored.map(|(transition, sequence)| StoredTransition { sequence, transition }),
                    );
                }
                Err(error) => return self.failed(&error),
            }
        }
        let mut is_stored = true;
        if !self.records.is_empty() {
            match self.store.append(self.records.make_contiguous()) {
                Ok(()) => {
                    self.state.stored.fetch_add(self.records.len() as u64, Ordering::Relaxed);
                    published.records.extend(self.records.drain(..));
                    self.state.pending.store(0, Ordering::Relaxed);
                }
                Err(error) => is_stored = self.failed(&error),
            }
        }
        if !published.records.is_empty() || !published.transitions.is_empty() {
            (self.listener)(&published);
            if is_stored {
                self.recovered();
            }
        }
        is_stored
    }

    fn failed(&self, error: &StoreError) -> bool {
        let text = error.to_string();
        let mut last = self.state.error.lock().unwrap_or_else(PoisonError::into_inner);
        // Once for each trouble, not once a second.
        if last.as_deref() != Some(text.as_str()) {
            tracing::error!("the store cannot be written, results are kept in memory: {text}");
            *last = Some(text);
        }
        self.state.healthy.store(false, Ordering::Relaxed);
        false
    }

    fn recovered(&self) {
        if !self.state.healthy.swap(true, Ordering::Relaxed) {
            *self.state.error.lock().unwrap_or_else(PoisonError::into_inner) = None;
            tracing::info!("the store can be written again");
        }
    }

    /// Goes on taking in while the store rests; false when that was the last.
    fn wait_for_store(&mut self, messages: &Receiver<Message>) -> bool {
        let until = crossbeam_channel::after(RETRY);
        loop {
            crossbeam_channel::select! {
                recv(until) -> _ => return true,
                recv(messages) -> message => match message {
                    Ok(Message::Verdicts(verdicts)) => self.take(verdicts),
                    Ok(Message::Close) | Err(_) => return false,
                },
            }
        }
    }

    fn house_keeping(&mut self) {
        let now = self.clock.now();
        self.state.refused.store(self.store.refused_readings(), Ordering::Relaxed);
        if let Err(error) = self.store.maintain(now) {
            self.failed(&error);
        }
        if self.since_alive.is_none_or(|since| now.since(since) >= ALIVE || now < since) {
            self.since_alive = Some(now);
            if let Err(error) = self.store.set_meta("alive", &now.to_string()) {
                self.failed(&error);
            }
        }
    }
}
