//! What the settings become: the server, and what probes share.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use wise_core::{BuildContext, FieldError, FieldErrors, Monitor, Past, Probe, ProbeSpec};
use wise_database::{Address, AddressRules, Place, QueryRules, TlsFiles, TlsMode, check_queries};
use wise_net::{Net, Target};

use crate::activity::ActivityProbe;
use crate::availability::AvailabilityProbe;
use crate::commands::{self, Query};
use crate::config::{RedisSettings, Role};
use crate::driver::Session;
use crate::queries::QueriesProbe;
use crate::replication::ReplicationProbe;
use crate::storage::StorageProbe;

const ADDRESS: AddressRules = AddressRules {
    schemes: &["redis", "rediss"],
    port: 6379,
    socket: None,
    parameters: &[],
    example: "redis://cache.example:6379",
};

pub(crate) const QUERIES: QueryRules =
    QueryRules { kind: "redis", longest: std::time::Duration::from_secs(30) };

/// Most commands that are listed.
const MAX_TOP: usize = 50;
/// Most keys that are sampled in a check.
const MAX_SAMPLE: usize = 10_000;

/// The server, and what probes share.
pub(crate) struct Server {
    pub net: Arc<Net>,
    pub address: Address,
    pub target: Target,
    pub tls: TlsFiles,
    pub database: u8,
    pub expected_role: Option<Role>,
    pub expected_replicas: Option<u32>,
    pub quota: Option<u64>,
    pub top_commands: usize,
    pub sample_keys: usize,
    pub queries: Vec<Query>,
    pub past: Option<Past>,
    /// The connection that activity and replication keep from check to check.
    kept: Mutex<Option<Session>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    pub(crate) fn new(settings: RedisSettings, cx: &BuildContext) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        let address = Address::read(
            &ADDRESS,
            &settings.url,
            settings.username.as_deref(),
            settings.password.as_ref(),
            cx,
        );
        // What is wrong with the address must not hide what is wrong with the rest.
        let address = address.map_err(|mut found| errors.0.append(&mut found.0)).ok();
        let is_secure = settings.url.starts_with("rediss:");
        let in_url = is_secure.then_some(TlsMode::VerifyFull);
        let tls = settings.tls.build(in_url, TlsMode::Off, &mut errors);
        if tls.mode == TlsMode::Prefer {
            errors.push(
                FieldError::new("tls.mode", "is prefer, and a port of Redis speaks either TLS or plain text")
                    .hint("use verify-full for the TLS port, or off for the other"),
            );
        }
        if is_secure && tls.mode == TlsMode::Off {
            errors.push(
                FieldError::new("tls.mode", "is off, and the URL begins with rediss://")
                    .hint("write redis://, or remove the mode"),
            );
        }
        let path = address.as_ref().and_then(|address| address.database.as_deref());
        let database: u8 = path.map_or(Ok(0), str::parse).unwrap_or_else(|_| {
            errors.push(
                FieldError::new("url", "has a path that is no number of a database")
                    .hint("use a number from 0 to 255, as in redis://cache.example:6379/2"),
            );
            0
        });
        if settings.top_commands > MAX_TOP {
            errors.push(
                FieldError::new("top_commands", format!("is above {MAX_TOP}")).value(settings.top_commands),
            );
        }
        if settings.sample_keys > MAX_SAMPLE {
            errors.push(
                FieldError::new("sample_keys", format!("is above {MAX_SAMPLE}")).value(settings.sample_keys),
            );
        }
        if settings.quota_bytes == Some(0) {
            errors.push(FieldError::new("quota_bytes", "is zero").hint("leave it out for no quota"));
        }
        check_queries(&QUERIES, &settings.queries, &mut errors);
        let queries = commands::read(&settings.queries, &mut errors);
        let target = address.as_ref().map(|address| address.place.clone());
        errors.into_result()?;
        let (Some(address), Some(Place::Tcp(target))) = (address, target) else {
            return Err(FieldError::new("url", "names a socket").hint(ADDRESS.example).into());
        };
        Ok(Self {
            net: Net::shared(cx),
            address,
            target,
            tls,
            database,
            expected_role: settings.expected_role,
            expected_replicas: settings.expected_replicas,
            quota: settings.quota_bytes,
            top_commands: settings.top_commands,
            sample_keys: settings.sample_keys,
            queries,
            past: cx.past(),
            kept: Mutex::default(),
        })
    }

    /// User name and password for AUTH; a user may have an empty password.
    pub(crate) fn credentials(&self) -> Option<(Option<&str>, &str)> {
        let password = self.address.password.as_ref().map(|password| password.as_str());
        match (self.address.username.as_deref(), password) {
            (None, None) => None,
            (name, password) => Some((name, password.unwrap_or_default())),
        }
    }

    /// Takes the kept connection away, so that no one else uses it meanwhile.
    pub(crate) fn take_kept(&self) -> Option<Session> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Keeps a connection; answers it back where there is one already.
    pub(crate) fn keep(&self, session: Session) -> Option<Session> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match *kept {
            Some(_) => Some(session),
            None => {
                *kept = Some(session);
                None
            }
        }
    }
}

/// A monitor of one server.
#[derive(Debug)]
pub(crate) struct RedisMonitor(pub Arc<Server>);

impl Monitor for RedisMonitor {
    fn probe(&self, name: &str) -> Option<Box<dyn Probe>> {
        let server = self.0.clone();
        Some(match name {
            ProbeSpec::AVAILABILITY => Box::new(AvailabilityProbe::new(server)),
            "activity" => Box::new(ActivityProbe::new(server)),
            "replication" => Box::new(ReplicationProbe::new(server)),
            "storage" => Box::new(StorageProbe::new(server)),
            "queries" => Box::new(QueriesProbe::new(server)),
            _ => return None,
        })
    }

    fn has_work(&self, probe: &str) -> bool {
        probe != "queries" || !self.0.queries.is_empty()
    }

    fn host(&self) -> Option<&str> {
        Some(&self.0.address.host)
    }
}
