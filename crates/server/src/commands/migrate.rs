//! `wise-monitoring migrate`: everything from one store to another.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use wise_core::{Clock, SystemClock, Timestamp};
use wise_storage::{MongoStore, Movable, SqliteStore, StoreError, migrate};

use crate::cli::Sources;
use crate::environment::Environment;
use crate::settings::Settings;
use crate::store::{Place, embedded, mongo};

pub(super) fn run(
    from: Option<&str>,
    to: &str,
    sources: &Sources,
    environment: &Environment,
) -> anyhow::Result<ExitCode> {
    let settings = super::load(sources, environment)?.settings;
    let from = match from {
        Some(url) => Place::parse(url).map_err(|error| anyhow::anyhow!("--from: it {error}"))?,
        None => settings.place()?,
    };
    let to = Place::parse(to).map_err(|error| anyhow::anyhow!("--to: it {error}"))?;
    if from == to {
        bail!("--to: `{}` is where everything is already", to.shown());
    }
    if let Place::Embedded(folder) = &from
        && !folder.join("wise.sqlite3").exists()
    {
        bail!("there is no store in {}", folder.display());
    }
    let now = SystemClock.now();
    // The server's own spool may have something that is not sent yet.
    let own = PathBuf::from(&settings.storage.spool);
    let is_own = matches!(&from, Place::Mongo(_)) && settings.place()? == from && own.exists();
    let from_spool = if is_own { own } else { spool(&settings, "from") };
    let to_spool = spool(&settings, "to");
    let source = open(&settings, &from, &from_spool, true, now)?;
    let target = open(&settings, &to, &to_spool, false, now)?;
    let moved = migrate(&source, &target, now, |text| eprintln!("{text}")).with_context(|| {
        format!("{} was not moved wholly to {}; run it again to go on", from.shown(), to.shown())
    })?;
    // What they still have to send goes with them.
    drop((source, target));
    let key = move_key(&settings, &from, &to)?;
    // That of the server stays.
    let made = [(!is_own).then_some(from_spool), Some(to_spool)];
    for spool in made.into_iter().flatten() {
        if spool.exists() {
            std::fs::remove_dir_all(&spool)
                .with_context(|| format!("{} cannot be removed", spool.display()))?;
        }
    }
    say!(
        "{}: {} monitors, {} events, {} checks in {} days with samples, and all rollups",
        to.shown(),
        moved.monitors,
        moved.events,
        moved.checks,
        moved.days
    );
    say!("{key}");
    say!("Set WISE_STORAGE__URL to it. {} is as it was.", from.shown());
    Ok(ExitCode::SUCCESS)
}

/// A spool for the time of the migration, beside that of the settings.
fn spool(settings: &Settings, end: &str) -> PathBuf {
    PathBuf::from(format!("{}.migration-{end}", settings.storage.spool.trim_end_matches('/')))
}

fn open(
    settings: &Settings,
    place: &Place,
    spool: &Path,
    is_source: bool,
    now: Timestamp,
) -> anyhow::Result<Movable> {
    let what = || format!("the store in {} cannot be used", place.shown());
    match place {
        Place::Embedded(folder) => {
            let store = SqliteStore::open(&embedded(settings, folder), now).with_context(what)?;
            Ok(Movable::Sqlite(Box::new(store)))
        }
        Place::Mongo(url) => {
            let mut options = mongo(settings, url, spool);
            "a migration".clone_into(&mut options.name);
            options.is_source = is_source;
            // One that was killed shows no sign of life; one that runs goes on for longer than that.
            let begun = tokio::time::Instant::now();
            let most = options.timing.expiry + Duration::from_secs(5);
            let mut wait = |holder: &str| {
                eprintln!("{holder} has the store in {}; waiting for a sign of life", place.shown());
                begun.elapsed() < most
            };
            let store = MongoStore::open(options, now, &mut wait).map_err(|error| match error {
                StoreError::Superseded { by } => anyhow::anyhow!("{by} runs on it: stop it first"),
                other => other.into(),
            });
            let store = store.with_context(what)?;
            if let Some(trouble) = store.state().trouble() {
                bail!("the store in {} cannot be used: {trouble}", place.shown());
            }
            Ok(Movable::Mongo(store))
        }
    }
}

/// Puts the key of the secrets where a server on the target looks for it; answers what is to be said of it.
fn move_key(settings: &Settings, from: &Place, to: &Place) -> anyhow::Result<String> {
    let file = |place: &Place| match place {
        Place::Embedded(folder) => folder.join("secret.key"),
        Place::Mongo(_) => Path::new(&settings.storage.spool).join("secret.key"),
    };
    let (from, to) = (file(from), file(to));
    if from == to || !from.exists() {
        return Ok("The key of its secrets stays where it is.".to_owned());
    }
    if to.exists() {
        let is_same = std::fs::read(&from)? == std::fs::read(&to)?;
        if !is_same {
            bail!(
                "everything is moved, but {} is another key than {}: put the right one there",
                to.display(),
                from.display()
            );
        }
        return Ok(format!("The key of its secrets is in {} already.", to.display()));
    }
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // The mode comes with it.
    std::fs::copy(&from, &to)
        .with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))?;
    Ok(format!("The key of its secrets was copied to {}.", to.display()))
}
