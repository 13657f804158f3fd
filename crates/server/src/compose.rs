//! The composition root: makes every part and connects them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;
use wise_api::{EveryoneIsOperator, HostRules, Info, Live, LiveEvents, Services, SourceKinds};
use wise_catalog::{Catalog, Parts};
use wise_core::{Batch, BuildContext, Clock, Registry, SystemClock};
use wise_net::{AllowAll, Net};
use wise_orchestrator::{Orchestrator, OrchestratorConfig, Sink, Uplink};
use wise_overview::Overview;
use wise_storage::{Consumers, KeySource, MongoStore, Observer, Recorder, RemoteState, Sealer, Stored};
use wise_telemetry::{CheckResult, HealthChecks, HealthStatus, HttpMetrics, Metrics};

use crate::environment::Environment;
use crate::event_log::EventLog;
use crate::own_history::{OwnHistory, SOURCE_KINDS};
use crate::past::FromStore;
use crate::settings::Settings;
use crate::store::{self, Opened, worker};
use crate::uplink::Addresses;

/// Everything that runs.
pub(crate) struct Running {
    pub(crate) services: Services,
    pub(crate) orchestrator: Arc<Orchestrator>,
    pub(crate) recorder: Arc<Recorder>,
    /// The store, where it is in MongoDB.
    pub(crate) mongo: Option<Arc<MongoStore>>,
    pub(crate) uplink: Option<Arc<Uplink>>,
    pub(crate) consumers: Arc<Consumers>,
    /// Keeps what is known of this server itself.
    pub(crate) own_history: Arc<OwnHistory>,
    /// Set once the server stops.
    pub(crate) stopping: Arc<AtomicBool>,
    /// How many mistakes there are in monitor files.
    pub(crate) file_problems: Arc<AtomicUsize>,
}

/// The plugins that are linked.
pub(crate) fn registry() -> anyhow::Result<Arc<Registry>> {
    let registry = Registry::linked().context("the monitors of this program do not fit together")?;
    Ok(Arc::new(registry))
}

/// What constructors of monitors are given.
pub(crate) fn build_context(environment: &Environment, net: Arc<Net>) -> BuildContext {
    BuildContext::new(Arc::new(environment.clone())).with(net)
}

/// Seals secrets with the key from the environment, or from a file beside the store.
pub(crate) fn sealer(settings: &Settings, environment: &Environment) -> anyhow::Result<Sealer> {
    let source = match environment.get("WISE_SECRET_KEY") {
        Some(key) => KeySource::Given(key.into()),
        None => KeySource::File(settings.local_folder()?.join("secret.key")),
    };
    Sealer::open(&source).context("the key that seals secrets cannot be used")
}

/// What leaves the orchestrator goes to the recorder.
struct ToRecorder(Arc<Recorder>);

impl Sink for ToRecorder {
    fn send(&self, batch: Batch) -> Result<(), Batch> {
        self.0.send(batch)
    }
}

/// What goes through the recorder is shown at once, and consumers are told once it is stored.
struct Followed {
    overview: Arc<Overview>,
    consumers: Arc<Consumers>,
}

impl Observer for Followed {
    fn received(&self, batch: &Batch) {
        self.overview.apply(&batch.records, &batch.events);
    }

    fn stored(&self, stored: &Stored) {
        if let Some(last) = stored.events.last() {
            self.consumers.notify(last.sequence);
        }
    }
}

