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
    schemes: &["mysql", "mariadb"],
    port: 3306,
    socket: Some("socket"),
    parameters: &["ssl-mode", "sslmode"],
    example: "mysql://monitor@db.example:3306",
};

pub(crate) const QUERIES: QueryRules =
    QueryRules { kind: "mysql", longest: std::time::Duration::from_secs(30) };

/// Which server to watch, and what to look at. Not `Debug`: the URL may hold a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MysqlSettings {
    /// Address of the server: `mysql://USER:PASSWORD@HOST:3306`, or `mysql://USER@/?socket=/run/mysqld/mysqld.sock` for
    /// a Unix socket. `ssl-mode` is understood.
    #[schemars(title = "URL", extend("x-wise" = "url", "examples" = ["mysql://monitor@db.example:3306"]))]
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

    /// The role that the server must have. A primary that only reads counts as down; a replica that takes writes, or
    /// has no source, is degraded.
    #[serde(default)]
    #[schemars(title = "Expected role", extend("x-wise-group" = "Replication"))]
    pub expected_role: ExpectedRole,
    /// How many replicas must be connected to a primary; fewer make it degraded.
    #[serde(default)]
    #[schemars(title = "Expected replicas", range(min = 0, max = 100), extend("x-wise-group" = "Replication"))]
    pub expected_replicas: u32,
    /// Table of heartbeats in the form of pt-heartbeat, `DATABASE.TABLE` with a column `ts`: the surest measure of lag.
    #[serde(default)]
    #[schemars(title = "Heartbeat table", extend("x-wise-group" = "Replication"))]
    pub heartbeat_table: Option<String>,
    /// The heartbeats are in UTC (pt-heartbeat with --utc), and not in the server's time zone.
    #[serde(default)]
    #[schemars(title = "Heartbeats in UTC", extend("x-wise-group" = "Replication"))]
    pub heartbeat_utc: bool,

    /// How many of the largest tables of the server are measured one by one.
    #[serde(default = "default_top")]
    #[schemars(title = "Largest tables", range(min = 0, max = 200), extend("x-wise-group" = "Storage"))]
    pub top_tables: u32,
    /// Size that all databases together may reach, for the forecast: MySQL cannot tell the size of its disk.
    #[serde(default)]
    #[schemars(title = "Quota in bytes", range(min = 1), extend("x-wise-group" = "Storage"))]
    pub quota_bytes: Option<u64>,

    /// Queries of your own.
    #[serde(default)]
    #[schemars(title = "Custom queries", extend("x-wise-group" = "Custom queries"))]
    pub queries: Vec<SqlQuery>,
}

/// A query of the user's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlQuery {
    /// Name, a word such as `open_orders`: numeric columns become metrics `mysql.query.NAME.COLUMN`, text columns labels.
    #[schemars(title = "Name")]
    pub name: String,
    /// One SELECT. It runs in a read-only transaction.
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
    Replica,
}

fn default_top() -> u32 {
    20
}

/// What the probes share.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) server: Server,
    pub(crate) settings: Options,
    pub(crate) past: Option<Past>,
}

impl wise_database::Watched for Watched {
    fn masker(&self) -> &Masker {
        &self.server.address.masker
    }
}

/// The settings that probes look at.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) expected_role: ExpectedRole,
    pub(crate) expected_replicas: u32,
    /// With its parts quoted.
    pub(crate) heartbeat_table: Option<String>,
    pub(crate) heartbeat_utc: bool,
    pub(crate) top_tables: u32,
    pub(crate) quota: Option<f64>,
    pub(crate) queries: Vec<SqlQuery>,
}

#[derive(Debug)]
struct MysqlMonitor(Arc<Watched>);

impl Monitor for MysqlMonitor {
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

impl MonitorSettings for MysqlSettings {
    fn example() -> Value {
        json!({
            "url": "mysql://monitor@db.example:3306",
            "password": "change-me",
            "tls": {"mode": "verify-full"},
            "queries": [{
                "name": "open_orders",
                "sql": "SELECT region, count(*) AS pending FROM shop.orders WHERE NOT done GROUP BY region",
            }],
        })
    }

