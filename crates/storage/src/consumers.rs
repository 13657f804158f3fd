//! Those who follow the main record: each on a thread of its own, from where it stood when it last ended.
//!
//! A consumer never holds up who writes: the main record is its queue. It takes events a page at a time, and what follows
//! from a page is committed together with the place that it has come to, so that a crash in between repeats the page and
//! loses nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::time::Instant;
use wise_core::Event;

use crate::error::StoreError;
use crate::ports::{Commit, Store};

/// Events that a consumer is given at once.
const PAGE: usize = 500;
/// A consumer looks by itself this often, for events that no one told it of.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// What there is at the end is taken in for at most so long.
const CLOSE: Duration = Duration::from_secs(5);

/// Follows the main record.
pub trait Consumer: Send {
    /// Its name, under which its place is kept. Never changes.
    fn name(&self) -> &'static str;

    /// Where it begins the first time that it runs on a store.
    fn begins(&self) -> Begin {
        Begin::WithTheFirst
    }

    /// Takes in events with their numbers, oldest first, and answers what follows from them. May block. Called again
    /// with the same events when it fails, or when the process ends before what follows is stored.
    ///
    /// # Errors
    /// They could not be taken in. It is logged, and tried again after a second.
    fn take(&mut self, events: &[(u64, Event)]) -> Result<Follows, Box<dyn std::error::Error + Send + Sync>>;
}

/// Where a consumer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// With the first event that there is; afterwards where it stood.
    WithTheFirst,
    /// With the first that comes after its start, at each start: what it does is for those who look now.
    WithTheNext,
}

/// What follows from events, committed with the consumer's place.
#[derive(Debug, Default)]
pub struct Follows {
    /// Events of its own.
    pub events: Vec<Event>,
}

/// How a consumer fares.
#[derive(Debug)]
pub struct ConsumerState {
    name: &'static str,
    cursor: AtomicU64,
    last: Arc<AtomicU64>,
    is_failing: AtomicBool,
}

impl ConsumerState {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// How many events it is behind.
    pub fn lag(&self) -> u64 {
        self.last.load(Ordering::Relaxed).saturating_sub(self.cursor.load(Ordering::Relaxed))
    }

    /// Whether its last page could not be taken in.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }
}

/// Every consumer that runs.
pub struct Consumers {
    store: Arc<dyn Store>,
    last: Arc<AtomicU64>,
    running: Mutex<Vec<Running>>,
}

impl std::fmt::Debug for Consumers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumers").field("states", &self.states()).finish_non_exhaustive()
    }
}

struct Running {
    state: Arc<ConsumerState>,
    wake: Sender<Wake>,
    thread: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wake {
    News,
    Close,
}

impl Consumers {
    /// No consumers yet.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, last: Arc::default(), running: Mutex::default() }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one.
    ///
    /// # Errors
    /// The store cannot be read, or the thread cannot be made.
    pub fn start(&self, consumer: Box<dyn Consumer>) -> Result<(), StartError> {
        let name = consumer.name();
        let last = self.store.last_event()?;
        self.last.fetch_max(last, Ordering::Relaxed);
        let begin = consumer.begins();
        let cursor = match begin {
            Begin::WithTheFirst => self.store.cursor(name)?,
            Begin::WithTheNext => last,
        };
        let state = Arc::new(ConsumerState {
            name,
            cursor: AtomicU64::new(cursor),
            last: self.last.clone(),
            is_failing: AtomicBool::new(false),
        });
        let (wake, woken) = bounded(1);
        let follower =
            Follower { consumer, begin, store: self.store.clone(), state: state.clone(), told: None };
        let thread =
            std::thread::Builder::new().name(format!("{name}-events")).spawn(move || follower.run(&woken))?;
        self.running().push(Running { state, wake, thread });
        Ok(())
    }

    /// Tells everyone that there are events up to this number.
    pub fn notify(&self, last: u64) {
        self.last.fetch_max(last, Ordering::Relaxed);
        for one in &*self.running() {
            // A full queue means that it has been told already.
            one.wake.try_send(Wake::News).ok();
        }
    }

    /// How each fares.
    pub fn states(&self) -> Vec<Arc<ConsumerState>> {
        self.running().iter().map(|one| one.state.clone()).collect()
    }

    /// Lets each take in what there is, and ends it. Blocks.
    pub fn close(&self) {
        let all = std::mem::take(&mut *self.running());
        for one in &all {
            // One that has ended already takes nothing in.
            one.wake.send(Wake::Close).ok();
        }
        for one in all {
            if one.thread.join().is_err() {
                tracing::error!("the consumer `{}` ended in a panic", one.state.name);
            }
        }
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.close();
    }
}

/// Why a consumer could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread cannot be made.
    #[error("a thread for a consumer of events cannot be made")]
    Thread(#[from] std::io::Error),
}

struct Follower {
    consumer: Box<dyn Consumer>,
    begin: Begin,
    store: Arc<dyn Store>,
    state: Arc<ConsumerState>,
    /// The trouble that was logged last.
    told: Option<String>,
}

impl Follower {
    fn run(mut self, woken: &Receiver<Wake>) {
        loop {
            let pause = if self.catch_up(None) { LOOK } else { RETRY };
            match woken.recv_timeout(pause) {
                Ok(Wake::News) | Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
                Ok(Wake::Close) | Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    // What is left is taken in by the next start.
                    self.catch_up(Some(Instant::now() + CLOSE));
                    return;
                }
            }
        }
    }

    /// Takes in what there is, at most until then; false when that failed.
    fn catch_up(&mut self, until: Option<Instant>) -> bool {
        loop {
            let taken = catch_unwind(AssertUnwindSafe(|| self.take_page()))
                .unwrap_or_else(|panic| Err(format!("panicked: {}", panic_text(&*panic)).into()));
            match taken {
                Ok(true) if until.is_some_and(|until| Instant::now() >= until) => return true,
                Ok(true) => self.told = None,
                Ok(false) => {
                    self.state.is_failing.store(false, Ordering::Relaxed);
                    return true;
                }
                Err(error) => {
                    self.state.is_failing.store(true, Ordering::Relaxed);
                    let text = error.to_string();
                    // Once for each trouble, not once a second.
                    if self.told.as_deref() != Some(text.as_str()) {
                        tracing::error!(
                            "the consumer `{}` cannot go on, and tries again: {text}",
                            self.state.name
                        );
                        self.told = Some(text);
                    }
                    return false;
                }
            }
        }
    }

    /// Takes in a page; whether there was one.
    fn take_page(&mut self) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let cursor = self.state.cursor.load(Ordering::Relaxed);
        let page = match self.begin {
            Begin::WithTheFirst => self.store.unseen_events(self.state.name, PAGE)?,
            Begin::WithTheNext => self.store.events_after(cursor, PAGE)?,
        };
        let Some((last, _)) = page.last() else {
            self.state.last.fetch_max(cursor, Ordering::Relaxed);
            return Ok(false);
        };
        let last = *last;
        self.state.last.fetch_max(last, Ordering::Relaxed);
        let follows = self.consumer.take(&page)?;
        let place = (self.begin == Begin::WithTheFirst).then_some((self.state.name, last));
        if place.is_some() || !follows.events.is_empty() {
            self.store.commit(Commit { events: &follows.events, cursor: place })?;
        }
        self.state.cursor.store(last, Ordering::Relaxed);
        Ok(true)
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}
