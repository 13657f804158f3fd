//! The one writer of checks, events and samples of other sources: groups them, stores them, and only then tells anyone.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use wise_core::{Batch, CheckRecord, Clock, Event};

use crate::error::StoreError;
use crate::ports::{Commit, SourceSamples, Store};

/// How long results are gathered before they are written together: with the 100 ms that they wait in the
/// orchestrator, results are on the disk a quarter of a second after the check.
const GATHER: Duration = Duration::from_millis(100);
/// With nothing to write, house-keeping is done this often.
const IDLE: Duration = Duration::from_secs(1);
/// A batch this large is written at once.
const ENOUGH: usize = 4000;
/// Batches that may wait for the writer.
const QUEUE: usize = 1024;
/// Results kept while the store cannot be written. The oldest are given up first; events never.
const MAX_PENDING: usize = 100_000;
/// The same of samples of sources that are no monitors, in numbers and a twentieth of a distribution.
const MAX_SAMPLES: usize = 200_000;
/// Pause before a store that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often the store is told that we are alive, so that a restart knows how long we were not.
const ALIVE: Duration = Duration::from_secs(30);

/// An event with its number.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its number in the main record.
    pub sequence: u64,
    /// The event.
    pub event: Event,
}

/// What was stored.
#[derive(Debug, Default)]
pub struct Stored {
    /// Checks.
    pub records: Vec<CheckRecord>,
    /// Events.
    pub events: Vec<StoredEvent>,
}

/// Told of what goes through the recorder, on its thread: short work, and nothing that waits.
pub trait Observer: Send {
    /// Checks and events have come in, and are not stored yet. The live view follows them here, so that it is right while
    /// the store is away.
    fn received(&self, batch: &Batch);

    /// They are stored. Who must not miss an event reads the main record, as a [`crate::Consumer`] does.
    fn stored(&self, stored: &Stored);
}

/// How the writer fares.
#[derive(Debug, Default)]
pub struct RecorderState {
    healthy: AtomicBool,
    stored: AtomicU64,
    dropped: AtomicU64,
    pending: AtomicU64,
    refused: AtomicU64,
    samples_dropped: AtomicU64,
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

