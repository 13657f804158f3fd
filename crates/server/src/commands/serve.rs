//! `wise-monitoring serve`: watches, and serves the API and the dashboard.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::HttpServer;
use anyhow::Context;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use wise_catalog::{Catalog, CatalogError, FIRST_START, FileProblem, read_folder};
use wise_core::{Clock, MonitorId, Principal};
use wise_storage::ports::Store;
use wise_storage::{MongoStore, StoreError};

use crate::cli::Sources;
use crate::compose::{Running, compose};
use crate::environment::Environment;
use crate::logging;
use crate::settings::Settings;

/// A full disk is looked at again after this, and ever more rarely.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(15);
/// It is told of every so many times.
const TOLD_EVERY: u32 = 10;
/// A monitor that is in no file any more is removed after this: one that is replaced may be gone for a moment.
const UNKEPT_FOR: Duration = Duration::from_secs(10);
/// How often monitors are looked for whose time to be brought back is over.
const PURGE_EVERY: Duration = Duration::from_secs(3600);
/// Answers in progress may take this long when the server stops.
const DRAIN: Duration = Duration::from_secs(3);

pub(super) fn run(sources: &Sources, environment: &Environment) -> anyhow::Result<ExitCode> {
    let loaded = super::load(sources, environment)?;
    logging::start(&loaded.settings.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // The addresses first: a start that fails for a port must leave no trace in the store.
    let mut listeners = Some(listen(&loaded.settings)?);
    let (mut told, mut full) = (None, Patience::default());
    let running = loop {
        let composed = compose(&loaded.settings, environment, &mut |holder| {
            // Anyone who waits does not answer: a load balancer must not send anybody here.
            listeners = None;
            if told.as_deref() != Some(holder) {
                tracing::info!("{holder} has the store; waiting until it stops or shows no sign of life");
                told = Some(holder.to_owned());
            }
            true
        });
        match composed {
            // Anyone who frees space at night must not have to think of starting this too.
            Err(error) if is_full(&error) => {
                listeners = None;
                full.wait(&error);
            }
            other => break other?,
        }
    };
    let listeners = match listeners {
        Some(listeners) => listeners,
        None => listen(&loaded.settings)?,
    };
    let files = Files {
        environment: environment.clone(),
        folder: super::monitor_folder(sources, &loaded.settings),
        is_named: sources.monitors.is_some()
            || loaded.settings.monitors.folder != Settings::default().monitors.folder,
        problems: running.file_problems.clone(),
        unkept: Arc::default(),
    };
    let end = actix_web::rt::System::new().block_on(serve(loaded.settings, files, listeners, running))?;
    match end {
        End::Stopped => Ok(ExitCode::SUCCESS),
        End::Superseded => Err(begin_again()),
    }
}

fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StoreError::DiskFull { .. })))
}

/// Waits for what someone else has to do, and says so now and then.
#[derive(Default)]
struct Patience {
    rounds: u32,
}

impl Patience {
    fn wait(&mut self, error: &anyhow::Error) {
        if self.rounds.is_multiple_of(TOLD_EVERY) {
            tracing::error!("{error:#}; nothing is watched until then");
        }
        self.rounds = self.rounds.saturating_add(1);
        std::thread::park_timeout((AGAIN * self.rounds).min(AGAIN_AT_MOST));
    }
}

/// How serving ended.
enum End {
    /// It was asked to.
    Stopped,
    /// Another process has the store now.
    Superseded,
}

/// Runs this program again, in this process: nothing that is known here is true any more.
fn begin_again() -> anyhow::Error {
    use std::os::unix::process::CommandExt;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from(&name));
    // It comes back only when it has failed.
    let error = std::process::Command::new(program).args(arguments).exec();
    anyhow::anyhow!("the store was taken over, and the program could not be started again: {error}")
}

fn listen(settings: &Settings) -> anyhow::Result<Vec<TcpListener>> {
    settings
        .addresses()?
        .into_iter()
        .map(|address| {
            TcpListener::bind(address)
                .with_context(|| format!("cannot listen on {address}: is another server running there?"))
        })
        .collect()
}

