//! The settings of a Redis monitor. The doc comments are the documentation that users read.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wise_core::{BuildContext, FieldErrors, Monitor, MonitorSettings, Secret};
use wise_database::{CustomQuery, Limits, Tls};

use crate::server::{RedisMonitor, Server};

/// Where the server is, and what is expected of it. Not `Debug`: the URL may hold a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisSettings {
    /// Address, such as `redis://cache.example:6379` or `rediss://` for TLS; a path is the number of the database. Name
    /// each member of a replication, a cluster and each Sentinel by a monitor of its own.
    #[schemars(title = "URL", extend("x-wise" = "url"))]
    pub url: String,
    /// User name, where the server has users (Redis 6 and later).
    #[serde(default)]
    #[schemars(title = "User name")]
    pub username: Option<String>,
    /// Password.
    #[serde(default)]
    #[schemars(title = "Password")]
    pub password: Option<Secret>,
    /// TLS. The mode `prefer` is not for Redis, whose ports speak either TLS or plain text.
    #[serde(default)]
    #[schemars(title = "TLS")]
    pub tls: Tls,

    /// The role the server should have. Another one makes the monitor degraded.
    #[serde(default)]
    #[schemars(title = "Expected role", extend("x-wise-group" = "Expectations"))]
    pub expected_role: Option<Role>,
    /// Replicas that should be online, asked of a primary. Fewer make the monitor degraded.
    #[serde(default)]
    #[schemars(title = "Expected replicas", extend("x-wise-group" = "Expectations"))]
    pub expected_replicas: Option<u32>,
    /// Size in bytes that the data should not outgrow, for the forecast; without it, maxmemory.
    #[serde(default)]
    #[schemars(title = "Quota", range(min = 1), extend("x-wise-group" = "Expectations"))]
    pub quota_bytes: Option<u64>,

    /// How many commands are listed, those that took most time.
    #[serde(default = "default_top")]
    #[schemars(title = "Commands listed", range(min = 0, max = 50), extend("x-wise-group" = "Detail"))]
    pub top_commands: usize,
    /// Keys looked at in each check of the storage, to find large ones; 0 is none. Only done on a replica, and needs the
    /// rights `+scan +memory|usage ~*`. The names of the ten largest keys become labels.
    #[serde(default)]
    #[schemars(title = "Keys sampled", range(min = 0, max = 10_000), extend("x-wise-group" = "Detail"))]
    pub sample_keys: usize,

    /// Read commands whose numbers become metrics.
    #[serde(default)]
    #[schemars(title = "Custom queries", extend("x-wise-group" = "Custom queries"))]
    pub queries: Vec<RedisQuery>,
}

/// A role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Takes writes.
    Primary,
    /// Follows a primary.
    Replica,
    /// Watches others.
    Sentinel,
}

/// A read command whose numbers become metrics.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedisQuery {
    /// Name, the middle part of the metric: `redis.query.NAME.COLUMN`.
    #[schemars(title = "Name")]
    pub name: String,
    /// The command, such as `LLEN queue:mail`; words with spaces in double quotes. Only commands that read, and whose
    /// effort does not grow with the data, are allowed.
    #[schemars(title = "Command")]
    pub command: String,
    /// Name of the value, the last part of the metric. A name that ends in a unit, such as `wait_seconds`, carries it.
    #[serde(default = "default_column")]
    #[schemars(title = "Column")]
    pub column: String,
    /// How much the command may take.
    #[serde(default)]
    #[schemars(title = "Limits")]
    pub limits: Limits,
}

impl CustomQuery for RedisQuery {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

fn default_top() -> usize {
    10
}

fn default_column() -> String {
    "value".to_owned()
}

impl MonitorSettings for RedisSettings {
    fn example() -> Value {
        json!({
            "url": "redis://cache.example:6379",
            "username": "monitor",
            "password": "change me",
            "queries": [{"name": "mail_queue", "command": "LLEN queue:mail", "column": "length_count"}]
        })
    }

    fn build(self, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        Ok(Arc::new(RedisMonitor(Arc::new(Server::new(self, cx)?))))
    }
}
