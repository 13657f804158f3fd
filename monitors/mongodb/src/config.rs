//! The settings. The doc comments are the documentation that users read.

use std::sync::Arc;

use bson::Document;
use mongodb::options::AuthMechanism;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wise_core::{
    BuildContext, FieldError, FieldErrors, Masker, Monitor, MonitorSettings, Past, Probe, ProbeSpec, Secret,
};
use wise_database::{
    Address, AddressRules, CustomQuery, Limits, Place, QueryRules, Steps, Tls, TlsFiles, TlsMode,
    check_queries,
};
use wise_net::Net;

use crate::activity::Activity;
use crate::availability::Availability;
use crate::pipeline;
use crate::queries::Queries;
use crate::replication::Replication;
use crate::session::{Login, Server};
use crate::storage::Storage;

const ADDRESS: AddressRules = AddressRules {
    schemes: &["mongodb"],
    port: 27017,
    socket: None,
    // The last ones are in many URLs, and say nothing to a monitor of one member.
    parameters: &[
        "authSource",
        "authMechanism",
        "tls",
        "ssl",
        "tlsInsecure",
        "tlsAllowInvalidCertificates",
        "tlsAllowInvalidHostnames",
        "replicaSet",
        "directConnection",
        "appName",
        "readPreference",
        "retryReads",
        "retryWrites",
        "w",
    ],
    example: "mongodb://monitor@db.example:27017/admin",
};

pub(crate) const QUERIES: QueryRules =
    QueryRules { kind: "mongodb", longest: std::time::Duration::from_secs(30) };

/// Which member to watch, and what to look at. Not `Debug`: the URL may hold a password.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MongodbSettings {
    /// Address of one member: `mongodb://USER:PASSWORD@HOST:27017/DATABASE`, or
    /// `mongodb://USER@%2Ftmp%2Fmongodb-27017.sock` for a Unix socket. The database has the user, `admin` without one.
    /// `authSource`, `authMechanism`, `tls` and `replicaSet` are understood. Each member wants a monitor of its own.
    #[schemars(title = "URL", extend("x-wise" = "url", "examples" = ["mongodb://monitor@db.example:27017/admin"]))]
    pub url: String,
    /// User name, if it is not in the URL.
    #[serde(default)]
    #[schemars(title = "User name")]
    pub username: Option<String>,
    /// Password, if it is not in the URL: text, `{"env": "NAME"}` or `{"file": "PATH"}`.
    #[serde(default)]
    #[schemars(title = "Password")]
    pub password: Option<Secret>,
    /// Encryption of the connection. MongoDB cannot tell whether it has TLS: `prefer` is plain text.
    #[serde(default)]
    #[schemars(title = "TLS", extend("x-wise-group" = "TLS"))]
    pub tls: Tls,

    /// The role that the member must have; with another one it counts as down.
    #[serde(default)]
    #[schemars(title = "Expected role", extend("x-wise-group" = "Replication"))]
    pub expected_role: ExpectedRole,
    /// How many members of the replica set must work; fewer make it degraded. Members that its configuration names and
    /// that do not answer do so in any case.
    #[serde(default)]
    #[schemars(title = "Expected members", range(min = 0, max = 50), extend("x-wise-group" = "Replication"))]
    pub expected_members: u32,

    /// Databases whose collections are measured; without it all but admin, config and local.
    #[serde(default)]
    #[schemars(title = "Databases", extend("x-wise-group" = "Storage"))]
    pub databases: Option<Vec<String>>,
    /// How many of the largest collections of the server are measured one by one.
    #[serde(default = "default_top")]
    #[schemars(title = "Largest collections", range(min = 0, max = 200), extend("x-wise-group" = "Storage"))]
    pub top_collections: u32,
    /// Size that all databases together may reach, for a forecast beside that of the disk.
    #[serde(default)]
    #[schemars(title = "Quota in bytes", range(min = 1), extend("x-wise-group" = "Storage"))]
    pub quota_bytes: Option<u64>,
    /// Ask for the free space within each database (`freeStorage` of `dbStats`). It takes long where there are very many
    /// collections.
    #[serde(default)]
    #[schemars(title = "Free space in files", extend("x-wise-group" = "Storage"))]
    pub free_storage: bool,

    /// Aggregations of your own.
    #[serde(default)]
    #[schemars(title = "Custom queries", extend("x-wise-group" = "Custom queries"))]
    pub queries: Vec<MongoQuery>,
}