/// Makes everything, and takes up the definitions of the store.
///
/// `wait` is called with the name of the process that has the store, again and again until it is free.
pub(crate) fn compose(
    settings: &Settings,
    environment: &Environment,
    wait: &mut dyn FnMut(&str) -> bool,
) -> anyhow::Result<Running> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let started = clock.now();
    let registry = registry()?;
    let worker = worker(settings);
    let Opened { store, mongo } = store::open(settings, started, wait)?;
    let sealer = Arc::new(sealer(settings, environment)?);
    if mongo.is_some() {
        // Another process may have sealed the secrets.
        store::check_key(&*store, &sealer)?;
    }
    let net = Arc::new(Net::new(Arc::new(AllowAll)));
    let overview = Arc::new(Overview::new(clock.clone()));
    let live = Arc::new(Live::new(overview.clone(), &*clock, settings.display.time_zone.clone()));
    let consumers = Arc::new(Consumers::new(store.clone()));
    consumers.start(Box::new(EventLog::new(overview.clone())))?;
    consumers.start(Box::new(LiveEvents(live.clone())))?;
    let observer = Followed { overview: overview.clone(), consumers: consumers.clone() };
    let recorder = Arc::new(Recorder::start(store.clone(), clock.clone(), Box::new(observer))?);
    let uplink =
        Addresses::new(&settings.egress, net.clone()).map(|addresses| Uplink::new(Arc::new(addresses)));
    let threads = match settings.checks.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let config = OrchestratorConfig {
        shards: threads,
        max_in_flight: settings.checks.max_in_flight,
        max_in_flight_per_host: settings.checks.max_in_flight_per_host,
        shutdown_grace: settings.checks.shutdown_grace.0,
    };
    let sink = Arc::new(ToRecorder(recorder.clone()));
    let orchestrator = Arc::new(Orchestrator::start(&config, clock.clone(), sink, uplink.clone())?);
    let catalog = Arc::new(Catalog::new(Parts {
        registry: registry.clone(),
        store: store.clone(),
        sealer,
        orchestrator: orchestrator.clone(),
        overview: overview.clone(),
        recorder: recorder.clone(),
        build: build_context(environment, net)
            .with_past(Arc::new(FromStore::new(store.clone(), clock.clone()))),
        clock: clock.clone(),
    }));
    let stopping = Arc::new(AtomicBool::new(false));
    let file_problems = Arc::new(AtomicUsize::new(0));
    let mut health =
        health(&recorder, &orchestrator, uplink.clone(), stopping.clone(), file_problems.clone());
    let remote = mongo.as_ref().map(|mongo| mongo.state());
    if let Some(remote) = remote.clone() {
        watch_remote(&mut health, remote);
    }
    let mut http_metrics = None;
    let metrics = Metrics::new(|metrics| {
        http_metrics = Some(HttpMetrics::register(metrics, settings.server.thresholds()));
        let (stats, state) = (orchestrator.stats().clone(), recorder.state().clone());
        wise_api::register_metrics(
            metrics,
            registry,
            overview.clone(),
            stats,
            state,
            remote,
            consumers.clone(),
        );
    });
    let http_metrics = http_metrics.context("the HTTP metrics were not registered")?;
    let own_history =
        OwnHistory::new(&settings.checks.location, http_metrics.clone(), recorder.clone(), clock.clone());
    let own_history = Arc::new(own_history.context("checks.location")?);
    let public_url = settings.public_url()?;
    let names = settings.server.host_names.iter().chain(public_url.iter().map(|(_, host)| host));
    let services = Services {
        catalog,
        store,
        overview,
        live,
        metrics,
        http_metrics,
        source_kinds: SourceKinds(SOURCE_KINDS),
        health,
        clock,
        started,
        info: Info {
            time_zone: settings.display.time_zone.clone(),
            version: env!("CARGO_PKG_VERSION"),
            location: settings.checks.location.clone(),
            worker,
            public_url: public_url.as_ref().map(|(url, _)| url.clone()),
            base_path: settings.server.base_path.clone(),
        },
        hosts: HostRules { names: names.map(|name| name.to_lowercase()).collect() },
        authenticator: Arc::new(EveryoneIsOperator),
    };
    Ok(Running {
        services,
        orchestrator,
        recorder,
        mongo,
        uplink,
        consumers,
        own_history,
        stopping,
        file_problems,
    })
}

fn watch_remote(health: &mut HealthChecks, remote: Arc<RemoteState>) {
    health.register("mongodb", move || {
        let (is_lost, trouble) = (remote.lost().borrow().is_some(), remote.trouble());
        async move {
            // The text may name hosts: the log has it.
            match (is_lost, trouble) {
                (true, _) => {
                    CheckResult::new(HealthStatus::Unhealthy, "another process has taken the store over")
                }
                (false, Some(_)) => CheckResult::new(
                    HealthStatus::Degraded,
                    "MongoDB cannot be used: checks go on, and results wait in the spool; see the server's log",
                ),
                (false, None) => CheckResult::HEALTHY,
            }
        }
    });
}

fn health(
    recorder: &Arc<Recorder>,
    orchestrator: &Arc<Orchestrator>,
    uplink: Option<Arc<Uplink>>,
    stopping: Arc<AtomicBool>,
    file_problems: Arc<AtomicUsize>,
) -> HealthChecks {
    let mut health = HealthChecks::default();
    health.register("lifecycle", move || {
        let is_stopping = stopping.load(Ordering::Relaxed);
        async move {
            if is_stopping {
                CheckResult::new(HealthStatus::Unhealthy, "the server is stopping")
            } else {
                CheckResult::HEALTHY
            }
        }
    });
    let state = recorder.state().clone();
    health.register("store", move || {
        let trouble = state.trouble();
        async move {
            // The text may name paths of the server: the log has it.
            match trouble {
                Some(_) => CheckResult::new(
                    HealthStatus::Unhealthy,
                    "the store cannot be written; see the server's log",
                ),
                None => CheckResult::HEALTHY,
            }
        }
    });
    let scheduler = orchestrator.clone();
    health.register("scheduler", move || {
        let is_moving = scheduler.is_moving();
        async move {
            if is_moving {
                CheckResult::HEALTHY
            } else {
                CheckResult::new(HealthStatus::Unhealthy, "a probe runtime stands still")
            }
        }
    });
    health.register("monitor_files", move || {
        let count = file_problems.load(Ordering::Relaxed);
        async move {
            if count == 0 {
                CheckResult::HEALTHY
            } else {
                let text =
                    format!("mistakes in monitor files: {count}; the log and `check-config` say where");
                CheckResult::new(HealthStatus::Degraded, text)
            }
        }
    });
    if let Some(uplink) = uplink {
        health.register("egress", move || {
            let last = uplink.last();
            async move {
                if last == Some(false) {
                    CheckResult::new(
                        HealthStatus::Degraded,
                        "the egress self-check failed: targets beyond the uplink are unknown",
                    )
                } else {
                    CheckResult::HEALTHY
                }
            }
        });
    }
    health
}
