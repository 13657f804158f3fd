//! Changes on their way to the browsers: one stream, numbered, with a memory for those who come back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::broadcast;
use wise_core::{Clock, Event, MonitorId, Principal};
use wise_overview::Overview;
use wise_storage::{Begin, Consumer, Follows};

use crate::event_view::EventView;
use crate::view::{OverviewView, UpdateView};

/// Updates go out at most this often.
const TICK: Duration = Duration::from_millis(250);
/// Events that a slow or returning client can catch up on.
const MEMORY: usize = 256;
/// Bytes of such events at most.
const MEMORY_BYTES: usize = 4 * 1024 * 1024;
/// With no one listening for this many ticks, the memory is given up: anyone who comes back gets a snapshot.
const IDLE_TICKS: u32 = 240;

/// An event, as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) sequence: u64,
    text: Arc<str>,
    /// The one monitor that it is about; `None` for an update of many.
    monitor: Option<MonitorId>,
}

/// What a client gets first.
pub(crate) struct Subscription {
    pub(crate) first: Vec<Arc<str>>,
    pub(crate) rest: broadcast::Receiver<Frame>,
    /// Events up to here are in `first`.
    pub(crate) sequence: u64,
}

/// The stream of changes.
pub struct Live {
    overview: Arc<Overview>,
    time_zone: String,
    epoch: i64,
    sender: broadcast::Sender<Frame>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    sequence: u64,
    frames: VecDeque<Frame>,
    bytes: usize,
    idle: u32,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("clients", &self.sender.receiver_count()).finish_non_exhaustive()
    }
}

impl Live {
    /// A stream over the live view.
    pub fn new(overview: Arc<Overview>, clock: &dyn Clock, time_zone: String) -> Self {
        let (sender, _) = broadcast::channel(MEMORY);
        Self { overview, time_zone, epoch: clock.now().as_millis(), sender, memory: Mutex::default() }
    }

    /// Sends updates, for ever.
    pub async fn run(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tick();
        }
    }

    fn tick(&self) {
        {
            let mut memory = self.lock();
            memory.idle = if self.sender.receiver_count() == 0 { memory.idle.saturating_add(1) } else { 0 };
            if memory.idle >= IDLE_TICKS {
                memory.frames.clear();
                memory.bytes = 0;
                drop(memory);
                return self.overview.forget_changes();
            }
        }
        if let Some(delta) = self.overview.delta() {
            self.publish("update", None, &UpdateView::from(delta));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, event: &str, monitor: Option<MonitorId>, data: &impl Serialize) {
        let Ok(json) = serde_json::to_string(data) else { return };
        let mut memory = self.lock();
        memory.sequence += 1;
        let sequence = memory.sequence;
        let text: Arc<str> =
            format!("id: {}:{sequence}\nevent: {event}\ndata: {json}\n\n", self.epoch).into();
        memory.bytes += text.len();
        let frame = Frame { sequence, text, monitor };
        memory.frames.push_back(frame.clone());
        while memory.frames.len() > MEMORY || memory.bytes > MEMORY_BYTES {
            let Some(old) = memory.frames.pop_front() else { break };
            memory.bytes -= old.text.len();
        }
        // Sent under the lock, so that a new client neither misses it nor gets it twice.
        self.sender.send(frame).ok();
    }

    /// Everything that someone sees, with its place in the stream.
    pub(crate) fn snapshot(&self, to: &Principal) -> OverviewView {
        // The place first: what changes in between is sent again as an update, and does no harm twice.
        let id = format!("{}:{}", self.epoch, self.lock().sequence);
        OverviewView::new(self.overview.snapshot(|tags| to.sees(tags)), id, self.time_zone.clone())
    }

    /// A new client, or one that comes back with the id of the last event it saw.
    pub(crate) fn subscribe(&self, last_event_id: Option<&str>, to: &Principal) -> Subscription {
        let memory = self.lock();
        let rest = self.sender.subscribe();
        let sequence = memory.sequence;
        let seen = last_event_id
            .and_then(|id| id.split_once(':'))
            .filter(|(epoch, _)| epoch.parse() == Ok(self.epoch))
            .and_then(|(_, sequence)| sequence.parse::<u64>().ok());
        let oldest = memory.frames.front().map_or(sequence + 1, |frame| frame.sequence);
        match seen {
            Some(seen) if seen <= sequence && seen + 1 >= oldest => {
                let first = memory.frames.iter().filter(|f| f.sequence > seen).cloned().collect::<Vec<_>>();
                drop(memory);
                let first = first.iter().filter_map(|frame| self.shown(frame, to)).collect();
                Subscription { first, rest, sequence }
            }
            _ => {
                drop(memory);
                Subscription { first: vec![self.snapshot_frame(to)], rest, sequence }
            }
        }
    }

    /// What someone is sent of a frame. Updates are made once for all: who sees only some monitors gets a snapshot of those.
    pub(crate) fn shown(&self, frame: &Frame, to: &Principal) -> Option<Arc<str>> {
        if to.tags.is_empty() {
            return Some(frame.text.clone());
        }
        match frame.monitor {
            None => Some(self.snapshot_frame(to)),
            Some(id) => {
                let is_seen = self.overview.item(id).is_some_and(|item| to.sees(&item.tags));
                is_seen.then(|| frame.text.clone())
            }
        }
    }

    /// A snapshot as an event.
    pub(crate) fn snapshot_frame(&self, to: &Principal) -> Arc<str> {
        let sequence = self.lock().sequence;
        let view = self.snapshot(to);
        let json = serde_json::to_string(&view).unwrap_or_default();
        format!("id: {}:{sequence}\nevent: snapshot\ndata: {json}\n\n", self.epoch).into()
    }

    /// How many clients listen.
    pub fn clients(&self) -> usize {
        self.sender.receiver_count()
    }
}

/// Sends events of the main record to browsers, once they are stored.
#[derive(Debug)]
pub struct LiveEvents(pub Arc<Live>);

impl Consumer for LiveEvents {
    fn name(&self) -> &'static str {
        "live"
    }

    fn begins(&self) -> Begin {
        // A browser asks for older ones.
        Begin::WithTheNext
    }

    fn take(&mut self, events: &[(u64, Event)]) -> Result<Follows, Box<dyn std::error::Error + Send + Sync>> {
        for (sequence, event) in events {
            let name = self.0.overview.item(event.monitor).map(|item| item.name);
            self.0.publish("event", Some(event.monitor), &EventView::new(*sequence, event, name));
        }
        Ok(Follows::default())
    }
}