    fn build(self, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        let mut errors = FieldErrors::default();
        let address =
            Address::read(&ADDRESS, &self.url, self.username.as_deref(), self.password.as_ref(), cx);
        let address = address.map_err(|wrong| errors.0.extend(wrong.0)).ok();
        let in_url = address
            .as_ref()
            .and_then(|a| a.parameters.get("ssl-mode").or_else(|| a.parameters.get("sslmode")));
        let mode = in_url.and_then(|text| TlsMode::from_url(text));
        if let (Some(text), None) = (in_url, mode) {
            errors.push(
                FieldError::new("url", format!("`{text}` is no ssl-mode"))
                    .hint("use DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY"),
            );
        }
        let tls = self.tls.build(mode, TlsMode::Prefer, &mut errors);
        check_queries(&QUERIES, &self.queries, &mut errors);
        for (index, query) in self.queries.iter().enumerate() {
            if !is_select(&query.sql) {
                errors.push(
                    FieldError::new(format!("queries[{index}].sql"), "is no single SELECT")
                        .hint("write one SELECT, or WITH … SELECT, without a semicolon in the middle"),
                );
            }
        }
        if self.top_tables > 200 {
            errors.push(
                FieldError::new("top_tables", "is too large").value(self.top_tables).hint("use at most 200"),
            );
        }
        let heartbeat_table = self.heartbeat_table.as_deref().map(quoted);
        if let Some(None) = heartbeat_table {
            errors.push(
                FieldError::new("heartbeat_table", "is no DATABASE.TABLE")
                    .hint("use a name such as percona.heartbeat"),
            );
        }
        errors.into_result()?;
        let Some(address) = address else { return Err(FieldErrors::default()) };
        Ok(Arc::new(MysqlMonitor(Arc::new(Watched {
            server: Server::new(Net::shared(cx), address, tls),
            settings: Options {
                expected_role: self.expected_role,
                expected_replicas: self.expected_replicas,
                heartbeat_table: heartbeat_table.flatten(),
                heartbeat_utc: self.heartbeat_utc,
                top_tables: self.top_tables,
                quota: self.quota_bytes.map(|bytes| bytes as f64),
                queries: self.queries,
            },
            past: cx.past(),
        }))))
    }
}

/// `db.table` with its parts quoted.
fn quoted(name: &str) -> Option<String> {
    let (database, table) = name.split_once('.')?;
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.len() <= 64
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))
    };
    (is_plain(database) && is_plain(table)).then(|| format!("`{database}`.`{table}`"))
}

/// Whether a text begins as a reading statement does. That nothing is written is seen to by the read-only transaction;
/// this keeps out what ends or escapes one, and what writes files.
fn is_select(sql: &str) -> bool {
    let shape = wise_database::shape(sql).to_ascii_lowercase();
    let body = shape.trim().trim_end_matches(';');
    let first = body.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    // The shape is shortened, and comments differ: what must not be there is looked for in the text itself.
    let raw = sql.to_ascii_lowercase();
    let words = || raw.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    matches!(first, "select" | "with" | "table" | "values")
        && !body.contains(';')
        // Executable comments would hide statements.
        && !sql.contains("/*!")
        && !sql.contains("/*M!")
        && !words().any(|word| matches!(word, "outfile" | "dumpfile" | "into"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_single_selects_pass() {
        for sql in
            ["SELECT 1", " select a from t; ", "WITH x AS (SELECT 1) SELECT * FROM x", "SELECT ';' AS a"]
        {
            assert!(is_select(sql), "{sql}");
        }
        for sql in [
            "DELETE FROM t",
            "SELECT 1; DELETE FROM t",
            "SELECT 1 INTO OUTFILE '/tmp/x'",
            "SELECT /*! SLEEP(1), */ 1",
            "SELECT a INTO @x FROM t",
            "",
            "CALL p()",
            &format!("SELECT {} INTO OUTFILE '/tmp/x'", "a, ".repeat(200)),
        ] {
            assert!(!is_select(sql), "{sql}");
        }
        assert_eq!(quoted("percona.heartbeat").as_deref(), Some("`percona`.`heartbeat`"));
        assert_eq!(quoted("a.b`; DROP"), None);
    }
}
