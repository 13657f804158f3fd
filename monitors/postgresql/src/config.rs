//! The settings. The doc comments are the documentation that users read.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wise_core::{
    BuildContext, FieldError, FieldErrors, Masker, Monitor, MonitorSettings, Past, Probe, ProbeSpec, Secret,
};
use wise_database::{
    Address, AddressRules, CustomQuery, Limits, Place, QueryRules, Steps, Tls, TlsMode, check_queries,
};
use wise_net::Net;

use crate::activity::Activity;
use crate::availability::Availability;
use crate::queries::Queries;
use crate::replication::Replication;
use crate::session::Server;
use crate::storage::Storage;

const ADDRESS: AddressRules = AddressRules {
    schemes: &["postgresql", "postgres"],
    port: 5432,
    socket: Some("host"),
    parameters: &["sslmode", "port"],
    example: "postgresql://monitor@db.example:5432/postgres",
};

pub(crate) const QUERIES: QueryRules =
    QueryRules { kind: "postgresql", longest: std::time::Duration::from_secs(30) };

/// Which server to watch, and what to look at. Not `Debug`: the URL may hold a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresqlSettings {
    /// Address of the server: `postgresql://USER:PASSWORD@HOST:5432/DATABASE`, or `postgresql://USER@/DATABASE?host=/run/postgresql`
    /// for a Unix socket. `sslmode` is understood.
    #[schemars(title = "URL", extend("x-wise" = "url", "examples" = ["postgresql://monitor@db.example:5432/postgres"]))]
    pub url: String,
    /// User name, if it is not in the URL.
    #[serde(default)]
    #[schemars(title = "User name")]
    pub username: Option<String>,
    /// Password, if it is not in the URL: text, `{"env": "NAME"}` or `{"file": "PATH"}`.
    #[serde(default)]
    #[schemars(title = "Password")]
    pub password: Option<Secret>,
    /// Encryption of the connection.
    #[serde(default)]
    #[schemars(title = "TLS", extend("x-wise-group" = "TLS"))]
    pub tls: Tls,

    /// The role that the server must have; with another one it counts as down.
    #[serde(default)]
    #[schemars(title = "Expected role", extend("x-wise-group" = "Replication"))]
    pub expected_role: ExpectedRole,
    /// How many standbys must stream from a primary; fewer make it degraded.
    #[serde(default)]
    #[schemars(title = "Expected standbys", range(min = 0, max = 100), extend("x-wise-group" = "Replication"))]
    pub expected_replicas: u32,

    /// Databases whose tables are measured; without it all that the user may connect to. Each costs a connection each
    /// time.
    #[serde(default)]
    #[schemars(title = "Databases", extend("x-wise-group" = "Storage"))]
    pub databases: Option<Vec<String>>,
    /// How many of the largest tables of each database are measured one by one.
    #[serde(default = "default_top")]
    #[schemars(title = "Largest tables", range(min = 0, max = 200), extend("x-wise-group" = "Storage"))]
    pub top_tables: u32,
    /// Size that all databases together may reach, for the forecast: PostgreSQL cannot tell the size of its disk.
    #[serde(default)]
    #[schemars(title = "Quota in bytes", range(min = 1), extend("x-wise-group" = "Storage"))]
    pub quota_bytes: Option<u64>,
    /// Measure free space within tables every two hours, with the extension pgstattuple. It reads pages that are not
    /// all-visible.
    #[serde(default)]
    #[schemars(title = "Bloat", extend("x-wise-group" = "Storage"))]
    pub bloat: bool,
    /// Read pg_stat_statements where it is installed.
    #[serde(default = "default_true")]
    #[schemars(title = "Statements", extend("x-wise-group" = "Storage"))]
    pub statements: bool,

    /// Queries of your own.
    #[serde(default)]
    #[schemars(title = "Custom queries", extend("x-wise-group" = "Custom queries"))]
    pub queries: Vec<SqlQuery>,
}

/// A query of the user's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlQuery {
    /// Name, a word such as `open_orders`: numeric columns become metrics `postgresql.query.NAME.COLUMN`, text columns
    /// labels.
    #[schemars(title = "Name")]
    pub name: String,
    /// One SELECT. It runs in a read-only transaction, through a cursor.
    #[schemars(title = "SQL", extend("x-wise-multiline" = true))]
    pub sql: String,
    /// Database to run it in; without it that of the URL.
    #[serde(default)]
    #[schemars(title = "Database")]
    pub database: Option<String>,
    /// How much it may take.
    #[serde(default)]
    #[schemars(title = "Limits")]
    pub limits: Limits,
}

