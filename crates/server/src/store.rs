//! Opening the store that the settings name.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use wise_core::Timestamp;
use wise_storage::ports::{DefinitionStore, Store};
use wise_storage::{
    MongoOptions, MongoStore, Retention, Sealer, SqliteOptions, SqliteStore, StoreError, Timing,
};

use crate::settings::Settings;

/// A clock that has jumped ahead is believed after so long.
const CLOCK_PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// The spool keeps what was sent for this long, so that the last days can be read while MongoDB is away.
const SPOOL_RETENTION: Duration = Duration::from_secs(2 * 86_400);
/// Setting of the store that has a text sealed with its key.
const KEY_CHECK: &str = "key_check";

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The embedded store in a folder.
    Embedded(PathBuf),
    /// A MongoDB database, by its URL.
    Mongo(String),
}

impl Place {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none of a store. The URL may hold a password, so it is not shown.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        match url.split_once("://") {
            Some(("sqlite", folder)) if !folder.is_empty() => Ok(Self::Embedded(PathBuf::from(folder))),
            Some(("mongodb" | "mongodb+srv", rest)) if !rest.is_empty() => Ok(Self::Mongo(url.to_owned())),
            _ => bail!(
                "is no URL of a store: write sqlite://FOLDER, such as sqlite://./data, or mongodb://HOST:PORT/DATABASE"
            ),
        }
    }

    /// The same without what may be secret.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Embedded(folder) => format!("sqlite://{}", folder.display()),
            Self::Mongo(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("mongodb", url));
                let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
                format!("{scheme}://{}", rest.split('?').next().unwrap_or(rest))
            }
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

/// A store that was opened.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// The same, where it is in MongoDB.
    pub(crate) mongo: Option<Arc<MongoStore>>,
}

/// The name of this process in results.
pub(crate) fn worker(settings: &Settings) -> String {
    if !settings.checks.worker.is_empty() {
        return settings.checks.worker.clone();
    }
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "local".to_owned() } else { name.trim().to_owned() }
}

/// Options of an embedded store in a folder.
pub(crate) fn embedded(settings: &Settings, folder: &Path) -> SqliteOptions {
    SqliteOptions {
        folder: folder.to_owned(),
        retention: settings.storage.retention(),
        head_bytes: settings.storage.head_bytes,
        max_series: settings.storage.max_series,
        clock_patience: CLOCK_PATIENCE,
        hold_from: Arc::new(i64::MAX.into()),
        location: settings.checks.location.clone(),
        worker: worker(settings),
    }
}

/// Options of a store in MongoDB with its spool in a folder.
pub(crate) fn mongo(settings: &Settings, url: &str, spool: &Path) -> MongoOptions {
    let spool = SqliteOptions {
        retention: Retention {
            raw: SPOOL_RETENTION,
            five_minutes: SPOOL_RETENTION,
            hours: SPOOL_RETENTION,
            days: SPOOL_RETENTION,
            max_bytes: Some(settings.storage.spool_max_bytes).filter(|bytes| *bytes > 0),
        },
        ..embedded(settings, spool)
    };
    MongoOptions {
        url: url.to_owned(),
        spool,
        retention: settings.storage.retention(),
        name: worker(settings),
        timing: Timing::default(),
        is_source: false,
    }
}

/// Opens the store. `wait` is called with the name of the process that has it, again and again until it is free.
pub(crate) fn open(
    settings: &Settings,
    now: Timestamp,
    wait: &mut dyn FnMut(&str) -> bool,
) -> anyhow::Result<Opened> {
    let folder = settings.local_folder()?;
    match settings.place()? {
        Place::Embedded(_) => {
            let store = SqliteStore::open(&embedded(settings, &folder), now)
                .with_context(|| format!("the store in {} cannot be used", folder.display()))?;
            Ok(Opened { store: Arc::new(store), mongo: None })
        }
        place @ Place::Mongo(_) => {
            let shown = place.shown();
            let Place::Mongo(url) = place else { bail!("no store") };
            let store = MongoStore::open(mongo(settings, &url, &folder), now, wait)
                .with_context(|| format!("the store in {shown} cannot be used"))?;
            let store = Arc::new(store);
            Ok(Opened { store: store.clone(), mongo: Some(store) })
        }
    }
}

/// Makes sure that the secrets of a store are sealed with this key.
///
/// # Errors
/// They are not.
pub(crate) fn check_key(store: &(impl DefinitionStore + ?Sized), sealer: &Sealer) -> anyhow::Result<()> {
    match store.meta(KEY_CHECK)? {
        Some(sealed) => sealer.open_text(KEY_CHECK, &sealed).map(drop).map_err(|_| {
            anyhow::anyhow!(
                "the secrets of this store are sealed with another key: give the one of the process that made it, in \
                 WISE_SECRET_KEY or as the file secret.key in {}",
                "the folder of the store or of storage.spool"
            )
        }),
        None => {
            let sealed = sealer.seal(KEY_CHECK, "wise-monitoring").map_err(|error| StoreError::Seal(error.0))?;
            store.set_meta(KEY_CHECK, &sealed)?;
            Ok(())
        }
    }
}
