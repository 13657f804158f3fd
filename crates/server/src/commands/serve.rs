//! `wise-monitoring serve`: watches, and serves the API and the dashboard.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::HttpServer;
use anyhow::Context;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use wise_catalog::{Catalog, FileProblem, read_folder};
use wise_storage::ports::Store;

use crate::cli::Sources;
use crate::compose::{Running, compose};
use crate::environment::Environment;
use crate::logging;
use crate::settings::Settings;

/// Answers in progress may take this long when the server stops.
const DRAIN: Duration = Duration::from_secs(3);

pub(super) fn run(sources: &Sources, environment: &Environment) -> anyhow::Result<ExitCode> {
    let loaded = super::load(sources, environment)?;
    logging::start(&loaded.settings.log)?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let folder = super::monitor_folder(sources, &loaded.settings);
    let running = compose(&loaded.settings, environment)?;
    actix_web::rt::System::new().block_on(serve(loaded.settings, environment.clone(), folder, running))?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    settings: Settings,
    environment: Environment,
    folder: PathBuf,
    running: Running,
) -> anyhow::Result<()> {
    let Running { services, orchestrator, recorder, uplink, transition_log, stopping } = running;
    let catalog = services.catalog.clone();
    let addresses = settings.addresses()?;
    let (app_services, workers) = (services.clone(), settings.server.workers);
    let mut server = HttpServer::new(move || wise_api::app(app_services.clone()))
        .workers(workers)
        .disable_signals()
        .shutdown_timeout(DRAIN.as_secs())
        .client_request_timeout(Duration::from_secs(10));
    for address in &addresses {
        server = server
            .bind(address)
            .with_context(|| format!("cannot listen on {address}: is another server running there?"))?;
    }
    let bound: Vec<SocketAddr> = server.addrs();
    let server = server.run();
    let handle = server.handle();

    let taken_up = {
        let (catalog, environment, folder) = (catalog.clone(), environment.clone(), folder.clone());
        let store = services.store.clone();
        let own = bound.first().copied();
        let base = settings.server.base_path.clone();
        actix_web::web::block(move || {
            let count = take_up(&catalog, &*store, &environment, &folder, own, &base);
            // What was stored just before a crash has not been logged yet.
            transition_log.catch_up();
            count
        })
        .await??
    };
    let mut tasks = tokio::task::JoinSet::new();
    if let Some(uplink) = &uplink {
        tasks.spawn(uplink.clone().run());
    }
    let watched = orchestrator.clone();
    tasks.spawn(async move { watched.watch().await });
    let live = services.live.clone();
    tasks.spawn(async move { live.run().await });
    tasks.spawn(follow_files(catalog, environment, folder, settings.monitors.reload_interval.0));
    welcome(&settings, &bound, taken_up, uplink.is_some());

    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = actix_web::rt::spawn(server);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: no new checks; running ones may take {} more", settings.checks.shutdown_grace);
    stopping.store(true, Ordering::Relaxed);
    let state = recorder.state().clone();
    let stop = move || {
        orchestrator.shutdown();
        recorder.close();
    };
    // The API goes on answering meanwhile, and says that it is not ready. So does the egress self-check, which running
    // checks still ask.
    tokio::task::spawn_blocking(stop).await.context("the shutdown failed")?;
    tasks.abort_all();
    handle.stop(false).await;
    server.await.context("the HTTP server failed")??;
    match state.trouble() {
        None => tracing::info!("stopped; everything is stored"),
        Some(trouble) => anyhow::bail!("stopped, and the last results could not be stored: {trouble}"),
    }
    Ok(())
}

/// Takes up definitions from the store and from files; at the very first start adds one, so that there is something
/// to see.
fn take_up(
    catalog: &Catalog,
    store: &dyn Store,
    environment: &Environment,
    folder: &Path,
    own: Option<SocketAddr>,
    base: &str,
) -> anyhow::Result<usize> {
    catalog.start().context("the definitions in the store cannot be read")?;
    sync(catalog, environment, folder);
    if store.meta("first_start")?.is_none() {
        if let Some(own) = own.filter(|_| catalog.list().is_empty()) {
            let monitor = json!({
                "name": "wise-monitoring",
                "kind": "website",
                "interval": "10s",
                "timeout": "5s",
                "settings": {
                    "url": format!("http://{own}{base}/health/ready"),
                    "assertions": [{"on": "json", "path": "$.status", "op": "not_equals", "value": "unhealthy"}],
                },
                "tags": {"about": "the monitoring itself"},
            });
            if let Err(error) = catalog.create(monitor, "first start") {
                tracing::warn!("the server's own monitor could not be added: {error}");
            }
        }
        store.set_meta("first_start", "done")?;
    }
    Ok(catalog.list().len())
}

fn sync(catalog: &Catalog, environment: &Environment, folder: &Path) {
    let (monitors, mut problems) = read_folder(folder, &|name| environment.get(name));
    if problems.is_empty() {
        problems = catalog.sync_files(&monitors);
    } else {
        // With a file that cannot be read, monitors would seem to be gone that are only misspelt.
        let text = "monitor files are left as they were until this is corrected".to_owned();
        problems.push(FileProblem { file: folder.to_owned(), line: None, message: text });
    }
    for problem in problems {
        tracing::error!("{problem}");
    }
}

/// Takes over changes of the monitor files.
async fn follow_files(catalog: Arc<Catalog>, environment: Environment, folder: PathBuf, interval: Duration) {
    let mut seen = signature(&folder);
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        let now = signature(&folder);
        if now != seen {
            seen = now;
            tracing::info!("monitor files have changed");
            let (catalog, environment, folder) = (catalog.clone(), environment.clone(), folder.clone());
            let done = tokio::task::spawn_blocking(move || sync(&catalog, &environment, &folder)).await;
            if done.is_err() {
                tracing::error!("taking over the monitor files failed");
            }
        }
    }
}

/// Names, sizes and times of the files: changes whenever one of them does.
fn signature(folder: &Path) -> Vec<(PathBuf, u64, Option<std::time::SystemTime>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let data = entry.metadata().ok()?;
            Some((entry.path(), data.len(), data.modified().ok()))
        })
        .collect();
    files.sort();
    files
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
        // Whoever started us may have closed our output; that is no reason to stop watching.
        std::io::stdout().write_all(text.as_bytes()).ok();
    }
}
