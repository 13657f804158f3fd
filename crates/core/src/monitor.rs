//! What a plugin implements.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::growth::{Past, PastReadings};
use crate::monitor_id::MonitorId;
use crate::report::Report;
use crate::secret::SecretLookup;

/// One configured target. Holds what its probes share; made without I/O.
pub trait Monitor: Send + Sync + fmt::Debug {
    /// Makes the probe of that name. Called again after a probe has panicked or overstayed its deadline.
    fn probe(&self, name: &str) -> Option<Box<dyn Probe>>;

    /// Whether the probe of that name has anything to do. One that has not, such as custom queries where none are
    /// configured, is not scheduled.
    fn has_work(&self, _probe: &str) -> bool {
        true
    }

    /// The host that checks go to, for the cap on checks in flight per host.
    fn host(&self) -> Option<&str> {
        None
    }
}

/// One job of a monitor. Owned by its slot of the orchestrator, so it may keep state between checks.
#[async_trait]
pub trait Probe: Send {
    /// Makes one check. Must return before `cx.timeout`; what is still running shortly after is thrown away.
    async fn check(&mut self, cx: &CheckContext) -> Report;
}

/// What a check is told.
#[derive(Clone, Copy, Debug)]
pub struct CheckContext {
    /// The deadline, from the start of the check.
    pub timeout: Duration,
    /// Wall-clock time at the start, for what depends on the date, such as certificates.
    pub now: crate::Timestamp,
    /// Evidence is wanted whatever the outcome, as for a check made by hand.
    pub detailed: bool,
}

/// What a constructor is given: secrets, and services shared by monitors such as the network stack.
#[derive(Clone)]
pub struct BuildContext {
    secrets: Arc<dyn SecretLookup>,
    shared: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    past: Option<Arc<dyn PastReadings>>,
    monitor: Option<MonitorId>,
}

impl BuildContext {
    /// A context that finds secrets through `secrets`.
    pub fn new(secrets: Arc<dyn SecretLookup>) -> Self {
        Self { secrets, shared: HashMap::new(), past: None, monitor: None }
    }

    /// Adds a shared service.
    pub fn with<T: Any + Send + Sync>(mut self, service: Arc<T>) -> Self {
        self.shared.insert(TypeId::of::<T>(), service);
        self
    }

    /// Lets probes read what was measured earlier.
    pub fn with_past(mut self, past: Arc<dyn PastReadings>) -> Self {
        self.past = Some(past);
        self
    }

    /// The context for the monitor with this id.
    pub fn for_monitor(&self, id: MonitorId) -> Self {
        Self { monitor: Some(id), ..self.clone() }
    }

    /// What was measured of this monitor earlier; `None` where nothing is kept.
    pub fn past(&self) -> Option<Past> {
        Some(Past::new(self.monitor?, self.past.clone()?))
    }

    /// A shared service, if the composition root gave one.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        self.shared.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }

    /// Where secrets come from.
    pub fn secrets(&self) -> &dyn SecretLookup {
        &*self.secrets
    }
}

impl fmt::Debug for BuildContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildContext").field("shared", &self.shared.len()).finish_non_exhaustive()
    }
}
