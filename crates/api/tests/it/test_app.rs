//! The API with everything behind it, in this process: every route, no sockets.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use serde_json::{Value, json};
use wise_api::{
    Authenticator, EveryoneIsOperator, HostRules, Info, Kind, Live, Problem, Services, SourceKinds,
};
use wise_catalog::{Catalog, Parts};
use wise_core::{
    Batch, BuildContext, CheckContext, Clock, FieldError, FieldErrors, MetricSpec, Monitor, MonitorSettings,
    Plugin, Principal, Probe, ProbeSpec, Registry, Report, Secret, SecretLookup, SourceKind, SystemClock,
    async_trait,
};
use wise_orchestrator::{Orchestrator, OrchestratorConfig, Sink};
use wise_overview::Overview;
use wise_storage::{KeySource, Observer, Recorder, Retention, Sealer, SqliteOptions, SqliteStore, Stored};
use wise_telemetry::{HealthChecks, HttpMetrics, Metrics, Thresholds};

use crate::fallible::Fallible;

static TOTAL: MetricSpec = MetricSpec::latency("quiet.total_seconds", "Total", "Time of the whole check");

pub static JOBS: MetricSpec = MetricSpec::total("jobs.done_total", "Jobs", "Jobs done");

static SOURCES: &[&SourceKind] = &[&DAEMON];

/// A kind of source that is no monitor.
static DAEMON: SourceKind = SourceKind { kind: "daemon", title: "Daemon", metrics: &[&JOBS] };

/// A kind that passes and touches nothing.
static QUIET: Plugin = Plugin {
    title: "Quiet",
    metrics: &[&TOTAL],
    headline: "quiet.total_seconds",
    probes: &[ProbeSpec::new(
        ProbeSpec::AVAILABILITY,
        "Availability",
        Duration::from_secs(3600),
        Duration::from_secs(1),
    )],
    ..Plugin::new::<Quiet>("quiet", "tests")
};

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Quiet {
    /// A number from 1 to 10.
    #[serde(default)]
    number: u8,
    /// A password.
    #[serde(default)]
    password: Option<Secret>,
}

impl MonitorSettings for Quiet {
    fn example() -> Value {
        json!({"number": 1})
    }

    fn build(self, _: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        if self.number > 10 {
            let error = FieldError::new("number", "out of range").value(self.number);
            return Err(error.hint("use a number from 1 to 10").into());
        }
        Ok(Arc::new(self))
    }
}

impl Monitor for Quiet {
    fn probe(&self, _: &str) -> Option<Box<dyn Probe>> {
        Some(Box::new(QuietProbe(f64::from(self.number) + f64::from(u8::from(self.password.is_some())))))
    }
}

struct QuietProbe(f64);

#[async_trait]
impl Probe for QuietProbe {
    async fn check(&mut self, _: &CheckContext) -> Report {
        let mut report = Report::default();
        report.push(&TOTAL, self.0);
        report
    }
}

struct NoSecrets;

impl SecretLookup for NoSecrets {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("no file {path}"))
    }
}

struct ToRecorder(Arc<Recorder>);

impl Sink for ToRecorder {
    fn send(&self, batch: Batch) -> Result<(), Batch> {
        self.0.send(batch)
    }
}

struct ToOverview(Arc<Overview>);

impl Observer for ToOverview {
    fn received(&self, batch: &Batch) {
        self.0.apply(&batch.records, &batch.events);
    }

    fn stored(&self, _: &Stored) {}
}

/// The principal that a test has set makes every request; no one, when it has set none.
#[derive(Default)]
struct Chosen(Mutex<Option<Principal>>);