/// An aggregation of the user's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MongoQuery {
    /// Name, a word such as `open_orders`: numeric fields become metrics `mongodb.query.NAME.FIELD`, texts labels.
    #[schemars(title = "Name")]
    pub name: String,
    /// Database to run it in.
    #[schemars(title = "Database")]
    pub database: String,
    /// Collection to run it on; without it the pipeline begins with a stage that needs none.
    #[serde(default)]
    #[schemars(title = "Collection")]
    pub collection: Option<String>,
    /// The stages, as a JSON array (extended JSON). Stages that write or run code are refused.
    #[schemars(title = "Pipeline", extend("x-wise-multiline" = true))]
    pub pipeline: Vec<Map<String, Value>>,
    /// How much it may take.
    #[serde(default)]
    #[schemars(title = "Limits")]
    pub limits: Limits,
}

impl CustomQuery for MongoQuery {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// A role that a member may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpectedRole {
    /// Either.
    #[default]
    Any,
    /// Takes writes.
    Primary,
    /// Follows another.
    Secondary,
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
    pub(crate) replica_set: Option<String>,
    pub(crate) expected_role: ExpectedRole,
    pub(crate) expected_members: u32,
    pub(crate) databases: Option<Vec<String>>,
    pub(crate) top_collections: u32,
    pub(crate) quota: Option<f64>,
    pub(crate) free_storage: bool,
    pub(crate) queries: Vec<(MongoQuery, Vec<Document>)>,
}

#[derive(Debug)]
struct MongodbMonitor(Arc<Watched>);

impl Monitor for MongodbMonitor {
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

impl MonitorSettings for MongodbSettings {
    fn example() -> Value {
        json!({
            "url": "mongodb://monitor@db.example:27017/admin",
            "password": "change-me",
            "tls": {"mode": "verify-full"},
            "queries": [{
                "name": "open_orders",
                "database": "shop",
                "collection": "orders",
                "pipeline": [{"$match": {"done": false}}, {"$group": {"_id": "$region", "pending": {"$sum": 1}}}],
            }],
        })
    }

    fn build(self, cx: &BuildContext) -> Result<Arc<dyn Monitor>, FieldErrors> {
        let mut errors = FieldErrors::default();
        if self.url.starts_with("mongodb+srv://") {
            let error = FieldError::new(
                "url",
                "names a cluster by its SRV records, and a monitor watches one member",
            );
            return Err(error.hint("use mongodb://HOST:27017, and add a monitor for each member").into());
        }
        let address =
            Address::read(&ADDRESS, &self.url, self.username.as_deref(), self.password.as_ref(), cx);
        let mut address = address.map_err(|wrong| errors.0.extend(wrong.0)).ok();
        if let Some(address) = &mut address
            && address.host.starts_with('/')
        {
            address.place = Place::Socket(address.host.clone());
        }
        let in_url = address.as_ref().and_then(|address| tls_in_url(address, &mut errors));
        let tls = self.tls.build(in_url, TlsMode::Prefer, &mut errors);
        if tls.mode == TlsMode::Prefer && tls.identity.is_some() {
            errors.push(
                FieldError::new(
                    "tls.mode",
                    "is prefer, which is plain text here, and a client certificate is given",
                )
                .hint("use verify-full"),
            );
        }
        let login = address.as_ref().and_then(|address| login(address, &tls, &mut errors));
        check_queries(&QUERIES, &self.queries, &mut errors);
        let mut queries = Vec::new();
        for (index, query) in self.queries.into_iter().enumerate() {
            for (field, name) in
                [("database", Some(&query.database)), ("collection", query.collection.as_ref())]
            {
                if name.is_some_and(|name| name.is_empty() || name.contains('\0')) {
                    errors.push(FieldError::new(format!("queries[{index}].{field}"), "is empty, or no name"));
                }
            }
            match pipeline::read(&query.pipeline) {
                Ok(stages) => queries.push((query, stages)),
                Err(reason) => errors.push(
                    FieldError::new(format!("queries[{index}].pipeline"), reason)
                        .hint("use stages that read, such as $match, $group and $count"),
                ),
            }
        }
        if self.top_collections > 200 {
            errors.push(
                FieldError::new("top_collections", "is too large")
                    .value(self.top_collections)
                    .hint("use at most 200"),
            );
        }
        errors.into_result()?;
        let Some(address) = address else { return Err(FieldErrors::default()) };
        let replica_set = address.parameters.get("replicaSet").cloned();
        Ok(Arc::new(MongodbMonitor(Arc::new(Watched {
            server: Server::new(Net::shared(cx), address, tls, login),
            settings: Options {
                replica_set,
                expected_role: self.expected_role,
                expected_members: self.expected_members,
                databases: self.databases,
                top_collections: self.top_collections,
                quota: self.quota_bytes.map(|bytes| bytes as f64),
                free_storage: self.free_storage,
                queries,
            },
            past: cx.past(),
        }))))
    }
}

/// The mode of TLS that the URL asks for, in the words of MongoDB's URLs.
fn tls_in_url(address: &Address, errors: &mut FieldErrors) -> Option<TlsMode> {
    let mut flag = |name: &str| match address.parameters.get(name).map(String::as_str) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        None => None,
        Some(_) => {
            errors.push(FieldError::new("url", format!("has `{name}` neither true nor false")));
            None
        }
    };
    let is_on = flag("tls").or_else(|| flag("ssl"));
    let any = flag("tlsInsecure") == Some(true) || flag("tlsAllowInvalidCertificates") == Some(true);
    let any_name = flag("tlsAllowInvalidHostnames") == Some(true);
    Some(match is_on? {
        false => TlsMode::Off,
        true if any => TlsMode::Require,
        true if any_name => TlsMode::VerifyCa,
        true => TlsMode::VerifyFull,
    })
}