async fn serve(
    settings: Settings,
    files: Files,
    listeners: Vec<TcpListener>,
    running: Running,
) -> anyhow::Result<End> {
    let Running {
        services,
        orchestrator,
        recorder,
        mongo,
        uplink,
        consumers,
        own_history,
        stopping,
        file_problems: _,
    } = running;
    let catalog = services.catalog.clone();
    let (app_services, workers) = (services.clone(), settings.server.workers);
    let mut server = HttpServer::new(move || wise_api::app(app_services.clone()))
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(DRAIN.as_secs())
        .client_request_timeout(Duration::from_secs(10));
    for listener in listeners {
        server = server.listen(listener).context("an address cannot be listened on")?;
    }
    let bound: Vec<SocketAddr> = server.addrs();
    let server = server.run();
    let handle = server.handle();

    let started = services.clock.now();
    let taken_up = {
        let (catalog, files) = (catalog.clone(), files.clone());
        let store = services.store.clone();
        let own = bound.first().copied();
        let base = settings.server.base_path.clone();
        actix_web::web::block(move || take_up(&catalog, &*store, &files, own, &base)).await??
    };
    let mut tasks = tokio::task::JoinSet::new();
    if let Some(uplink) = &uplink {
        tasks.spawn(uplink.clone().run());
    }
    let watched = orchestrator.clone();
    tasks.spawn(async move { watched.watch().await });
    tasks.spawn(own_history.clone().run());
    let live = services.live.clone();
    tasks.spawn(async move { live.run().await });
    let (filled, is_stopping) = (catalog.clone(), stopping.clone());
    tasks.spawn_blocking(move || filled.fill_bars(started, || is_stopping.load(Ordering::Relaxed)));
    tasks.spawn(purge_removed(catalog.clone(), services.clock.clone()));
    tasks.spawn(follow_files(catalog, files, settings.monitors.reload_interval.0));
    // Before anybody is told that it runs: who stops it then wants an orderly end.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    welcome(&settings, &bound, taken_up, uplink.is_some());

    let server = actix_web::rt::spawn(server);
    let mut end = End::Stopped;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        by = superseded(mongo.as_ref()) => {
            tracing::error!("the store was taken over by {by}: this process stops watching, and waits for its turn");
            end = End::Superseded;
        }
    }
    tracing::info!("stopping: no new checks; running ones may take {} more", settings.checks.shutdown_grace);
    stopping.store(true, Ordering::Relaxed);
    let state = recorder.state().clone();
    let stop = move || {
        orchestrator.shutdown();
        own_history.write();
        recorder.close();
        consumers.close();
        if let Some(mongo) = mongo {
            mongo.close();
        }
    };
    // The API goes on answering meanwhile, and says that it is not ready. So does the egress self-check, which running
    // checks still ask.
    tokio::task::spawn_blocking(stop).await.context("the shutdown failed")?;
    tasks.abort_all();
    handle.stop(false).await;
    server.await.context("the HTTP server failed")??;
    match (state.trouble(), &end) {
        (None, _) => tracing::info!("stopped; everything is stored"),
        (Some(trouble), End::Stopped) => {
            anyhow::bail!("stopped, and the last results could not be stored: {trouble}")
        }
        // That is no reason not to go on watching.
        (Some(trouble), End::Superseded) => {
            tracing::error!("the last results could not be stored: {trouble}");
        }
    }
    Ok(end)
}

/// Ends when another process has taken the store over, with its name.
async fn superseded(mongo: Option<&Arc<MongoStore>>) -> String {
    let Some(mongo) = mongo else { return std::future::pending().await };
    let mut lost = mongo.state().lost();
    match lost.wait_for(Option::is_some).await {
        Ok(by) => by.clone().unwrap_or_default(),
        Err(_) => std::future::pending().await,
    }
}

