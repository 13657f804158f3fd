//! Caps on checks in flight to one host, shared by all shards.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Counts the checks in flight to a host.
#[derive(Debug)]
pub(crate) struct HostGate {
    running: AtomicU32,
    cap: u32,
}

impl HostGate {
    /// Takes a place, if there is one.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<HostPermit> {
        let take = |running| (running < self.cap).then_some(running + 1);
        self.running.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).ok()?;
        Some(HostPermit(self.clone()))
    }
}

/// A place, given back when dropped, also by a check that is thrown away.
#[derive(Debug)]
pub(crate) struct HostPermit(Arc<HostGate>);

impl Drop for HostPermit {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The gates of all hosts.
#[derive(Debug)]
pub(crate) struct Hosts {
    cap: u32,
    known: Mutex<HashMap<String, Weak<HostGate>>>,
}

impl Hosts {
    pub(crate) fn new(cap: u32) -> Self {
        Self { cap, known: Mutex::default() }
    }

    /// The gate of a host. Asked for when a monitor is set up, not at each check.
    pub(crate) fn gate(&self, host: &str) -> Arc<HostGate> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = known.get(host).and_then(Weak::upgrade) {
            return gate;
        }
        if known.len() > 1024 {
            known.retain(|_, gate| gate.strong_count() > 0);
        }
        let gate = Arc::new(HostGate { running: AtomicU32::new(0), cap: self.cap });
        known.insert(host.to_owned(), Arc::downgrade(&gate));
        gate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_takes_no_more_than_its_cap() {
        let hosts = Hosts::new(2);
        let gate = hosts.gate("a");
        let one = gate.enter();
        let two = hosts.gate("a").enter();
        assert!(one.is_some() && two.is_some() && gate.enter().is_none());
        assert!(hosts.gate("b").enter().is_some());
        drop(one);
        assert!(gate.enter().is_some());
    }
}