fn login(address: &Address, tls: &TlsFiles, errors: &mut FieldErrors) -> Option<Login> {
    let mechanism = match address.parameters.get("authMechanism").map(String::as_str) {
        None => None,
        Some("SCRAM-SHA-256") => Some(AuthMechanism::ScramSha256),
        Some("SCRAM-SHA-1") => Some(AuthMechanism::ScramSha1),
        Some("MONGODB-X509") => Some(AuthMechanism::MongoDbX509),
        Some("PLAIN") => Some(AuthMechanism::Plain),
        Some(_) => {
            errors.push(
                FieldError::new("url", "has an authMechanism that is not known here")
                    .hint("use SCRAM-SHA-256, SCRAM-SHA-1, MONGODB-X509 or PLAIN"),
            );
            return None;
        }
    };
    let is_certificate = mechanism == Some(AuthMechanism::MongoDbX509);
    let is_encrypted = !matches!(tls.mode, TlsMode::Off | TlsMode::Prefer);
    if is_certificate && tls.identity.is_none() {
        errors.push(
            FieldError::new("tls.client_certificate_file", "is missing, and the URL asks for MONGODB-X509")
                .hint("name the PEM file of the certificate, and that of its key"),
        );
    }
    if mechanism == Some(AuthMechanism::Plain) && !is_encrypted {
        errors.push(
            FieldError::new("url", "asks for PLAIN, which would send the password in plain text")
                .hint("set tls.mode to verify-full"),
        );
    }
    match (&address.username, &address.password) {
        (None, None) if !is_certificate => return None,
        (Some(_), None) if !is_certificate => errors.push(
            FieldError::new("password", "is missing beside the user name").hint("give it here or in the URL"),
        ),
        (None, Some(_)) => {
            errors.push(
                FieldError::new("username", "is missing beside the password")
                    .hint("give it here or in the URL"),
            );
        }
        _ => {}
    }
    let is_external = is_certificate || mechanism == Some(AuthMechanism::Plain);
    let fallback = if is_external { "$external" } else { address.database.as_deref().unwrap_or("admin") };
    Some(Login {
        username: address.username.clone(),
        password: address.password.clone().filter(|_| !is_certificate),
        source: address.parameters.get("authSource").cloned().unwrap_or_else(|| fallback.to_owned()),
        mechanism,
    })
}