/// Takes up definitions from the store and from files; at the very first start adds one, so that there is something
/// to see.
fn take_up(
    catalog: &Catalog,
    store: &dyn Store,
    files: &Files,
    own: Option<SocketAddr>,
    base: &str,
) -> anyhow::Result<usize> {
    catalog.start().context("the definitions in the store cannot be read")?;
    files.sync(catalog);
    let mut is_put_off = false;
    let is_first = store.meta("first_start")?.is_none() && catalog.list().is_empty();
    if let Some(own) = own
        && let Err(error) = watch_ourselves(catalog, &format!("http://{own}{base}/health/ready"), is_first)
    {
        tracing::warn!("the server's own monitor could not be set up: {error}");
        // With the store away it is done at the next start.
        is_put_off = matches!(error, CatalogError::Store(_));
    }
    if store.meta("first_start")?.is_none()
        && !is_put_off
        && let Err(error) = store.set_meta("first_start", "done")
    {
        tracing::warn!("that this was the first start could not be stored: {error}");
    }
    Ok(catalog.list().len())
}

/// Adds the server's own monitor at the first start, and lets it follow when the server moves to another address; one
/// that someone has changed or removed is left alone.
fn watch_ourselves(catalog: &Catalog, url: &str, is_first: bool) -> Result<(), CatalogError> {
    let own = catalog.list().into_iter().find(|entry| entry.definition.updated_by == FIRST_START);
    let monitor = json!({
        "name": "wise-monitoring",
        "kind": "website",
        "interval": "10s",
        "timeout": "5s",
        "settings": {
            "url": url,
            "assertions": [{"on": "json", "path": "$.status", "op": "not_equals", "value": "unhealthy"}],
        },
        "tags": {"about": "the monitoring itself"},
    });
    let by = Principal::unlimited(FIRST_START);
    match own {
        None if is_first => catalog.create(monitor, &by).map(|_| ()),
        Some(own) if own.definition.spec.settings["url"] != url => {
            catalog.replace(own.definition.id, monitor, None, &by).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// The folder with monitor files, and what is wrong with them.
#[derive(Clone)]
struct Files {
    environment: Environment,
    folder: PathBuf,
    /// Someone named the folder, so that it should be there.
    is_named: bool,
    problems: Arc<AtomicUsize>,
    /// Monitors that no file keeps any more, and since when.
    unkept: Arc<Mutex<BTreeMap<MonitorId, Instant>>>,
}

impl Files {
    /// Brings the catalog in line with the files. A mistake in one of them holds up no other, and removes nothing. True
    /// when it has to be looked at again: a monitor is in no file, and it is not yet long enough ago to be meant.
    fn sync(&self, catalog: &Catalog) -> bool {
        let is_wanted = self.is_named || catalog.has_file_monitors();
        if !is_wanted && !self.folder.exists() {
            return false;
        }
        let (monitors, mut problems) = read_folder(&self.folder, &|name| self.environment.get(name));
        if problems.is_empty()
            && catalog.has_file_monitors()
            && signature(&self.folder).is_some_and(|files| files.is_empty())
        {
            let message = "has no file any more: is the right volume mounted? To keep no monitor in files, leave one with \
                           a comment"
                .to_owned();
            problems.push(FileProblem { file: self.folder.clone(), line: None, message });
        }
        let is_complete = problems.is_empty();
        let (wrong, gone) = catalog.sync_files(&monitors);
        problems.extend(wrong);
        let mut unkept = self.unkept.lock().unwrap_or_else(PoisonError::into_inner);
        unkept.retain(|id, _| is_complete && gone.contains(id));
        let now = Instant::now();
        if is_complete {
            let mut due = Vec::new();
            for id in gone {
                let since = *unkept.entry(id).or_insert(now);
                if now.duration_since(since) >= UNKEPT_FOR {
                    unkept.remove(&id);
                    due.push(id);
                }
            }
            problems.extend(catalog.remove_unkept(&due));
        }
        for problem in &problems {
            tracing::error!("{problem}");
        }
        if !is_complete {
            tracing::warn!(
                "monitors of files that cannot be read are kept as they were until this is corrected"
            );
        }
        self.problems.store(problems.len(), Ordering::Relaxed);
        !unkept.is_empty()
    }
}

/// Forgets monitors for good whose time to be brought back is over. Not just after the start, when the clock may not be
/// set yet, nor when it has just been set.
async fn purge_removed(catalog: Arc<Catalog>, clock: Arc<dyn Clock>) {
    loop {
        let before = clock.now();
        tokio::time::sleep(PURGE_EVERY).await;
        if clock.now().since(before) > PURGE_EVERY * 2 {
            tracing::warn!("the clock was set forward: removed monitors are kept an hour longer");
            continue;
        }
        let catalog = catalog.clone();
        match tokio::task::spawn_blocking(move || catalog.purge()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => {
                tracing::info!("{count} monitors that were removed a day ago are forgotten for good");
            }
            Ok(Err(error)) => {
                tracing::warn!("monitors that were removed could not be forgotten yet: {error}");
            }
            Err(error) => tracing::error!("forgetting monitors that were removed failed: {error}"),
        }
    }
}

/// Takes over changes of the monitor files, once nothing has changed for one more look: files are copied in steps.
async fn follow_files(catalog: Arc<Catalog>, files: Files, interval: Duration) {
    let mut taken = signature(&files.folder);
    let mut seen = taken.clone();
    // What was read at the start may have been half written, or lack a file.
    let mut is_due = true;
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        let now = signature(&files.folder);
        let is_steady = now == seen;
        seen = now;
        if !is_steady || (seen == taken && !is_due) {
            continue;
        }
        if seen != taken {
            tracing::info!("monitor files have changed");
        }
        taken.clone_from(&seen);
        let (catalog, files) = (catalog.clone(), files.clone());
        match tokio::task::spawn_blocking(move || files.sync(&catalog)).await {
            Ok(again) => is_due = again,
            Err(_) => tracing::error!("taking over the monitor files failed"),
        }
    }
}

/// Names, sizes and times of the files: changes whenever one of them does. `None` when the folder cannot be read.
fn signature(folder: &Path) -> Option<Vec<(PathBuf, u64, Option<std::time::SystemTime>)>> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let path = entry.path();
            // Through symbolic links: mounted configuration is often made of them.
            let data = std::fs::metadata(&path).ok()?;
            let is_ours = path.extension().is_some_and(|extension| extension == "toml");
            is_ours.then(|| (path, data.len(), data.modified().ok()))
        })
        .collect();
    files.sort();
    Some(files)
}