impl CustomQuery for SqlQuery {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// A role that a server may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedRole {
    /// Either.
    #[default]
    Any,
    /// Takes writes.
    Primary,
    /// Follows another.
    Standby,
}

fn default_top() -> u32 {
    20
}

fn default_true() -> bool {
    true
}

/// What the probes share.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) server: Server,
    pub(crate) settings: Options,
    pub(crate) past: Option<Past>,
}

/// The settings that probes look at.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) expected_role: ExpectedRole,
    pub(crate) expected_replicas: u32,
    pub(crate) databases: Option<Vec<String>>,
    pub(crate) top_tables: u32,
    pub(crate) quota: Option<f64>,
    pub(crate) bloat: bool,
    pub(crate) statements: bool,
    pub(crate) queries: Vec<SqlQuery>,
}

impl wise_database::Watched for Watched {
    fn masker(&self) -> &Masker {
        &self.server.address.masker
    }
}

#[derive(Debug)]
struct PostgresqlMonitor(Arc<Watched>);

impl Monitor for PostgresqlMonitor {
    fn probe(&self, name: &str) -> Option<Box<dyn Probe>> {
        let watched = self.0.clone();
        Some(match name {
            ProbeSpec::AVAILABILITY => Box::new(Steps::new(watched, Availability)),
            "activity" => Box::new(Steps::new(watched, Activity::default())),
            "replication" => Box::new(Steps::new(watched, Replication::default())),
            "storage" => {
                let storage = Storage::new(&watched);
                Box::new(Steps::new(watched, storage))
            }
            "queries" => Box::new(Steps::new(watched, Queries::default())),
            _ => return None,
        })
    }

    fn has_work(&self, probe: &str) -> bool {
        probe != "queries" || !self.0.settings.queries.is_empty()
    }

    fn host(&self) -> Option<&str> {
        matches!(self.0.server.address.place, Place::Tcp(_)).then_some(&self.0.server.address.host)
    }
}

impl MonitorSettings for PostgresqlSettings {
    fn example() -> Value {
        json!({
            "url": "postgresql://monitor@db.example:5432/postgres",
            "password": "change-me",
            "tls": {"mode": "verify-full"},
            "queries": [{
                "name": "open_orders",
                "sql": "SELECT region, count(*) AS pending FROM shop.orders WHERE NOT done GROUP BY region",
                "database": "shop",
            }],
        })
    }

    fn build(self, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        let mut errors = FieldErrors::default();
        let address =
            Address::read(&ADDRESS, &self.url, self.username.as_deref(), self.password.as_ref(), cx);
        let address = address.map_err(|wrong| errors.0.extend(wrong.0)).ok();
        let in_url = address.as_ref().and_then(|address| address.parameters.get("sslmode"));
        let mode = in_url.and_then(|text| TlsMode::from_url(text));
        if let (Some(text), None) = (in_url, mode) {
            errors.push(
                FieldError::new("url", format!("`{text}` is no sslmode"))
                    .hint("use disable, prefer, require, verify-ca or verify-full"),
            );
        }
        let tls = self.tls.build(mode, TlsMode::Prefer, &mut errors);
        check_queries(&QUERIES, &self.queries, &mut errors);
        for (index, query) in self.queries.iter().enumerate() {
            if query.sql.trim().is_empty() {
                errors.push(
                    FieldError::new(format!("queries[{index}].sql"), "is empty").hint("write a SELECT"),
                );
            }
        }
        if self.top_tables > 200 {
            errors.push(
                FieldError::new("top_tables", "is too large").value(self.top_tables).hint("use at most 200"),
            );
        }
        errors.into_result()?;
        let Some(address) = address else { return Err(FieldErrors::default()) };
        Ok(Arc::new(PostgresqlMonitor(Arc::new(Watched {
            server: Server::new(Net::shared(cx), address, tls),
            settings: Options {
                expected_role: self.expected_role,
                expected_replicas: self.expected_replicas,
                databases: self.databases,
                top_tables: self.top_tables,
                quota: self.quota_bytes.map(|bytes| bytes as f64),
                bloat: self.bloat,
                statements: self.statements,
                queries: self.queries,
            },
            past: cx.past(),
        }))))
    }
}