impl Authenticator for Chosen {
    fn principal(&self, _: &HttpRequest) -> Result<Principal, Problem> {
        let chosen = self.0.lock().unwrap().clone();
        chosen.ok_or_else(|| Problem::new(Kind::Unauthenticated, "log in first"))
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    pub etag: Option<String>,
    pub allow: Option<String>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// The last part of the problem's type.
    pub fn problem(&self) -> String {
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        kind.rsplit('/').next().unwrap_or_default().to_owned()
    }
}

pub struct TestApp {
    services: Services,
    pub store: Arc<Fallible>,
    who: Arc<Chosen>,
    orchestrator: Arc<Orchestrator>,
    pub recorder: Arc<Recorder>,
    _folder: tempfile::TempDir,
}

impl TestApp {
    pub fn new() -> Self {
        // In memory where the machine has such a folder.
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let options = SqliteOptions {
            folder: folder.path().to_owned(),
            retention: Retention::default(),
            head_bytes: 1 << 20,
            max_series: 1000,
            clock_patience: Duration::ZERO,
            hold_from: Arc::new(i64::MAX.into()),
            location: "here".to_owned(),
            worker: "w".to_owned(),
        };
        let store = Arc::new(Fallible::new(SqliteStore::open(&options, clock.now()).unwrap()));
        let overview = Arc::new(Overview::new(clock.clone()));
        let live = Arc::new(Live::new(overview.clone(), &*clock, "UTC".to_owned()));
        let observer = Box::new(ToOverview(overview.clone()));
        let recorder = Arc::new(Recorder::start(store.clone(), clock.clone(), observer).unwrap());
        let config = OrchestratorConfig {
            shards: 1,
            max_in_flight: 100,
            max_in_flight_per_host: 100,
            shutdown_grace: Duration::from_secs(1),
        };
        let sink = Arc::new(ToRecorder(recorder.clone()));
        let orchestrator = Arc::new(Orchestrator::start(&config, clock.clone(), sink, None).unwrap());
        let key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let catalog = Catalog::new(Parts {
            registry: Arc::new(Registry::new([&QUIET]).unwrap()),
            store: store.clone(),
            sealer: Arc::new(Sealer::open(&KeySource::Given(key.to_owned().into())).unwrap()),
            orchestrator: orchestrator.clone(),
            overview: overview.clone(),
            recorder: recorder.clone(),
            build: BuildContext::new(Arc::new(NoSecrets)),
            clock: clock.clone(),
        });
        catalog.start().unwrap();
        let mut http_metrics = None;
        let metrics = Metrics::new(|metrics| {
            http_metrics = Some(HttpMetrics::register(metrics, Thresholds::default()));
        });
        let who = Arc::new(Chosen::default());
        *who.0.lock().unwrap() = Some(Principal::unlimited("operator"));
        let services = Services {
            catalog: Arc::new(catalog),
            store: store.clone(),
            overview,
            live,
            metrics,
            http_metrics: http_metrics.unwrap(),
            source_kinds: SourceKinds(SOURCES),
            health: HealthChecks::default(),
            started: clock.now(),
            clock,
            info: Info {
                time_zone: "UTC".to_owned(),
                version: "0",
                location: "here".to_owned(),
                worker: "w".to_owned(),
                public_url: None,
                base_path: String::new(),
            },
            hosts: HostRules::default(),
            authenticator: who.clone(),
        };
        Self { services, store, who, orchestrator, recorder, _folder: folder }
    }

    /// Who makes the requests from now on.
    pub fn log_in(&self, who: Option<Principal>) {
        *self.who.0.lock().unwrap() = who;
    }

    /// As a server without a login.
    pub fn without_login(&mut self) {
        self.services.authenticator = Arc::new(EveryoneIsOperator);
    }

    /// Makes a request with headers and a body.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let app = init_service(wise_api::app(self.services.clone())).await;
        let mut request = TestRequest::with_uri(path).method(Method::from_bytes(method.as_bytes()).unwrap());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request = request.insert_header(("Host", "localhost"));
        }
        for header in headers {
            request = request.insert_header(*header);
        }
        let response = call_service(&app, request.set_payload(body.to_owned()).to_request()).await;
        let status = response.status().as_u16();
        let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (etag, allow) = (header("ETag"), header("Allow"));
        // A stream has no end to wait for.
        let is_stream =
            response.headers().get("Content-Type").is_some_and(|value| value == "text/event-stream");
        let text = if is_stream {
            String::new()
        } else {
            String::from_utf8(read_body(response).await.to_vec()).unwrap()
        };
        Answer { status, text, etag, allow }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    pub async fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("Content-Type", "application/json")], &body.to_string()).await
    }

    /// Adds a monitor; answers its id.
    pub async fn add(&self, name: &str, more: Value) -> String {
        let mut body = json!({"name": name, "kind": "quiet", "settings": {"number": 1}});
        for (key, value) in more.as_object().unwrap() {
            body[key] = value.clone();
        }
        let answer = self.json("POST", "/api/v1/monitors", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.orchestrator.shutdown();
        self.recorder.close();
    }
}