/// Says where to go next.
fn welcome(settings: &Settings, bound: &[SocketAddr], monitors: usize, has_egress_check: bool) {
    let base = &settings.server.base_path;
    for address in bound {
        tracing::info!("wise-monitoring {} serves http://{address}{base}/", env!("CARGO_PKG_VERSION"));
    }
    tracing::info!("{monitors} monitors; times are shown in {}", settings.display.time_zone);
    tracing::info!(
        "there is no login yet: only this machine is answered, and foreign hosts and origins are refused"
    );
    if !has_egress_check {
        tracing::info!(
            "no egress self-check: set WISE_EGRESS__ADDRESSES so that a dead uplink is told from dead targets"
        );
    }
    if let Some(address) = bound.first() {
        let url = format!("http://{address}{base}");
        let body = r#"{"name": "example", "kind": "website", "settings": {"url": "https://example.com/"}}"#;
        let text = format!(
            "\n  wise-monitoring is running: {url}/\n\n  add a website in the browser, or with\n    \
             curl -X POST {url}/api/v1/monitors -H 'Content-Type: application/json' \\\n      -d '{body}'\n  \
             stop it with Ctrl-C\n\n"
        );
        // Anyone who started us may have closed our output; that is no reason to stop watching.
        std::io::stdout().write_all(text.as_bytes()).ok();
    }
}