    /// Samples of sources that are no monitors, given up because the store could not be written.
    pub fn samples_dropped(&self) -> u64 {
        self.samples_dropped.load(Ordering::Relaxed)
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
    Batch(Batch),
    Samples(SourceSamples),
    Close,
}

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
        observer: Box<dyn Observer>,
    ) -> std::io::Result<Self> {
        let (inbox, messages) = bounded(QUEUE);
        let state = Arc::new(RecorderState { healthy: AtomicBool::new(true), ..RecorderState::default() });
        let writer = Writer {
            store,
            clock,
            observer,
            state: state.clone(),
            records: VecDeque::new(),
            events: Vec::new(),
            samples: VecDeque::new(),
            since_alive: None,
        };
        let thread =
            std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writer.run(&messages))?;
        Ok(Self { inbox, state, thread: Mutex::new(Some(thread)) })
    }

    /// Hands over a batch without waiting.
    ///
    /// # Errors
    /// The batch back, when the writer is too far behind.
    pub fn send(&self, batch: Batch) -> Result<(), Batch> {
        self.inbox.try_send(Message::Batch(batch)).map_err(|error| match error {
            TrySendError::Full(Message::Batch(batch)) | TrySendError::Disconnected(Message::Batch(batch)) => {
                batch
            }
            TrySendError::Full(_) | TrySendError::Disconnected(_) => Batch::default(),
        })
    }

    /// Hands over samples of a source that is no monitor, without waiting.
    ///
    /// # Errors
    /// The samples back, when the writer is too far behind.
    pub fn send_samples(&self, samples: SourceSamples) -> Result<(), Box<SourceSamples>> {
        match self.inbox.try_send(Message::Samples(samples)) {
            Err(
                TrySendError::Full(Message::Samples(samples))
                | TrySendError::Disconnected(Message::Samples(samples)),
            ) => Err(Box::new(samples)),
            _ => Ok(()),
        }
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
    observer: Box<dyn Observer>,
    state: Arc<RecorderState>,
    records: VecDeque<CheckRecord>,
    events: Vec<Event>,
    samples: VecDeque<SourceSamples>,
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
                    let (records, events) = (self.records.len(), self.events.len());
                    let samples = self.samples.len();
                    tracing::error!(
                        "{records} results, {events} events and {samples} samples of other sources are lost: the store \
                         cannot be written"
                    );
                }
                return;
            }
        }
    }

    /// Takes in what comes until it is time to write; false when it was the last.
    fn gather(&mut self, messages: &Receiver<Message>) -> bool {
        // The window begins with the first batch and is not moved by later ones: it bounds what a crash can take.
        let mut window = crossbeam_channel::after(IDLE);
        let mut is_first = true;
        loop {
            crossbeam_channel::select! {
                recv(window) -> _ => return true,
                recv(messages) -> message => match message {
                    Ok(Message::Batch(batch)) => {
                        self.take(batch);
                        // An event is not kept waiting.
                        if !self.events.is_empty() || self.records.len() >= ENOUGH {
                            return true;
                        }
                        if std::mem::take(&mut is_first) {
                            window = crossbeam_channel::after(GATHER);
                        }
                    }
                    // These can wait for the checks.
                    Ok(Message::Samples(samples)) => self.take_samples(samples),
                    Ok(Message::Close) | Err(_) => return false,
                },
            }
        }
    }

    fn take(&mut self, batch: Batch) {
        self.observer.received(&batch);
        self.records.extend(batch.records);
        self.events.extend(batch.events);
        if self.records.len() > MAX_PENDING {
            let excess = self.records.len() - MAX_PENDING;
            self.records.drain(..excess);
            self.state.dropped.fetch_add(excess as u64, Ordering::Relaxed);
        }
        self.state.pending.store(self.records.len() as u64, Ordering::Relaxed);
    }

    fn take_samples(&mut self, samples: SourceSamples) {
        let weight = |one: &SourceSamples| one.readings.len() + 20 * one.distributions.len();
        self.samples.push_back(samples);
        let mut all: usize = self.samples.iter().map(weight).sum();
        while all > MAX_SAMPLES && self.samples.len() > 1 {
            let Some(oldest) = self.samples.pop_front() else { break };
            all -= weight(&oldest);
            let count = oldest.readings.len() + oldest.distributions.len();
            self.state.samples_dropped.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Writes what there is; false when the store failed and it stays.
    fn write(&mut self) -> bool {
        let mut stored = Stored::default();
        if !self.events.is_empty() {
            match self.store.commit(Commit::of(&self.events)) {
                Ok(numbers) => {
                    let numbered = self.events.drain(..).zip(numbers);
                    stored.events.extend(numbered.map(|(event, sequence)| StoredEvent { sequence, event }));
                }
                Err(error) => return self.failed(&error),
            }
        }
        let mut is_stored = true;
        if !self.records.is_empty() {
            match self.store.append(self.records.make_contiguous()) {
                Ok(()) => {
                    self.state.stored.fetch_add(self.records.len() as u64, Ordering::Relaxed);
                    stored.records.extend(self.records.drain(..));
                    self.state.pending.store(0, Ordering::Relaxed);
                }
                Err(error) => is_stored = self.failed(&error),
            }
        }
        let mut has_written = !stored.records.is_empty() || !stored.events.is_empty();
        if has_written {
            self.observer.stored(&stored);
        }
        // Behind the checks, which do not wait for these.
        if is_stored && !self.samples.is_empty() {
            match self.store.append_samples(self.samples.make_contiguous()) {
                Ok(()) => {
                    self.samples.clear();
                    has_written = true;
                }
                Err(error) => is_stored = self.failed(&error),
            }
        }
        if has_written && is_stored {
            self.recovered();
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
                    Ok(Message::Batch(batch)) => self.take(batch),
                    Ok(Message::Samples(samples)) => self.take_samples(samples),
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
